//! Another namespace for a database that has one already, as when `cache.namespace` or the site's URL changes: what is held under the
//! former one goes on to serve, and a database that is behind what stands there has gone back.

use std::time::Instant;

use cache::Owner;
use entitlement::record::{DatabaseId, Namespace};

use super::{Seen, Word};
use crate::clock;
use crate::component::Billing;
use crate::publish::PublishError;
use crate::store::StoreError;
use crate::store::identity::{self, Identity, Renewal};

/// Records that are held under the former namespace.
#[derive(Clone, Debug)]
pub(crate) struct Formerly {
    pub namespace: Namespace,
    /// The databases whose records serve.
    databases: Vec<DatabaseId>,
    seen: Seen,
    /// Whether it is known for sure that they are to serve.
    is_sure: bool,
}

/// The meaning of a former namespace to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing of it is held for this database.
    Done,
    /// It is not known yet whether another installation lives there.
    Unsure,
    /// The database is behind it.
    Behind,
    /// Records of other databases are held.
    Held,
}

impl Formerly {
    pub fn is_known(&self) -> bool {
        self.is_sure
    }

    /// The word, with what is held under the former namespace.
    pub fn with(&self, word: Word) -> Word {
        match word {
            Word::Settled => Word::Held { databases: self.databases.clone(), since: self.seen.first_at },
            Word::Held { mut databases, since } => {
                databases.extend(self.databases.iter().filter(|id| !databases.contains(id)).collect::<Vec<_>>());
                Word::Held { databases, since }
            }
            other => other,
        }
    }
}

/// Decides what `owner` under the former namespace means. A database whose word is settled there has nothing to hold; where an
/// installation lives, it is another one, such as the original of a copy.
fn standing(identity: &Identity, owner: &Owner, seen: &Seen, tick: Instant) -> Standing {
    let is_own = owner.database == identity.id;
    if identity.held_since.is_some() {
        return if is_own && owner.held.is_empty() { Standing::Done } else { Standing::Held };
    }
    let is_settled = is_own && owner.held.is_empty() && owner.mark <= identity.mark;
    if is_settled || seen.is_alive(tick) {
        return Standing::Done;
    }
    match (seen.is_sure(), is_own && owner.mark > identity.mark) {
        (false, _) => Standing::Unsure,
        (true, true) => Standing::Behind,
        (true, false) => Standing::Held,
    }
}

impl Billing {
    /// Looks what stands under the former namespace of this database, if it has one. A database that is found behind that has another
    /// id afterwards.
    pub(super) async fn look_formerly(&self, known: Identity) -> Result<(Identity, Option<Formerly>), PublishError> {
        let Some((namespace, is_noted)) = self.former_namespace(&known).await? else { return Ok((known, None)) };
        let outlets = &self.shared().outlets;
        let owner =
            if is_noted { outlets.owner_under(&namespace).await } else { outlets.owner_elsewhere(&namespace).await };
        let Some(owner) = owner? else { return Ok((known, None)) };
        let (now, tick) = (clock::now(), Instant::now());
        let before = self.lineage().formerly.as_ref().map(|formerly| formerly.seen);
        let seen = Seen::after(before, &owner, now, tick);
        let standing = if self.is_command() && known.held_since.is_none() {
            // The processes that run find out by themselves.
            Standing::Done
        } else {
            standing(&known, &owner, &seen, tick)
        };
        if standing == Standing::Held && !is_noted && !self.is_command() {
            // Also after the next start, when the database is not new any more.
            identity::stand_under(&mut *self.pool().acquire().await.map_err(StoreError::from)?, &namespace).await?;
        }
        let known = match standing {
            Standing::Done => return Ok((known, None)),
            Standing::Behind => self.go_back(known.id).await?,
            // Records that this one tells from now on are no more of those that are held there.
            Standing::Held if owner.held.contains(&known.id) && !self.is_command() => {
                self.renew(known.id, Renewal::ReplacedBy(owner.database)).await?
            }
            Standing::Held | Standing::Unsure => known,
        };
        let is_sure = standing != Standing::Unsure;
        // Records of this very database under another namespace serve as long as it may be behind them.
        let owners = Some(owner.database).filter(|database| !is_sure || *database != known.id);
        let databases = owners.into_iter().chain(owner.held.iter().copied()).collect();
        Ok((known, Some(Formerly { namespace, databases, seen, is_sure })))
    }

    /// The namespace under which this database told before, where that is another one, and whether that is noted. Once nothing is held
    /// there, it is this one's. A new database has told nowhere: in its place, the one before it may have told under the name that the
    /// site's URL makes, before `cache.namespace` was set.
    async fn former_namespace(&self, known: &Identity) -> Result<Option<(Namespace, bool)>, StoreError> {
        if self.shared().stands_here.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(None);
        }
        let mut conn = self.pool().acquire().await?;
        let noted = identity::namespace(&mut conn).await?;
        let is_new = known.mark == 0 || self.lineage().formerly.is_some();
        let former = match noted {
            Some(noted) => Some((noted, true)),
            None if is_new => Namespace::parse(&self.settings().site_url).ok().map(|made| (made, false)),
            None => None,
        };
        Ok(former.filter(|(former, _)| *former != self.settings().namespace))
    }

    /// Notes once that the records of this database stand under this process's namespace, and nothing is held under another one.
    pub(super) async fn note_namespace(&self) -> Result<(), StoreError> {
        let stands_here = &self.shared().stands_here;
        if self.is_command() || stands_here.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        let mut conn = self.pool().acquire().await?;
        identity::stand_under(&mut conn, &self.settings().namespace).await?;
        stands_here.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use entitlement::Timestamp;

    use super::*;

    fn id(number: u128) -> DatabaseId {
        DatabaseId::new(number)
    }

    #[test]
    fn what_stands_under_a_former_namespace_is_held_unless_it_is_settled_or_another_ones() {
        use Standing::{Behind, Done, Held, Unsure};
        let (start, at) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let none = Identity {
            id: id(1),
            former: None,
            held_since: None,
            accepted_at: None,
            replaced_by: None,
            is_beside: false,
            mark: 7,
        };
        let held = Identity { held_since: Some(at), ..none };
        let owner = |database: u128, held: &[u128], mark, beat| {
            let held: Vec<DatabaseId> = held.iter().copied().map(id).collect();
            Owner { database: id(database), held, since_ms: 0, mark, beat }
        };
        // Looked at twice, two seconds apart: whoever lives has given a sign.
        let twice = |identity: &Identity, owner: Owner, lives: bool| {
            let first = Seen::after(None, &owner, at, start);
            let tick = start + Duration::from_secs(2);
            let later = Owner { beat: owner.beat + u64::from(lives), ..owner.clone() };
            let second = Seen::after(Some(first), &later, at, tick);
            (standing(identity, &owner, &first, start), standing(identity, &later, &second, tick))
        };
        for (identity, owner, lives, expected) in [
            (&none, owner(1, &[], 7, 1), false, (Done, Done)),
            (&none, owner(1, &[], 6, 1), true, (Done, Done)),
            (&none, owner(1, &[], 8, 1), false, (Unsure, Behind)),
            (&none, owner(1, &[], 8, 1), true, (Unsure, Done)),
            (&none, owner(2, &[], 1, 1), false, (Unsure, Held)),
            (&none, owner(2, &[1], 1, 1), true, (Unsure, Done)),
            (&held, owner(1, &[2], 7, 1), true, (Held, Held)),
            (&held, owner(2, &[], 7, 1), false, (Held, Held)),
            (&held, owner(1, &[], 7, 1), false, (Done, Done)),
        ] {
            assert_eq!(twice(identity, owner.clone(), lives), expected, "{owner} for {identity:?}, lives: {lives}");
        }
    }
}
