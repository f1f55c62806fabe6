//! The steps after which Stripe has what the catalog names: pure, from what is wanted and what stands there.

use std::collections::BTreeSet;

use entitlement::catalog::{Cadence, Catalog, Former, Price, Provider};
use sha2::{Digest, Sha256};

use super::seen::{Seen, SeenPrice, former_of};
use crate::api::standing::cadence;
use crate::provider::client::Endpoint;
use crate::provider::needed_events;
use crate::provider::stripe::NEEDED;

/// The wishes of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Tells the products of one installation from those of another.
    pub namespace: String,
    pub products: Vec<WantedProduct>,
    /// Where events go; `None` where Stripe cannot reach it.
    pub endpoint: Option<String>,
    pub wishes: Wishes,
}

/// A person's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    pub secret: Secret,
    pub foreign: Foreign,
}

/// The fate of prices that another installation has made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    #[default]
    Refuse,
    TakeOver,
}

/// Whether deliveries can be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secret {
    /// No secret is known here.
    #[default]
    Missing,
    Known,
    /// Another one is asked for, whatever is known.
    Renew,
}

/// A tier or an add-on that is sold by lookup keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedProduct {
    /// The id that it is made with, unless its prices have a product already.
    pub id: String,
    pub name: String,
    pub prices: Vec<WantedPrice>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPrice {
    pub key: String,
    pub amount: i64,
    pub currency: String,
    pub cadence: Cadence,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    MakeProduct {
        id: String,
        name: String,
    },
    RenameProduct {
        id: String,
        from: String,
        to: String,
    },
    ReviveProduct {
        id: String,
        name: String,
    },
    /// `old` gives its lookup key away.
    MakePrice {
        product: String,
        price: WantedPrice,
        old: Option<Box<SeenPrice>>,
    },
    RevivePrice {
        id: String,
        key: String,
    },
    ArchivePrice {
        id: String,
    },
    /// `replaces`: the ids of the endpoints in whose place it is.
    MakeEndpoint {
        url: String,
        replaces: Vec<String>,
    },
    ChangeEndpoint {
        id: String,
        url: String,
        missing: usize,
        superfluous: usize,
        is_enabled: bool,
    },
    DeleteEndpoint {
        id: String,
        url: String,
        why: Superfluous,
    },
    MakePortal,
}

/// Why an endpoint goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superfluous {
    /// Another one stands in its place.
    Replaced,
    /// It was made in the place of another one, and its secret was not kept.
    Unkept,
}

/// Steps to be done, and things that only a person can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Remarks for the operator.
    pub notes: Vec<String>,
    /// Things that only the operator can do or decide.
    pub open: Vec<String>,
}

impl Wanted {
    /// The products of a catalog's lookup keys.
    pub fn products_of(namespace: &str, catalog: &Catalog) -> Vec<WantedProduct> {
        let tiers = catalog.tiers().iter().map(|tier| ("tier", &tier.code, &tier.name, &tier.prices));
        let addons = catalog.addons().iter().map(|addon| ("addon", &addon.code, &addon.name, &addon.prices));
        let wanted = |price: &Price| {
            let key = price.lookup_key.clone().filter(|_| price.provider == Provider::Stripe && !price.retired)?;
            Some(WantedPrice { key, amount: price.amount, currency: price.currency.clone(), cadence: price.cadence })
        };
        let products = tiers.chain(addons).map(|(kind, code, name, prices)| WantedProduct {
            id: product_id(namespace, kind, code),
            name: name.clone(),
            prices: prices.iter().filter_map(wanted).collect(),
        });
        products.filter(|product| !product.prices.is_empty()).collect()
    }
}

/// An id that is the same in each run, and another one for each installation.
fn product_id(namespace: &str, kind: &str, code: &str) -> String {
    let plain: String = code.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
    let hash = Sha256::digest(format!("{namespace}\n{kind}\n{code}"));
    format!("tollgate_{plain}_{}", hex::encode(&hash[..6]))
}

impl WantedProduct {
    /// The product that its new prices are made for: the one that its prices have, or one of its own.
    pub fn place<'a>(&'a self, seen: &'a Seen) -> &'a str {
        let of_prices = self.prices.iter().find_map(|price| seen.prices.get(&price.key));
        of_prices.map_or(self.id.as_str(), |price| price.product.as_str())
    }
}

impl WantedPrice {
    fn is(&self, seen: &SeenPrice) -> bool {
        seen.offer.amounts.get(&self.currency) == Some(&Some(self.amount))
            && seen.offer.cadence == cadence(self.cadence)
            && !seen.offer.is_metered
    }

    /// Its terms for a person.
    pub fn told(&self) -> String {
        format!("{} {} {}", self.amount, self.currency, cadence(self.cadence))
    }
}

/// The steps that are left, in order: none where everything stands as it should.
pub fn plan(wanted: &Wanted, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    for product in &wanted.products {
        plan_product(product, wanted, seen, &mut plan);
    }
    for id in &seen.unarchived {
        plan.steps.push(Step::ArchivePrice { id: id.clone() });
    }
    match &wanted.endpoint {
        Some(url) => plan_endpoint(url, wanted.wishes.secret, seen, &mut plan),
        None => plan.notes.push(
            "no webhook endpoint is made, as Stripe cannot reach site.url: `stripe listen --forward-to` brings the events, and names the secret"
                .to_owned(),
        ),
    }
    if !seen.has_portal {
        plan.steps.push(Step::MakePortal);
    }
    plan
}

fn plan_product(wanted: &WantedProduct, all: &Wanted, seen: &Seen, plan: &mut Plan) {
    let (place, steps) = (wanted.place(seen), &mut plan.steps);
    match seen.products.get(place) {
        None => steps.push(Step::MakeProduct { id: place.to_owned(), name: wanted.name.clone() }),
        Some(product) => {
            if !product.is_active {
                steps.push(Step::ReviveProduct { id: place.to_owned(), name: product.name.clone() });
            }
            if product.made_by.as_ref() == Some(&all.namespace) && product.name != wanted.name {
                let (id, from) = (place.to_owned(), product.name.clone());
                steps.push(Step::RenameProduct { id, from, to: wanted.name.clone() });
            }
        }
    }
    for price in &wanted.prices {
        let old = seen.prices.get(&price.key);
        match old {
            Some(old) if price.is(old) => {
                if !old.offer.is_active {
                    steps.push(Step::RevivePrice { id: old.id.clone(), key: price.key.clone() });
                }
            }
            Some(SeenPrice { made_by: Some(other), .. })
                if *other != all.namespace && all.wishes.foreign == Foreign::Refuse =>
            {
                plan.open.push(format!(
                    "the price with the lookup key {} is another one than the catalog's, and was made for {other}: give this catalog keys of \
                     its own, or say --take-over",
                    price.key
                ));
            }
            _ => {
                let product = old.map_or(place, |old| old.product.as_str()).to_owned();
                steps.push(Step::MakePrice { product, price: price.clone(), old: old.cloned().map(Box::new) });
                if let Some(old) = old.filter(|old| old.offer.is_active) {
                    steps.push(Step::ArchivePrice { id: old.id.clone() });
                }
            }
        }
    }
}

fn plan_endpoint(url: &str, secret: Secret, seen: &Seen, plan: &mut Plan) {
    let mut ours: Vec<&Endpoint> = seen.endpoints.iter().filter(|endpoint| endpoint.url == url).collect();
    let is_renewed = finish_renewal(&mut ours, plan);
    let first = ours.iter().find(|endpoint| endpoint.is_enabled).or(ours.first());
    let Some(first) = first.filter(|_| secret != Secret::Renew || is_renewed) else {
        let replaces = ours.iter().map(|old| old.id.clone()).collect();
        plan.steps.push(Step::MakeEndpoint { url: url.to_owned(), replaces });
        plan.steps.extend(ours.into_iter().map(|old| gone(old, Superfluous::Replaced)));
        return;
    };
    let (missing, superfluous) = events_beside(&first.events);
    if !first.is_enabled || missing.len() + superfluous.len() > 0 {
        plan.steps.push(Step::ChangeEndpoint {
            id: first.id.clone(),
            url: url.to_owned(),
            missing: missing.len(),
            superfluous: superfluous.len(),
            is_enabled: first.is_enabled,
        });
    }
    if ours.len() > 1 {
        plan.notes.push(format!("{} webhook endpoints lead to {url}: --new-secret makes one of them", ours.len()));
    }
    if secret == Secret::Missing {
        plan.open.push(format!(
            "the webhook endpoint at {url} is there already, and its secret cannot be read again: set STRIPE_WEBHOOK_SECRET to it, or let \
             --new-secret make another endpoint in its place"
        ));
    }
}

/// Ends what an earlier run has left half done, so that there is never more than one endpoint beside the old one. Of one whose secret was
/// kept the old ones go, and it is the renewed one; one whose secret was not kept goes itself. Answers whether there is a renewed one.
fn finish_renewal(ours: &mut Vec<&Endpoint>, plan: &mut Plan) -> bool {
    let made = ours.iter().copied().find(|made| ours.iter().any(|old| made.replaces.contains(&old.id)));
    let Some(made) = made else { return false };
    if !made.is_kept {
        plan.steps.push(gone(made, Superfluous::Unkept));
        ours.retain(|one| one.id != made.id);
        return false;
    }
    let old = ours.iter().filter(|old| made.replaces.contains(&old.id));
    plan.steps.extend(old.map(|old| gone(old, Superfluous::Replaced)));
    plan.notes.push(format!(
        "an earlier run made the webhook endpoint {} and kept its secret: this one goes on with it",
        made.id
    ));
    ours.retain(|one| !made.replaces.contains(&one.id));
    true
}

fn gone(endpoint: &Endpoint, why: Superfluous) -> Step {
    Step::DeleteEndpoint { id: endpoint.id.clone(), url: endpoint.url.clone(), why }
}

/// Of the events that an endpoint is told of: those that it lacks, and those that nobody reads.
pub fn events_beside(events: &[String]) -> (Vec<&'static str>, Vec<&str>) {
    let told: BTreeSet<&str> = events.iter().map(String::as_str).collect();
    let needed = needed_events(Provider::Stripe);
    let missing = needed.iter().copied().filter(|needed| !told.contains(needed) && !told.contains("*")).collect();
    let superfluous = told.into_iter().filter(|event| !needed.contains(event)).collect();
    (missing, superfluous)
}

impl Step {
    /// Its effect, for a person: `+` makes, `~` changes, `-` takes away.
    pub fn told(&self) -> String {
        match self {
            Self::MakeProduct { id, name } => format!("+ product {id}: {name}"),
            Self::RenameProduct { id, from, to } => format!("~ product {id}: {from} is called {to}"),
            Self::ReviveProduct { id, name } => format!("~ product {id}: {name} is no longer archived"),
            Self::MakePrice { price, old: None, .. } => format!("+ price {}: {}", price.key, price.told()),
            Self::MakePrice { price, old: Some(old), .. } => {
                format!("+ price {}: {}, in place of {}, which gives the key to it", price.key, price.told(), old.id)
            }
            Self::RevivePrice { id, key } => format!("~ price {key}: {id} is no longer archived"),
            Self::ArchivePrice { id } => format!("- price {id}: archived; its subscriptions go on"),
            Self::MakeEndpoint { url, .. } => format!("+ webhook endpoint {url}: {} events", NEEDED.len()),
            Self::ChangeEndpoint { url, missing, superfluous, is_enabled, .. } => {
                let on = if *is_enabled { "" } else { ", switched on" };
                format!("~ webhook endpoint {url}: {missing} events added, {superfluous} taken away{on}")
            }
            Self::DeleteEndpoint { id, url, why: Superfluous::Replaced } => {
                format!("- webhook endpoint {url}: the one before, {id}")
            }
            Self::DeleteEndpoint { id, url, why: Superfluous::Unkept } => {
                format!("- webhook endpoint {url}: {id}, of a run that ended before its secret was kept")
            }
            Self::MakePortal => "+ configuration of the customer portal".to_owned(),
        }
    }

    /// The right that a restricted key needs for it, as the dashboard calls it.
    pub const fn right(&self) -> &'static str {
        match self {
            Self::MakeProduct { .. } | Self::RenameProduct { .. } | Self::ReviveProduct { .. } => "Products: Write",
            Self::MakePrice { .. } | Self::RevivePrice { .. } | Self::ArchivePrice { .. } => "Prices: Write",
            Self::MakeEndpoint { .. } | Self::ChangeEndpoint { .. } | Self::DeleteEndpoint { .. } => {
                "Webhook Endpoints: Write"
            }
            Self::MakePortal => "Customer portal: Write",
        }
    }

    /// The prices before one that is made.
    pub fn former(&self) -> Vec<Former> {
        match self {
            Self::MakePrice { old: Some(old), .. } => former_of(old),
            _ => Vec::new(),
        }
    }
}
