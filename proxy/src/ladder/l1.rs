//! The layer in this process: a bounded map from account to its newest known record.

use std::sync::Arc;

use entitlement::account::AccountId;
use entitlement::record::Entitlement;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::entry::{Confirmation, Entry};
use super::plans::Plans;

/// The newest known record of each account that asks here.
#[derive(Debug)]
pub(super) struct L1 {
    entries: Cache<AccountId, Arc<Entry>>,
    plans: Plans,
}

impl L1 {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: Cache::new(capacity), plans: Plans::default() }
    }

    pub(super) fn get(&self, account: &AccountId) -> Option<Arc<Entry>> {
        self.entries.get(account)
    }

    /// The version of the record that is known of an account, unless it counts less than what is said since `since_ms`; else 0.
    pub(super) fn version(&self, account: &AccountId, since_ms: u64) -> u64 {
        let known = self.get(account).filter(|entry| entry.confirmed_ms() >= since_ms);
        known.map_or(0, |entry| entry.record().version)
    }

    /// Everything that is known, one record after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<Entry>> + '_ {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// As when the cache is full.
    #[cfg(test)]
    pub(super) fn forget(&self, account: &AccountId) {
        self.entries.remove(account);
    }

    /// Takes in a record unless a newer one is known, and gives the newest. A record that is known already is
    /// confirmed. What was last confirmed before `since_ms` counts less than anything that is said since, whatever its version.
    pub(super) fn offer(&self, record: Entitlement, confirmation: Confirmation, since_ms: u64) -> Arc<Entry> {
        let account = record.account.clone();
        let offered = Arc::new(Entry::new(self.plans.share(record), confirmation));
        let result = self.entries.entry(&account, None, |_, known| {
            let is_of_now = [offered.confirmed_ms(), known.confirmed_ms()].map(|confirmed_ms| confirmed_ms >= since_ms);
            match is_of_now {
                [true, false] => *known = Arc::clone(&offered),
                [false, true] => {}
                _ if replaces(offered.record(), known.record()) => {
                    offered.succeed(known);
                    *known = Arc::clone(&offered);
                }
                _ if offered.record().version == known.record().version => known.confirm(confirmation),
                _ => {}
            }
            EntryAction::<Arc<Entry>>::Retain(Arc::clone(known))
        });
        match result {
            EntryResult::Retained(newest) => newest,
            EntryResult::Vacant(place) => {
                // Refused only when the place was taken in the meantime, by a removal that this cache never does.
                let _ = place.insert(Arc::clone(&offered));
                offered
            }
            _ => offered,
        }
    }

    /// Takes in a pushed record of an account that asks here; others are none of this process's business.
    pub(super) fn update(&self, record: Entitlement, confirmation: Confirmation, since_ms: u64) {
        if self.entries.contains_key(&record.account) {
            self.offer(record, confirmation, since_ms);
        }
    }
}

/// Whether a record takes the place of a known one. Records of nobody have no order: the last one told counts.
fn replaces(offered: &Entitlement, known: &Entitlement) -> bool {
    offered.version > known.version || (offered.version == 0 && known.version == 0 && offered != known)
}
