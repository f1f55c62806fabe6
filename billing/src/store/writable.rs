//! Whether the server behind a connection accepts writes.
//!
//! After a failover the address of a database leads to another server, but a connection that was made before still leads to the
//! former primary, which may go on as a standby: it answers, and refuses every write. So a refusal of that kind dates each
//! connection that was made before it: the pool closes them, and each new one leads to wherever the address leads by then. As long as
//! that is a server that accepts no writes, it is read from, and asked for anew once a second.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Executor, PgConnection, Row};

/// SQLSTATE of a write that a read-only server refuses.
pub(super) const READ_ONLY: &str = "25006";

/// How long a connection to a read-only server is used: a failover must not become a storm of connections.
const KEPT: Duration = Duration::from_secs(1);

/// From when on connections are counted.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// When a write was last refused, in milliseconds since [`START`]; 0: never.
static REFUSED_AT_MS: AtomicU64 = AtomicU64::new(0);

/// Whether the server that was asked last accepts no writes.
static IS_READ_ONLY: AtomicBool = AtomicBool::new(false);

/// Notes that a server refused a write because it is read-only.
pub(super) fn note_refusal() {
    REFUSED_AT_MS.fetch_max(now_ms(), Ordering::Relaxed);
}

/// Whether a connection of this age may lead to a server that has become read-only.
pub fn is_outdated(age: Duration) -> bool {
    let refused_at = REFUSED_AT_MS.load(Ordering::Relaxed);
    refused_at > 0 && age >= KEPT && made_at_ms(now_ms(), age) <= refused_at
}

/// Asks the server whether it accepts writes. A standby says no, and so does a primary that was told to.
///
/// # Errors
/// When the server does not answer.
pub async fn accepts_writes(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = conn.fetch_one(sqlx::raw_sql("show transaction_read_only")).await?;
    let is_writable = row.try_get::<String, _>(0)? == "off";
    IS_READ_ONLY.store(!is_writable, Ordering::Relaxed);
    if !is_writable {
        note_refusal();
    }
    Ok(is_writable)
}

/// Whether the server that was asked last accepts no writes.
pub fn is_read_only() -> bool {
    IS_READ_ONLY.load(Ordering::Relaxed)
}

fn now_ms() -> u64 {
    // Never 0, which stands for "never".
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

fn made_at_ms(now_ms: u64, age: Duration) -> u64 {
    now_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_was_made_its_age_ago() {
        assert_eq!(made_at_ms(5_000, Duration::from_millis(1_200)), 3_800);
        assert_eq!(made_at_ms(5_000, Duration::from_secs(60)), 0, "before anything was counted");
    }

    #[test]
    fn a_refusal_dates_each_connection_that_was_made_before_it() {
        note_refusal();
        assert!(is_outdated(KEPT));
        assert!(!is_outdated(Duration::ZERO), "a new one is used for a moment, wherever it leads");
    }
}
