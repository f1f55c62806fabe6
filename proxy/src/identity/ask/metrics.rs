//! Counters of questions, in Prometheus' default registry; none where no way asks.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, Opts};

use crate::identity::jwks::MetricsError;

/// Outcomes of the questions of one way.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) account: IntCounter,
    pub(super) nobody: IntCounter,
    pub(super) failed: IntCounter,
    /// Not asked, as too many are.
    pub(super) busy: IntCounter,
}

static QUESTIONS: LazyLock<Result<IntCounterVec, String>> =
    LazyLock::new(|| register().map_err(|error| error.to_string()));

fn register() -> Result<IntCounterVec, prometheus::Error> {
    let questions = IntCounterVec::new(
        Opts::new(
            "tollgate_identity_questions_total",
            "Questions to the site about sessions, by the way that asks and what they came to",
        ),
        &["source", "outcome"],
    )?;
    prometheus::register(Box::new(questions.clone()))?;
    Ok(questions)
}

impl Counters {
    /// Each is there from the start, at 0.
    pub(super) fn of(way: &str) -> Result<Self, MetricsError> {
        let questions = QUESTIONS.as_ref().map_err(|error| MetricsError(error))?;
        let counter = |outcome: &str| questions.with_label_values(&[way, outcome]);
        Ok(Self {
            account: counter("account"),
            nobody: counter("nobody"),
            failed: counter("failed"),
            busy: counter("busy"),
        })
    }
}
