//! Takes the word of a database that is new, or has gone back, by the word of a person who was told how many lose by it.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use cache::{Refusal, Scan};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::{self, DatabaseId, Namespace, Record};
use entitlement::reduction::reductions;
use entitlement::timeline::{Segment, Status};
use redis::aio::MultiplexedConnection;

use super::{OperatorError, check_told};
use crate::clock;
use crate::component::Billing;
use crate::lineage::{Lineage, ScanError, Word};
use crate::publish::{PublishError, Why};
use crate::store::accounts::{self, Change};
use crate::store::identity;
use crate::store::takings::Tally;
use crate::takings::{self, Verdict, What};

/// The actor in the audit log.
const CHANGE: Change<'static> =
    Change { cause: "operator", detail: "the database was accepted in the place of what was told before" };

/// How long the cache is asked whether somebody speaks for the database that has the word.
const LOOK: Duration = Duration::from_millis(500);

/// The effect of accepting the database.
#[derive(Clone, Debug)]
pub struct AcceptPlan {
    /// The database's word counts already.
    pub is_settled: bool,
    /// Another installation that runs has the word in the namespace.
    pub is_beside: bool,
    /// Records that serve in the place of what the database says.
    pub held: u64,
    /// Whether they could be counted: where Redis has lost them, only proxies that run on may hold some.
    pub is_counted: bool,
    /// Whose accounts lose something, and how that stands to all that have access.
    pub accounts: Verdict,
    /// How many lose what, in words that go on after the number.
    pub by: BTreeMap<String, u64>,
    from: Sources,
}

/// Which records are held, and in the place of what.
#[derive(Clone, Debug)]
struct Sources {
    prefixes: Vec<String>,
    own: DatabaseId,
}

/// Some records that are held, with what the database says in their place.
struct Page {
    /// Records that were read, also those of this database.
    read: u64,
    /// Records that serve.
    held: u64,
    /// Of accounts that have access by them.
    holders: u64,
    losing: Vec<(AccountId, u64)>,
    by: Vec<String>,
}

/// Goes through what is held, page by page.
struct Held {
    scans: Vec<Scan>,
    /// Of accounts that were seen: a key may come twice.
    seen: HashSet<u64>,
    hashes: RandomState,
    own: DatabaseId,
    now: Timestamp,
}

impl Billing {
    /// The effect of accepting the database.
    ///
    /// # Errors
    /// When the database or Redis fails, or there is no Redis.
    pub async fn plan_accept(&self) -> Result<AcceptPlan, OperatorError> {
        if !self.shared().outlets.has_cache() {
            return Err(OperatorError::NoRedis);
        }
        // It is the one command that may take the word.
        self.act();
        let mut lineage = self.look().await?;
        while !lineage.is_known() {
            tokio::time::sleep(LOOK).await;
            lineage = self.look().await?;
        }
        let (now, from) = (clock::now(), self.from(&lineage)?);
        let (mut read, mut held, mut wanted, mut holders, mut by) = (0, 0, 0, 0, BTreeMap::new());
        if !lineage.is_settled() {
            let mut all = self.held(&from, now).await?;
            while let Some(page) = self.next_held(&mut all).await? {
                read += page.read;
                held += page.held;
                holders += page.holders;
                wanted += u64::try_from(page.losing.len()).unwrap_or(u64::MAX);
                page.by.into_iter().for_each(|what| *by.entry(what).or_default() += 1);
            }
        }
        let mut conn = self.pool().acquire().await?;
        let Verdict { tally, .. } = takings::weigh(&mut conn, wanted, now).await?;
        let tally = Tally { holders: tally.holders.max(holders), ..tally };
        let is_beside = matches!(lineage.word, Word::Beside { .. } | Word::Replaced { .. });
        let accounts = Verdict { wanted, tally };
        // Records that this database has overtaken prove as well that Redis has not lost what was told before. Where nobody can say whose
        // word counts, all of the namespace was read, and records of this database are enough.
        let is_counted = read > 0;
        Ok(AcceptPlan { is_settled: lineage.is_settled(), is_beside, held, is_counted, accounts, by, from })
    }

    /// Takes the database's word from now on. Those that lose something by it are told at once; the others ask anew. Returns how many
    /// lost something. `forced`: they need not be counted as taken.
    ///
    /// # Errors
    /// When more would lose something by now than the plan says, or the database or Redis fails.
    pub async fn accept_database(&self, plan: &AcceptPlan, forced: bool) -> Result<u64, OperatorError> {
        // A person may have taken long to answer.
        let again = self.plan_accept().await?;
        check_told(plan.accounts.wanted, again.accounts.wanted)?;
        let now = clock::now();
        self.own().await?;
        let mut all = self.held(&plan.from, now).await?;
        let mut lost = 0;
        while let Some(page) = self.next_held(&mut all).await? {
            lost += u64::try_from(page.losing.len()).unwrap_or(u64::MAX);
            self.take(&page.losing, forced, now).await?;
        }
        Ok(lost)
    }

    /// Gives accounts a version above what was told before, for proxies that compare versions alone.
    async fn take(&self, losing: &[(AccountId, u64)], forced: bool, now: Timestamp) -> Result<(), OperatorError> {
        let mut tx = self.pool().begin().await?;
        let mut known = Vec::new();
        for (account, version) in losing {
            if accounts::is_known(&mut tx, account).await? {
                known.push((account.clone(), *version));
            }
        }
        let changes: Vec<_> = known.iter().map(|(account, _)| (account, CHANGE)).collect();
        accounts::each_changed(&mut tx, &changes, now).await?;
        identity::raise(&mut tx, &known).await?;
        let ids: Vec<AccountId> = known.into_iter().map(|(account, _)| account).collect();
        if !forced {
            takings::taken(&mut tx, What::Database, &ids, now).await?;
        }
        tx.commit().await?;
        if let Err(error) = self.publish(&ids, Why::New, now).await {
            tracing::warn!(
                error = crate::chain::told(&error),
                "the cache could not be told of everything that the database says: `tollgate run` goes on to tell it"
            );
        }
        Ok(())
    }

    /// Where the records are that may be held: all of the namespace, where nobody can say whose.
    fn from(&self, lineage: &Lineage) -> Result<Sources, OperatorError> {
        let own = lineage.database.ok_or(OperatorError::NoRedis)?;
        let of = |namespace: &Namespace| match lineage.word {
            Word::Unreadable => vec![namespace.root()],
            _ => lineage.above().iter().map(|database| namespace.prefix(*database)).collect(),
        };
        let prefixes = self.shared().outlets.namespaces().iter().flat_map(of).collect();
        Ok(Sources { prefixes, own })
    }

    async fn held(&self, Sources { prefixes, own }: &Sources, now: Timestamp) -> Result<Held, OperatorError> {
        let own = *own;
        let place = self.shared().outlets.place_of_cache().ok_or(OperatorError::NoRedis)?;
        let mut scans = Vec::with_capacity(prefixes.len());
        for prefix in prefixes.iter().rev() {
            scans.push(Scan::begin(place, prefix).await.map_err(ScanError::from)?);
        }
        Ok(Held { scans, seen: HashSet::new(), hashes: RandomState::new(), own, now })
    }

    async fn next_held(&self, held: &mut Held) -> Result<Option<Page>, OperatorError> {
        let Some(scan) = held.scans.last_mut() else { return Ok(None) };
        let mut page = Page { read: 0, held: 0, holders: 0, losing: Vec::new(), by: Vec::new() };
        let Some((keys, server)) = scan.next().await.map_err(ScanError::from)? else {
            held.scans.pop();
            return Ok(Some(page));
        };
        let mut records = read(&keys, server).await.map_err(ScanError::from)?;
        page.read += u64::try_from(records.len()).unwrap_or(u64::MAX);
        records.retain(|record| {
            record.database != held.own && held.seen.insert(held.hashes.hash_one(&record.entitlement.account))
        });
        let accounts: Vec<AccountId> = records.iter().map(|record| record.entitlement.account.clone()).collect();
        let computed = self.compute_each(&accounts, held.now).await?;
        for (Record { entitlement: told, .. }, computed) in records.into_iter().zip(computed) {
            let own = computed.record.entitlement;
            if computed.is_new || told.version < own.version.max(1) {
                continue;
            }
            let (before, after) = (told.timeline.at(held.now), own.timeline.at(held.now));
            page.held += 1;
            page.holders += u64::from(before.status != Status::None);
            let lost = lost(before, after);
            if !lost.is_empty() {
                page.losing.push((told.account, told.version));
                page.by.extend(lost);
            }
        }
        Ok(Some(page))
    }
}

/// The losses of an account, in words. None, when a grant comes where there was none: its limits are those of what is given.
fn lost(before: &Segment, after: &Segment) -> Vec<String> {
    if before.status == Status::None && after.status != Status::None {
        return Vec::new();
    }
    reductions(&before.plan, &after.plan).iter().map(|less| format!("accounts lose {less}")).collect()
}

/// The records under keys of one server; what is none is left out.
async fn read(keys: &[String], mut server: MultiplexedConnection) -> redis::RedisResult<Vec<Record>> {
    let mut all = redis::pipe();
    for key in keys {
        // A bounded read, of whatever lies there; what is no text is none.
        all.cmd("GETRANGE").arg(key).arg(0).arg(record::RECORD_BYTES_MAX);
    }
    all.ignore_errors();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<redis::RedisResult<Vec<u8>>> = all.query_async(&mut server).await?;
    // A right that is missing is no answer: how many lose something would not be known.
    let is_refused = |error: &redis::RedisError| matches!(Refusal::of(error), Some(Refusal::Right(_)));
    let mut texts = Vec::new();
    for value in values {
        match value {
            Ok(text) => texts.push(text),
            Err(error) if is_refused(&error) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(texts.into_iter().filter_map(|text| record::decode(&String::from_utf8_lossy(&text)).ok()).collect())
}

impl From<PublishError> for OperatorError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) => Self::Store(error),
            other => Self::Cache(Box::new(other)),
        }
    }
}

impl From<ScanError> for OperatorError {
    fn from(error: ScanError) -> Self {
        Self::Cache(Box::new(error))
    }
}
