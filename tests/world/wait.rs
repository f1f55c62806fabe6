//! Waiting for another process, with a bound.

use std::time::{Duration, Instant};

/// How long a change may take to show in another process before the test fails. Far above what it should take: the
/// machine that runs the tests may be busy.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Polls until `probe` returns a value.
///
/// # Panics
/// When there is none before the deadline.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(DEADLINE, what, probe).await
}

/// Polls until `probe` returns a value.
///
/// # Panics
/// When there is none within `limit`.
pub async fn within<T>(limit: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
