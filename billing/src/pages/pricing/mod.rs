//! The pricing page: a column for each tier, and what the visitor can do.

mod columns;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use entitlement::Timestamp;
use entitlement::assertion::Claims;
use entitlement::catalog::{Cadence, Catalog, Price, Provider};
use http::HeaderMap;
use serde::Deserialize;

use super::encoding::{self, Coding};
use super::frame::Frame;
use super::look::{Pages, Spoken, Texts, fill};
use super::{fault, html};
use crate::Billing;
use crate::api::Visitor;
use crate::api::standing::{self, Standing};
use crate::checkout::{self, links};
use crate::problem::Problem;
use crate::referral;
use columns::{Column, Consent, Shop, Toggle, columns};

/// What the page is told in its address, or by the form that it has sent.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// The page to go on to after paying.
    pub next: Option<String>,
    /// Which prices are shown first.
    pub cadence: Option<String>,
    /// Whether the browser remembers an invitation.
    #[serde(skip)]
    pub is_invited: bool,
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
    /// The price that the visitor pays.
    held: Option<&'a Price>,
}

#[derive(Template)]
#[template(path = "pricing.html")]
struct Page<'a> {
    frame: Frame<'a>,
    viewer: Viewer,
    tiers: Vec<Column>,
    toggle: Option<Toggle>,
    next: Option<String>,
    /// The reward that an invited buyer gets for buying.
    invited: Option<String>,
}

impl Page<'_> {
    /// Whether a column has the way to manage the subscription.
    fn has_current(&self) -> bool {
        self.tiers.iter().any(|tier| tier.current && !tier.base)
    }
}

/// `GET /billing/pricing`
pub async fn get(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let is_invited = referral::is_remembered(&headers, billing.settings(), crate::clock::now());
    let page = show((&billing, &look), claims.as_ref(), Asked { is_invited, ..asked }, None).await?;
    // Of somebody it is never compressed.
    if claims.is_some() { Ok(page) } else { Ok(encoding::for_everybody(page, Coding::of(&headers)).await) }
}

/// The page, with what went wrong on it.
///
/// # Errors
/// When the database fails; visitors who are not signed in are shown what was sold when it last answered.
pub async fn show(
    (billing, look): (&Billing, &Pages),
    claims: Option<&Claims>,
    asked: Asked,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let settings = billing.settings();
    let next = asked.next.as_deref().and_then(|next| links::own_path(settings.own_paths(), next));
    let shown = cadence(asked.cadence.as_deref());
    let mut is_invited = asked.is_invited;
    let sellers = &checkout::sellers(billing);
    let texts = &look.texts;
    let error = problem.map(|problem| fault::told(texts, problem));
    let frame = Frame::new(billing, look, &texts.pricing.title, links::PRICING_PATH).with_error(error);
    let page = match claims {
        None => {
            let back = links::with_next(&settings.own_paths().of(links::PRICING_PATH), next.as_deref());
            let sign_in = links::signing_in(&settings.login, &back);
            let rules = standing::sold_or_known(billing).await?;
            let sold = Sold { catalog: &rules.catalog, sellers, shown: shown.unwrap_or(Cadence::Monthly), held: None };
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
            if let Viewer::Free { trial: Trial::Offered } = viewer {
                is_invited = is_invited || referral::is_invited(billing, &claims.sub).await?;
            } else {
                is_invited = false;
            }
            let tier = standing.segment.plan.tier.clone();
            let held = standing.held(now).first().map(|live| live.price);
            let shown = shown.or(held.map(|price| price.cadence)).unwrap_or(Cadence::Monthly);
            let sold = Sold { catalog: standing.catalog(), sellers, shown, held };
            page(frame.with_claims(claims), viewer, &sold, Some(&tier))
        }
    };
    let page = Page { next, invited: invited(texts, settings.referral.credit_days).filter(|_| is_invited), ..page };
    Ok(match problem {
        Some(problem) => html::page_with(problem, &page),
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

/// The promise to a buyer who was invited; nothing where invitations give nothing.
fn invited(texts: &Texts, credit_days: u32) -> Option<String> {
    (credit_days > 0).then(|| fill(&texts.pricing.invited, &[("days", &texts.days(credit_days.into()))]))
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
    let Sold { catalog, sellers, held, .. } = *sold;
    let shop = Shop { look: frame.look, catalog, sellers, trial, held };
    let (tiers, toggle) = (columns(shop, current), Toggle::over(shop, sold.shown));
    Page { frame, viewer, tiers, toggle, next: None, invited: None }
}

fn cadence(word: Option<&str>) -> Option<Cadence> {
    match word {
        Some("annual") => Some(Cadence::Annual),
        Some("monthly") => Some(Cadence::Monthly),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
