//! Rows in the order in which they were made, found by id, listed newest first as Stripe lists them.

use std::collections::HashMap;

/// Something with an id.
pub trait Row {
    fn id(&self) -> &str;
}

/// The rows of one kind.
pub struct Table<T> {
    rows: Vec<T>,
    places: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Row> Table<T> {
    pub fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(*self.places.get(id)?)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(*self.places.get(id)?)
    }

    /// Adds a row; one with the same id is replaced.
    pub fn insert(&mut self, row: T) {
        match self.places.get(row.id()).and_then(|place| self.rows.get_mut(*place)) {
            Some(same) => *same = row,
            None => {
                self.places.insert(row.id().to_owned(), self.rows.len());
                self.rows.push(row);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.iter()
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// 1 to 100; Stripe's default is 10.
    pub limit: usize,
    /// Only rows after this id, in the order of the list.
    pub starting_after: Option<String>,
    /// Only rows before this id, in the order of the list.
    pub ending_before: Option<String>,
}

/// One page of a list, and whether there is more in the direction that was asked for.
pub struct Page<'a, T> {
    pub rows: Vec<&'a T>,
    pub has_more: bool,
}

/// Cuts a page out of `rows`, given newest first. An id that is not in the list gives nothing after it.
pub fn page<'a, T: Row>(rows: impl Iterator<Item = &'a T>, paging: &Paging) -> Page<'a, T> {
    let mut rows: Vec<&T> = rows.collect();
    if let Some(cursor) = &paging.starting_after {
        let after = rows.iter().position(|row| row.id() == cursor).map_or(rows.len(), |place| place + 1);
        rows.drain(..after);
    }
    if let Some(cursor) = &paging.ending_before {
        rows.truncate(rows.iter().position(|row| row.id() == cursor).unwrap_or(0));
        let surplus = rows.len().saturating_sub(paging.limit);
        rows.drain(..surplus);
        return Page { rows, has_more: surplus > 0 };
    }
    let has_more = rows.len() > paging.limit;
    rows.truncate(paging.limit);
    Page { rows, has_more }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Row for String {
        fn id(&self) -> &str {
            self
        }
    }

    fn paged(limit: usize, after: Option<&str>, before: Option<&str>) -> (String, bool) {
        let rows: Vec<String> = ["e", "d", "c", "b", "a"].map(String::from).to_vec();
        let paging = Paging { limit, starting_after: after.map(String::from), ending_before: before.map(String::from) };
        let page = page(rows.iter(), &paging);
        (page.rows.into_iter().cloned().collect(), page.has_more)
    }

    #[test]
    fn a_page_is_cut_as_stripe_cuts_it() {
        let cases = [
            ((2, None, None), ("ed", true)),
            ((5, None, None), ("edcba", false)),
            ((2, Some("d"), None), ("cb", true)),
            ((2, Some("c"), None), ("ba", false)),
            ((2, Some("a"), None), ("", false)),
            ((2, Some("unknown"), None), ("", false)),
            ((2, None, Some("b")), ("dc", true)),
            ((2, None, Some("c")), ("ed", false)),
            ((2, None, Some("unknown")), ("", false)),
        ];
        for ((limit, after, before), (rows, has_more)) in cases {
            assert_eq!(paged(limit, after, before), (rows.to_owned(), has_more), "{limit} {after:?} {before:?}");
        }
    }

    #[test]
    fn a_row_is_found_by_its_id_and_replaced_by_its_like() {
        let mut table = Table::default();
        for id in ["a", "b", "a"] {
            table.insert(id.to_owned());
        }
        assert_eq!((table.len(), table.get("b").map(String::as_str), table.get("c")), (2, Some("b"), None));
    }
}
