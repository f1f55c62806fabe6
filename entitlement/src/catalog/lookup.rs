//! Prices that are named by a lookup key: which price of the provider has it now, and which ones had it before.
//!
//! A price whose amount changes is a new one that takes the key over. What was bought under the older ones goes on: they stay in the
//! catalog, retired.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cadence, Catalog, Draft, Price, Provider};

/// The price that has a lookup key, as its provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    pub id: String,
    /// The prices that had the key before, newest first.
    pub former: Vec<Former>,
}

/// A price that gave its lookup key away, and what it charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    pub id: String,
    pub amount: i64,
    pub currency: String,
    pub cadence: Cadence,
}

impl Price {
    /// The same thing under another id, known and not sold.
    fn formerly(&self, former: &Former) -> Self {
        Self {
            id: former.id.clone(),
            amount: former.amount,
            currency: former.currency.clone(),
            cadence: former.cadence,
            retired: true,
            ..self.clone()
        }
    }
}

impl Catalog {
    /// Every lookup key of the catalog, each once.
    #[must_use]
    pub fn lookup_keys(&self) -> BTreeSet<&str> {
        self.every_price().filter_map(|price| price.lookup_key.as_deref()).collect()
    }

    /// Whether every lookup key has an id.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.every_price().all(|price| !price.id.is_empty())
    }

    fn every_price(&self) -> impl Iterator<Item = &Price> {
        let addons = self.addons.iter().flat_map(|addon| &addon.prices);
        self.tiers.iter().flat_map(|tier| &tier.prices).chain(addons)
    }

    /// The catalog with an id for each lookup key: by the provider's word, or else by `known`, which was in force before. What had a key
    /// before, by the word of either, stays as retired. A key of which neither knows has no id, and is not sold.
    #[must_use]
    pub fn resolved(&self, known: &Self, found: &BTreeMap<String, Looked>) -> Self {
        let mut draft = self.as_written();
        let mut taken: BTreeSet<(Provider, String)> = every(&mut draft)
            .filter(|price| !price.id.is_empty())
            .map(|price| (price.provider, price.id.clone()))
            .collect();
        let by_provider = |key: &str| found.get(key).map(|looked| looked.id.clone());
        let before = |key: &str| known.every_price().find(|price| is_of(price, key)).map(|price| price.id.clone());
        for id_of in [&by_provider as &dyn Fn(&str) -> Option<String>, &before] {
            for price in every(&mut draft).filter(|price| price.id.is_empty()) {
                let id = price.lookup_key.as_deref().and_then(id_of);
                if let Some(id) = id.filter(|id| taken.insert((price.provider, id.clone()))) {
                    price.id = id;
                }
            }
        }
        let lists = draft.tiers.iter_mut().map(|tier| &mut tier.prices);
        for prices in lists.chain(draft.addons.iter_mut().map(|addon| &mut addon.prices)) {
            for price in prices.clone() {
                let Some(key) = price.lookup_key.as_deref() else { continue };
                let kept = known.every_price().filter(|known| is_of(known, key));
                let kept = kept.map(|known| Price { retired: true, ..known.clone() });
                let former = found.get(key).into_iter().flat_map(|looked| &looked.former);
                for old in kept.chain(former.map(|former| price.formerly(former))) {
                    if taken.insert((old.provider, old.id.clone())) {
                        prices.push(old);
                    }
                }
            }
        }
        // A catalog that could be refused was refused when it was read.
        Self::try_from(draft).unwrap_or_else(|_| self.clone())
    }

    /// As a person has written it: without ids of lookup keys, and without the prices that had a key before.
    fn as_written(&self) -> Draft {
        let mut draft = Draft::from(self.clone());
        let mut seen = BTreeSet::new();
        let mut is_written = |price: &Price| price.lookup_key.as_ref().is_none_or(|key| seen.insert(key.clone()));
        draft.tiers.iter_mut().for_each(|tier| tier.prices.retain(&mut is_written));
        draft.addons.iter_mut().for_each(|addon| addon.prices.retain(&mut is_written));
        every(&mut draft).filter(|price| price.lookup_key.is_some()).for_each(|price| price.id.clear());
        draft
    }
}

fn is_of(price: &Price, key: &str) -> bool {
    price.lookup_key.as_deref() == Some(key) && !price.id.is_empty()
}

fn every(draft: &mut Draft) -> impl Iterator<Item = &mut Price> {
    let addons = draft.addons.iter_mut().flat_map(|addon| &mut addon.prices);
    draft.tiers.iter_mut().flat_map(|tier| &mut tier.prices).chain(addons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(prices: &str) -> Catalog {
        let text = format!("tier = [{{ code = \"paid\", name = \"Paid\", rank = 1, price = [{prices}] }}]");
        toml::from_str(&text).expect("a catalog")
    }

    fn keyed(key: &str, amount: i64) -> String {
        format!(
            "{{ provider = \"stripe\", lookup_key = \"{key}\", cadence = \"monthly\", amount = {amount}, currency = \"gbp\" }}"
        )
    }

    fn found(key: &str, id: &str, former: &[(&str, i64)]) -> BTreeMap<String, Looked> {
        let former = former.iter().map(|(id, amount)| Former {
            id: (*id).into(),
            amount: *amount,
            currency: "gbp".into(),
            cadence: Cadence::Monthly,
        });
        [(key.to_owned(), Looked { id: id.into(), former: former.collect() })].into()
    }

    /// Id, amount, and whether it is sold.
    fn told(catalog: &Catalog) -> Vec<(&str, i64, bool)> {
        let told = |price| {
            let price: &Price = price;
            (price.id.as_str(), price.amount, price.is_offered())
        };
        catalog.every_price().map(told).collect()
    }

    #[test]
    fn a_key_is_the_price_that_has_it_and_those_that_had_it_stay_known() {
        let empty = Catalog::empty();
        let file = written(&keyed("k", 700));
        assert_eq!(told(&file.resolved(&empty, &BTreeMap::new())), [("", 700, false)], "nobody knows it");
        let first = file.resolved(&empty, &found("k", "a", &[]));
        assert_eq!(told(&first), [("a", 700, true)]);
        assert_eq!(file.resolved(&first, &BTreeMap::new()), first, "a start without the provider");
        let dearer = written(&keyed("k", 900));
        let second = dearer.resolved(&first, &found("k", "b", &[("a", 700)]));
        assert_eq!(told(&second), [("b", 900, true), ("a", 700, false)]);
        assert_eq!(second.resolved(&second, &found("k", "b", &[("a", 700)])), second, "nothing has changed");
        assert_eq!(dearer.resolved(&second, &BTreeMap::new()), second);
        assert_eq!(dearer.resolved(&empty, &found("k", "b", &[("a", 700)])), second, "a new database");
        let third = dearer.resolved(&second, &found("k", "c", &[]));
        assert_eq!(told(&third), [("c", 900, true), ("b", 900, false), ("a", 700, false)]);
        let back = dearer.resolved(&third, &found("k", "a", &[]));
        assert_eq!(told(&back), [("a", 900, true), ("c", 900, false), ("b", 900, false)]);
        assert!(back.sold(Provider::Stripe, "c").is_some() && back.is_resolved());
    }

    #[test]
    fn one_price_is_not_sold_under_two_names() {
        let by_id = "{ provider = \"stripe\", id = \"a\", cadence = \"annual\", amount = 1, currency = \"gbp\" }";
        let file = written(&format!("{by_id}, {}", keyed("k", 700)));
        assert_eq!(told(&file.resolved(&Catalog::empty(), &found("k", "a", &[]))), [("a", 1, true), ("", 700, false)]);
        // A key that was renamed at the provider.
        let before = written(&keyed("old", 700)).resolved(&Catalog::empty(), &found("old", "a", &[]));
        let file = written(&format!("{}, {}", keyed("old", 700), keyed("new", 700)));
        assert_eq!(told(&file.resolved(&before, &found("new", "a", &[]))), [("", 700, false), ("a", 700, true)]);
    }

    #[test]
    fn a_price_that_is_named_no_more_is_not_kept() {
        let before = written(&keyed("k", 700)).resolved(&Catalog::empty(), &found("k", "a", &[]));
        let after = written(&keyed("other", 700)).resolved(&before, &found("other", "b", &[]));
        assert_eq!(told(&after), [("b", 700, true)]);
    }

    #[test]
    fn a_lookup_key_is_refused_where_it_can_be_none() {
        let price = |terms: &str| {
            let text = format!(
                "tier = [{{ code = \"paid\", name = \"Paid\", rank = 1, price = [{{ cadence = \"monthly\", amount = 1, currency = \"gbp\", {terms} }}] }}]"
            );
            toml::from_str::<Catalog>(&text).map_err(|error| error.to_string())
        };
        let long = format!("provider = \"stripe\", lookup_key = \"{}\"", "k".repeat(201));
        for (terms, told) in [
            ("provider = \"stripe\"", "lookup_key in its place"),
            ("provider = \"stripe\", lookup_key = \"\"", "1 to 200"),
            ("provider = \"stripe\", lookup_key = \" k\"", "1 to 200"),
            (long.as_str(), "1 to 200"),
            ("provider = \"polar\", lookup_key = \"k\"", "write its id"),
        ] {
            let refused = price(terms).expect_err(terms);
            assert!(refused.contains(told), "{terms}: {refused}");
        }
        let twice = format!(
            "tier = [{{ code = \"paid\", name = \"Paid\", rank = 1, price = [{}, {}] }}]",
            keyed("k", 1),
            keyed("k", 2)
        );
        assert!(toml::from_str::<Catalog>(&twice).is_err_and(|error| error.to_string().contains("named twice")));
    }
}
