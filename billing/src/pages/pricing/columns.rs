//! What is sold, in words: a column for each tier, with what it gives and what it costs.

use std::collections::BTreeSet;

use entitlement::catalog::{Cadence, Catalog, Price, Provider, Tier};

use super::Trial;
use crate::api::standing;
use crate::checkout::agreed::digest;
use crate::pages::look::{Pages, fill};

/// So many tiers fill a page by themselves.
const CROWD: usize = 4;

/// A tier.
#[derive(Debug)]
pub struct Column {
    pub code: String,
    pub name: String,
    /// What everybody has.
    pub base: bool,
    /// What the visitor has.
    pub current: bool,
    /// "Everything in the tier below", when that is so.
    pub includes: Option<String>,
    pub gains: Vec<String>,
    pub offers: Vec<Offer>,
}

/// One price of a tier.
#[derive(Debug)]
pub struct Offer {
    pub provider: Provider,
    pub cadence: &'static str,
    pub amount: String,
    pub per: String,
    /// Amount and cadence in one.
    pub price: String,
    pub trial: Option<String>,
    pub consent: Consent,
    pub action: String,
}

/// Whether a box must be ticked before buying.
#[derive(Debug, PartialEq, Eq)]
pub enum Consent {
    None,
    Text {
        id: String,
        text: String,
        /// By what the text is known that is shown here.
        digest: String,
    },
    /// The catalog names a text that these pages do not have.
    Unknown,
}

/// Between prices by the month and by the year, where several tiers have both.
#[derive(Debug, PartialEq, Eq)]
pub struct Toggle {
    pub annual_first: bool,
    pub saving: Option<String>,
}

impl Column {
    /// Neither for everybody nor with a price: one has to ask.
    pub fn is_custom(&self) -> bool {
        !self.base && self.offers.is_empty()
    }
}

impl Offer {
    pub fn is_sold_here(&self) -> bool {
        self.consent != Consent::Unknown
    }
}

impl Toggle {
    /// One is needed when a second column of prices would be too much to look at.
    pub fn over(shop: Shop<'_>, shown: Cadence) -> Option<Self> {
        let Shop { look, catalog, .. } = shop;
        let both = |tier| Some((sold_at(shop, tier, Cadence::Monthly)?, sold_at(shop, tier, Cadence::Annual)?));
        let prices: Vec<(&Price, &Price)> = catalog.tiers().iter().filter_map(both).collect();
        if prices.len() < 2 {
            return None;
        }
        let percent = prices.iter().filter_map(|(monthly, annual)| saving_percent(monthly, annual)).max();
        let saving = percent.map(|percent| fill(&look.texts.pricing.saving, &[("percent", &percent.to_string())]));
        Some(Self { annual_first: shown == Cadence::Annual, saving })
    }
}

/// What is sold now, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Shop<'a> {
    pub look: &'a Pages,
    pub catalog: &'a Catalog,
    /// The providers that can be asked for a checkout.
    pub sellers: &'a [Provider],
    pub trial: Trial,
}

/// A column for each tier; `current` is the code of the tier that the visitor has.
pub fn columns(shop: Shop<'_>, current: Option<&str>) -> Vec<Column> {
    let Shop { look, catalog, .. } = shop;
    let base = &catalog.base().code;
    let sold: Vec<&Tier> = catalog.tiers().iter().filter(|tier| tier.code != *base).collect();
    let column = |tier: &Tier| {
        // Tiers are in order of rank.
        let below = sold.iter().rev().find(|other| other.rank < tier.rank);
        let below = below.filter(|below| !below.features.is_empty() && below.features.is_subset(&tier.features));
        let includes = below.map(|below| fill(&look.texts.pricing.includes, &[("tier", &below.name)]));
        Column {
            code: tier.code.clone(),
            name: tier.name.clone(),
            base: tier.code == *base,
            current: current == Some(tier.code.as_str()),
            includes,
            gains: gains(look, catalog, tier, below.copied()),
            offers: offers(shop, tier),
        }
    };
    let columns = catalog.tiers().iter().map(column);
    // What everybody has is worth a column of its own only where there is room, or something to say of it.
    columns.filter(|column| !column.base || !column.gains.is_empty() || sold.len() < CROWD).collect()
}

/// What the tier gives beside what `below` gives: its features, then its numbers.
fn gains(look: &Pages, catalog: &Catalog, tier: &Tier, below: Option<&Tier>) -> Vec<String> {
    let texts = &look.texts.pricing;
    let new = tier.features.iter().filter(|feature| below.is_none_or(|below| !below.features.contains(*feature)));
    let features = new.map(|feature| look.word(feature));
    let is_base = tier.code == catalog.base().code;
    let unlimited = |metric: &str| {
        // A metric that is absent is unlimited, which nobody would read out of what everybody has.
        (!is_base).then(|| fill(&texts.unlimited, &[("what", &look.word(metric))]))
    };
    let told = |text: &str, metric: &str, number: u64| {
        fill(text, &[("number", &look.texts.common.locale.number(number)), ("what", &look.word(metric))])
    };
    let limits = metrics(catalog, |tier| tier.limits.keys());
    let limits = limits.into_iter().filter_map(|metric| match tier.limits.get(metric) {
        Some(limit) => Some(told(&texts.limit, metric, *limit)),
        None => unlimited(metric),
    });
    let levels = metrics(catalog, |tier| tier.levels.keys());
    let levels = levels.into_iter().filter_map(|metric| match tier.levels.get(metric) {
        Some(level) => Some(told(&texts.level, metric, *level)),
        None => unlimited(metric),
    });
    features.chain(limits).chain(levels).map(|gain| capitalized(&gain)).collect()
}

/// What is counted in any tier.
fn metrics<'a, N: Iterator<Item = &'a String>>(catalog: &'a Catalog, of: impl Fn(&'a Tier) -> N) -> BTreeSet<&'a str> {
    catalog.tiers().iter().flat_map(of).map(String::as_str).collect()
}

/// The offers that a checkout finds: one for each cadence.
fn offers(shop: Shop<'_>, tier: &Tier) -> Vec<Offer> {
    let prices = [Cadence::Monthly, Cadence::Annual].into_iter().filter_map(|cadence| sold_at(shop, tier, cadence));
    prices.map(|price| offer(shop, tier, price)).collect()
}

/// The price that is bought at this cadence: of several providers, one that can be asked now.
fn sold_at<'a>(shop: Shop<'_>, tier: &'a Tier, cadence: Cadence) -> Option<&'a Price> {
    let prices = tier.offers().filter(|price| price.cadence == cadence);
    prices.min_by_key(|price| (!shop.sellers.contains(&price.provider), price.provider))
}

fn offer(shop: Shop<'_>, tier: &Tier, price: &Price) -> Offer {
    let Shop { look, trial, .. } = shop;
    let texts = &look.texts;
    let consent = match price.consent.as_deref() {
        None => Consent::None,
        Some(id) => match look.consent(id) {
            Some(text) => Consent::Text { id: id.to_owned(), text: text.to_owned(), digest: digest(text) },
            None => Consent::Unknown,
        },
    };
    let amount = texts.common.locale.price(price);
    let (per, with) = match price.cadence {
        Cadence::Monthly => (&texts.pricing.per_month, &texts.common.monthly),
        Cadence::Annual => (&texts.pricing.per_year, &texts.common.annual),
    };
    let told = fill(with, &[("amount", &amount)]);
    let trial_days = if trial == Trial::Offered { price.trial_days } else { 0 };
    let days = texts.days(trial_days.into());
    let trial = (trial_days > 0).then(|| fill(&texts.pricing.trial, &[("days", &days), ("price", &told)]));
    let action = if trial.is_some() { &texts.pricing.buy_trial } else { &texts.pricing.buy };
    Offer {
        provider: price.provider,
        cadence: standing::cadence(price.cadence),
        amount,
        per: per.clone(),
        price: told,
        trial,
        consent,
        action: fill(action, &[("tier", &tier.name)]),
    }
}

/// How much cheaper the year is than twelve months, in whole percent.
fn saving_percent(monthly: &Price, annual: &Price) -> Option<i64> {
    let twelve = monthly.amount.checked_mul(12).filter(|twelve| *twelve > 0)?;
    let saved = twelve.checked_sub(annual.amount)?.checked_mul(100)? / twelve;
    (monthly.currency == annual.currency && saved > 0).then_some(saved)
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
