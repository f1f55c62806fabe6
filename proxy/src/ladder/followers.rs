//! Who waits for changes of an account: streams that must end when its entitlement does.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use entitlement::account::AccountId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The accounts that are followed. Requests do not come here, only streams and pushes do.
#[derive(Debug, Default)]
pub(super) struct Followers(Mutex<HashMap<AccountId, Weak<Notify>>>);

/// Follows one account for as long as it exists.
#[derive(Debug)]
pub struct Follower {
    followers: Arc<Followers>,
    account: AccountId,
    changes: Arc<Notify>,
}

impl Followers {
    pub(super) fn follow(self: &Arc<Self>, account: &AccountId) -> Follower {
        let mut known = self.0.lock();
        let changes = known.get(account).and_then(Weak::upgrade).unwrap_or_else(|| {
            let changes = Arc::new(Notify::new());
            known.insert(account.clone(), Arc::downgrade(&changes));
            changes
        });
        Follower { followers: Arc::clone(self), account: account.clone(), changes }
    }

    /// Wakes who follows an account.
    pub(super) fn tell(&self, account: &AccountId) {
        let changes = self.0.lock().get(account).and_then(Weak::upgrade);
        if let Some(changes) = changes {
            changes.notify_waiters();
        }
    }
}

impl Follower {
    /// The next change of the account. It is not missed once this was enabled.
    pub fn change(&self) -> Notified<'_> {
        self.changes.notified()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut known = self.followers.0.lock();
        // This one is the last.
        if Arc::strong_count(&self.changes) == 1 {
            known.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_follows_an_account_is_told_of_its_changes_and_of_no_others() {
        let followers = Arc::new(Followers::default());
        let [one, other] = ["one", "other"].map(|id| AccountId::parse(id).expect("an id"));
        let follows = [followers.follow(&one), followers.follow(&one), followers.follow(&other)];
        let mut changes = follows.each_ref().map(|follower| Box::pin(follower.change()));
        for change in &mut changes {
            assert!(!change.as_mut().enable(), "nothing has changed yet");
        }
        followers.tell(&one);
        let told = changes.map(|change| change.now_or_never().is_some());
        assert_eq!(told, [true, true, false]);
        drop(follows);
        assert!(followers.0.lock().is_empty(), "nobody follows any more");
    }
}
