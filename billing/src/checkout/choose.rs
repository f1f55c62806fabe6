//! Which price an order names.

use entitlement::catalog::{Cadence, Catalog, Price, Provider, Tier};
use http::StatusCode;
use serde::Deserialize;

use crate::problem::Problem;

/// What a buyer orders. Fields that are not known are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Order {
    /// A tier's code; without one, the lowest tier that is sold at this cadence.
    pub tier: Option<String>,
    pub cadence: Option<String>,
    /// `stripe` or `polar`; without one, the first at which it is sold and that can be asked.
    pub provider: Option<String>,
    /// The text that the buyer has agreed to, by its id in the catalog.
    pub consent: Option<String>,
    /// The page of the site to go on to after paying.
    pub next: Option<String>,
}

/// What is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    pub tier: &'a Tier,
    pub price: &'a Price,
}

/// Why an order names nothing that can be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownCadence,
    UnknownProvider,
    TierNotFound,
    NoPrice,
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
        Some("monthly") => Cadence::Monthly,
        Some("annual") => Cadence::Annual,
        _ => return Err(Refusal::UnknownCadence),
    };
    let provider = order.provider.as_deref().map(str::parse::<Provider>).transpose();
    let provider = provider.map_err(|_| Refusal::UnknownProvider)?;
    let at_cadence = |tier| at_cadence(tier, cadence, provider, &sells);
    let choice = match order.tier.as_deref() {
        Some(code) => at_cadence(catalog.tier(code).ok_or(Refusal::TierNotFound)?),
        // Tiers are in order of rank.
        None => catalog.tiers().iter().find_map(at_cadence),
    };
    let choice = choice.ok_or(Refusal::NoPrice)?;
    match &choice.price.consent {
        Some(text) if order.consent.as_ref() != Some(text) => Err(Refusal::ConsentRequired(text.clone())),
        _ => Ok(choice),
    }
}

fn at_cadence<'a>(
    tier: &'a Tier,
    cadence: Cadence,
    provider: Option<Provider>,
    sells: &impl Fn(Provider) -> bool,
) -> Option<Choice<'a>> {
    let prices = tier.prices.iter().filter(|price| price.cadence == cadence);
    let prices = prices.filter(|price| provider.is_none_or(|provider| provider == price.provider));
    // The first of the lowest: in the order of the providers, then in that of the catalog.
    let price = prices.min_by_key(|price| (!sells(price.provider), price.provider))?;
    Some(Choice { tier, price })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        match refusal {
            Refusal::UnknownCadence => Self::new(bad, "unknown_cadence", "The cadence must be monthly or annual."),
            Refusal::UnknownProvider => Self::new(bad, "unknown_provider", "The provider must be stripe or polar."),
            Refusal::TierNotFound => Self::new(StatusCode::NOT_FOUND, "tier_not_found", "There is no such tier."),
            Refusal::NoPrice => Self::new(bad, "no_price", "This is not sold at this cadence."),
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
        assert_eq!(choose(&Catalog::empty(), &monthly, |_| true).map(|choice| choice.price), Err(Refusal::NoPrice));
    }
}
