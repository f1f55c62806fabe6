//! Rows in the order in which they were made, found by id or by customer.

use std::collections::HashMap;

/// Something with an id.
pub trait Row {
    /// The provider's word for rows of this kind.
    const KIND: &'static str;

    fn id(&self) -> &str;

    /// The customer whose row it is, when that never changes.
    fn owner(&self) -> Option<&str> {
        None
    }
}

/// The rows of one kind.
pub struct Table<T> {
    rows: Vec<T>,
    places: HashMap<String, usize>,
    owned: HashMap<String, Vec<usize>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashMap::new(), owned: HashMap::new() }
    }
}

impl<T: Row> Table<T> {
    pub fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(*self.places.get(id)?)
    }

    /// Only books change a row: they also tell it, and know what time does to it.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(*self.places.get(id)?)
    }

    /// Adds a row; one with the same id is replaced.
    pub fn insert(&mut self, row: T) {
        match self.places.get(row.id()).and_then(|place| self.rows.get_mut(*place)) {
            Some(same) => *same = row,
            None => {
                let place = self.rows.len();
                self.places.insert(row.id().to_owned(), place);
                if let Some(owner) = row.owner() {
                    self.owned.entry(owner.to_owned()).or_default().push(place);
                }
                self.rows.push(row);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.rows.iter()
    }

    /// The rows of one customer, oldest first.
    pub fn of(&self, owner: &str) -> impl DoubleEndedIterator<Item = &T> {
        self.places(owner).iter().filter_map(|place| self.rows.get(*place))
    }

    /// Where a row stands, oldest first.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The places of the rows of one customer, oldest first.
    pub fn places(&self, owner: &str) -> &[usize] {
        self.owned.get(owner).map(Vec::as_slice).unwrap_or_default()
    }

    /// The row at a place.
    pub fn at(&self, place: usize) -> Option<&T> {
        self.rows.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letter(&'static str);

    impl Row for Letter {
        const KIND: &'static str = "letter";

        fn id(&self) -> &str {
            self.0
        }

        /// Vowels have one owner.
        fn owner(&self) -> Option<&str> {
            "aeiou".contains(self.0).then_some("vowels")
        }
    }

    #[test]
    fn a_row_is_found_by_its_id_and_replaced_by_its_like() {
        let mut table = Table::default();
        for id in ["a", "b", "a", "e"] {
            table.insert(Letter(id));
        }
        let found = |id: &str| table.get(id).map(|row| row.0);
        assert_eq!((table.len(), found("b"), found("c")), (3, Some("b"), None));
        assert_eq!(table.of("vowels").map(Row::id).collect::<Vec<_>>(), ["a", "e"]);
        assert_eq!((table.places("vowels"), table.place("e")), (&[0, 2][..], Some(2)));
    }
}
