//! The connections that billing shares.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};

use super::{EMBEDDED_PATIENCE, Way};
use crate::store::{schema, writable};

/// How long a request waits for a connection before it is told that the database is not there.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How long a connection must have been idle to be tested before it is used.
const TEST_AFTER: Duration = Duration::from_secs(1);

/// Connections to a server, made when they are needed. One that leads to a server that has become read-only is closed, and another
/// is made, which leads to wherever the address leads by then.
pub(super) fn of(options: PgConnectOptions, size: u32, way: Way) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(size.max(1)).acquire_timeout(ACQUIRE);
    // A connection that was in use a moment ago is there: asking each time would double the work of the database.
    let pool = pool.test_before_acquire(false).before_acquire(|conn, meta| {
        Box::pin(async move {
            if writable::is_outdated(meta.age) {
                return Ok(false);
            }
            // Servers and poolers close what is idle for long: another one is made.
            Ok(meta.idle_for < TEST_AFTER || writable::accepts_writes(conn).await.is_ok())
        })
    });
    let pool = pool.after_connect(move |conn, _| {
        Box::pin(async move {
            if way == Way::Direct {
                schema::settle(conn).await?;
            }
            // What can be read is better than nothing; that it cannot be written to is noted.
            writable::accepts_writes(conn).await.map(drop)
        })
    });
    pool.connect_lazy_with(options)
}

/// The one connection to the embedded Postgres, which has no timers and no standby.
pub(super) fn embedded(options: PgConnectOptions) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(EMBEDDED_PATIENCE).test_before_acquire(false);
    let pool = pool.before_acquire(|conn, meta| {
        Box::pin(async move {
            if meta.idle_for >= TEST_AFTER {
                conn.ping().await?;
            }
            Ok(true)
        })
    });
    pool.connect_lazy_with(options)
}
