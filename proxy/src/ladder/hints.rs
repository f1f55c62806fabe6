//! Changes that billing of an older build has told in its own way: the cache does not have it, and may hold an older record.

use entitlement::account::AccountId;
use quick_cache::sync::Cache;

/// Most accounts that are remembered. One that is forgotten is as old as the cache for a moment longer.
const KEPT_MAX: usize = 8192;

/// The newest version of each account that somebody told of in the old form.
#[derive(Debug)]
pub(super) struct Hints(Cache<AccountId, u64>);

impl Default for Hints {
    fn default() -> Self {
        Self(Cache::new(KEPT_MAX))
    }
}

impl Hints {
    /// Notes that an account has a version. It may be another installation's: nothing but a question comes of it.
    pub(super) fn note(&self, account: &AccountId, version: u64) {
        if !self.is_outdated(account, version) {
            self.0.insert(account.clone(), version);
        }
    }

    /// Whether a record of this version is older than what was told.
    pub(super) fn is_outdated(&self, account: &AccountId, version: u64) -> bool {
        self.0.get(account).is_some_and(|told| told > version)
    }

    /// Billing has been asked since.
    pub(super) fn forget(&self, account: &AccountId) {
        self.0.remove(account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_outdated_when_something_newer_was_told_until_billing_was_asked() {
        let (hints, account) = (Hints::default(), AccountId::parse("a").expect("an id"));
        assert!(!hints.is_outdated(&account, 0));
        hints.note(&account, 7);
        hints.note(&account, 5);
        assert_eq!([6, 7, 8].map(|version| hints.is_outdated(&account, version)), [true, false, false]);
        hints.forget(&account);
        assert!(!hints.is_outdated(&account, 6));
    }
}
