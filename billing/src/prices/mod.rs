//! The catalog's prices, held against those of the providers: what a page shows must be what is charged. Nothing is refused for it, as
//! nobody but a person knows which of the two is meant.

mod lookup;
mod online;
mod watch;

use std::collections::{BTreeMap, HashMap};

use entitlement::catalog::{Catalog, Price, Provider};
use parking_lot::Mutex;

use crate::api::standing::cadence;
use crate::component::Billing;
use crate::credentials::Providers;
use crate::provider::client::ProviderError;
use crate::provider::offer::{Offer, is_archived, offer};

pub use online::{Online, check_online};

/// What is known of the providers' prices.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    /// Where the catalog says something else, in words.
    differences: Mutex<Vec<String>>,
    /// Whether usage is charged: that never changes of a price.
    metered: Mutex<HashMap<(Provider, String), bool>>,
}

/// Prices that are remembered: more than a catalog has.
const METERED_MAX: usize = 10_000;

impl Prices {
    /// Where the catalog says something else than the providers.
    pub fn differences(&self) -> Vec<String> {
        self.differences.lock().clone()
    }

    fn note(&self, provider: Provider, id: &str, offer: &Offer) {
        let mut metered = self.metered.lock();
        if metered.len() < METERED_MAX {
            metered.insert((provider, id.to_owned()), offer.is_metered);
        }
    }

    fn is_metered(&self, provider: Provider, id: &str) -> Option<bool> {
        self.metered.lock().get(&(provider, id.to_owned())).copied()
    }
}

impl Billing {
    /// Whether usage is charged by a price: then its line has no quantity. Where that cannot be said, as to a key that may not read
    /// prices, it is taken for one that has.
    ///
    /// # Errors
    /// When the provider does not answer: nothing is sold then anyway.
    pub(crate) async fn is_metered(&self, provider: Provider, id: &str) -> Result<bool, ProviderError> {
        let prices = &self.shared().prices;
        if let Some(known) = prices.is_metered(provider, id) {
            return Ok(known);
        }
        match offer(&self.providers(), provider, id).await {
            Ok(Some(offer)) => {
                prices.note(provider, id, &offer);
                Ok(offer.is_metered)
            }
            Err(error @ (ProviderError::Unavailable(_) | ProviderError::Unusable(_))) => Err(error),
            Ok(None) | Err(_) => Ok(false),
        }
    }
}

/// The prices of a catalog, with what each is for.
fn prices_of(catalog: &Catalog, provider: Provider) -> impl Iterator<Item = (String, &Price)> {
    let tiers = catalog
        .tiers()
        .iter()
        .flat_map(|tier| tier.prices.iter().map(move |price| (format!("tier {}", tier.code), price)));
    let addons = catalog
        .addons()
        .iter()
        .flat_map(|addon| addon.prices.iter().map(move |price| (format!("add-on {}", addon.code), price)));
    tiers.chain(addons).filter(move |(_, price)| price.provider == provider)
}

/// Where the catalog says something else of a price than its provider, in words that stand alone.
fn differences(what: &str, price: &Price, offer: Option<&Offer>) -> Vec<String> {
    let named = |told: String| format!("{} {} ({what}): {told}", price.provider, price.name());
    if price.id.is_empty() {
        return vec![named(
            "no price has this lookup key: nobody can buy it until `tollgate setup stripe` makes one".into(),
        )];
    }
    let Some(offer) = offer else {
        // It had the key in the other mode, or was deleted there: it is sold no more anyway.
        if price.retired && price.lookup_key.is_some() {
            return Vec::new();
        }
        return vec![named("the provider has no such price: nobody can buy it".into())];
    };
    let mut told = Vec::new();
    if !offer.is_active && !price.retired {
        told.push("it is archived at the provider: nobody can buy it".to_owned());
    } else if offer.is_product_archived && !price.retired {
        told.push("its product is archived at the provider: nobody can buy it".to_owned());
    }
    match offer.amounts.get(&price.currency) {
        None => {
            let others: Vec<&str> = offer.amounts.keys().map(String::as_str).collect();
            told.push(format!("currency {} in the catalog, {} at the provider", price.currency, others.join(", ")));
        }
        Some(Some(amount)) if *amount != price.amount => {
            told.push(format!("amount {} in the catalog, {amount} at the provider", price.amount));
        }
        Some(_) => {}
    }
    let own = cadence(price.cadence);
    if offer.cadence != own {
        told.push(format!("cadence {own} in the catalog, {} at the provider", offer.cadence));
    }
    told.into_iter().map(named).collect()
}

/// What came of comparing the prices of one provider.
struct Compared {
    prices: usize,
    differences: Vec<String>,
    /// Why not all of them were compared.
    trouble: Option<ProviderError>,
    products: Products,
}

/// The products of the prices, as far as they were asked about.
#[derive(Default)]
struct Products {
    archived: BTreeMap<String, bool>,
    /// Why not all of them could be.
    trouble: Option<ProviderError>,
}

impl Products {
    async fn is_archived(&mut self, providers: &Providers, product: &str) -> bool {
        if let Some(known) = self.archived.get(product) {
            return *known;
        }
        let archived = is_archived(providers, product).await.unwrap_or_else(|error| {
            self.trouble.get_or_insert(error);
            false
        });
        self.archived.insert(product.to_owned(), archived);
        archived
    }
}

/// Compares the prices of one provider, one after the other, until it does not answer.
async fn compare(
    providers: &Providers,
    (catalog, provider): (&Catalog, Provider),
    seen: impl Fn(&str, &Offer),
) -> Compared {
    let mut compared = Compared { prices: 0, differences: Vec::new(), trouble: None, products: Products::default() };
    for (what, price) in prices_of(catalog, provider) {
        let asked = if price.id.is_empty() { Ok(None) } else { offer(providers, provider, &price.id).await };
        let mut offer = match asked {
            Ok(offer) => offer,
            // An id that no price of this provider can have.
            Err(ProviderError::Refused(_)) => None,
            Err(error) => {
                compared.trouble = Some(error);
                return compared;
            }
        };
        if let Some(offer) = &mut offer {
            seen(&price.id, offer);
            if let Some(product) = offer.product.as_deref().filter(|_| offer.is_active && !price.retired) {
                offer.is_product_archived = compared.products.is_archived(providers, product).await;
            }
        }
        compared.prices += 1;
        compared.differences.extend(differences(&what, price, offer.as_ref()));
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::standing::examples::CATALOG;

    fn catalog() -> Catalog {
        toml::from_str(CATALOG).expect("a catalog")
    }

    #[test]
    fn every_price_is_compared_and_each_difference_is_told() {
        let catalog = catalog();
        let all: Vec<(String, &Price)> = prices_of(&catalog, Provider::Stripe).collect();
        let ids: Vec<&str> = all.iter().map(|(_, price)| price.id.as_str()).collect();
        assert_eq!(ids, ["price_monthly", "price_annual", "price_domain"]);
        let monthly = all[0].1;
        let same = Offer {
            amounts: [("gbp".to_owned(), Some(700)), ("eur".to_owned(), Some(800))].into(),
            cadence: "monthly".into(),
            is_active: true,
            ..Offer::default()
        };
        let amount = Offer { amounts: [("gbp".to_owned(), Some(800))].into(), ..same.clone() };
        let currency = Offer { amounts: [("eur".to_owned(), Some(700))].into(), ..same.clone() };
        let tiers = Offer { amounts: [("gbp".to_owned(), None)].into(), ..same.clone() };
        let cases: [(&str, Option<Offer>, &[&str]); 8] = [
            ("the same", Some(same.clone()), &[]),
            ("no fixed amount", Some(tiers), &[]),
            ("none", None, &["the provider has no such price: nobody can buy it"]),
            ("amount", Some(amount), &["amount 700 in the catalog, 800 at the provider"]),
            ("currency", Some(currency), &["currency gbp in the catalog, eur at the provider"]),
            (
                "cadence",
                Some(Offer { cadence: "annual".into(), ..same.clone() }),
                &["cadence monthly in the catalog, annual at the provider"],
            ),
            (
                "archived",
                Some(Offer { is_active: false, ..same.clone() }),
                &["it is archived at the provider: nobody can buy it"],
            ),
            (
                "archived with its product",
                Some(Offer { is_product_archived: true, ..same.clone() }),
                &["its product is archived at the provider: nobody can buy it"],
            ),
        ];
        for (what, offer, expected) in cases {
            let expected: Vec<String> =
                expected.iter().map(|told| format!("stripe price_monthly (tier paid): {told}")).collect();
            assert_eq!(differences("tier paid", monthly, offer.as_ref()), expected, "{what}");
        }
        let retired = Price { retired: true, ..monthly.clone() };
        assert_eq!(differences("tier paid", &retired, Some(&Offer { is_active: false, ..same })), [""; 0]);
    }
}
