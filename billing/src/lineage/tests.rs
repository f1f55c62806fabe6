//! The word of a database, look by look.

use super::*;

fn id(number: u128) -> DatabaseId {
    DatabaseId::new(number)
}

fn owner(database: u128, held: &[u128], beat: u64) -> Owner {
    let held: Vec<_> = held.iter().copied().map(id).collect();
    Owner { database: id(database), since_ms: 1_000, held, mark: 7, beat }
}

struct Looking(Lineage, Instant, Option<Timestamp>, Option<DatabaseId>, bool, Option<DatabaseId>);

impl Looking {
    fn looks(&mut self, at_ms: u64, met: &Met) -> (Word, bool) {
        let now = Timestamp::from_timestamp_millis(i64::try_from(at_ms).expect("small")).expect("in range");
        let accepted_at = None;
        let identity = Identity {
            id: id(1),
            former: self.5,
            held_since: self.2,
            accepted_at,
            replaced_by: self.3,
            is_beside: self.4,
            mark: 7,
        };
        self.0 = self.0.after(&identity, met, (now, self.1 + Duration::from_millis(at_ms)));
        (self.0.word.clone(), self.0.is_known())
    }
}

fn looking() -> Looking {
    Looking(Lineage::unknown(), Instant::now(), None, None, false, None)
}

#[test]
fn who_has_the_word_is_settled_unless_something_is_held() {
    assert_eq!(looking().looks(0, &Met::Mine(owner(1, &[], 1))), (Word::Settled, true));
    let since = Timestamp::from_timestamp(1, 0).expect("in range");
    let held = Word::Held { databases: vec![id(3), id(2)], since };
    assert_eq!(looking().looks(0, &Met::Mine(owner(1, &[3, 2], 1))), (held, true));
    assert_eq!(looking().looks(0, &Met::Unreadable), (Word::Unreadable, true));
    assert_eq!(looking().looks(0, &Met::Behind(owner(1, &[], 1))), (Word::Unknown, false));
}

#[test]
fn what_the_cache_has_forgotten_waits_for_a_person_all_the_same() {
    let mut looking = looking();
    let since = Timestamp::from_timestamp(2, 0).expect("in range");
    looking.2 = Some(since);
    let held = Word::Held { databases: Vec::new(), since };
    assert_eq!(looking.looks(0, &Met::Mine(owner(1, &[], 1))), (held, true));
    let held = Word::Held { databases: vec![id(2)], since };
    assert_eq!(looking.looks(0, &Met::Mine(owner(1, &[2], 1))).0, held, "the database knows since when");
    looking.2 = None;
    assert_eq!(looking.looks(500, &Met::Mine(owner(1, &[], 1))), (Word::Settled, true));
}

#[test]
fn the_database_whose_place_one_has_taken_is_held_also_when_the_cache_has_forgotten_it() {
    let since = Timestamp::from_timestamp(1, 0).expect("in range");
    for (former, held_since, held, expected) in [
        (Some(2), Some(since), &[][..], Word::Held { databases: vec![id(2)], since }),
        (Some(2), Some(since), &[2, 3], Word::Held { databases: vec![id(2), id(3)], since }),
        (Some(2), Some(since), &[3], Word::Held { databases: vec![id(3), id(2)], since }),
        (None, Some(since), &[], Word::Held { databases: Vec::new(), since }),
        // A person has agreed.
        (Some(2), None, &[], Word::Settled),
    ] {
        let mut looking = looking();
        (looking.2, looking.5) = (held_since, former.map(id));
        assert_eq!(looking.looks(0, &Met::Mine(owner(1, held, 1))).0, expected, "{former:?} {held_since:?} {held:?}");
    }
}

#[test]
fn what_a_database_had_told_that_nobody_speaks_for_any_more_is_held() {
    let mut looking = looking();
    let held = Word::Held { databases: vec![id(2)], since: Timestamp::UNIX_EPOCH };
    for (look, known) in [(0, false), (1, false), (3, false), (4, true), (40, true)] {
        assert_eq!(looking.looks(look * 500, &Met::Theirs(owner(2, &[], 1))), (held.clone(), known), "look {look}");
    }
}

#[test]
fn an_installation_that_was_seen_alive_beside_is_told_apart_also_when_it_is_gone() {
    let mut looking = looking();
    let beside = Word::Beside { databases: vec![id(2)] };
    looking.looks(0, &Met::Theirs(owner(2, &[], 1)));
    assert_eq!(looking.looks(500, &Met::Theirs(owner(2, &[], 2))), (beside.clone(), true));
    for at in [15_500, 16_000, 900_000] {
        assert_eq!(looking.looks(at, &Met::Theirs(owner(2, &[], 2))), (beside.clone(), true), "at {at}");
    }
    // After a start the database knows it.
    looking = self::looking();
    looking.4 = true;
    for at in [0, 2_000, 16_000] {
        assert_eq!(looking.looks(at, &Met::Theirs(owner(2, &[], 2))).0, beside, "at {at}");
    }
}

#[test]
fn records_are_held_no_more_once_the_installation_that_told_them_lives() {
    let mut looking = looking();
    let since = Timestamp::UNIX_EPOCH;
    looking.2 = Some(since);
    let (held, beside) = (Word::Held { databases: vec![id(2)], since }, Word::Beside { databases: vec![id(2)] });
    for (at, beat, expected) in [(0, 1, &held), (2_500, 1, &held), (3_000, 2, &beside), (60_000, 2, &beside)] {
        assert_eq!(&looking.looks(at, &Met::Theirs(owner(2, &[], beat))).0, expected, "at {at}");
    }
}

#[test]
fn a_database_whose_place_another_one_has_taken_counts_less_than_that_while_it_lives() {
    let mut looking = looking();
    looking.3 = Some(id(2));
    looking.looks(0, &Met::Theirs(owner(2, &[3], 1)));
    let (since, databases) = (Timestamp::UNIX_EPOCH, vec![id(2), id(3)]);
    let replaced = Word::Replaced { by: id(2), databases: databases.clone(), since };
    assert_eq!(looking.looks(500, &Met::Theirs(owner(2, &[3], 2))), (replaced, true));
    assert_eq!((looking.0.replaced_by(), looking.0.held()), (Some(id(2)), databases.as_slice()));
    assert_eq!(looking.looks(16_000, &Met::Theirs(owner(2, &[3], 2))).0, Word::Held { databases, since });
    // The next one after that has its place, too; one that was never heard of is another installation.
    let databases = vec![id(4), id(2)];
    looking.looks(16_500, &Met::Theirs(owner(4, &[2], 1)));
    let word = looking.looks(17_000, &Met::Theirs(owner(4, &[2], 2))).0;
    assert!(matches!(word, Word::Replaced { by, databases: all, .. } if by == id(4) && all == databases));
    looking.looks(17_500, &Met::Theirs(owner(5, &[], 1)));
    assert_eq!(looking.looks(18_000, &Met::Theirs(owner(5, &[], 2))).0, Word::Beside { databases: vec![id(5)] });
}

#[test]
fn an_operator_is_told_of_what_is_not_settled_and_of_what_to_do() {
    let namespace = Namespace::parse("https://read.example").expect("a namespace");
    let warning = |met| {
        let mut looking = looking();
        looking.looks(0, &met);
        looking.0.warning(&namespace).unwrap_or_default()
    };
    assert_eq!(warning(Met::Mine(owner(1, &[], 1))), "");
    assert!(warning(Met::Mine(owner(1, &[2], 1))).starts_with("since 1970-01-01T00:00:01Z PostgreSQL is behind"));
    for met in [Met::Mine(owner(1, &[2], 1)), Met::Theirs(owner(2, &[], 1)), Met::Unreadable] {
        assert!(warning(met).contains("`tollgate database accept`"));
    }
}
