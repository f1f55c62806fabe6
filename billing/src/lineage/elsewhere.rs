//! A new database under a namespace of which Redis knows nothing: what the database before it had told may stand under another name, which
//! cannot be known here. Operators hear which names there are.

use cache::{Owner, Scan};
use entitlement::record::{Namespace, OWNER_KEYS};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{KNOWN_AFTER, ScanError, Word};
use crate::chain;
use crate::component::Billing;

/// How many pages of keys are gone through: Redis may hold a great many that are none of ours.
const PAGES_MAX: usize = 1_000;

/// How many names are told.
const TOLD_MAX: usize = 5;

/// Namespaces of databases that no process speaks for any more.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere(Mutex<Vec<Namespace>>);

impl Billing {
    /// The advice, as long as the database knows no account.
    pub(crate) fn elsewhere_warning(&self) -> Option<String> {
        let names = self.shared().elsewhere.0.lock();
        (!names.is_empty() && self.lineage().mark == 0).then(|| told(&names))
    }

    /// Looks once, where the database is new, whether Redis holds records of another one that no process speaks for.
    pub(super) async fn look_elsewhere(self, stop: CancellationToken) {
        let lineage = self.lineage();
        // Also where proxies alone know of the database before.
        let has_word = lineage.is_settled() || matches!(lineage.word, Word::Held { .. });
        let knows_none = has_word && lineage.owner == lineage.database && lineage.formerly.is_none();
        if lineage.mark > 0 || !knows_none || !self.shared().outlets.has_cache() {
            return;
        }
        let looking = stop.run_until_cancelled(self.abandoned());
        match looking.await {
            Some(Ok(names)) if !names.is_empty() => {
                tracing::warn!("{}", told(&names));
                *self.shared().elsewhere.0.lock() = names;
            }
            Some(Err(error)) => {
                tracing::debug!(error = chain::told(&error), "other namespaces cannot be looked for");
            }
            _ => {}
        }
    }

    async fn abandoned(&self) -> Result<Vec<Namespace>, ScanError> {
        let found = self.owners_elsewhere().await?;
        if !found.is_empty() {
            tokio::time::sleep(KNOWN_AFTER).await;
        }
        let mut quiet = Vec::new();
        for (namespace, owner) in found {
            // A living installation has given several signs by now.
            if let Ok(Some(now)) = self.shared().outlets.owner_elsewhere(&namespace).await
                && now == owner
            {
                quiet.push(namespace);
            }
        }
        Ok(quiet)
    }

    async fn owners_elsewhere(&self) -> Result<Vec<(Namespace, Owner)>, ScanError> {
        let Some(place) = self.shared().outlets.place_of_cache() else { return Ok(Vec::new()) };
        let mut scan = Scan::around(place, OWNER_KEYS).await?;
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some((keys, _)) = scan.next().await? else { break };
            for namespace in keys.iter().filter_map(|key| Namespace::of_owner_key(key)) {
                let is_ours =
                    namespace == self.settings().namespace || found.iter().any(|(known, _)| *known == namespace);
                if !is_ours && let Ok(Some(owner)) = self.shared().outlets.owner_elsewhere(&namespace).await {
                    found.push((namespace, owner));
                }
            }
        }
        Ok(found)
    }
}

fn told(names: &[Namespace]) -> String {
    let shown: Vec<String> = names.iter().take(TOLD_MAX).map(|name| format!("\"{name}\"")).collect();
    format!(
        "the database is new, and Redis holds what another one had told under {}{}, for which nobody speaks any more: if that was this site's, set cache.namespace to it, and what was told before goes on to serve until `tollgate database accept`",
        shown.join(", "),
        if names.len() > TOLD_MAX { ", …" } else { "" }
    )
}
