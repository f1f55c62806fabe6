//! Which price an order names: of a tier, or of an add-on.

use std::collections::BTreeMap;

use entitlement::catalog::{Addon, Cadence, Catalog, Price, Provider, Sold, Tier};
use http::StatusCode;
use serde::Deserialize;

use super::details;
use crate::problem::Problem;

/// What a buyer orders. Fields that are not known are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Order {
    /// A tier's code; without one, the lowest tier that is sold at this cadence.
    pub tier: Option<String>,
    /// An add-on's code, in the place of a tier; its cadence need not be named.
    pub addon: Option<String>,
    /// What the add-on requires, by name.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    pub cadence: Option<String>,
    /// `stripe` or `polar`; without one, the first at which it is sold and that can be asked.
    pub provider: Option<String>,
    /// The text that the buyer has agreed to, by its id in the catalog.
    pub consent: Option<String>,
    /// Which wording of it was shown, where that is told.
    pub consent_digest: Option<String>,
    /// The page of the site to go on to after paying.
    pub next: Option<String>,
}

/// What is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    pub item: Sold<'a>,
    pub price: &'a Price,
    /// What the buyer has stated of an add-on.
    pub details: BTreeMap<String, String>,
}

/// Why an order names nothing that can be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownCadence,
    UnknownProvider,
    TierNotFound,
    AddonNotFound,
    /// A tier and an add-on are bought one after the other.
    TwoThings,
    /// What has to be stated, by name.
    DetailRequired(String),
    /// It was stated, but cannot be that.
    DetailInvalid(String),
    /// Something else is sold, or elsewhere.
    NoPrice,
    /// No tier has a price at this cadence.
    NothingSold,
    /// The id of the text that must be agreed to first.
    ConsentRequired(String),
}

/// Finds the price, and that the buyer has agreed to what it asks. Of several providers that sell it, one that `sells`
/// now is chosen.
///
/// # Errors
/// Why nothing can be bought.
pub fn choose<'a>(
    catalog: &'a Catalog,
    order: &Order,
    sells: impl Fn(Provider) -> bool,
) -> Result<Choice<'a>, Refusal> {
    let cadence = match order.cadence.as_deref() {
        Some("monthly") => Some(Cadence::Monthly),
        Some("annual") => Some(Cadence::Annual),
        None if order.addon.is_some() => None,
        _ => return Err(Refusal::UnknownCadence),
    };
    let provider = order.provider.as_deref().map(str::parse::<Provider>).transpose();
    let provider = provider.map_err(|_| Refusal::UnknownProvider)?;
    let wanted = |price: &&Price| {
        price.is_offered()
            && cadence.is_none_or(|cadence| cadence == price.cadence)
            && provider.is_none_or(|provider| provider == price.provider)
    };
    // The first of the lowest: in the order of the providers, then in that of the catalog.
    let cheapest =
        |prices: &'a [Price]| prices.iter().filter(wanted).min_by_key(|price| (!sells(price.provider), price.provider));
    let choice = match (order.addon.as_deref(), order.tier.as_deref()) {
        (Some(_), Some(_)) => return Err(Refusal::TwoThings),
        (Some(code), None) => of_addon(catalog, code, &order.details, cheapest)?,
        (None, code) => of_tier(catalog, code, cadence, cheapest)?,
    };
    match &choice.price.consent {
        Some(text) if order.consent.as_ref() != Some(text) => Err(Refusal::ConsentRequired(text.clone())),
        _ => Ok(choice),
    }
}

fn of_tier<'a>(
    catalog: &'a Catalog,
    code: Option<&str>,
    cadence: Option<Cadence>,
    price: impl Fn(&'a [Price]) -> Option<&'a Price>,
) -> Result<Choice<'a>, Refusal> {
    let priced =
        |tier: &'a Tier| Some(Choice { item: Sold::Tier(tier), price: price(&tier.prices)?, details: BTreeMap::new() });
    let is_sold = |tier: &Tier| tier.offers().any(|price| Some(price.cadence) == cadence);
    match code {
        Some(code) => priced(catalog.tier(code).ok_or(Refusal::TierNotFound)?).ok_or(Refusal::NoPrice),
        None if !catalog.tiers().iter().any(is_sold) => Err(Refusal::NothingSold),
        // Tiers are in order of rank.
        None => catalog.tiers().iter().find_map(priced).ok_or(Refusal::NoPrice),
    }
}

fn of_addon<'a>(
    catalog: &'a Catalog,
    code: &str,
    details: &BTreeMap<String, String>,
    price: impl Fn(&'a [Price]) -> Option<&'a Price>,
) -> Result<Choice<'a>, Refusal> {
    let named = |addon: &&Addon| addon.code == code;
    let addon = catalog.addons().iter().find(named).ok_or(Refusal::AddonNotFound)?;
    let price = price(&addon.prices).ok_or(Refusal::NoPrice)?;
    Ok(Choice { item: Sold::Addon(addon), price, details: details::stated(addon, details)? })
}

impl Choice<'_> {
    /// Whether another price buys the same.
    pub fn sells(&self, catalog: &Catalog, provider: Provider, price: &str) -> bool {
        match (self.item, catalog.sold(provider, price)) {
            (Sold::Tier(one), Some(Sold::Tier(other))) => one.code == other.code,
            (Sold::Addon(one), Some(Sold::Addon(other))) => one.code == other.code,
            _ => false,
        }
    }

    /// What is bought: its kind, and its code.
    pub fn named(&self) -> (&'static str, &str) {
        match self.item {
            Sold::Tier(tier) => ("tier", &tier.code),
            Sold::Addon(addon) => ("addon", &addon.code),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        match refusal {
            Refusal::UnknownCadence => Self::new(bad, "unknown_cadence", "The cadence must be monthly or annual."),
            Refusal::UnknownProvider => Self::new(bad, "unknown_provider", "The provider must be stripe or polar."),
            Refusal::TierNotFound => Self::new(StatusCode::NOT_FOUND, "tier_not_found", "There is no such tier."),
            Refusal::AddonNotFound => Self::new(StatusCode::NOT_FOUND, "addon_not_found", "There is no such add-on."),
            Refusal::TwoThings => Self::new(bad, "one_at_a_time", "Order a tier or an add-on, one after the other."),
            Refusal::DetailRequired(name) => Self::new(bad, "detail_required", format!("State `{name}` in `details`.")),
            Refusal::DetailInvalid(name) => {
                Self::new(bad, "detail_invalid", format!("What `details` states as `{name}` cannot be that."))
            }
            Refusal::NoPrice => Self::new(bad, "no_price", "This is not sold at this cadence."),
            Refusal::NothingSold => {
                let detail = "Selling is not set up: nothing has a price at this cadence.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "price_not_configured", detail)
            }
            Refusal::ConsentRequired(text) => {
                let detail = format!("The buyer must agree to `{text}` first: send its id as `consent`.");
                Self::new(bad, "consent_required", detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        toml::from_str(
            r#"
            [[tier]]
            code = "pro"
            name = "Pro"
            rank = 2
            price = [
              { provider = "polar", id = "polar_pro", cadence = "annual", amount = 9000, currency = "eur" },
              { provider = "stripe", id = "pro_month", cadence = "monthly", amount = 900, currency = "eur" },
              { provider = "stripe", id = "pro_year", cadence = "annual", amount = 9000, currency = "eur" },
            ]
            [[tier]]
            code = "lite"
            name = "Lite"
            rank = 1
            price = [
              { provider = "stripe", id = "lite_month", cadence = "monthly", amount = 700, currency = "eur", consent = "waiver-1" },
            ]
            [[addon]]
            code = "domain"
            name = "Domain"
            requires = ["domain_name"]
            price = [{ provider = "stripe", id = "domain_year", cadence = "annual", amount = 1500, currency = "eur" }]
            [[addon]]
            code = "gift"
            name = "Not sold"
            "#,
        )
        .expect("a valid catalog")
    }

    #[test]
    fn an_order_names_one_price_or_says_why_not() {
        let order = |tier: Option<&str>, cadence: Option<&str>, consent: Option<&str>| Order {
            tier: tier.map(Into::into),
            cadence: cadence.map(Into::into),
            consent: consent.map(Into::into),
            ..Order::default()
        };
        let of = |provider: &str| Order { provider: Some(provider.into()), ..order(Some("pro"), Some("annual"), None) };
        let consent_required = || Err(Refusal::ConsentRequired("waiver-1".into()));
        let cases = [
            ("the lowest tier", order(None, Some("monthly"), Some("waiver-1")), Ok("lite_month")),
            ("the lowest that has it", order(None, Some("annual"), None), Ok("pro_year")),
            ("a named tier", order(Some("pro"), Some("monthly"), None), Ok("pro_month")),
            ("a consent that is not asked for", order(Some("pro"), Some("monthly"), Some("x")), Ok("pro_month")),
            ("no consent", order(Some("lite"), Some("monthly"), None), consent_required()),
            ("an older consent", order(Some("lite"), Some("monthly"), Some("waiver-0")), consent_required()),
            ("not sold so", order(Some("lite"), Some("annual"), None), Err(Refusal::NoPrice)),
            ("everybody's tier", order(Some("free"), Some("annual"), None), Err(Refusal::NoPrice)),
            ("no such tier", order(Some("gold"), Some("annual"), None), Err(Refusal::TierNotFound)),
            ("weekly", order(None, Some("weekly"), None), Err(Refusal::UnknownCadence)),
            ("no cadence", order(Some("pro"), None, None), Err(Refusal::UnknownCadence)),
            ("sold twice", order(Some("pro"), Some("annual"), None), Ok("pro_year")),
            ("sold twice, and named", of("polar"), Ok("polar_pro")),
            ("nobody's", of("paddle"), Err(Refusal::UnknownProvider)),
            ("sold elsewhere", Order { cadence: Some("monthly".into()), ..of("polar") }, Err(Refusal::NoPrice)),
            (
                "any, sold elsewhere",
                Order { tier: None, cadence: Some("monthly".into()), ..of("polar") },
                Err(Refusal::NoPrice),
            ),
        ];
        let catalog = catalog();
        for (what, order, expected) in cases {
            let chosen = choose(&catalog, &order, |_| true).map(|choice| choice.price.id.clone());
            assert_eq!(chosen, expected.map(str::to_owned), "{what}");
        }
        let annual = order(Some("pro"), Some("annual"), None);
        let chosen =
            |sells: fn(Provider) -> bool| choose(&catalog, &annual, sells).map(|choice| choice.price.id.as_str());
        assert_eq!(chosen(|provider| provider == Provider::Polar), Ok("polar_pro"), "Stripe has no key");
        assert_eq!(chosen(|_| false), Ok("pro_year"), "which then says that it has no key");
        let monthly = order(None, Some("monthly"), None);
        let empty = Catalog::empty();
        let of_nothing = choose(&empty, &monthly, |_| true).map(|choice| choice.price);
        assert_eq!(of_nothing, Err(Refusal::NothingSold), "the operator has to act");
    }

    #[test]
    fn an_add_on_is_ordered_alone_with_what_it_requires() {
        let order = |addon: &str| Order {
            addon: Some(addon.into()),
            details: BTreeMap::from([("domain_name".into(), "Shop.example".into()), ("more".into(), "x".into())]),
            ..Order::default()
        };
        let with = |change: fn(&mut Order)| {
            let mut order = order("domain");
            change(&mut order);
            order
        };
        let cases = [
            ("by its code alone", order("domain"), Ok("domain_year")),
            ("with its cadence", with(|order| order.cadence = Some("annual".into())), Ok("domain_year")),
            ("at another", with(|order| order.cadence = Some("monthly".into())), Err(Refusal::NoPrice)),
            ("weekly", with(|order| order.cadence = Some("weekly".into())), Err(Refusal::UnknownCadence)),
            ("elsewhere", with(|order| order.provider = Some("polar".into())), Err(Refusal::NoPrice)),
            ("with a tier", with(|order| order.tier = Some("pro".into())), Err(Refusal::TwoThings)),
            (
                "without its name",
                with(|order| order.details.clear()),
                Err(Refusal::DetailRequired("domain_name".into())),
            ),
            ("not sold", order("gift"), Err(Refusal::NoPrice)),
            ("no such add-on", order("pro"), Err(Refusal::AddonNotFound)),
        ];
        let catalog = catalog();
        for (what, order, expected) in cases {
            let chosen = choose(&catalog, &order, |_| true).map(|choice| choice.price.id.clone());
            assert_eq!(chosen, expected.map(str::to_owned), "{what}");
        }
        let order = order("domain");
        let chosen = choose(&catalog, &order, |_| true).expect("a choice");
        assert_eq!(chosen.named(), ("addon", "domain"));
        assert_eq!(chosen.details, BTreeMap::from([("domain_name".into(), "shop.example".into())]), "nothing else");
    }
}
