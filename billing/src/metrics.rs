//! What operators count, in the default Prometheus registry. Labels are bounded by us, never by senders.

use std::sync::LazyLock;

use entitlement::catalog::Provider;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::provider;
use crate::store::retention::Open;
use crate::takings::What;

struct Metrics {
    webhooks: IntCounterVec,
    inbox: IntGaugeVec,
    inbox_alert: IntGauge,
    commit_to_publish: Histogram,
    unknown_prices: IntCounter,
    refused_sales: IntCounter,
    unknown_versions: IntCounter,
    publish_failures: IntCounter,
    unknown_statuses: IntCounterVec,
    double_payments: IntCounter,
    price_differences: IntGaugeVec,
    drift: IntCounter,
    held_back: IntCounterVec,
    other_names: IntGauge,
    keys_refused: IntGaugeVec,
    events_for_key: IntGaugeVec,
    unseen: IntGaugeVec,
}

/// `None` when the registry refuses them, which a test would show: a metric is not worth a failed webhook.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| match Metrics::register() {
    Ok(metrics) => Some(metrics),
    Err(error) => {
        tracing::error!(%error, "billing's metrics cannot be registered");
        None
    }
});

/// Of the gauge for names of accounts.
/// The help text of `tollgate_names_held_back`: a proxy without billing has it as well.
pub const NAMES_HELD_BACK: &str = "1 while the configuration names accounts by other claims than are in force.";

/// In seconds: from a commit on the same host to a backlog of minutes.
const PUBLISH_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0, 600.0];

impl Metrics {
    fn register() -> prometheus::Result<Self> {
        let publish = HistogramOpts::new(
            "tollgate_commit_to_publish_seconds",
            "From the commit of a change to the cache being told of it.",
        );
        Ok(Self {
            webhooks: registered(IntCounterVec::new(
                Opts::new("tollgate_webhooks_total", "Webhook deliveries and what became of them."),
                &["provider", "type", "outcome"],
            )?)?,
            inbox: registered(IntGaugeVec::new(
                Opts::new("tollgate_inbox", "Events in the inbox that are not done, by state; counted up to 10000."),
                &["state"],
            )?)?,
            inbox_alert: registered(IntGauge::new(
                "tollgate_inbox_alert",
                "1 while more events wait in the inbox than `[inbox] alert` says, else 0.",
            )?)?,
            commit_to_publish: registered(Histogram::with_opts(publish.buckets(PUBLISH_BUCKETS.to_vec()))?)?,
            unknown_versions: counter(
                "tollgate_unknown_api_versions_total",
                "Webhooks in the shape of an API version that is newer than this build.",
            )?,
            publish_failures: counter(
                "tollgate_publish_failures_total",
                "How often the cache could not be told of changes that are committed: it is tried until it works.",
            )?,
            unknown_statuses: counted_by_provider(
                "tollgate_unknown_statuses_total",
                "Subscriptions told or found with a status that this build does not know: their access stays as it was.",
            )?,
            double_payments: counter(
                "tollgate_double_payments_total",
                "Subscriptions of accounts that already paid for the same: one of the two is to be refunded.",
            )?,
            other_names: registered(IntGauge::new("tollgate_names_held_back", NAMES_HELD_BACK)?)?,
            held_back: there_from_the_start(registered(IntCounterVec::new(
                Opts::new(
                    "tollgate_held_back_total",
                    "Accounts from which access was not taken, as they were too many; of catalogs, databases and claims that name accounts, how often one was held back.",
                ),
                &["what"],
            )?)?),
            keys_refused: by_provider(
                "tollgate_provider_key_refused",
                "1 while the API key is refused, or belongs elsewhere.",
            )?,
            events_for_key: by_provider("tollgate_events_for_key", "Parked events that wait for the right API key.")?,
            unseen: by_provider(
                "tollgate_unseen_subscriptions",
                "Subscriptions that run here and that the provider no longer shows.",
            )?,
            price_differences: by_provider(
                "tollgate_price_differences",
                "Where the catalog says something else of a price than its provider.",
            )?,
            drift: counter(
                "tollgate_reconcile_drift_total",
                "What a comparison with a provider found and repaired, events that were never delivered included: only what had an effect.",
            )?,
            refused_sales: counter(
                "tollgate_refused_sales_total",
                "Requests of buyers that a provider refused for a reason that an operator has to look into: selling may be broken.",
            )?,
            unknown_prices: counter(
                "tollgate_unknown_prices_total",
                "Subscriptions told with a price that no catalog names: somebody pays and gets nothing.",
            )?,
        })
    }
}

fn counter(name: &str, help: &str) -> prometheus::Result<IntCounter> {
    registered(IntCounter::new(name, help)?)
}

/// A gauge for each provider.
fn by_provider(name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
    registered(IntGaugeVec::new(Opts::new(name, help), &["provider"])?)
}

/// A counter for each provider, at 0 from the start.
fn counted_by_provider(name: &str, help: &str) -> prometheus::Result<IntCounterVec> {
    let counter = registered(IntCounterVec::new(Opts::new(name, help), &["provider"])?)?;
    for provider in provider::ALL {
        counter.with_label_values(&[provider.as_str()]).inc_by(0);
    }
    Ok(counter)
}

fn there_from_the_start(held_back: IntCounterVec) -> IntCounterVec {
    for what in [What::Comparison, What::Mode, What::Catalog, What::Database, What::Identity] {
        held_back.with_label_values(&[what.as_str()]).inc_by(0);
    }
    held_back
}

fn registered<T: Collector + Clone + 'static>(metric: T) -> prometheus::Result<T> {
    prometheus::register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Shows at 0 what has not happened yet.
pub fn show_from_the_start() {
    LazyLock::force(&METRICS);
}

/// Counts a delivery. `outcome` is one of a fixed set of words: a status of the answer, or the code of its problem.
pub fn count_webhook(provider: Provider, kind: &str, outcome: &'static str) {
    if let Some(metrics) = &*METRICS {
        let labels = [provider.as_str(), provider::kind_label(provider, kind), outcome];
        metrics.webhooks.with_label_values(&labels).inc();
    }
}

/// Shows how many events are in each state that is not done.
pub fn show_inbox(open: &Open) {
    if let Some(metrics) = &*METRICS {
        for (state, count) in [("pending", open.pending), ("parked", open.parked), ("dead", open.dead)] {
            metrics.inbox.with_label_values(&[state]).set(count);
        }
    }
}

/// Shows whether more events wait than may.
pub fn show_inbox_alert(alert: bool) {
    if let Some(metrics) = &*METRICS {
        metrics.inbox_alert.set(i64::from(alert));
    }
}

/// Counts a buyer's request that a provider refused, for a reason of the operator's.
pub fn count_refused_sale() {
    if let Some(metrics) = &*METRICS {
        metrics.refused_sales.inc();
    }
}

/// Counts accounts from which access was not taken, as they were too many.
pub fn count_held_back(what: What, accounts: u64) {
    if let Some(metrics) = &*METRICS {
        metrics.held_back.with_label_values(&[what.as_str()]).inc_by(accounts);
    }
}

/// Shows whether other names of accounts are held back.
pub fn show_other_names(are_held_back: bool) {
    if let Some(metrics) = &*METRICS {
        metrics.other_names.set(i64::from(are_held_back));
    }
}

/// Shows how a provider's key stands: whether it is refused, how many events wait for another one, and how many
/// subscriptions it no longer shows.
pub fn show_key(provider: Provider, is_refused: bool, waiting: i64, unseen: i64) {
    if let Some(metrics) = &*METRICS {
        let label = [provider.as_str()];
        metrics.keys_refused.with_label_values(&label).set(i64::from(is_refused));
        metrics.events_for_key.with_label_values(&label).set(waiting);
        metrics.unseen.with_label_values(&label).set(unseen);
    }
}

/// Shows how many prices of the catalog are others at their provider.
pub fn show_price_differences(provider: Provider, count: usize) {
    if let Some(metrics) = &*METRICS {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        metrics.price_differences.with_label_values(&[provider.as_str()]).set(count);
    }
}

/// Counts a difference that a comparison with a provider found.
pub fn count_drift() {
    if let Some(metrics) = &*METRICS {
        metrics.drift.inc();
    }
}

/// Notes how long a change waited before the cache was told, in seconds.
pub fn observe_publish(seconds: f64) {
    if let Some(metrics) = &*METRICS {
        metrics.commit_to_publish.observe(seconds);
    }
}

/// Counts a subscription that grants nothing because no catalog names its price.
pub fn count_unknown_price() {
    if let Some(metrics) = &*METRICS {
        metrics.unknown_prices.inc();
    }
}

/// Counts a subscription of an account that already pays for the same.
pub fn count_double_payment() {
    if let Some(metrics) = &*METRICS {
        metrics.double_payments.inc();
    }
}

/// Counts that the cache could not be told of a change.
pub fn count_publish_failure() {
    if let Some(metrics) = &*METRICS {
        metrics.publish_failures.inc();
    }
}

/// Counts a subscription whose status this build does not know.
pub fn count_unknown_status(provider: Provider) {
    if let Some(metrics) = &*METRICS {
        metrics.unknown_statuses.with_label_values(&[provider.as_str()]).inc();
    }
}

/// Counts a webhook whose shape this build does not know.
pub fn count_unknown_version() {
    if let Some(metrics) = &*METRICS {
        metrics.unknown_versions.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_can_be_registered_and_their_labels_are_bounded() {
        count_webhook(Provider::Stripe, "made.up.by.a.sender", "invalid_signature");
        show_inbox(&Open { dead: 2, ..Open::default() });
        show_inbox_alert(true);
        show_from_the_start();
        observe_publish(0.002);
        count_unknown_price();
        let text = prometheus::TextEncoder::new().encode_to_string(&prometheus::gather()).expect("it encodes");
        assert!(text.contains("type=\"other\""), "{text}");
        assert!(!text.contains("made.up"), "{text}");
        for name in [
            "tollgate_inbox{state=",
            "tollgate_inbox_alert 1",
            "tollgate_commit_to_publish_seconds_bucket",
            "tollgate_unknown_prices_total",
            "tollgate_refused_sales_total",
            "tollgate_unknown_statuses_total{provider=\"polar\"} 0",
            "tollgate_held_back_total{what=\"catalog\"} 0",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
}
