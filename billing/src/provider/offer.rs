//! A price as its provider has it: what the catalog says of it is held against that.

use std::collections::BTreeMap;

use entitlement::catalog::Provider;
use serde_json::Value;

use super::client::ProviderError;
use crate::credentials::Providers;

/// What a provider charges for one of its prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Minor units by currency; none where there is no fixed amount, as of one in tiers.
    pub amounts: BTreeMap<String, Option<i64>>,
    /// The catalog's word for how often, or what stands in its place.
    pub cadence: String,
    /// Whether it can be bought.
    pub is_active: bool,
    /// Whether usage is charged: then nobody says how many are bought.
    pub is_metered: bool,
    /// Its product, where that can be archived by itself.
    pub product: Option<String>,
    /// Whether that is so, as far as it was asked.
    pub is_product_archived: bool,
}

/// A price as its provider has it now; `None` when there is none.
pub(crate) async fn offer(providers: &Providers, provider: Provider, id: &str) -> Result<Option<Offer>, ProviderError> {
    let asked = match provider {
        Provider::Stripe => match &providers.stripe_client {
            Some(client) => client.price(id).await.map(|seen| of_stripe(&seen)),
            None => return Ok(None),
        },
        Provider::Polar => match &providers.polar_client {
            Some(client) => client.product(id).await.map(|seen| of_polar(&seen)),
            None => return Ok(None),
        },
    };
    match asked {
        Ok(offer) => Ok(Some(offer)),
        Err(ProviderError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a product is archived: nothing is sold then, whatever its prices say (<https://docs.stripe.com/products-prices/manage-prices>).
pub(crate) async fn is_archived(providers: &Providers, product: &str) -> Result<bool, ProviderError> {
    let Some(client) = &providers.stripe_client else { return Ok(false) };
    let found = client.find("products", product).await?;
    Ok(found.is_some_and(|product| product["active"] == false))
}

/// <https://docs.stripe.com/api/prices/object>
pub(super) fn of_stripe(price: &Value) -> Offer {
    let lower = |currency: &str| currency.to_ascii_lowercase();
    let options = price["currency_options"].as_object().into_iter().flatten();
    let options = options.map(|(currency, option)| (lower(currency), option["unit_amount"].as_i64()));
    let own = price["currency"].as_str().map(|currency| (lower(currency), price["unit_amount"].as_i64()));
    let recurring = &price["recurring"];
    Offer {
        amounts: options.chain(own).collect(),
        cadence: cadence(recurring["interval"].as_str(), recurring["interval_count"].as_u64()),
        is_active: price["active"] != false,
        is_metered: recurring["usage_type"] == "metered",
        product: price["product"].as_str().map(str::to_owned),
        is_product_archived: false,
    }
}

/// <https://polar.sh/docs/api-reference/products/get>
fn of_polar(product: &Value) -> Offer {
    let prices = product["prices"].as_array().into_iter().flatten();
    let prices = prices.filter(|price| price["is_archived"] != true);
    let amounts = prices.filter_map(|price| {
        let amount = price["price_amount"].as_i64().filter(|_| price["amount_type"] == "fixed");
        Some((price["price_currency"].as_str()?.to_ascii_lowercase(), amount))
    });
    Offer {
        amounts: amounts.collect(),
        cadence: cadence(product["recurring_interval"].as_str(), product["recurring_interval_count"].as_u64()),
        is_active: product["is_archived"] != true,
        is_metered: false,
        product: None,
        is_product_archived: false,
    }
}

/// The catalog's word where it has one.
fn cadence(interval: Option<&str>, count: Option<u64>) -> String {
    let Some(interval) = interval else { return "once".to_owned() };
    match (interval, count.unwrap_or(1)) {
        ("week", 1) | ("day", 7) => "weekly".to_owned(),
        ("month", 1) => "monthly".to_owned(),
        ("month", 3) => "quarterly".to_owned(),
        ("month", 6) => "half_yearly".to_owned(),
        ("year", 1) | ("month", 12) => "annual".to_owned(),
        (interval, count) => format!("every {count} {interval}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn amounts<const N: usize>(amounts: [(&str, Option<i64>); N]) -> BTreeMap<String, Option<i64>> {
        amounts.map(|(currency, amount)| (currency.to_owned(), amount)).into()
    }

    #[test]
    fn a_price_of_stripe_is_read_with_all_its_currencies() {
        let seen = json!({
            "id": "price_1", "active": true, "product": "prod_1", "currency": "gbp", "unit_amount": 700,
            "currency_options": { "eur": { "unit_amount": 800 }, "gbp": { "unit_amount": 700 } },
            "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
        });
        let expected = Offer {
            amounts: amounts([("eur", Some(800)), ("gbp", Some(700))]),
            cadence: "monthly".into(),
            is_active: true,
            product: Some("prod_1".into()),
            ..Offer::default()
        };
        assert_eq!(of_stripe(&seen), expected);
        let metered = json!({
            "active": false, "currency": "usd", "unit_amount": null,
            "recurring": { "interval": "month", "interval_count": 2, "usage_type": "metered" },
        });
        let metered = of_stripe(&metered);
        assert_eq!((metered.is_active, metered.is_metered, metered.cadence.as_str()), (false, true, "every 2 months"));
        assert_eq!(metered.amounts, amounts([("usd", None)]));
        assert_eq!(of_stripe(&json!({ "currency": "usd", "unit_amount": 1, "recurring": null })).cadence, "once");
    }

    #[test]
    fn a_product_of_polar_is_read_by_its_fixed_prices() {
        let seen = json!({
            "id": "p", "is_archived": false, "recurring_interval": "year", "recurring_interval_count": 1,
            "prices": [
                { "amount_type": "fixed", "price_currency": "usd", "price_amount": 900, "is_archived": true },
                { "amount_type": "fixed", "price_currency": "usd", "price_amount": 1000, "is_archived": false },
                { "amount_type": "custom", "price_currency": "eur", "is_archived": false },
            ],
        });
        let offer = of_polar(&seen);
        assert_eq!((offer.amounts, offer.cadence.as_str()), (amounts([("eur", None), ("usd", Some(1000))]), "annual"));
        assert!(!of_polar(&json!({ "is_archived": true })).is_active);
    }
}
