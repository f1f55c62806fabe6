//! What comes due, soonest first: so that looking at the clock costs the same with ten rows and with ten thousand.

use std::collections::{BTreeSet, HashMap};

use crate::Timestamp;

/// The next turn of every row that has one. Of two at one moment the lesser turn is played first.
pub struct Agenda<T> {
    due: BTreeSet<(Timestamp, T, String)>,
    of: HashMap<String, (Timestamp, T)>,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), of: HashMap::new() }
    }
}

impl<T: Copy + Ord> Agenda<T> {
    /// Writes down what happens next to the row `id`, in place of what was written before.
    pub fn set(&mut self, id: &str, next: Option<(Timestamp, T)>) {
        if self.of.get(id).copied() == next {
            return;
        }
        if let Some((due, turn)) = self.of.remove(id) {
            self.due.remove(&(due, turn, id.to_owned()));
        }
        if let Some((due, turn)) = next {
            self.due.insert((due, turn, id.to_owned()));
            self.of.insert(id.to_owned(), (due, turn));
        }
    }

    /// The soonest turn that is due by `until`.
    pub fn next(&self, until: Timestamp) -> Option<(Timestamp, T, String)> {
        self.due.first().filter(|(due, ..)| *due <= until).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Turn {
        Ends,
        Retry,
        Renews,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).expect("a moment")
    }

    #[test]
    fn the_soonest_comes_first_and_a_row_has_one_turn() {
        let mut agenda = Agenda::default();
        agenda.set("b", Some((at(3), Turn::Renews)));
        agenda.set("a", Some((at(3), Turn::Retry)));
        agenda.set("c", Some((at(1), Turn::Renews)));
        agenda.set("c", Some((at(9), Turn::Ends)));
        assert_eq!(agenda.next(at(2)), None);
        assert_eq!(agenda.next(at(3)), Some((at(3), Turn::Retry, "a".to_owned())));
        agenda.set("a", None);
        assert_eq!(agenda.next(at(9)), Some((at(3), Turn::Renews, "b".to_owned())));
        agenda.set("b", None);
        assert_eq!(agenda.next(at(9)), Some((at(9), Turn::Ends, "c".to_owned())));
    }
}
