//! Setting Stripe up: what the catalog names by lookup keys, the webhook endpoint, and the customer portal.
//!
//! The account is read first, and only what is missing or differs is done, one call after the other. After a failure, or a call
//! whose answer was lost, the next run finds what was done and goes on.

mod plan;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use entitlement::Timestamp;
use entitlement::catalog::{Catalog, Looked};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::NEEDED;
use crate::provider::client::{Client, MARK, PORTALS, ProviderError};
use seen::{Seen, SeenPrice};

pub use plan::{Foreign, Plan, Secret, Step, Wanted, Wishes, events_beside};
pub use seen::read_cadence;

/// Why setting up ended early. What was done before stays, and is found by the next run.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(
        "{doing}: the key may not do this: give it the right \"{right}\" in Stripe's dashboard (Developers, API keys), then run this again"
    )]
    Right { doing: String, right: &'static str },
    #[error("{doing}: {error}; what was done stays, so run this again")]
    Provider { doing: String, error: ProviderError },
    #[error(
        "the webhook endpoint is made, and its secret could not be written: {0}; mend that, and let --new-secret make another endpoint in its place"
    )]
    Secret(std::io::Error),
}

impl SetupError {
    fn of(doing: &str, right: &'static str) -> impl FnOnce(ProviderError) -> Self {
        move |error| match error {
            ProviderError::Right(_) => Self::Right { doing: doing.to_owned(), right },
            error => Self::Provider { doing: doing.to_owned(), error },
        }
    }
}

/// The fault of a call that reads, with the right that it needs.
pub fn right_to_read(doing: &str, right: &'static str) -> impl FnOnce(ProviderError) -> SetupError {
    SetupError::of(doing, right)
}

/// The prices that have these lookup keys.
///
/// # Errors
/// Any [`ProviderError`].
pub async fn look_up(client: &Client, keys: &[&str]) -> Result<BTreeMap<String, Looked>, ProviderError> {
    Ok(seen::looked(&client.prices_by_key(keys).await?))
}

impl Wanted {
    /// The wishes of a catalog, and of the site by its place.
    #[must_use]
    pub fn new(namespace: &str, catalog: &Catalog, webhook_url: &str, wishes: Wishes) -> Self {
        Self {
            namespace: namespace.to_owned(),
            products: Self::products_of(namespace, catalog),
            endpoint: is_reachable(webhook_url).then(|| webhook_url.to_owned()),
            wishes,
        }
    }
}

/// Whether Stripe could deliver there: it takes no address of a machine or network of one's own.
#[must_use]
pub fn is_reachable(webhook_url: &str) -> bool {
    let Ok(url) = url::Url::parse(webhook_url) else { return false };
    match url.host() {
        Some(url::Host::Ipv4(ip)) => {
            !(ip.is_loopback() || ip.is_private() || ip.is_unspecified() || ip.is_link_local())
        }
        Some(url::Host::Ipv6(ip)) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local()),
        Some(url::Host::Domain(name)) => {
            name.contains('.')
                && !["localhost", "local", "internal", "test"]
                    .iter()
                    .any(|own| name.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
        }
        None => false,
    }
}

/// Reads what stands in Stripe, and plans what is to be done.
///
/// # Errors
/// When something cannot be read: nothing was done.
pub async fn prepare(client: &Client, wanted: &Wanted) -> Result<Plan, SetupError> {
    Ok(plan::plan(wanted, &see(client, wanted).await?))
}

async fn see(client: &Client, wanted: &Wanted) -> Result<Seen, SetupError> {
    let mut seen = Seen::default();
    let keys: Vec<&str> =
        wanted.products.iter().flat_map(|product| &product.prices).map(|price| price.key.as_str()).collect();
    let reading = || SetupError::of("reading the prices", "Prices: Read");
    let prices = client.prices_by_key(&keys).await.map_err(reading())?;
    seen.prices = prices.iter().filter_map(seen::price).collect();
    for former in seen.prices.values().flat_map(|price| &price.former) {
        let found = client.find("prices", &former.id).await.map_err(reading())?;
        if found.is_some_and(|price| price["active"] == true && price["lookup_key"].is_null()) {
            seen.unarchived.push(former.id.clone());
        }
    }
    for product in &wanted.products {
        let id = product.place(&seen).to_owned();
        let found = client.find("products", &id).await;
        let found = found.map_err(SetupError::of("reading the products", "Products: Read"))?;
        seen.products.extend(found.map(|product| (id, seen::product(&product))));
    }
    let endpoints = client.webhook_endpoints().await;
    seen.endpoints = endpoints.map_err(SetupError::of("reading the webhook endpoints", "Webhook Endpoints: Read"))?;
    let portal = client.has_portal().await;
    seen.has_portal = portal.map_err(SetupError::of("reading the portal's configurations", "Customer portal: Read"))?;
    Ok(seen)
}

/// Does one step for an installation. The secret of an endpoint goes to `keep` before anything else is done.
///
/// # Errors
/// When Stripe refuses or does not answer, or the secret cannot be kept.
pub async fn perform(
    client: &Client,
    step: &Step,
    (namespace, now): (&str, Timestamp),
    keep: impl FnOnce(&str) -> std::io::Result<()>,
) -> Result<(), SetupError> {
    let doing = step.told();
    let failed = || SetupError::of(&doing, step.right());
    let done = match step {
        Step::MakeEndpoint { url, replaces } => {
            let (id, secret) = client.make_endpoint(url, &NEEDED, replaces).await.map_err(failed())?;
            keep(secret.expose_secret()).map_err(SetupError::Secret)?;
            if replaces.is_empty() {
                return Ok(());
            }
            return client.note_kept(&id).await.map_err(failed());
        }
        Step::DeleteEndpoint { id, .. } => return client.delete_endpoint(id).await.map_err(failed()),
        Step::ChangeEndpoint { id, .. } => {
            client.change("webhook_endpoints", id, &json!({ "enabled_events": NEEDED, "disabled": false })).await
        }
        Step::MakeProduct { id, name } => {
            let form = json!({ "id": id, "name": name, "metadata": { MARK: namespace } });
            client.make("products", &form, now).await
        }
        Step::RenameProduct { id, to, .. } => client.change("products", id, &json!({ "name": to })).await,
        Step::ReviveProduct { id, .. } => client.change("products", id, &json!({ "active": true })).await,
        Step::MakePrice { product, price, old } => {
            client.make("prices", &price_form((product, namespace), price, old.as_deref(), step), now).await
        }
        Step::RevivePrice { id, .. } => client.change("prices", id, &json!({ "active": true })).await,
        Step::ArchivePrice { id } => client.change("prices", id, &json!({ "active": false })).await,
        Step::MakePortal => client.make(PORTALS, &portal_form(), now).await,
    };
    done.map(|_| ()).map_err(failed())
}

fn price_form(
    (product, namespace): (&str, &str),
    price: &plan::WantedPrice,
    old: Option<&SeenPrice>,
    step: &Step,
) -> Value {
    let (interval, count) = interval(price);
    let mut metadata = seen::metadata_of(&step.former());
    metadata.insert(MARK.to_owned(), namespace.to_owned());
    let mut form = json!({
        "product": product,
        "unit_amount": price.amount,
        "currency": price.currency,
        "recurring": { "interval": interval, "interval_count": count },
        "lookup_key": price.key,
        "metadata": metadata,
    });
    if old.is_some() {
        form["transfer_lookup_key"] = json!(true);
    }
    form
}

const fn interval(price: &plan::WantedPrice) -> (&'static str, u32) {
    use entitlement::catalog::Cadence;
    match price.cadence {
        Cadence::Monthly => ("month", 1),
        Cadence::Annual => ("year", 1),
    }
}

/// Bills, cards and the end with the paid period. What buyers change of their plan goes through Tollgate's own pages.
fn portal_form() -> Value {
    json!({
        "features": {
            "customer_update": { "enabled": true, "allowed_updates": ["email", "address", "tax_id"] },
            "invoice_history": { "enabled": true },
            "payment_method_update": { "enabled": true },
            "subscription_cancel": { "enabled": true, "mode": "at_period_end" },
        },
        "metadata": { MARK: "portal" },
    })
}
