//! What accounts would lose by other rules, counted page by page: the memory that it takes does not grow with them.

use std::collections::{BTreeMap, BTreeSet};

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Sold;
use entitlement::reduction::reductions;
use entitlement::subscription::Subscription;
use entitlement::timeline::{Grant, Segment, Status, timeline};
use serde::Serialize;

use crate::api::standing::is_running;
use crate::chain;
use crate::component::Billing;
use crate::publish::compute;
use crate::store::catalogs::Rules;
use crate::store::snapshot::Snapshot;
use crate::store::{StoreError, accounts, catalogs, snapshot};

/// How many accounts are read at once.
const PAGE: i64 = 500;

/// What accounts would lose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Accounts that have access now.
    pub holders: u64,
    /// Accounts that would lose something.
    pub accounts: u64,
    /// Running subscriptions that would give less than they do.
    pub subscriptions: u64,
    /// Accounts that lost something within the last 24 hours without a word that they may be many.
    pub taken_before: u64,
    /// How many lose what, in words that go on after the number.
    pub by: BTreeMap<String, u64>,
}

impl Losses {
    /// Whether anything would be lost.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.accounts > 0
    }

    fn add(&mut self, account: OfAccount) {
        self.holders += u64::from(account.has_access);
        self.subscriptions += account.subscriptions;
        self.accounts += u64::from(!account.by.is_empty());
        for (what, count) in account.by {
            *self.by.entry(what).or_default() += count;
        }
    }
}

/// What one account would lose.
#[derive(Debug, Default, PartialEq, Eq)]
struct OfAccount {
    has_access: bool,
    subscriptions: u64,
    by: BTreeMap<String, u64>,
}

impl Billing {
    /// Compares what every account has at `now` under both rules.
    pub(super) async fn losses(&self, current: &Rules, next: &Rules, now: Timestamp) -> Result<Losses, StoreError> {
        let (mut sum, mut after, mut seen) = (Losses::default(), String::new(), 0);
        loop {
            let page = self.page(&after).await?;
            for snapshot in page.snapshots {
                sum.add(of_account(&snapshot, current, next, now));
                seen += 1;
            }
            match page.last {
                Some(last) => after = last,
                None => break,
            }
        }
        // Those that have no grant have what everybody has.
        let everybody: Vec<String> = lost(&nobodys(current, now), &nobodys(next, now));
        if !everybody.is_empty() {
            let mut conn = self.pool().acquire().await?;
            let others = catalogs::accounts(&mut conn).await?.saturating_sub(seen);
            sum.accounts += others;
            for what in everybody {
                *sum.by.entry(what).or_default() += others;
            }
        }
        sum.by.retain(|_, count| *count > 0);
        Ok(sum)
    }

    /// The accounts with grants after the one of this name.
    pub(in crate::ops) async fn page(&self, after: &str) -> Result<Page, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let ids = accounts::with_grants(&mut conn, after, PAGE).await?;
        let last = ids.last().filter(|_| i64::try_from(ids.len()).is_ok_and(|count| count == PAGE));
        let last = last.map(|account| account.as_str().to_owned());
        let snapshots = match snapshot::read(&mut conn, &ids).await {
            Ok(snapshots) => snapshots,
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => {
                // One row that cannot be read must not hide what the others lose.
                let mut readable = Vec::with_capacity(ids.len());
                for account in &ids {
                    readable.extend(read_one(&mut conn, account).await?);
                }
                readable
            }
        };
        Ok(Page { snapshots, last })
    }
}

/// Some accounts, and after which one the next page begins; `None` when this was the last.
pub(in crate::ops) struct Page {
    pub snapshots: Vec<Snapshot>,
    pub last: Option<String>,
}

async fn read_one(conn: &mut sqlx::PgConnection, account: &AccountId) -> Result<Option<Snapshot>, StoreError> {
    match snapshot::read_one(conn, account).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) if error.is_transient() => Err(error),
        Err(error) => {
            tracing::error!(%account, error = chain::told(&error), "an account is not counted: its rows cannot be read");
            Ok(None)
        }
    }
}

fn of_account(snapshot: &Snapshot, current: &Rules, next: &Rules, now: Timestamp) -> OfAccount {
    let held = |rules: &Rules| at(rules, &compute::grants(snapshot, rules), now);
    let (before, after) = (held(current), held(next));
    let has_access = before.status != Status::None;
    let mut by: BTreeMap<String, u64> = BTreeMap::new();
    let lost_now = lost(&before, &after);
    if !lost_now.is_empty() {
        let times = Rules { catalog: current.catalog.clone(), ..next.clone() };
        let by_times =
            (times.grace, times.policy) != (current.grace, current.policy) && !lost(&before, &held(&times)).is_empty();
        by.extend(lost_now.into_iter().map(|what| (what, 1)));
        if by_times {
            by.insert("accounts lose access by [grace] or [policy]".to_owned(), 1);
        }
    }
    let mut subscriptions = 0;
    for subscription in snapshot.subscriptions.iter().filter(|subscription| is_running(subscription, now)) {
        let unsold = unsold(subscription, current, next);
        let alone = |rules: &Rules| at(rules, &compute::grants_of(subscription, snapshot, rules), now);
        let is_less = !unsold.is_empty() || (!by.is_empty() && !lost(&alone(current), &alone(next)).is_empty());
        subscriptions += u64::from(is_less);
        for what in unsold {
            *by.entry(what).or_default() += 1;
        }
    }
    OfAccount { has_access, subscriptions, by }
}

/// The prices of a subscription that the next catalog does not name, or that mean another add-on in it.
fn unsold(subscription: &Subscription, current: &Rules, next: &Rules) -> BTreeSet<String> {
    let provider = subscription.id.provider;
    let told = |price: &String| {
        let before = current.catalog.sold(provider, price)?;
        let of = format!("running subscriptions are of the {provider} price {price}, which the catalog would");
        match (before, next.catalog.sold(provider, price)) {
            (_, None) => Some(format!("{of} not name any more")),
            (Sold::Addon(before), Some(Sold::Addon(now))) if before.code != now.code => {
                Some(format!("{of} sell as the add-on {} in the place of {}", now.code, before.code))
            }
            (Sold::Addon(before), Some(Sold::Tier(now))) => {
                Some(format!("{of} sell as the tier {} in the place of the add-on {}", now.code, before.code))
            }
            _ => None,
        }
    };
    subscription.prices.iter().filter_map(told).collect()
}

/// Nothing, when a grant comes where there was none: its limits are those of what is given.
fn lost(before: &Segment, after: &Segment) -> Vec<String> {
    if before.status == Status::None && after.status != Status::None {
        return Vec::new();
    }
    reductions(&before.plan, &after.plan).iter().map(|less| format!("accounts lose {less}")).collect()
}

pub(in crate::ops) fn at(rules: &Rules, grants: &[Grant], now: Timestamp) -> Segment {
    timeline(&rules.catalog, grants).at(now).clone()
}

/// What an account without any grant has.
fn nobodys(rules: &Rules, now: Timestamp) -> Segment {
    at(rules, &[], now)
}

/// So many of what is lost, in words.
#[must_use]
pub fn tallied(count: u64, what: &str) -> String {
    if count != 1 {
        return format!("{count} {what}");
    }
    let one = [
        ("accounts lose", "account loses"),
        ("accounts", "account"),
        ("subscriptions are", "subscription is"),
        ("subscriptions", "subscription"),
    ];
    let one = one.into_iter().find_map(|(many, one)| what.contains(many).then(|| what.replacen(many, one, 1)));
    format!("1 {}", one.as_deref().unwrap_or(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_something_is_one_of_it() {
        for (count, what, expected) in [
            (2, "accounts lose the tier paid", "2 accounts lose the tier paid"),
            (1, "accounts lose the tier paid", "1 account loses the tier paid"),
            (1, "running subscriptions are of a price", "1 running subscription is of a price"),
            (0, "accounts", "0 accounts"),
            (1, "accounts", "1 account"),
        ] {
            assert_eq!(tallied(count, what), expected);
        }
    }
}
