//! The catalog as it is written down, and what makes it a valid one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::currency;
use super::{Addon, Catalog, Place, Price, Provider, Tier};

/// The catalog as it is written down, not yet checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    #[serde(default, rename = "tier")]
    pub tiers: Vec<Tier>,
    #[serde(default, rename = "addon")]
    pub addons: Vec<Addon>,
    /// The digest of a change that takes something from running subscriptions, and that a person has agreed to. It is no part of
    /// what is sold.
    #[serde(default, skip_serializing)]
    pub accept: Option<String>,
}

/// Why a catalog cannot be used; each says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    #[error("`{0}` is not a usable code: use lower-case letters, digits, `_` and `-`")]
    BadCode(String),
    #[error("tier `{0}` is there twice: give each tier a code of its own")]
    TierTwice(String),
    #[error(
        "tier `{tier}` has renamed_from = \"{from}\", but there is a tier of that code, or another that was: take one of both away"
    )]
    RenamedFromTaken { tier: String, from: String },
    #[error("tiers `{first}` and `{second}` both have highlight = true: recommend one of them")]
    HighlightTwice { first: String, second: String },
    #[error("add-on `{0}` is there twice: give each add-on a code of its own")]
    AddonTwice(String),
    #[error("tiers `{first}` and `{second}` both have rank {rank}: give each a rank of its own")]
    RankTwice { first: String, second: String, rank: u32 },
    #[error(
        "tier `{0}` has rank 0, which everybody has, so it must not have prices: give it a higher rank or remove them"
    )]
    BaseTierSold(String),
    #[error("the {provider} price `{id}` is named twice, by `{first}` and by `{second}`: a price buys one thing")]
    PriceTwice { provider: Provider, id: String, first: String, second: String },
    #[error("the price `{0}` has a negative amount: use minor units, 700 for 7.00")]
    NegativeAmount(String),
    #[error("the price `{id}` has the currency `{currency}`: use three lower-case letters of ISO 4217, such as `gbp`")]
    BadCurrency { id: String, currency: String },
    #[error("`{0}` has a price without an id: write the provider's price id, or Stripe's lookup_key in its place")]
    EmptyPriceId(String),
    #[error(
        "`{owner}` has a price with the lookup_key \"{key}\": write 1 to {LOOKUP_KEY_CHARS_MAX} characters, without blanks around them"
    )]
    BadLookupKey { owner: String, key: String },
    #[error("`{owner}` has a price of {provider} with a lookup_key, which it does not have: write its id")]
    NoLookupKeys { owner: String, provider: Provider },
    #[error("the lookup_key `{key}` is named twice, by `{first}` and by `{second}`: a price buys one thing")]
    LookupKeyTwice { key: String, first: String, second: String },
}

/// Stripe's limit for a lookup key, in characters (<https://docs.stripe.com/api/prices/create>).
const LOOKUP_KEY_CHARS_MAX: usize = 200;

/// The tier that everybody has when the catalog does not say.
pub(super) fn free() -> Tier {
    Tier {
        code: "free".into(),
        name: "Free".into(),
        rank: 0,
        renamed_from: None,
        description: None,
        highlight: false,
        hidden: false,
        features: Vec::new(),
        limits: BTreeMap::new(),
        levels: BTreeMap::new(),
        prices: Vec::new(),
    }
}

impl TryFrom<Draft> for Catalog {
    type Error = CatalogError;

    fn try_from(draft: Draft) -> Result<Self, Self::Error> {
        let Draft { mut tiers, addons, accept: _ } = draft;
        if !tiers.iter().any(|tier| tier.rank == 0) {
            tiers.push(free());
        }
        tiers.sort_by_key(|tier| tier.rank);
        for tier in &mut tiers {
            let mut seen = BTreeSet::new();
            tier.features.retain(|feature| seen.insert(feature.clone()));
        }
        check_tiers(&tiers)?;
        check_addons(&addons)?;
        let mut sold = HashMap::new();
        let mut names: HashMap<(Provider, String), String> = HashMap::new();
        let mut keys: HashMap<String, String> = HashMap::new();
        let owners = tiers.iter().enumerate().map(|(i, t)| (Place::Tier(i), &t.code, &t.prices));
        let owners = owners.chain(addons.iter().enumerate().map(|(i, a)| (Place::Addon(i), &a.code, &a.prices)));
        for (place, code, prices) in owners {
            for price in prices {
                check_price(code, price)?;
                if let (true, Some(key)) = (price.id.is_empty(), &price.lookup_key) {
                    if let Some(first) = keys.insert(key.clone(), code.clone()) {
                        return Err(CatalogError::LookupKeyTwice { key: key.clone(), first, second: code.clone() });
                    }
                    continue;
                }
                let key = (price.provider, price.id.clone());
                if let Some(first) = names.insert(key.clone(), code.clone()) {
                    let (provider, id) = key;
                    return Err(CatalogError::PriceTwice { provider, id, first, second: code.clone() });
                }
                sold.insert(key, place);
            }
        }
        Ok(Self { tiers, addons, sold })
    }
}

impl From<Catalog> for Draft {
    fn from(catalog: Catalog) -> Self {
        Self { tiers: catalog.tiers, addons: catalog.addons, accept: None }
    }
}

fn check_tiers(tiers: &[Tier]) -> Result<(), CatalogError> {
    let mut codes = BTreeSet::new();
    for tier in tiers {
        check_code(&tier.code)?;
        if !codes.insert(&tier.code) {
            return Err(CatalogError::TierTwice(tier.code.clone()));
        }
        tier.features.iter().try_for_each(|feature| check_code(feature))?;
    }
    for tier in tiers {
        let Some(from) = &tier.renamed_from else { continue };
        check_code(from)?;
        if !codes.insert(from) {
            return Err(CatalogError::RenamedFromTaken { tier: tier.code.clone(), from: from.clone() });
        }
    }
    for pair in tiers.windows(2) {
        if pair[0].rank == pair[1].rank {
            let (first, second) = (pair[0].code.clone(), pair[1].code.clone());
            return Err(CatalogError::RankTwice { first, second, rank: pair[0].rank });
        }
    }
    let mut highlights = tiers.iter().filter(|tier| tier.highlight);
    if let (Some(first), Some(second)) = (highlights.next(), highlights.next()) {
        return Err(CatalogError::HighlightTwice { first: first.code.clone(), second: second.code.clone() });
    }
    if !tiers[0].prices.is_empty() {
        return Err(CatalogError::BaseTierSold(tiers[0].code.clone()));
    }
    Ok(())
}

fn check_addons(addons: &[Addon]) -> Result<(), CatalogError> {
    let mut codes = BTreeSet::new();
    for addon in addons {
        check_code(&addon.code)?;
        if !codes.insert(&addon.code) {
            return Err(CatalogError::AddonTwice(addon.code.clone()));
        }
    }
    Ok(())
}

fn check_price(owner: &str, price: &Price) -> Result<(), CatalogError> {
    match &price.lookup_key {
        None if price.id.is_empty() => return Err(CatalogError::EmptyPriceId(owner.to_owned())),
        Some(_) if price.provider != Provider::Stripe => {
            return Err(CatalogError::NoLookupKeys { owner: owner.to_owned(), provider: price.provider });
        }
        Some(key) if key.is_empty() || key.trim() != key || key.chars().count() > LOOKUP_KEY_CHARS_MAX => {
            return Err(CatalogError::BadLookupKey { owner: owner.to_owned(), key: key.clone() });
        }
        _ => {}
    }
    if price.amount < 0 {
        return Err(CatalogError::NegativeAmount(price.name().clone()));
    }
    if !currency::is_known(&price.currency) {
        let (id, currency) = (price.name().clone(), price.currency.clone());
        return Err(CatalogError::BadCurrency { id, currency });
    }
    Ok(())
}

/// Codes travel in headers and configuration, comma-separated: they stay plain.
fn check_code(code: &str) -> Result<(), CatalogError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if code.is_empty() || !code.bytes().all(plain) {
        return Err(CatalogError::BadCode(code.to_owned()));
    }
    Ok(())
}
