//! What operators see of the published keys, in Prometheus' default registry; nothing where none are configured.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

/// The metrics of the published keys, registered when the first are configured.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) succeeded: IntCounter,
    pub(super) failed: IntCounter,
    /// Seconds since 1970; 0 before the first.
    pub(super) last_success: IntGauge,
    pub(super) keys: IntGauge,
}

/// Something else in the process has taken a name.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a metric of the key set cannot be registered: {0}")]
pub struct MetricsError(pub(in crate::identity) &'static str);

static METRICS: LazyLock<Result<Metrics, String>> =
    LazyLock::new(|| Metrics::register().map_err(|error| error.to_string()));

impl Metrics {
    pub(super) fn get() -> Result<&'static Self, MetricsError> {
        METRICS.as_ref().map_err(|error| MetricsError(error))
    }

    fn register() -> Result<Self, prometheus::Error> {
        let fetches = IntCounterVec::new(
            Opts::new("tollgate_jwks_fetches_total", "Fetches of the identity provider's keys by outcome"),
            &["outcome"],
        )?;
        let last_success = IntGauge::new(
            "tollgate_jwks_last_success_timestamp_seconds",
            "When the identity provider's keys were last fetched, in seconds since 1970; 0 before the first time",
        )?;
        let keys = IntGauge::new("tollgate_jwks_keys", "Usable keys in the identity provider's set")?;
        prometheus::register(Box::new(fetches.clone()))?;
        prometheus::register(Box::new(last_success.clone()))?;
        prometheus::register(Box::new(keys.clone()))?;
        let (succeeded, failed) = (fetches.with_label_values(&["ok"]), fetches.with_label_values(&["error"]));
        Ok(Self { succeeded, failed, last_success, keys })
    }
}
