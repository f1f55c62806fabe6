//! What all credentials of a request come to.

use super::Credential;
use super::ask::{Presented, Verdict};
use super::cookies::Ways;
use super::principal::Principal;
use super::token::Tries;

/// What was found so far.
#[derive(Default)]
pub(super) struct Sum {
    principal: Option<Principal>,
    pub(super) is_ambiguous: bool,
    /// Of tokens that count for nothing here, and by which the site may go.
    pub(super) beside: Vec<Principal>,
    /// Something does not verify.
    is_rejected: bool,
    /// The site has not said whose a session is.
    is_unknown: bool,
    /// The sessions that the site is to be asked about.
    pub(super) questions: Vec<Presented>,
    pub(super) tries: Tries,
}

impl Sum {
    pub(super) fn names(&mut self, principal: Principal) {
        match self.principal.take() {
            Some(known) => {
                self.principal = known.and(&principal);
                self.is_ambiguous |= self.principal.is_none();
            }
            None => self.principal = Some(principal),
        }
    }

    pub(super) fn rejects(&mut self) {
        self.is_rejected = true;
    }

    /// Adds the outcome for a session. A session without an account is as good as none: sites give one to every visitor.
    pub(super) fn hears(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Account(principal) => self.names(principal),
            Verdict::Nobody => {}
            Verdict::Unknown => self.is_unknown = true,
        }
    }

    /// Takes sessions about which the site is not asked again for unknown.
    pub(super) fn gives_up(&mut self) {
        self.is_unknown |= !self.questions.is_empty();
        self.questions.clear();
    }

    fn is_beside_another(&self, principal: &Principal) -> bool {
        self.beside.iter().any(|beside| principal.clone().and(beside).is_none())
    }

    /// None when a newer set of keys, or the site, could say more. A user with one good token is not kept waiting for the keys of other
    /// tokens; the site's answer may name another account, and is waited for.
    pub(super) fn credential(&mut self) -> Option<Credential> {
        match self.principal.take() {
            _ if self.is_ambiguous => Some(Credential::Ambiguous),
            _ if !self.questions.is_empty() => None,
            Some(principal) if self.is_beside_another(&principal) => Some(Credential::Ambiguous),
            Some(principal) => Some(Credential::Account(principal)),
            None if self.tries.pending != Ways::default() => None,
            None if self.is_unknown => Some(Credential::Unverified),
            None if self.is_rejected => Some(Credential::Rejected),
            None => Some(Credential::Missing),
        }
    }
}
