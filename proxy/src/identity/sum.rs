//! What all credentials of a request come to.

use entitlement::account::AccountId;

use super::Credential;
use super::token::Tries;

/// What was found so far.
#[derive(Default)]
pub(super) struct Sum {
    account: Option<AccountId>,
    pub(super) is_ambiguous: bool,
    /// Something does not verify.
    is_rejected: bool,
    /// Something could be verified by a newer set of keys.
    pub(super) is_pending: bool,
    pub(super) tries: Tries,
}

impl Sum {
    pub(super) fn names(&mut self, account: AccountId) {
        match &self.account {
            Some(known) if *known != account => self.is_ambiguous = true,
            Some(_) => {}
            None => self.account = Some(account),
        }
    }

    pub(super) fn rejects(&mut self) {
        self.is_rejected = true;
    }

    /// None when a newer set of keys could say more. A user with one good session is not kept waiting for what lies beside it.
    pub(super) fn credential(self) -> Option<Credential> {
        match self.account {
            _ if self.is_ambiguous => Some(Credential::Ambiguous),
            Some(account) => Some(Credential::Account(account)),
            None if self.is_pending => None,
            None if self.is_rejected => Some(Credential::Rejected),
            None => Some(Credential::Missing),
        }
    }
}
