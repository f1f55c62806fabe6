//! By which claims accounts are named. With others, every account is another one: what was paid for stays with the old names.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How one way of signing in names its accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name of the way.
    pub way: String,
    /// Stands before the account.
    pub prefix: String,
    /// The claims, the first that is there; or the header in which the account stands.
    pub account: Vec<String>,
}

/// How all ways of signing in name theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(Vec<Named>);

impl Named {
    fn is_same(&self, other: &Self) -> bool {
        (&self.prefix, &self.account) == (&other.prefix, &other.account)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.account.join(" or "))
    }
}

/// The order of the ways says nothing, nor do two that name accounts alike.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: BTreeSet<String> = self.0.iter().map(Named::to_string).collect();
        f.write_str(&all.into_iter().collect::<Vec<_>>().join(", "))
    }
}

impl Names {
    #[must_use]
    pub const fn new(all: Vec<Named>) -> Self {
        Self(all)
    }

    /// Whether accounts that these name would be other ones under `next`. A way that is new names nobody's account yet, and one that
    /// is only called otherwise names the same ones.
    #[must_use]
    pub fn are_lost_by(&self, next: &Self) -> bool {
        self.0.iter().any(|named| match next.0.iter().find(|other| other.way == named.way) {
            Some(other) => !named.is_same(other),
            None => !next.0.iter().any(|other| named.is_same(other)),
        })
    }

    /// How a way of this name names its accounts. Where there is only one here and one there, it is the same.
    #[must_use]
    pub fn of(&self, way: &str, ways: usize) -> Option<&Named> {
        let only = || self.0.first().filter(|_| self.0.len() == 1 && ways == 1);
        self.0.iter().find(|named| named.way == way).or_else(only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[(&str, &str, &[&str])]) -> Names {
        let named = |(way, prefix, account): &(&str, &str, &[&str])| Named {
            way: (*way).to_owned(),
            prefix: (*prefix).to_owned(),
            account: account.iter().map(|claim| (*claim).to_owned()).collect(),
        };
        Names::new(all.iter().map(named).collect())
    }

    #[test]
    fn accounts_are_lost_by_another_claim_or_prefix_and_not_by_a_way_more_or_another_name_of_it() {
        let before = names(&[("identity", "", &["sub"])]);
        for (next, expected) in [
            (names(&[("identity", "", &["sub"])]), false),
            (names(&[("identity", "", &["org_id"])]), true),
            (names(&[("identity", "", &["org_id", "sub"])]), true),
            (names(&[("identity", "u:", &["sub"])]), true),
            (names(&[("browser", "", &["sub"])]), false),
            (names(&[("browser", "b:", &["sub"])]), true),
            (names(&[("api", "a:", &["id"]), ("browser", "", &["sub"])]), false),
            (names(&[]), true),
        ] {
            assert_eq!(before.are_lost_by(&next), expected, "{next:?}");
        }
        let two = names(&[("a", "", &["x"]), ("b", "", &["y"])]);
        assert!(two.are_lost_by(&names(&[("a", "", &["y"]), ("b", "", &["x"])])), "all the same, and each another one");
        assert!(!Names::default().are_lost_by(&two), "nobody was named before");
    }

    #[test]
    fn a_way_is_known_by_its_name_or_as_the_only_one() {
        let (one, two) = (names(&[("a", "", &["x"])]), names(&[("a", "", &["x"]), ("b", "", &["y"])]));
        let of = |names: &Names, way, ways| names.of(way, ways).map(ToString::to_string);
        assert_eq!(of(&two, "b", 2).as_deref(), Some("y"));
        assert_eq!(of(&two, "c", 1), None);
        assert_eq!(of(&one, "c", 1).as_deref(), Some("x"));
        assert_eq!(of(&one, "c", 2), None);
    }

    #[test]
    fn names_are_shown_in_one_order_and_are_read_back() {
        let two = names(&[("b", "b:", &["/org/id", "sub"]), ("a", "a:", &["user_id"]), ("c", "a:", &["user_id"])]);
        assert_eq!(two.to_string(), "a:user_id, b:/org/id or sub");
        let text = serde_json::to_string(&two).expect("JSON");
        assert_eq!(serde_json::from_str::<Names>(&text).expect("read"), two);
    }
}
