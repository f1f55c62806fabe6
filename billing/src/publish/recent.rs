//! What the cache was told lately, to be looked at once more: Redis may have lost it.
//!
//! A master that dies takes its last writes with it, and whoever takes over may hold an older record; a record may be
//! evicted, and an older one be filled in by somebody who had read the database before. Both are rare, nobody is told, and
//! the older record would be believed for as long as it lies there. So everything is stored a second time: a minute later,
//! and at once when there is another connection, which may lead to another server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use entitlement::record::Record;
use tokio::time::Instant;

/// After how long a record is looked at again: longer than a failover takes.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Most records that are kept for it. Beyond, the oldest are not looked at again.
const KEPT_MAX: usize = 8192;

/// Records of the last minute, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    told: VecDeque<(Instant, Arc<Record>)>,
    /// The connection over which they were told.
    connection: Option<u64>,
}

impl Recent {
    pub fn note(&mut self, record: Arc<Record>, now: Instant) {
        if self.told.len() >= KEPT_MAX {
            self.told.pop_front();
        }
        self.told.push_back((now, record));
    }

    /// Whether something is kept.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What was stored again may not be there: everything is due once more.
    pub fn is_elsewhere(&mut self) {
        self.connection = Some(u64::MAX);
    }

    /// What is to be stored again now; nothing while there is no connection. What is younger than a minute is due again
    /// later: the next server may fail as well.
    pub fn due(&mut self, connection: Option<u64>, now: Instant) -> Vec<Arc<Record>> {
        if connection.is_none() {
            return Vec::new();
        }
        let is_other = self.connection.is_some() && self.connection != connection;
        self.connection = connection;
        let count = self.told.iter().take_while(|(at, _)| now.duration_since(*at) >= AGAIN_AFTER).count();
        let mut due: Vec<_> = self.told.drain(..count).map(|(_, record)| record).collect();
        if is_other {
            due.extend(self.told.iter().map(|(_, record)| Arc::clone(record)));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use entitlement::account::AccountId;
    use entitlement::catalog::Catalog;
    use entitlement::record::{DatabaseId, Entitlement};
    use entitlement::timeline::timeline;

    use super::*;

    fn record(version: u64) -> Arc<Record> {
        let account = AccountId::parse("a").expect("an id");
        let entitlement = Entitlement { account, version, timeline: timeline(&Catalog::empty(), &[]) };
        Arc::new(Record { database: DatabaseId::new(1), entitlement })
    }

    fn versions(records: &[Arc<Record>]) -> Vec<u64> {
        records.iter().map(|record| record.entitlement.version).collect()
    }

    #[test]
    fn a_record_is_looked_at_again_a_minute_later_or_when_the_connection_is_another() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        recent.note(record(1), at(0));
        recent.note(record(2), at(30));
        assert_eq!(versions(&recent.due(Some(1), at(59))), [0_u64; 0]);
        assert_eq!(versions(&recent.due(None, at(60))), [0_u64; 0], "not while there is no connection");
        assert_eq!(versions(&recent.due(Some(1), at(60))), [1]);
        recent.note(record(3), at(61));
        assert_eq!(versions(&recent.due(Some(2), at(62))), [2, 3], "another connection, perhaps another server");
        assert_eq!(versions(&recent.due(Some(3), at(63))), [2, 3], "and yet another");
        assert_eq!(versions(&recent.due(Some(3), at(90))), [2]);
        assert_eq!(versions(&recent.due(Some(3), at(600))), [3]);
        assert_eq!(versions(&recent.due(Some(3), at(900))), [0_u64; 0], "once");
    }

    #[test]
    fn however_much_changes_no_more_is_kept_than_fits() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        for version in 0..=KEPT_MAX as u64 {
            recent.note(record(version), start);
        }
        let due = recent.due(Some(1), start + AGAIN_AFTER);
        assert_eq!((due.len(), due[0].entitlement.version), (KEPT_MAX, 1));
    }
}
