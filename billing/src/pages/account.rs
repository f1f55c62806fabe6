//! The page of one's own plan: what it is, until when, and how to change it.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use entitlement::Timestamp;
use entitlement::subscription::State as SubscriptionState;
use entitlement::timeline::Status;
use serde::Deserialize;

use super::{html, money};
use crate::Billing;
use crate::api::Visitor;
use crate::api::standing::{self, Live, Standing};
use crate::checkout::links;
use crate::problem::Problem;

/// What the page is told in its address.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// Present when the buyer comes from paying.
    upgraded: Option<String>,
}

#[derive(Debug)]
struct Line {
    name: String,
    line: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    upgraded: bool,
    tier_code: String,
    tier_name: String,
    status_code: &'static str,
    status: &'static str,
    valid_until: Option<String>,
    subscriptions: Vec<Line>,
    actions: Actions,
    pricing_url: String,
}

/// What can be done about the subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actions {
    /// There is none: choose a plan.
    Choose,
    /// Manage them, and end them.
    End,
    /// Manage them, and take their end back.
    Keep,
    /// They are managed where they were bought.
    Elsewhere,
}

/// `GET /billing`
pub async fn get(
    State(billing): State<Billing>,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let Some(claims) = claims else {
        return Ok(html::see_other(&links::with_next(&billing.settings().login_url, Some(links::ACCOUNT_PATH))));
    };
    let now = crate::clock::now();
    let standing = standing::of(&billing, &claims.sub, now).await?;
    let mut page = page(&standing, now);
    page.upgraded = asked.upgraded.is_some() && standing.has_more_than_everybody();
    page.pricing_url.clone_from(&billing.settings().pricing_url);
    Ok(html::page(&page))
}

fn page(standing: &Standing, now: Timestamp) -> Page {
    let catalog = standing.catalog();
    let segment = &standing.segment;
    let tier_code = segment.plan.tier.to_string();
    let live = standing.live(now);
    let ends_soon = matches!(segment.status, Status::Canceling | Status::Credit | Status::PastDue);
    Page {
        upgraded: false,
        tier_name: catalog.tier(&tier_code).map_or_else(|| tier_code.clone(), |tier| tier.name.clone()),
        tier_code,
        status_code: segment.status.as_str(),
        status: in_words(segment.status),
        // While it goes on by itself, the end of its grace would only confuse.
        valid_until: segment.until.filter(|_| ends_soon).map(day),
        actions: actions(&live),
        subscriptions: live.iter().map(|live| line(live, now)).collect(),
        pricing_url: links::PRICING_PATH.to_owned(),
    }
}

fn actions(live: &[Live<'_>]) -> Actions {
    let mut here = live.iter().filter(|live| live.is_managed_here()).peekable();
    match (live.is_empty(), here.peek().is_some()) {
        (true, _) => Actions::Choose,
        (false, false) => Actions::Elsewhere,
        (false, true) if here.all(|live| live.subscription.cancel_at.is_some()) => Actions::Keep,
        (false, true) => Actions::End,
    }
}

const fn in_words(status: Status) -> &'static str {
    match status {
        Status::Active => "Active",
        Status::Trialing => "Free trial",
        Status::Canceling => "Ends soon",
        Status::PastDue => "A payment failed",
        Status::Credit => "Credit",
        Status::None => "No subscription",
    }
}

fn line(live: &Live<'_>, now: Timestamp) -> Line {
    let price = format!("{} {}", money::amount(live.price), money::per(live.price.cadence));
    let line = match (live.subscription.state, live.subscription.cancel_at) {
        (SubscriptionState::Trialing { ends_at }, Some(end)) => {
            format!("Free trial: {} remaining. Ends on {}.", days(ends_at - now), day(end))
        }
        (SubscriptionState::Trialing { ends_at }, None) => {
            format!("Free trial: {} remaining. Then {price}, from {}.", days(ends_at - now), day(ends_at))
        }
        (SubscriptionState::PastDue { since }, _) => {
            format!("{price}. The payment of {} failed: update how you pay.", day(since))
        }
        (SubscriptionState::Unpaid, _) => format!("{price}. Not paid: update how you pay."),
        (SubscriptionState::Paused, _) => format!("{price}. Paused."),
        (_, Some(end)) => format!("{price}. Ends on {}.", day(end)),
        (SubscriptionState::Active { paid_until: Some(end) }, None) => {
            format!("{price}. Next payment on {}.", day(end))
        }
        (_, None) => format!("{price}."),
    };
    Line { name: live.tier.name.clone(), line }
}

fn day(at: Timestamp) -> String {
    at.format("%-d %B %Y").to_string()
}

/// A day that has begun counts.
fn days(left: chrono::Duration) -> String {
    const DAY_SECONDS: i64 = 86_400;
    let days = (left.num_seconds().max(0) + DAY_SECONDS - 1) / DAY_SECONDS;
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

#[cfg(test)]
mod tests {
    use entitlement::catalog::Provider;
    use entitlement::subscription::{Subscription, SubscriptionId};

    use super::*;
    use crate::api::standing::examples::{on, standing, subscription};

    fn rendered(subscriptions: Vec<Subscription>) -> String {
        page(&standing(subscriptions, on(3, 10)), on(3, 10)).render().expect("a page")
    }

    #[test]
    fn each_subscription_is_told_in_one_line() {
        use SubscriptionState::{Active, PastDue, Paused, Trialing, Unpaid};
        let active = Active { paid_until: Some(on(4, 1)) };
        let cases = [
            (active, None, "£7 a month. Next payment on 1 April 2026."),
            (active, Some(on(4, 1)), "£7 a month. Ends on 1 April 2026."),
            (Active { paid_until: None }, None, "£7 a month."),
            (
                Trialing { ends_at: on(3, 15) },
                None,
                "Free trial: 5 days remaining. Then £7 a month, from 15 March 2026.",
            ),
            (Trialing { ends_at: on(3, 11) }, Some(on(3, 11)), "Free trial: 1 day remaining. Ends on 11 March 2026."),
            (PastDue { since: on(3, 9) }, None, "£7 a month. The payment of 9 March 2026 failed: update how you pay."),
            (Unpaid, None, "£7 a month. Not paid: update how you pay."),
            (Paused, None, "£7 a month. Paused."),
        ];
        for (state, cancel_at, expected) in cases {
            let html = rendered(vec![Subscription { cancel_at, ..subscription("price_monthly", state) }]);
            assert!(html.contains(&format!("<p>{expected}</p>")), "{expected}: {html}");
        }
    }

    #[test]
    fn what_can_be_done_follows_from_the_subscriptions() {
        let active = SubscriptionState::Active { paid_until: Some(on(4, 1)) };
        let paid = subscription("price_monthly", active);
        let ending = Subscription { cancel_at: Some(on(4, 1)), ..paid.clone() };
        let polar = SubscriptionId { provider: Provider::Polar, id: "polar_1".into() };
        let elsewhere = Subscription { id: polar, prices: vec!["product_annual".into()], ..paid.clone() };
        let over = subscription("price_monthly", SubscriptionState::Ended { at: on(3, 9) });
        let cases = [
            ("nothing", vec![], ["See the plans", "Free"]),
            ("over", vec![over], ["See the plans", "No subscription"]),
            ("goes on", vec![paid.clone()], ["Cancel at the end of the period", "Manage subscription"]),
            ("ends", vec![ending.clone()], ["Keep the subscription", "Ends soon"]),
            ("one of two ends", vec![ending, paid], ["Cancel at the end of the period", "Active"]),
            ("another provider", vec![elsewhere], ["managed where it was bought", "Paid"]),
        ];
        let actions = ["See the plans", "Cancel at the end", "Keep the subscription", "managed where it was bought"];
        for (what, subscriptions, expected) in cases {
            let html = rendered(subscriptions);
            for text in expected {
                assert!(html.contains(text), "{what}: {text}: {html}");
            }
            assert_eq!(actions.iter().filter(|action| html.contains(**action)).count(), 1, "{what}: {html}");
        }
    }

    #[test]
    fn an_end_is_shown_only_when_there_is_one() {
        let active = SubscriptionState::Active { paid_until: Some(on(4, 1)) };
        let paid = subscription("price_monthly", active);
        assert!(!rendered(vec![paid.clone()]).contains("Valid until"), "the end of its grace is nobody's business");
        let html = rendered(vec![Subscription { cancel_at: Some(on(4, 1)), ..paid }]);
        assert!(html.contains("<dt>Valid until</dt><dd>1 April 2026</dd>"), "{html}");
    }

    #[test]
    fn a_day_that_has_begun_counts() {
        for (seconds, expected) in [(0, "0 days"), (1, "1 day"), (86_400, "1 day"), (86_401, "2 days"), (-5, "0 days")]
        {
            assert_eq!(days(chrono::Duration::seconds(seconds)), expected);
        }
    }
}
