//! Keeps what is held from going by itself: records are kept for a day only, and a person may take longer.

use std::time::Duration;

use cache::{Lost, Scan};
use entitlement::record::{DatabaseId, Namespace};
use redis::RedisError;
use tokio_util::sync::CancellationToken;

use crate::chain;
use crate::component::Billing;

/// How long a record that is held is kept, in seconds.
const KEPT_SECONDS: u32 = 7 * 24 * 3600;

/// How often that begins anew.
const EVERY: Duration = Duration::from_secs(3600);

/// How soon what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Why records could not be gone through.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("Redis cannot be gone through")]
    Servers(#[from] Lost),
    #[error("Redis refuses to be gone through")]
    Refused(#[from] RedisError),
}

impl Billing {
    /// Keeps what is held until told to stop.
    pub(crate) async fn run_keeper(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.keep().await {
                Ok(()) => EVERY,
                Err(error) => {
                    tracing::warn!(
                        error = chain::told(&error),
                        "records that are held may go before a person has agreed"
                    );
                    AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.shared().held_changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn keep(&self) -> Result<(), ScanError> {
        for namespace in self.shared().outlets.namespaces() {
            for database in self.lineage().held() {
                self.keep_of(&namespace, *database).await?;
            }
        }
        Ok(())
    }

    async fn keep_of(&self, namespace: &Namespace, database: DatabaseId) -> Result<(), ScanError> {
        let Some(place) = self.shared().outlets.place_of_cache() else { return Ok(()) };
        let mut scan = Scan::begin(place, &namespace.prefix(database)).await?;
        let mut kept = 0_usize;
        while let Some((keys, mut server)) = scan.next().await? {
            let mut all = redis::pipe();
            for key in &keys {
                all.expire(key, i64::from(KEPT_SECONDS)).ignore();
            }
            if !keys.is_empty() {
                let () = all.query_async(&mut server).await?;
            }
            kept += keys.len();
        }
        tracing::info!(%namespace, %database, kept, "records that are held are kept for another week");
        Ok(())
    }
}
