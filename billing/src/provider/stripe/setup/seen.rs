//! Objects that Stripe has already, as far as setting up needs it.

use std::collections::BTreeMap;

use entitlement::catalog::{Cadence, Former, Looked};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde_json::Value;

use crate::provider::client::{Endpoint, MARK};
use crate::provider::offer::{Offer, of_stripe};

/// Prices that had a key before which are written down: metadata has 50 keys at most.
pub const FORMER_MAX: usize = 40;

/// Stripe's limit for a key of metadata.
const METADATA_KEY_CHARS_MAX: usize = 40;

/// A price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPrice {
    pub id: String,
    pub product: String,
    /// Its own, of those that the offer has.
    pub currency: String,
    /// The namespace of the installation that has made it.
    pub made_by: Option<String>,
    pub offer: Offer,
    /// The prices that had its lookup key before, newest first.
    pub former: Vec<Former>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProduct {
    pub name: String,
    pub is_active: bool,
    /// The namespace of the installation that has made it: its name follows the catalog of that one.
    pub made_by: Option<String>,
}

/// Everything that a plan is made from.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By lookup key.
    pub prices: BTreeMap<String, SeenPrice>,
    /// By id: those of the prices, and those that would be made.
    pub products: BTreeMap<String, SeenProduct>,
    /// Prices that gave their key away and can still be bought.
    pub unarchived: Vec<String>,
    pub endpoints: Vec<Endpoint>,
    /// Whether sessions of the portal can be opened.
    pub has_portal: bool,
}

/// A price with the key by which it was asked for.
pub fn price(seen: &Value) -> Option<(String, SeenPrice)> {
    let text = |field: &Value| field.as_str().map(str::to_owned);
    let product = text(&seen["product"]).or_else(|| text(&seen["product"]["id"]))?;
    let currency = seen["currency"].as_str().unwrap_or_default().to_ascii_lowercase();
    let price = SeenPrice {
        id: text(&seen["id"])?,
        product,
        currency,
        made_by: text(&seen["metadata"][MARK]),
        offer: of_stripe(seen),
        former: former(seen),
    };
    Some((text(&seen["lookup_key"])?, price))
}

/// The answer to each lookup key of these prices.
pub fn looked(prices: &[Value]) -> BTreeMap<String, Looked> {
    let looked = |(key, price): (String, SeenPrice)| (key, Looked { id: price.id, former: price.former });
    prices.iter().filter_map(price).map(looked).collect()
}

pub fn product(seen: &Value) -> SeenProduct {
    SeenProduct {
        name: seen["name"].as_str().unwrap_or_default().to_owned(),
        is_active: seen["active"] != false,
        made_by: seen["metadata"][MARK].as_str().map(str::to_owned),
    }
}

/// How a price that gave its key away is written into the metadata of the one that took it: under its id.
pub fn written(former: &Former) -> String {
    format!("{} {} {}", former.amount, former.currency, crate::api::standing::cadence(former.cadence))
}

/// The prices that had the key before, by the metadata of the one that has it: newest first, which is the order of their places.
fn former(seen: &Value) -> Vec<Former> {
    let entries = seen["metadata"].as_object().into_iter().flatten();
    let mut former: Vec<(u32, Former)> = entries.filter_map(|(id, terms)| read(id, terms.as_str()?)).collect();
    former.sort_by_key(|(place, _)| *place);
    former.into_iter().map(|(_, former)| former).collect()
}

fn read(id: &str, terms: &str) -> Option<(u32, Former)> {
    let mut words = terms.split(' ');
    let (place, amount, currency) = (words.next()?, words.next()?, words.next()?);
    let cadence = read_cadence(words.next()?)?;
    let former = Former { id: id.to_owned(), amount: amount.parse().ok()?, currency: currency.to_owned(), cadence };
    let place = place.strip_prefix('#')?.parse().ok()?;
    words.next().is_none().then_some((place, former))
}

/// The catalog's word for how often, if it has one.
pub fn read_cadence(word: &str) -> Option<Cadence> {
    let word: StrDeserializer<'_, Error> = word.into_deserializer();
    Cadence::deserialize(word).ok()
}

/// The prices before the one that takes the key of `old` over.
pub fn former_of(old: &SeenPrice) -> Vec<Former> {
    let charged = old.offer.amounts.get(&old.currency).copied().flatten();
    let own = charged.zip(read_cadence(&old.offer.cadence)).map(|(amount, cadence)| Former {
        id: old.id.clone(),
        amount,
        currency: old.currency.clone(),
        cadence,
    });
    let all = own.into_iter().chain(old.former.iter().cloned());
    all.filter(|former| former.id.len() <= METADATA_KEY_CHARS_MAX).take(FORMER_MAX).collect()
}

/// The metadata for [`former`] to read.
pub fn metadata_of(former: &[Former]) -> BTreeMap<String, String> {
    let entry = |(place, former): (usize, &Former)| (former.id.clone(), format!("#{place} {}", written(former)));
    former.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_had_a_key_before_is_read_as_it_was_written() {
        let seen = |id: &str, amount: i64, metadata: &BTreeMap<String, String>| {
            price(&json!({
                "id": id, "product": "prod_1", "lookup_key": "k", "active": true, "currency": "gbp", "unit_amount": amount,
                "recurring": { "interval": "month", "interval_count": 1 }, "metadata": metadata,
            }))
            .expect("a price with a key")
            .1
        };
        let foreign =
            BTreeMap::from([("note".to_owned(), "700 gbp monthly".to_owned()), (MARK.to_owned(), "k".into())]);
        let mut last = seen("price_0", 100, &foreign);
        assert_eq!(last.former, []);
        for number in 1..=50 {
            last = seen(&format!("price_{number}"), 100 + number, &metadata_of(&former_of(&last)));
        }
        assert_eq!(last.former.len(), FORMER_MAX);
        let newest: Vec<(&str, i64)> = last.former.iter().take(2).map(|old| (old.id.as_str(), old.amount)).collect();
        assert_eq!(newest, [("price_49", 149), ("price_48", 148)]);
        assert!(last.former.iter().all(|old| old.currency == "gbp" && old.cadence == Cadence::Monthly));
    }

    #[test]
    fn a_price_without_a_key_or_a_fixed_amount_stands_for_nothing() {
        assert_eq!(price(&json!({ "id": "price_1", "product": "prod_1", "lookup_key": null })), None);
        let tiers = json!({
            "id": "price_1", "product": { "id": "prod_1" }, "lookup_key": "k", "currency": "gbp", "unit_amount": null,
            "recurring": { "interval": "month" },
        });
        assert_eq!(former_of(&price(&tiers).expect("a price").1), []);
    }
}
