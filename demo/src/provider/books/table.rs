//! Lists as Stripe pages them: newest first, from a cursor in either direction (<https://docs.stripe.com/api/pagination>).

use crate::provider::refusal::Refusal;

pub use crate::table::{Row, Table};

impl<T: Row> Table<T> {
    /// A page of those rows that are `wanted`; with an owner, of theirs alone.
    pub fn page(
        &self,
        paging: &Paging,
        owner: Option<&str>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Page<'_, T>, Refusal> {
        let cursor = paging.cursor(T::KIND, |id| self.place(id))?;
        let Some(owner) = owner else {
            return Ok(cut(self.iter().enumerate(), cursor, paging.limit, wanted));
        };
        let rows = self.places(owner).iter().filter_map(|place| self.at(*place).map(|row| (*place, row)));
        Ok(cut(rows, cursor, paging.limit, wanted))
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

/// Where a page begins: at a place among the rows, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    Newest,
    OlderThan(usize),
    NewerThan(usize),
}

impl Paging {
    /// Where the page begins. An id that is not known is refused, as Stripe refuses it.
    pub fn cursor(&self, kind: &str, place: impl Fn(&str) -> Option<usize>) -> Result<Cursor, Refusal> {
        match (&self.starting_after, &self.ending_before) {
            (Some(_), Some(_)) => {
                Err(Refusal::invalid("ending_before", "Only one of starting_after and ending_before may be named."))
            }
            (Some(id), None) => {
                place(id).map(Cursor::OlderThan).ok_or_else(|| Refusal::no_such(kind, id, "starting_after"))
            }
            (None, Some(id)) => {
                place(id).map(Cursor::NewerThan).ok_or_else(|| Refusal::no_such(kind, id, "ending_before"))
            }
            (None, None) => Ok(Cursor::Newest),
        }
    }
}

/// One page of a list, newest first, and whether there is more in the direction that was asked for.
pub struct Page<'a, T> {
    pub rows: Vec<&'a T>,
    pub has_more: bool,
}

/// Cuts a page out of `rows`, given with their places, oldest first.
pub fn cut<'a, T>(
    rows: impl DoubleEndedIterator<Item = (usize, &'a T)>,
    cursor: Cursor,
    limit: usize,
    wanted: impl Fn(&T) -> bool,
) -> Page<'a, T> {
    let wanted = |(_, row): &(usize, &'a T)| wanted(row);
    let mut found: Vec<&T> = match cursor {
        Cursor::Newest => rows.rev().filter(wanted).take(limit + 1).map(|(_, row)| row).collect(),
        Cursor::OlderThan(cursor) => {
            let rows = rows.rev().skip_while(|(place, _)| *place >= cursor);
            rows.filter(wanted).take(limit + 1).map(|(_, row)| row).collect()
        }
        Cursor::NewerThan(cursor) => {
            let rows = rows.skip_while(|(place, _)| *place <= cursor);
            rows.filter(wanted).take(limit + 1).map(|(_, row)| row).collect()
        }
    };
    let has_more = found.len() > limit;
    found.truncate(limit);
    if matches!(cursor, Cursor::NewerThan(_)) {
        found.reverse();
    }
    Page { rows: found, has_more }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letter(String);

    impl Row for Letter {
        const KIND: &'static str = "letter";

        fn id(&self) -> &str {
            &self.0
        }

        /// Vowels have one owner.
        fn owner(&self) -> Option<&str> {
            "aeiou".contains(&self.0).then_some("vowels")
        }
    }

    fn table() -> Table<Letter> {
        let mut table = Table::default();
        for id in ["a", "b", "c", "d", "e"] {
            table.insert(Letter(id.to_owned()));
        }
        table
    }

    fn paged(limit: usize, after: Option<&str>, before: Option<&str>) -> Option<(String, bool)> {
        let paging = Paging { limit, starting_after: after.map(String::from), ending_before: before.map(String::from) };
        let table = table();
        let page = table.page(&paging, None, |_| true).ok()?;
        Some((page.rows.into_iter().map(|row| row.0.clone()).collect(), page.has_more))
    }

    #[test]
    fn a_page_is_cut_as_stripe_cuts_it() {
        let cases = [
            ((2, None, None), Some(("ed", true))),
            ((5, None, None), Some(("edcba", false))),
            ((2, Some("d"), None), Some(("cb", true))),
            ((2, Some("c"), None), Some(("ba", false))),
            ((2, Some("a"), None), Some(("", false))),
            ((2, Some("unknown"), None), None),
            ((2, None, Some("b")), Some(("dc", true))),
            ((2, None, Some("c")), Some(("ed", false))),
            ((2, None, Some("unknown")), None),
            ((2, Some("a"), Some("b")), None),
        ];
        for ((limit, after, before), expected) in cases {
            let expected = expected.map(|(rows, has_more)| (rows.to_owned(), has_more));
            assert_eq!(paged(limit, after, before), expected, "{limit} {after:?} {before:?}");
        }
    }

    #[test]
    fn a_page_holds_only_what_is_wanted() {
        let table = table();
        let paging = Paging { limit: 1, ..Paging::default() };
        let ids =
            |page: Page<'_, Letter>| (page.rows.iter().map(|row| row.0.clone()).collect::<String>(), page.has_more);
        assert_eq!(table.page(&paging, Some("vowels"), |_| true).map(ids).ok(), Some(("e".to_owned(), true)));
        assert_eq!(table.page(&paging, Some("nobody"), |_| true).map(ids).ok(), Some((String::new(), false)));
        assert_eq!(table.page(&paging, None, |row| *row.0 < *"d").map(ids).ok(), Some(("c".to_owned(), true)));
    }
}
