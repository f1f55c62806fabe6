//! How many of the accounts that have access do not pass what routes ask for. Nothing is held back by it: whoever closes a route means it,
//! and is told of how many.

use entitlement::Timestamp;
use entitlement::authorize::Requirement;
use entitlement::timeline::Status;

use super::catalog::count::at;
use crate::clock;
use crate::component::Billing;
use crate::publish::compute;
use crate::store::StoreError;
use crate::store::catalogs::Rules;
use crate::store::snapshot::Snapshot;

/// The demands of routes, in the place of those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub before: Requirement,
    pub now: Requirement,
}

/// Accounts that do not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutOut {
    /// Accounts that have access.
    pub holders: u64,
    /// Those of them that met what was asked before and do not meet what is asked now, for each that was asked.
    pub each: Vec<u64>,
}

impl Billing {
    /// Counts the accounts that have access and do not pass, page by page, without a lock.
    ///
    /// # Errors
    /// When the database fails, or holds a catalog that this build cannot read.
    pub async fn shut_out(&self, asked: &[Asked]) -> Result<ShutOut, StoreError> {
        let now = clock::now();
        let rules = {
            let mut conn = self.pool().acquire().await?;
            self.rules(&mut conn).await?
        };
        let mut sum = ShutOut { holders: 0, each: vec![0; asked.len()] };
        let mut after = String::new();
        loop {
            let page = self.page(&after).await?;
            page.snapshots.iter().for_each(|snapshot| sum.add(snapshot, asked, (&rules, now)));
            match page.last {
                Some(last) => after = last,
                None => return Ok(sum),
            }
        }
    }
}

impl ShutOut {
    fn add(&mut self, snapshot: &Snapshot, asked: &[Asked], (rules, now): (&Rules, Timestamp)) {
        let has = at(rules, &compute::grants(snapshot, rules), now);
        if has.status == Status::None || snapshot.blocked_at.is_some() {
            return;
        }
        self.holders += 1;
        for (count, Asked { before, now }) in self.each.iter_mut().zip(asked) {
            *count += u64::from(before.is_met(&has.plan) && !now.is_met(&has.plan));
        }
    }
}
