//! What operators see of the gate, in Prometheus' default registry.
//!
//! What every passing request counts is resolved per route when the gate is built: a warm request looks no label up.

use std::sync::LazyLock;

use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, exponential_buckets};

/// All metrics of this crate, registered once for the process.
#[derive(Debug)]
pub struct Metrics {
    /// By route, verdict and reason.
    requests: IntCounterVec,
    /// From a request's headers to its verdict.
    pub(crate) gate_seconds: Histogram,
    lookups: IntCounterVec,
    /// Since the record that a verdict rests on was last confirmed.
    pub(crate) age_seconds: Histogram,
    pub(crate) push_connected: IntGauge,
    degraded: IntCounterVec,
    /// Refused credentials, by way and reason.
    identity: IntCounterVec,
    /// Clients that are connected.
    pub(crate) connections: IntGauge,
    /// Responses under way that go on for an unknown time.
    pub(crate) live: IntGauge,
    ended: IntCounterVec,
    refused_connections: IntCounterVec,
    sessions_ended: IntCounterVec,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Deny,
    /// It would have been denied, but the route only watches.
    Shadow,
    /// It is refused before any rule is read.
    Refuse,
}

impl Verdict {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Deny => "deny",
            Self::Shadow => "shadow",
            Self::Refuse => "refuse",
        }
    }
}

/// The counters of one layer of the ladder.
#[derive(Debug)]
pub(crate) struct LayerCounters {
    pub(crate) hit: IntCounter,
    pub(crate) miss: IntCounter,
    pub(crate) error: IntCounter,
    /// Not asked, as too many others ask.
    pub(crate) busy: IntCounter,
    /// In L1: there, but not fresh.
    pub(crate) stale: IntCounter,
    /// In Redis, or pushed: not a record.
    pub(crate) poisoned: IntCounter,
}

static METRICS: LazyLock<Result<Metrics, String>> =
    LazyLock::new(|| Metrics::register().map_err(|error| error.to_string()));

impl Metrics {
    /// The metrics of this process.
    ///
    /// # Errors
    /// When something else in the process has taken one of the names.
    pub fn get() -> Result<&'static Self, &'static str> {
        METRICS.as_ref().map_err(String::as_str)
    }

    fn register() -> Result<Self, Error> {
        let vector = |name, help, labels: &[&str]| {
            let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
            prometheus::register(Box::new(vector.clone()))?;
            Ok::<_, Error>(vector)
        };
        let histogram = |name, help, buckets| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            prometheus::register(Box::new(histogram.clone()))?;
            Ok::<_, Error>(histogram)
        };
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help)?;
            prometheus::register(Box::new(gauge.clone()))?;
            Ok::<_, Error>(gauge)
        };
        let push_connected = gauge("tollgate_push_connected", "1 while changes are pushed to this process")?;
        Ok(Self {
            requests: vector(
                "tollgate_requests_total",
                "Requests by route, verdict and reason",
                &["route", "verdict", "reason"],
            )?,
            // 2 µs to 0.5 s.
            gate_seconds: histogram(
                "tollgate_gate_seconds",
                "Time that the gate takes to decide on a request",
                exponential_buckets(2e-6, 4.0, 10)?,
            )?,
            lookups: vector(
                "tollgate_lookups_total",
                "Lookups of an account's entitlement by layer and outcome",
                &["layer", "outcome"],
            )?,
            // 1 ms to 3 days.
            age_seconds: histogram(
                "tollgate_entitlement_age_seconds",
                "Time since the record that a verdict rests on was last confirmed",
                exponential_buckets(1e-3, 8.0, 10)?,
            )?,
            push_connected,
            degraded: vector(
                "tollgate_degraded_total",
                "Requests decided without fresh knowledge, by reason",
                &["reason"],
            )?,
            identity: vector(
                "tollgate_identity_total",
                "Credentials that are refused, by the way that reads them and why; one that is verified is not counted",
                &["source", "outcome"],
            )?,
            connections: gauge("tollgate_connections", "Clients that are connected")?,
            live: gauge("tollgate_live_responses", "WebSockets, event streams and the like that are under way")?,
            ended: vector(
                "tollgate_live_ended_total",
                "WebSockets, event streams and the like that were ended as the account may not have them any more",
                &["reason"],
            )?,
            sessions_ended: vector(
                "tollgate_sessions_ended_total",
                "Sessions that answers of the site have ended, by whether all other processes were told",
                &["outcome"],
            )?,
            refused_connections: vector(
                "tollgate_connections_refused_total",
                "Connections that were closed without an answer, by the limit that says so",
                &["limit"],
            )?,
        })
    }

    /// The counter of one outcome on one route.
    pub(crate) fn requests(&self, route: &str, verdict: Verdict, reason: &str) -> IntCounter {
        self.requests.with_label_values(&[route, verdict.as_str(), reason])
    }

    pub(crate) fn layer(&self, layer: &str) -> LayerCounters {
        let counter = |outcome: &str| self.lookups.with_label_values(&[layer, outcome]);
        LayerCounters {
            hit: counter("hit"),
            miss: counter("miss"),
            error: counter("error"),
            busy: counter("busy"),
            stale: counter("stale"),
            poisoned: counter("poisoned"),
        }
    }

    /// What may not go on was ended, for this reason.
    pub(crate) fn ended(&self, reason: &str) -> IntCounter {
        self.ended.with_label_values(&[reason])
    }

    /// Sessions have ended, and this became of the word to other processes.
    pub(crate) fn sessions_ended(&self, outcome: &str) -> IntCounter {
        self.sessions_ended.with_label_values(&[outcome])
    }

    /// A connection was closed for this limit.
    pub(crate) fn refused_connections(&self, limit: &str) -> IntCounter {
        self.refused_connections.with_label_values(&[limit])
    }

    /// A credential was refused.
    pub(crate) fn identity(&self, source: &str, outcome: &str) -> IntCounter {
        self.identity.with_label_values(&[source, outcome])
    }

    pub(crate) fn degraded(&self, reason: &str) -> IntCounter {
        self.degraded.with_label_values(&[reason])
    }
}
