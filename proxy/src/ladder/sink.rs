//! Changes as the layers take them in: of accounts, and of sessions that have ended.

use std::sync::{Arc, OnceLock};

use entitlement::account::AccountId;
use entitlement::record::forget::{Forget, Sum};
use entitlement::record::{DatabaseId, Entitlement};

use super::entry::{Confirmation, Source};
use super::push::{Epoch, Sink};
use super::{Depth, Ladder};

/// Makes this process forget sessions.
type ForgetSessions = Box<dyn Fn(&Forget) + Send + Sync>;

/// The step where sessions have ended; nothing before that is said.
#[derive(Default)]
pub(super) struct Sessions(OnceLock<ForgetSessions>);

impl Ladder {
    /// The push epoch; 0 while nothing is pushed.
    pub(crate) fn push_epoch(&self) -> u32 {
        self.epoch.current()
    }

    /// Tells all other processes of a session that has ended here.
    pub(crate) fn tell_end(&self, way: &str, sum: Sum, is_known: bool) {
        self.ends.note(way, sum, is_known);
    }

    /// The number of this process in what it tells the others.
    pub(crate) fn process(&self) -> u64 {
        self.ends.process
    }

    /// Has `forget` called for each message about sessions that have ended.
    pub(crate) fn on_forget(&self, forget: impl Fn(&Forget) + Send + Sync + 'static) {
        self.sessions.0.get_or_init(|| Box::new(forget));
    }
}

impl Sink for Ladder {
    fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    fn is_ours(&self, database: DatabaseId) -> bool {
        self.lines.is_ours(database)
    }

    fn forgets(&self, forget: &Forget) {
        if let Some(forgets) = self.sessions.0.get() {
            forgets(forget);
        }
    }

    fn hinted(self: &Arc<Self>, account: &AccountId, version: u64) {
        let known = self.l1.get(account).map(|entry| entry.record().version);
        if known.is_some_and(|known| known >= version) {
            return;
        }
        self.hints.note(account, version);
        if known.is_some() {
            let (ladder, account) = (Arc::clone(self), account.clone());
            // Billing alone knows: what lies in the cache may be as old as what is known here.
            self.io.spawn(async move {
                let _ = ladder.fly(&ladder.rechecks, &account, Depth::Billing, crate::clock::moment()).await;
                ladder.followers.tell(&account);
            });
        }
    }

    fn pushed(&self, record: Arc<Entitlement>) {
        // First the flights, then L1: a flight looks here after it has put its answer there.
        self.lookups.overtake(&record);
        self.rechecks.overtake(&record);
        let at_ms = self.millis_at(crate::clock::moment());
        let confirmation = Confirmation { epoch: self.epoch.current(), at_ms, source: Source::Cache };
        self.l1.update((*record).clone(), confirmation, self.lines.since_ms());
        // Last: who is woken looks into L1.
        self.followers.tell(&record.account);
    }
}
