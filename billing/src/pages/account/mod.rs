//! The page of one's own plan: what it is, until when, how to change it, and what was earned and paid.

mod ends;
mod invoices;
mod plan;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use entitlement::Timestamp;
use entitlement::assertion::Claims;
use entitlement::subscription::{Subscription, WayBack};
use entitlement::timeline::Status;
use serde::Deserialize;

use super::frame::Frame;
use super::look::{Pages, Spoken, Texts, fill};
use super::{fault, html};
use crate::Billing;
use crate::api::Visitor;
use crate::api::standing::{self, Standing, is_running};
use crate::checkout::{self, links};
use crate::problem::Problem;
use crate::referral::{self, Standing as Inviting};
use invoices::Invoices;
use plan::Plan;

/// How long a purchase is thanked for, in minutes: anybody can write the address, and keep it.
const THANKED_MINUTES: i64 = 60;

/// What the page is told in its address.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// Present when the buyer comes from paying.
    upgraded: Option<String>,
    /// Which form was sent.
    done: Option<String>,
}

/// What somebody gets for inviting others, and with what.
#[derive(Clone, Debug)]
struct Invitation {
    text: String,
    link: String,
    /// How many have counted; none are not worth a line.
    conversions: Option<String>,
}

/// Days of paid access beside any subscription.
#[derive(Clone, Debug)]
struct Credit {
    days: String,
    /// When they are used.
    text: String,
}

#[derive(Clone, Template)]
#[template(path = "account.html")]
struct Page<'a> {
    frame: Frame<'a>,
    /// What was done just now.
    done: Option<String>,
    plan: Plan,
    /// For a user who may change nothing: by whom that is done. The page then has no buttons.
    not_a_buyer: Option<String>,
    /// For an account that is blocked: that what is paid for does not count.
    blocked: Option<String>,
    credit: Option<Credit>,
    invitation: Option<Invitation>,
    invoices: Invoices,
}

/// `GET /billing`
pub async fn get(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let Some(claims) = claims else {
        let settings = billing.settings();
        let here = settings.own_paths().of(links::ACCOUNT_PATH);
        return Ok(html::see_other(&links::signing_in(&settings.login, &here)));
    };
    show((&billing, &look), &claims, asked, None).await
}

/// The page, with what went wrong on it.
///
/// # Errors
/// When the database fails.
pub async fn show(
    (billing, look): (&Billing, &Pages),
    claims: &Claims,
    asked: Asked,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let now = crate::clock::now();
    let texts = &look.texts;
    let standing = standing::of(billing, &claims.sub, now).await?;
    let inviting = referral::standing(billing, &claims.sub, now).await?;
    let error = problem.map(|problem| fault::told(texts, problem));
    let invoices = Invoices::of(billing, texts, &claims.sub).await;
    let plan = Plan::of(texts, &standing, &checkout::sellers(billing), now);
    let page = Page {
        frame: Frame::new(billing, look, &texts.account.title, links::ACCOUNT_PATH)
            .with_claims(claims)
            .with_error(error),
        done: done(texts, &asked, &standing, now),
        plan: plan.with_open_bill(texts, invoices.unpaid()),
        not_a_buyer: not_a_buyer(texts, claims),
        blocked: standing.segment.plan.is_blocked().then(|| texts.account.blocked.clone()),
        credit: Credit::of(texts, &inviting, &standing, now),
        invitation: invitation(texts, &inviting),
        invoices,
    };
    Ok(match problem {
        Some(problem) => html::page_with(problem, &page),
        None => html::page(&page),
    })
}

fn not_a_buyer(texts: &Texts, claims: &Claims) -> Option<String> {
    (!claims.buyer).then(|| fill(&texts.account.not_a_buyer, &[("account", claims.sub.as_str())]))
}

impl Credit {
    /// The days that the account has; those wait while something else gives access.
    fn of(texts: &Texts, inviting: &Inviting, standing: &Standing, now: Timestamp) -> Option<Self> {
        let days = inviting.credit_days_left;
        let told = texts.days(i64::try_from(days).unwrap_or(i64::MAX));
        let waits = standing.segment.status != Status::Credit && !standing.live(now).is_empty();
        let text = if waits { &texts.account.credit_waits } else { &texts.account.credit_text };
        let days = (days > 0).then(|| fill(&texts.account.credit_days, &[("days", &told)]))?;
        Some(Self { days, text: text.clone() })
    }
}

/// Nobody is asked to invite for nothing.
fn invitation(texts: &Texts, inviting: &Inviting) -> Option<Invitation> {
    if inviting.credit_days == 0 {
        return None;
    }
    let days = texts.days(inviting.credit_days.into());
    let conversions = match inviting.converted {
        0 => None,
        1 => Some(texts.account.conversion.clone()),
        count => Some(fill(&texts.account.conversions, &[("count", &count.to_string())])),
    };
    let text = fill(&texts.account.referral_text, &[("days", &days)]);
    Some(Invitation { text, link: inviting.link.clone(), conversions })
}

/// What an address says was done; of a purchase only when there is something to show for it.
fn done(texts: &Texts, asked: &Asked, standing: &Standing, now: Timestamp) -> Option<String> {
    let is_ending = |own: &Subscription| own.cancel_at.is_some();
    let running = || standing.subscriptions.iter().filter(|own| is_running(own, now));
    match asked.done.as_deref() {
        // The address says what was asked for, and the rows what is.
        Some("ending") => {
            let last = running().all(is_ending).then(|| running().filter_map(|own| own.cancel_at).max()).flatten();
            last.map(|end| fill(&texts.account.ending, &[("date", &texts.day(end))]))
        }
        Some("kept") => {
            let is_going_on = |own: &Subscription| !is_ending(own) && standing.withheld(&own.id).is_none();
            standing.to_go_on(now).is_some_and(is_going_on).then(|| texts.account.kept.clone())
        }
        _ => {
            // An old address, while a payment is missing: the warning says how it stands.
            let is_paid = standing.has_more_than_everybody() && standing.segment.status != Status::PastDue;
            let is_new = |own: &Subscription| (now - own.started_at).num_minutes() < THANKED_MINUTES;
            let is_bought = asked.upgraded.is_some() && is_paid && running().any(is_new);
            is_bought.then(|| texts.account.thanks.clone())
        }
    }
}

#[cfg(test)]
mod tests;
