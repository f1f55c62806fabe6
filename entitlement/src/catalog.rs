//! What is sold: tiers with their features and limits, prices, add-ons. An invalid catalog cannot exist.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

/// Who takes the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Stripe,
    Polar,
}

impl Provider {
    /// The provider's name as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Polar => "polar",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not a provider's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a provider: stripe or polar")]
pub struct UnknownProvider(String);

impl std::str::FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "stripe" => Ok(Self::Stripe),
            "polar" => Ok(Self::Polar),
            other => Err(UnknownProvider(other.to_owned())),
        }
    }
}

/// How often a price is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cadence {
    Monthly,
    Annual,
}

/// One way to pay for a tier or an add-on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub provider: Provider,
    /// Stripe's price id, or Polar's product id.
    pub id: String,
    pub cadence: Cadence,
    /// Minor units of `currency`.
    pub amount: i64,
    /// Three lower-case letters (ISO 4217).
    pub currency: String,
    /// The text that the buyer must agree to before this price is sold; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// Days before the first charge, once per account.
    #[serde(default)]
    pub trial_days: u32,
}

/// A named level. `rank` orders tiers: a route that requires one is open to it and to every higher rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    pub code: String,
    pub name: String,
    pub rank: u32,
    #[serde(default)]
    pub features: BTreeSet<String>,
    /// Per billing period; a metric that is absent is unlimited.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// Not reset by a period.
    #[serde(default)]
    pub levels: BTreeMap<String, u64>,
    #[serde(default, rename = "price")]
    pub prices: Vec<Price>,
}

/// Something sold beside a tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addon {
    pub code: String,
    pub name: String,
    /// What the buyer must state, by name.
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(default, rename = "price")]
    pub prices: Vec<Price>,
}

/// What a provider's price id buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sold<'a> {
    Tier(&'a Tier),
    Addon(&'a Addon),
}

/// A valid catalog: exactly one tier of rank 0 (added as `free` when the file names none), unique codes, ranks and
/// price ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Draft", into = "Draft")]
pub struct Catalog {
    /// By rank, so the first is what everybody has.
    tiers: Vec<Tier>,
    addons: Vec<Addon>,
    sold: HashMap<(Provider, String), Place>,
}

/// Where a price stands: an index into `tiers` or `addons`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Tier(usize),
    Addon(usize),
}

/// The catalog as it is written down, not yet checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    #[serde(default, rename = "tier")]
    pub tiers: Vec<Tier>,
    #[serde(default, rename = "addon")]
    pub addons: Vec<Addon>,
}

/// Why a catalog cannot be used; each says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    #[error("`{0}` is not a usable code: use lower-case letters, digits, `_` and `-`")]
    BadCode(String),
    #[error("tier `{0}` is there twice: give each tier a code of its own")]
    TierTwice(String),
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
    #[error("the price `{id}` has the currency `{currency}`: use three lower-case letters, such as `gbp`")]
    BadCurrency { id: String, currency: String },
    #[error("`{0}` has a price with an empty id: write the provider's price id")]
    EmptyPriceId(String),
}

impl Catalog {
    /// Everybody's tier alone: what is sold when nothing is.
    #[must_use]
    pub fn empty() -> Self {
        Self { tiers: vec![free()], addons: Vec::new(), sold: HashMap::new() }
    }

    /// All tiers, lowest rank first.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// All add-ons, in the order in which they were written.
    #[must_use]
    pub fn addons(&self) -> &[Addon] {
        &self.addons
    }

    /// What everybody has.
    #[must_use]
    pub fn base(&self) -> &Tier {
        &self.tiers[0]
    }

    /// The tier of that code.
    #[must_use]
    pub fn tier(&self, code: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.code == code)
    }

    /// The terms of a provider's price id.
    #[must_use]
    pub fn price(&self, provider: Provider, id: &str) -> Option<&Price> {
        let prices = match self.sold(provider, id)? {
            Sold::Tier(tier) => &tier.prices,
            Sold::Addon(addon) => &addon.prices,
        };
        prices.iter().find(|price| price.provider == provider && price.id == id)
    }

    /// What a provider's price id buys; a price that no catalog names grants nothing.
    #[must_use]
    pub fn sold(&self, provider: Provider, price: &str) -> Option<Sold<'_>> {
        match *self.sold.get(&(provider, price.to_owned()))? {
            Place::Tier(index) => Some(Sold::Tier(&self.tiers[index])),
            Place::Addon(index) => Some(Sold::Addon(&self.addons[index])),
        }
    }
}

/// The tier that everybody has when the catalog does not say.
fn free() -> Tier {
    Tier {
        code: "free".into(),
        name: "Free".into(),
        rank: 0,
        features: BTreeSet::new(),
        limits: BTreeMap::new(),
        levels: BTreeMap::new(),
        prices: Vec::new(),
    }
}

impl TryFrom<Draft> for Catalog {
    type Error = CatalogError;

    fn try_from(draft: Draft) -> Result<Self, Self::Error> {
        let Draft { mut tiers, addons } = draft;
        if !tiers.iter().any(|tier| tier.rank == 0) {
            tiers.push(free());
        }
        tiers.sort_by_key(|tier| tier.rank);
        check_tiers(&tiers)?;
        check_addons(&addons)?;
        let mut sold = HashMap::new();
        let mut names: HashMap<(Provider, String), String> = HashMap::new();
        let owners = tiers.iter().enumerate().map(|(i, t)| (Place::Tier(i), &t.code, &t.prices));
        let owners = owners.chain(addons.iter().enumerate().map(|(i, a)| (Place::Addon(i), &a.code, &a.prices)));
        for (place, code, prices) in owners {
            for price in prices {
                check_price(code, price)?;
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
        Self { tiers: catalog.tiers, addons: catalog.addons }
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
    for pair in tiers.windows(2) {
        if pair[0].rank == pair[1].rank {
            let (first, second) = (pair[0].code.clone(), pair[1].code.clone());
            return Err(CatalogError::RankTwice { first, second, rank: pair[0].rank });
        }
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
    if price.id.is_empty() {
        return Err(CatalogError::EmptyPriceId(owner.to_owned()));
    }
    if price.amount < 0 {
        return Err(CatalogError::NegativeAmount(price.id.clone()));
    }
    if price.currency.len() != 3 || !price.currency.bytes().all(|b| b.is_ascii_lowercase()) {
        let (id, currency) = (price.id.clone(), price.currency.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Catalog, String> {
        toml::from_str::<Catalog>(text).map_err(|e| e.message().to_owned())
    }

    const PAID: &str = r#"
        [[tier]]
        code = "paid"
        name = "Paid"
        rank = 1
        features = ["archive"]
        [[tier.price]]
        provider = "stripe"
        id = "price_monthly"
        cadence = "monthly"
        amount = 700
        currency = "gbp"
    "#;

    #[test]
    fn a_catalog_without_a_rank_0_tier_gets_free() {
        let catalog = parse(PAID).expect("a valid catalog");
        assert_eq!(catalog.base().code, "free");
        assert_eq!(catalog.tiers().len(), 2);
        let Some(Sold::Tier(tier)) = catalog.sold(Provider::Stripe, "price_monthly") else { panic!("not sold") };
        assert_eq!(tier.code, "paid");
        assert_eq!(catalog.sold(Provider::Polar, "price_monthly"), None, "another provider's id buys nothing");
    }

    #[test]
    fn a_catalog_survives_being_stored() {
        let catalog = parse(PAID).expect("a valid catalog");
        let stored = serde_json::to_string(&catalog).expect("it encodes");
        assert_eq!(serde_json::from_str::<Catalog>(&stored).expect("it decodes"), catalog);
    }

    #[test]
    fn an_invalid_catalog_says_what_to_change() {
        let price = |id: &str| {
            format!(
                "[[tier.price]]\nprovider = \"stripe\"\nid = \"{id}\"\ncadence = \"annual\"\namount = 1\ncurrency = \"gbp\"\n"
            )
        };
        let tier = |code: &str, rank: u32| format!("[[tier]]\ncode = \"{code}\"\nname = \"T\"\nrank = {rank}\n");
        let cases = [
            (tier("Paid", 1), "`Paid` is not a usable code"),
            (tier("a", 1) + &tier("a", 2), "tier `a` is there twice"),
            (tier("a", 1) + &tier("b", 1), "both have rank 1"),
            (tier("a", 0) + &price("p"), "rank 0, which everybody has"),
            (tier("a", 1) + &price("p") + &tier("b", 2) + &price("p"), "named twice, by `a` and by `b`"),
            (tier("a", 1) + &price("p") + &price("p"), "named twice, by `a` and by `a`"),
            (tier("a", 1) + &price(""), "empty id"),
            (tier("a", 1) + &price("p").replace("gbp", "GBP"), "three lower-case letters"),
            (tier("a", 1) + &price("p").replace("amount = 1", "amount = -1"), "negative amount"),
            ("[[tear]]\ncode = \"a\"\n".to_owned(), "unknown field `tear`"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).expect_err(&text);
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }
}
