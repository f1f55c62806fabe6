//! The pricing page: a column for each tier, and what the visitor can do.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use entitlement::Timestamp;
use entitlement::catalog::{Catalog, Price, Provider, Tier};
use serde::Deserialize;

use super::{consent, html, money};
use crate::Billing;
use crate::api::Visitor;
use crate::api::standing::{self, Standing};
use crate::checkout::links;
use crate::problem::Problem;

/// What the page is told in its address.
#[derive(Debug, Deserialize)]
pub struct Asked {
    next: Option<String>,
}

/// What the visitor can do here.
#[derive(Debug, PartialEq, Eq)]
enum Viewer {
    /// Sign in, and come back.
    Anonymous { sign_in: String },
    /// Buy.
    SignedIn,
    /// Manage the subscription there is; `here` when it is paid through what these pages sell through.
    Subscribed { here: bool },
}

/// Whether a box must be ticked before buying.
#[derive(Debug, PartialEq, Eq)]
enum Consent {
    None,
    Text {
        id: String,
        text: &'static str,
    },
    /// The catalog names a text that these pages do not have.
    Unknown,
}

#[derive(Debug)]
struct Offer {
    cadence: &'static str,
    amount: String,
    per: &'static str,
    trial_days: u32,
    consent: Consent,
    action: String,
}

#[derive(Debug)]
struct Column {
    code: String,
    name: String,
    /// What everybody has.
    base: bool,
    /// What the visitor has.
    current: bool,
    gains: Vec<String>,
    offers: Vec<Offer>,
}

#[derive(Template)]
#[template(path = "pricing.html")]
struct Page {
    viewer: Viewer,
    tiers: Vec<Column>,
    next: Option<String>,
}

impl Offer {
    fn sold_here(&self) -> bool {
        self.consent != Consent::Unknown
    }
}

/// `GET /billing/pricing`
pub async fn get(
    State(billing): State<Billing>,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let next = asked.next.as_deref().and_then(links::own_path);
    let Some(claims) = claims else {
        let back = links::with_next(links::PRICING_PATH, next.as_deref());
        let sign_in = links::with_next(&billing.settings().login_url, Some(&back));
        let rules = standing::sold(&billing).await?;
        let tiers = columns(&rules.catalog, None);
        return Ok(html::page(&Page { viewer: Viewer::Anonymous { sign_in }, tiers, next }));
    };
    let now = crate::clock::now();
    let standing = standing::of(&billing, &claims.sub, now).await?;
    Ok(html::page(&page(&standing, next, now)))
}

fn page(standing: &Standing, next: Option<String>, now: Timestamp) -> Page {
    let viewer = match standing.live(now).first() {
        Some(live) => Viewer::Subscribed { here: live.is_managed_here() },
        None => Viewer::SignedIn,
    };
    Page { viewer, tiers: columns(standing.catalog(), Some(&standing.segment.plan.tier)), next }
}

fn columns(catalog: &Catalog, current: Option<&str>) -> Vec<Column> {
    let column = |tier: &Tier| Column {
        code: tier.code.clone(),
        name: tier.name.clone(),
        base: tier.code == catalog.base().code,
        current: current == Some(tier.code.as_str()),
        gains: gains(tier),
        offers: tier.prices.iter().filter(|price| price.provider == Provider::Stripe).map(|p| offer(tier, p)).collect(),
    };
    catalog.tiers().iter().map(column).collect()
}

/// What the tier gives, in words: its features, then its numbers.
fn gains(tier: &Tier) -> Vec<String> {
    let features = tier.features.iter().map(|feature| words(feature));
    let limits =
        tier.limits.iter().map(|(metric, limit)| format!("{} {} a period", money::grouped(limit), words(metric)));
    let levels = tier.levels.iter().map(|(metric, level)| format!("{} {}", money::grouped(level), words(metric)));
    features.chain(limits).chain(levels).collect()
}

fn offer(tier: &Tier, price: &Price) -> Offer {
    let consent = match price.consent.as_deref() {
        None => Consent::None,
        Some(id) => match consent::text(id) {
            Some(text) => Consent::Text { id: id.to_owned(), text },
            None => Consent::Unknown,
        },
    };
    let (amount, per) = (money::amount(price), money::per(price.cadence));
    let action = if price.trial_days > 0 {
        format!("Start the free trial of {}, then {amount} {per}", tier.name)
    } else {
        format!("Get {} for {amount} {per}", tier.name)
    };
    Offer { cadence: standing::cadence(price.cadence), amount, per, trial_days: price.trial_days, consent, action }
}

/// Codes are written with underscores and dashes.
fn words(code: &str) -> String {
    code.replace(['_', '-'], " ")
}

#[cfg(test)]
mod tests {
    use entitlement::subscription::State as SubscriptionState;

    use super::*;
    use crate::api::standing::examples::{CATALOG, on, standing, subscription};

    fn rendered(page: &Page) -> String {
        page.render().expect("a page")
    }

    #[test]
    fn an_anonymous_visitor_is_led_to_sign_in_and_back() {
        let catalog: Catalog = toml::from_str(CATALOG).expect("a catalog");
        let viewer = Viewer::Anonymous { sign_in: "/login?next=%2Fbilling%2Fpricing".into() };
        let html = rendered(&Page { viewer, tiers: columns(&catalog, None), next: None });
        assert!(html.contains(r#"href="/login?next=%2Fbilling%2Fpricing""#), "{html}");
        assert!(html.contains("£7 <span>a month</span>") && html.contains("£70 <span>a year</span>"), "{html}");
        assert!(!html.contains("<form"), "nothing to buy with");
    }

    #[test]
    fn a_free_user_buys_and_ticks_the_box_first_where_one_is_asked_for() {
        let html = rendered(&page(&standing(vec![], on(3, 10)), Some("/premium/a".into()), on(3, 10)));
        let forms: Vec<&str> = html.split("<form").skip(1).filter_map(|form| form.split("</form>").next()).collect();
        let [monthly, annual] = forms.as_slice() else { panic!("two prices of Stripe: {html}") };
        assert!(monthly.contains(r#"name="consent" value="monthly-waiver-1" required"#), "{monthly}");
        assert!(monthly.contains("<button type=\"submit\" disabled>"), "{monthly}");
        assert!(!annual.contains("consent") && !annual.contains("disabled"), "{annual}");
        for (form, cadence) in [(monthly, "monthly"), (annual, "annual")] {
            assert!(form.contains(r#"data-post="/api/billing/checkout""#), "{form}");
            assert!(form.contains(r#"name="tier" value="paid""#), "{form}");
            assert!(form.contains(&format!(r#"name="cadence" value="{cadence}""#)), "{form}");
            assert!(form.contains(r#"name="next" value="/premium/a""#), "{form}");
        }
        assert!(html.contains("14 days free first"), "{html}");
        assert!(!html.contains("Manage subscription"), "there is none");
    }

    #[test]
    fn a_subscriber_manages_and_cannot_buy_a_second_time() {
        let active = SubscriptionState::Active { paid_until: Some(on(4, 1)) };
        let html = rendered(&page(&standing(vec![subscription("price_monthly", active)], on(3, 10)), None, on(3, 10)));
        assert!(html.contains("Manage subscription") && html.contains(r#"data-post="/api/billing/portal""#), "{html}");
        assert!(!html.contains("/api/billing/checkout"), "{html}");
        let paid = html.split(r#"data-tier="paid""#).nth(1).expect("the column");
        assert!(paid.contains("Your plan"), "{html}");
    }

    #[test]
    fn a_price_whose_text_is_not_known_is_not_sold_on_this_page() {
        let catalog: Catalog =
            toml::from_str(&CATALOG.replace("monthly-waiver-1", "of-the-site-1")).expect("a catalog");
        let html = rendered(&Page { viewer: Viewer::SignedIn, tiers: columns(&catalog, None), next: None });
        assert!(html.contains("cannot be bought on this page"), "{html}");
        assert_eq!(html.matches("<form").count(), 1, "the annual price is still sold");
    }

    #[test]
    fn what_a_page_shows_is_escaped() {
        let catalog: Catalog = toml::from_str(&CATALOG.replace("\"Paid\"", "\"<script>\"")).expect("a catalog");
        let next = Some("/\"><script>".to_owned());
        let html = rendered(&Page { viewer: Viewer::SignedIn, tiers: columns(&catalog, None), next });
        assert!(!html.contains("<script>"), "{html}");
    }
}
