//! Publishing while the records of another database serve: only changes since, with versions above those.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::Record;
use entitlement::reduction::reductions;
use entitlement::subscription::SubscriptionId;
use entitlement::timeline::Status;
use futures_util::future::try_join_all;

use super::{Computed, PublishError, Why};
use crate::chain;
use crate::component::Billing;
use crate::lineage::Lineage;
use crate::resolve::ResolveError;
use crate::store::{StoreError, identity, subscriptions};

/// The records that may be told, and the versions that need not be told any more afterwards.
pub(super) struct Tellable {
    pub records: Vec<Record>,
    pub versions: Vec<(AccountId, u64)>,
}

impl Billing {
    /// The records of accounts that may be told: all, unless other records are held. Then only accounts of which something new is known,
    /// with a version above that of any record that a proxy may have of them.
    pub(super) async fn tellable(
        &self,
        computed: Vec<Computed>,
        versions: Vec<(AccountId, u64)>,
        why: Why,
        now: Timestamp,
    ) -> Result<Tellable, PublishError> {
        let all = |computed: Vec<Computed>| computed.into_iter().map(|computed| computed.record).collect();
        let outlets = &self.shared().outlets;
        let database = computed.first().map(|computed| computed.record.database);
        let (true, Some(database)) = (outlets.has_cache(), database) else {
            return Ok(Tellable { records: all(computed), versions });
        };
        let lineage = self.lineage_of(database).await?;
        if lineage.is_settled() {
            return Ok(Tellable { records: all(computed), versions });
        }
        // A former primary tells nobody: whoever asks it hears what the one in its place says.
        if lineage.replaced_by().is_some() {
            return Ok(Tellable { records: Vec::new(), versions });
        }
        // The database has got another id since they were computed: what was new under the former one is not.
        let (mut computed, mut versions) = (computed, versions);
        if lineage.database.is_some_and(|known| known != database) {
            let accounts: Vec<AccountId> = versions.into_iter().map(|(account, _)| account).collect();
            computed = self.compute_each(&accounts, now).await?;
            let newest = computed.iter().map(|computed| computed.record.entitlement.version);
            versions = accounts.into_iter().zip(newest).collect();
        }
        let counts = |computed: &Computed| !lineage.is_held_back() || computed.is_new || why == Why::New;
        let counts_now = |computed: &Computed| !lineage.is_held_back() || computed.is_new;
        let new: Vec<Computed> = computed.into_iter().filter(counts).collect();
        let told = new.iter().map(|computed| self.told_above(&lineage, &computed.record.entitlement.account));
        let told = try_join_all(told).await?;
        let (mut records, mut raised) = (Vec::new(), Vec::new());
        for (computed, told) in new.into_iter().zip(told) {
            let Record { entitlement, .. } = &computed.record;
            if (lineage.is_held_back() && !computed.is_new) || told >= Some(entitlement.version) {
                raised.push((entitlement.account.clone(), told.unwrap_or(0)));
            } else {
                records.push(computed.record);
            }
        }
        if !raised.is_empty() {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            identity::raise(&mut conn, &raised).await?;
            drop(conn);
            let accounts: Vec<AccountId> = raised.into_iter().map(|(account, _)| account).collect();
            // One without a row has nothing new.
            let raised = self.compute_each(&accounts, now).await?.into_iter().filter(counts_now);
            records.extend(raised.map(|computed| computed.record));
        }
        let newest = |(account, version): (AccountId, u64)| {
            let told = records.iter().map(|record| &record.entitlement).find(|told| told.account == account);
            (account, told.map_or(version, |told| told.version.max(version)))
        };
        let versions = versions.into_iter().map(newest).collect();
        Ok(Tellable { records, versions })
    }

    /// Tells of accounts whose subscriptions a provider affirms as they stand, where that gives more than what is held of them: the
    /// provider's word is new, although no row changes by it.
    pub(crate) async fn affirm(&self, affirmed: &[SubscriptionId], now: Timestamp) -> Result<(), PublishError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let accounts = subscriptions::accounts_of(&mut conn, affirmed).await?;
        drop(conn);
        let mut given = Vec::new();
        for computed in self.compute_each(&accounts, now).await? {
            let held = self.held_instead(&computed, now).await.map_err(|error| match error {
                ResolveError::Store(error) => error.into(),
                ResolveError::Held(error) => error,
            })?;
            let Record { entitlement, .. } = computed.record;
            let is_more = |held: &Record| {
                let (before, after) = (held.entitlement.timeline.at(now), entitlement.timeline.at(now));
                before.plan != after.plan && reductions(&before.plan, &after.plan).is_empty()
            };
            let gives = match &held {
                Some(held) => is_more(held),
                // Redis has lost what is held, and only proxies may know it.
                None => {
                    !computed.is_new && self.is_held_back().await && entitlement.timeline.at(now).status != Status::None
                }
            };
            if gives {
                given.push(entitlement.account);
            }
        }
        self.publish(&given, Why::New, now).await.map(drop)
    }

    /// Asks the providers about accounts that an event leaves with less than what is held of them: a subscription may have come after
    /// the state that the database has gone back to. When they do not answer, the event counts as it stands.
    pub(crate) async fn ask_before_lowering(&self, accounts: impl Iterator<Item = AccountId>, now: Timestamp) {
        let lineage = self.lineage();
        if lineage.held().is_empty() {
            return;
        }
        for account in accounts {
            let is_lowered = match self.is_lowered(&lineage, &account, now).await {
                Ok(is_lowered) => is_lowered,
                Err(error) => {
                    tracing::debug!(%account, error = chain::told(&error), "what is held of an account cannot be read");
                    continue;
                }
            };
            if is_lowered && let Err(error) = self.reconcile_account(&account, now).await {
                tracing::warn!(%account, error = chain::told(&error), "the database went back, and the provider does not say what an account has: its new event counts alone");
            }
        }
    }

    /// Whether an account would get less than what is held of it, with the first thing that is new of it.
    async fn is_lowered(&self, lineage: &Lineage, account: &AccountId, now: Timestamp) -> Result<bool, PublishError> {
        let Record { database, entitlement } = self.compute(account, now).await?.record;
        let outlets = &self.shared().outlets;
        if outlets.newest_of(&[database], account).await?.is_some() {
            return Ok(false);
        }
        let held = outlets.newest_of(lineage.held(), account).await?;
        let plan = |record: &Record| record.entitlement.timeline.at(now).plan.clone();
        Ok(held.is_some_and(|held| !reductions(&plan(&held), &entitlement.timeline.at(now).plan).is_empty()))
    }

    /// The newest version that other databases may have told of an account.
    async fn told_above(&self, lineage: &Lineage, account: &AccountId) -> Result<Option<u64>, PublishError> {
        let held = self.shared().outlets.newest_of(lineage.above(), account).await?;
        Ok(held.map(|record| record.entitlement.version).max(lineage.floor()))
    }
}
