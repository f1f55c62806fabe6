//! What is sold: tiers with their features and limits, prices, add-ons. An invalid catalog cannot exist.

mod amount;
mod currency;
mod draft;
mod lookup;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use draft::{CatalogError, Draft};
pub use lookup::{Former, Looked};

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
    /// Stripe's price id, or Polar's product id; empty as long as it is not known which price has the lookup key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Stripe's name for the price: the same in test and live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_key: Option<String>,
    pub cadence: Cadence,
    /// Minor units of `currency`.
    #[serde(deserialize_with = "amount::minor_units")]
    pub amount: i64,
    /// Three lower-case letters (ISO 4217).
    pub currency: String,
    /// The text that the buyer must agree to before this price is sold; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// Days before the first charge, once per account.
    #[serde(default)]
    pub trial_days: u32,
    /// Known, so that its subscriptions go on, but sold no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

impl Price {
    /// Whether it is sold now: not retired, and its id is known.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        !self.retired && !self.id.is_empty()
    }

    /// The name that a person knows: its id, or its lookup key as long as the id is not known.
    #[must_use]
    pub fn name(&self) -> &String {
        self.lookup_key.as_ref().filter(|_| self.id.is_empty()).unwrap_or(&self.id)
    }
}

/// A named level. `rank` orders tiers: a route that requires one is open to it and to every higher rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    pub code: String,
    pub name: String,
    pub rank: u32,
    /// The code that it had before: what was given under that one goes on under this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The purpose of the tier, in a sentence that buyers read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The one that the pricing page recommends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub highlight: bool,
    /// Sold to buyers who ask for it by its code, and shown to accounts that have it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Each once, in the order in which buyers read them.
    #[serde(default)]
    pub features: Vec<String>,
    /// Per billing period; a metric that is absent is unlimited.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// Not reset by a period.
    #[serde(default)]
    pub levels: BTreeMap<String, u64>,
    #[serde(default, rename = "price")]
    pub prices: Vec<Price>,
}

impl Tier {
    /// The prices at which it is sold now.
    pub fn offers(&self) -> impl Iterator<Item = &Price> {
        self.prices.iter().filter(|price| price.is_offered())
    }

    /// Whether it gives that feature.
    #[must_use]
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature == name)
    }

    /// Whether it is known by that code, now or before it was renamed.
    #[must_use]
    pub fn is_called(&self, code: &str) -> bool {
        self.code == code || self.renamed_from.as_deref() == Some(code)
    }
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

impl Addon {
    /// The prices at which it is sold now.
    pub fn offers(&self) -> impl Iterator<Item = &Price> {
        self.prices.iter().filter(|price| price.is_offered())
    }
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

impl Catalog {
    /// Everybody's tier alone: what is sold when nothing is.
    #[must_use]
    pub fn empty() -> Self {
        Self { tiers: vec![draft::free()], addons: Vec::new(), sold: HashMap::new() }
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

    /// The tier of that code, or that had it before it was renamed.
    #[must_use]
    pub fn tier(&self, code: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.is_called(code))
    }

    /// Each code that was replaced, and the one that took its place.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tiers.iter().filter_map(|tier| Some((tier.renamed_from.as_deref()?, tier.code.as_str())))
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

    /// The rank of the tier that a provider's price buys; `None` where it buys none.
    #[must_use]
    pub fn rank_of(&self, provider: Provider, price: &str) -> Option<u32> {
        match self.sold(provider, price)? {
            Sold::Tier(tier) => Some(tier.rank),
            Sold::Addon(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
