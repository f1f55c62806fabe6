//! The pricing page: a column for each tier, and what the visitor can do.

mod columns;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use entitlement::Timestamp;
use entitlement::assertion::Claims;
use entitlement::catalog::{Cadence, Catalog, Provider};
use http::HeaderMap;
use serde::Deserialize;

use super::encoding::{self, Coding};
use super::frame::Frame;
use super::look::{Texts, fill};
use super::{fault, html};
use crate::Billing;
use crate::api::Visitor;
use crate::api::standing::{self, Standing};
use crate::checkout::{self, links};
use crate::problem::Problem;
use columns::{Column, Consent, Shop, Toggle, columns};

/// What the page is told in its address, or by the form that it has sent.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// The page to go on to after paying.
    pub next: Option<String>,
    /// Which prices are shown first.
    pub cadence: Option<String>,
}

/// What the visitor can do here.
#[derive(Debug, PartialEq, Eq)]
enum Viewer {
    /// Sign in, and come back.
    Anonymous { sign_in: String },
    /// Buy. `trial`: whether a free trial can still be had.
    Free { trial: Trial },
    /// Manage the subscription there is.
    Subscribed,
    /// Look: others buy for the account, or it is blocked.
    Member { text: String },
}

/// Whether a free trial can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Offered,
    Used,
}

/// What is sold, and what of it is shown first.
#[derive(Clone, Copy, Debug)]
struct Sold<'a> {
    catalog: &'a Catalog,
    sellers: &'a [Provider],
    shown: Cadence,
}

#[derive(Template)]
#[template(path = "pricing.html")]
struct Page<'a> {
    frame: Frame<'a>,
    viewer: Viewer,
    tiers: Vec<Column>,
    toggle: Option<Toggle>,
    next: Option<String>,
}

/// `GET /billing/pricing`
pub async fn get(
    State(billing): State<Billing>,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page = show(&billing, claims.as_ref(), asked, None).await?;
    // Of somebody it is never compressed.
    if claims.is_some() { Ok(page) } else { Ok(encoding::for_everybody(page, Coding::of(&headers)).await) }
}

/// The page, with what went wrong on it.
///
/// # Errors
/// When the database fails.
pub async fn show(
    billing: &Billing,
    claims: Option<&Claims>,
    asked: Asked,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let settings = billing.settings();
    let next = asked.next.as_deref().and_then(links::own_path);
    let shown = cadence(asked.cadence.as_deref());
    let sellers = &checkout::sellers(billing);
    let texts = &settings.pages.texts;
    let error = problem.map(|problem| fault::told(texts, problem));
    let frame = Frame::new(billing, &texts.pricing.title, links::PRICING_PATH).with_error(error);
    let page = match claims {
        None => {
            let back = links::with_next(&settings.own_paths().of(links::PRICING_PATH), next.as_deref());
            let sign_in = links::signing_in(&settings.login, &back);
            let rules = standing::sold(billing).await?;
            let sold = Sold { catalog: &rules.catalog, sellers, shown };
            page(frame, Viewer::Anonymous { sign_in }, &sold, None)
        }
        Some(claims) => {
            let now = crate::clock::now();
            let standing = standing::of(billing, &claims.sub, now).await?;
            let viewer = match (claims.buyer, standing.segment.plan.is_blocked()) {
                (false, _) => member(texts, claims),
                (true, true) => Viewer::Member { text: texts.account.blocked.clone() },
                (true, false) => viewer(texts, &standing, now),
            };
            let tier = standing.segment.plan.tier.clone();
            let sold = Sold { catalog: standing.catalog(), sellers, shown };
            page(frame.with_claims(claims), viewer, &sold, Some(&tier))
        }
    };
    let page = Page { next, ..page };
    Ok(match problem {
        Some(problem) => html::page_with(problem.status(), &page),
        None => html::page(&page),
    })
}

fn viewer(texts: &Texts, standing: &Standing, now: Timestamp) -> Viewer {
    let obstacle = standing.obstacle(entitlement::catalog::Sold::Tier(standing.catalog().base()), now);
    match (obstacle.is_none(), standing.is_new_buyer()) {
        (false, _) if !standing.has_portal => Viewer::Member { text: texts.account.elsewhere.clone() },
        (false, _) => Viewer::Subscribed,
        (true, true) => Viewer::Free { trial: Trial::Offered },
        (true, false) => Viewer::Free { trial: Trial::Used },
    }
}

fn member(texts: &Texts, claims: &Claims) -> Viewer {
    Viewer::Member { text: fill(&texts.pricing.not_a_buyer, &[("account", claims.sub.as_str())]) }
}

fn page<'a>(frame: Frame<'a>, viewer: Viewer, sold: &Sold<'_>, current: Option<&str>) -> Page<'a> {
    let trial = match viewer {
        Viewer::Free { trial } => trial,
        Viewer::Anonymous { .. } => Trial::Offered,
        Viewer::Subscribed | Viewer::Member { .. } => Trial::Used,
    };
    let shop = Shop { look: frame.look, catalog: sold.catalog, sellers: sold.sellers, trial };
    let (tiers, toggle) = (columns(shop, current), Toggle::over(shop, sold.shown));
    Page { frame, viewer, tiers, toggle, next: None }
}

fn cadence(word: Option<&str>) -> Cadence {
    match word {
        Some("annual") => Cadence::Annual,
        _ => Cadence::Monthly,
    }
}

#[cfg(test)]
mod tests;
