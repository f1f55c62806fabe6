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
    /// Whether the tier is recommended.
    pub highlight: bool,
    /// The amount where the tier has no price: zero, for everybody's.
    pub free: Option<String>,
    pub description: Option<String>,
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
    /// That the tier has no other cadence, for visitors who have chosen the other one.
    pub only: Option<String>,
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

    /// Where another tier is recommended, this one's button stands back.
    pub fn is_quiet(&self, columns: &[Self]) -> bool {
        !self.highlight && columns.iter().any(|column| column.highlight)
    }
}

impl Offer {
    /// The name of the sheet on which it is ordered, among those of the page.
    pub fn sheet(&self, tier: &Column) -> String {
        format!("order-{}-{}", tier.code, self.cadence)
    }

    pub fn is_sold_here(&self) -> bool {
        self.consent != Consent::Unknown
    }
}

impl Toggle {
    /// One is needed where a tier has both.
    pub fn over(shop: Shop<'_>, shown: Cadence) -> Option<Self> {
        let Shop { look, catalog, .. } = shop;
        let both = |tier| Some((sold_at(shop, tier, Cadence::Monthly)?, sold_at(shop, tier, Cadence::Annual)?));
        let prices: Vec<(&Price, &Price)> = catalog.tiers().iter().filter_map(both).collect();
        if prices.is_empty() {
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
    /// The price that the visitor pays, by the catalog.
    pub held: Option<&'a Price>,
}

/// A column for each tier; `current` is the code of the tier that the visitor has.
pub fn columns(shop: Shop<'_>, current: Option<&str>) -> Vec<Column> {
    let Shop { look, catalog, .. } = shop;
    let base = &catalog.base().code;
    let is_current = |tier: &Tier| current == Some(tier.code.as_str());
    let tiers = catalog.tiers().iter().filter(|tier| !tier.hidden || is_current(tier));
    let sold: Vec<&Tier> = tiers.clone().filter(|tier| tier.code != *base).collect();
    let has_choice = Toggle::over(shop, Cadence::Monthly).is_some();
    let column = |tier: &Tier| {
        // Tiers are in order of rank.
        let below = sold.iter().rev().find(|other| other.rank < tier.rank);
        let below = below.filter(|below| {
            !below.features.is_empty() && below.features.iter().all(|feature| tier.has_feature(feature))
        });
        let includes = below.map(|below| fill(&look.texts.pricing.includes, &[("tier", &below.name)]));
        Column {
            code: tier.code.clone(),
            name: tier.name.clone(),
            base: tier.code == *base,
            current: is_current(tier),
            highlight: tier.highlight,
            free: (tier.code == *base).then(|| nothing(look, &sold)),
            description: tier.description.clone(),
            includes,
            gains: gains(look, catalog, tier, below.copied()),
            offers: offers(shop, tier, has_choice),
        }
    };
    let columns = tiers.map(column);
    // What everybody has is worth a column of its own only where there is room, or something to say of it.
    columns.filter(|column| !column.base || !column.gains.is_empty() || sold.len() < CROWD).collect()
}

/// The amount of everybody's tier, in the currency of the others.
fn nothing(look: &Pages, sold: &[&Tier]) -> String {
    let currency = sold.iter().flat_map(|tier| tier.offers()).map(|price| price.currency.as_str()).next();
    currency.map_or_else(|| look.texts.pricing.free.clone(), |currency| look.texts.common.locale.money(0, currency))
}

/// What the tier gives beside what `below` gives: its features, then its numbers.
fn gains(look: &Pages, catalog: &Catalog, tier: &Tier, below: Option<&Tier>) -> Vec<String> {
    let texts = &look.texts.pricing;
    let new = tier.features.iter().filter(|feature| below.is_none_or(|below| !below.has_feature(feature)));
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

/// The offers that a checkout finds: one for each cadence. Of what the visitor pays for already, the price that is paid.
fn offers(shop: Shop<'_>, tier: &Tier, has_choice: bool) -> Vec<Offer> {
    if let Some(held) = shop.held.filter(|held| tier.prices.contains(held)) {
        return vec![offer(shop, tier, held)];
    }
    let prices = [Cadence::Monthly, Cadence::Annual].into_iter().filter_map(|cadence| sold_at(shop, tier, cadence));
    let mut offers: Vec<Offer> = prices.map(|price| offer(shop, tier, price)).collect();
    if let ([offer], true) = (offers.as_mut_slice(), has_choice) {
        let texts = &shop.look.texts.pricing;
        let text =
            if offer.cadence == standing::cadence(Cadence::Monthly) { &texts.only_monthly } else { &texts.only_annual };
        offer.only = Some(text.clone());
    }
    offers
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
        only: None,
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
