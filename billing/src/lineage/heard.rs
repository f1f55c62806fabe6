//! Proxies as witnesses: they remember how far a database had come, also when Redis has been lost together with the newest changes.

use std::sync::Arc;

use entitlement::Timestamp;
use entitlement::record::HighWater;

use super::Lineage;
use crate::clock;
use crate::component::Billing;
use crate::publish::PublishError;
use crate::store::StoreError;
use crate::store::identity::{self, Identity};

/// What a proxy's memory proves of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Nothing,
    /// It was further.
    Behind,
    /// Another database had the word until now, and nobody has agreed that this one takes its place.
    Other,
}

impl Billing {
    /// Takes in what a proxy remembers. Where it proves that the database has gone back, or has replaced another one without a
    /// person's word, what was told before is held, and this process knows it before the proxy is answered.
    ///
    /// # Errors
    /// When the database or the cache fails.
    pub async fn hear(&self, heard: HighWater) -> Result<(), PublishError> {
        let known = self.lineage();
        let is_old = known.database == Some(heard.database) && heard.mark <= known.mark;
        if is_old || !self.shared().outlets.has_cache() || self.is_command() {
            return Ok(());
        }
        let one = Arc::clone(&self.shared().looking).lock_owned().await;
        let billing = self.clone();
        // A proxy waits for a moment only, and what is begun has to come to its end: a hold that is noted and not looked at would let
        // the next answer say that nothing is held.
        let taken_in = self.shared().tasks.spawn(async move {
            let _one = one;
            billing.take_in(heard).await
        });
        taken_in.await.unwrap_or(Err(PublishError::Unknown))
    }

    async fn take_in(&self, heard: HighWater) -> Result<(), PublishError> {
        let Some(identity) = self.identity().await? else { return Ok(()) };
        let known = self.lineage();
        match proof(&identity, &known, heard, clock::now()) {
            // Another process may have noted a hold since this one has looked.
            Proof::Nothing if known.agrees_with(&identity) => return Ok(()),
            Proof::Nothing => {}
            Proof::Behind => {
                tracing::error!(
                    mark = identity.mark,
                    heard = heard.mark,
                    "PostgreSQL has gone back: a proxy has heard more of it"
                );
                self.go_back(identity.id).await?;
            }
            Proof::Other => {
                tracing::error!(database = %identity.id, heard = %heard.database, "PostgreSQL is another database than the one that a proxy has heard of");
                let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                identity::follow(&mut conn, heard.database, clock::now()).await?;
            }
        }
        self.look_now().await.map(drop)
    }
}

fn proof(identity: &Identity, known: &Lineage, heard: HighWater, now: Timestamp) -> Proof {
    if heard.database == identity.id {
        return if heard.mark > identity.mark { Proof::Behind } else { Proof::Nothing };
    }
    let is_known = identity.former == Some(heard.database)
        || known.above().contains(&heard.database)
        || known.owner == Some(heard.database);
    let age = i64::try_from(heard.age_ms).ok().and_then(chrono::TimeDelta::try_milliseconds);
    let heard_at = age.and_then(|age| now.checked_sub_signed(age));
    let is_accepted = identity.accepted_at.is_some_and(|accepted| heard_at.is_none_or(|at| at <= accepted));
    if is_known || is_accepted || identity.held_since.is_some() { Proof::Nothing } else { Proof::Other }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use entitlement::record::DatabaseId;

    use super::*;

    #[test]
    fn what_a_proxy_remembers_counts_unless_it_is_known_or_a_person_has_agreed_since() {
        let id = DatabaseId::new;
        let now = Timestamp::from_timestamp(1_000, 0).expect("in range");
        let ago = |seconds| Some(now - TimeDelta::seconds(seconds));
        let identity = |former: Option<u128>, held_since, accepted_at| Identity {
            id: id(1),
            former: former.map(id),
            held_since,
            accepted_at,
            replaced_by: None,
            is_beside: false,
            mark: 7,
        };
        let settled = Lineage { database: Some(id(1)), owner: Some(id(1)), ..Lineage::unknown() };
        let beside = Lineage { owner: Some(id(2)), ..settled.clone() };
        let none = identity(None, None, None);
        for (identity, known, (database, mark, age_s), expected) in [
            (none, &settled, (1, 7, 0), Proof::Nothing),
            (none, &settled, (1, 8, 0), Proof::Behind),
            (none, &settled, (2, 1, 0), Proof::Other),
            (none, &beside, (2, 1, 0), Proof::Nothing),
            (identity(Some(2), None, None), &settled, (2, 99, 0), Proof::Nothing),
            (identity(None, ago(1), None), &settled, (2, 99, 0), Proof::Nothing),
            (identity(None, None, ago(5)), &settled, (2, 1, 6), Proof::Nothing),
            (identity(None, None, ago(5)), &settled, (2, 1, 4), Proof::Other),
            (identity(None, None, ago(5)), &settled, (1, 8, 60), Proof::Behind),
        ] {
            let heard = HighWater { database: id(database), mark, age_ms: age_s * 1_000 };
            assert_eq!(proof(&identity, known, heard, now), expected, "{heard} of {identity:?}");
        }
    }
}
