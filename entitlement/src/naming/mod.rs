//! By which claims accounts are named. With others, every account is another one: what was paid for stays with the old names.

mod sessions;

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
    /// Its credentials; `None` where an earlier version noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// The credentials that one way of signing in verifies: by these it is known again, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The cookies, or the header, in which it stands; empty: `Authorization` alone.
    pub at: Vec<String>,
    /// Empty: anything.
    pub issuers: Vec<String>,
    /// Empty: anything.
    pub audiences: Vec<String>,
    /// The kind of its keys.
    pub keys: String,
}

/// How all ways of signing in name theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(Vec<Named>);

impl Named {
    fn is_same(&self, other: &Self) -> bool {
        (&self.prefix, &self.account) == (&other.prefix, &other.account)
    }

    /// Whether both verify the same, where that is known.
    fn verifies_as(&self, other: &Self) -> bool {
        self.verified.is_some() && self.verified == other.verified
    }

    /// Whether a credential for the one may be one for the other.
    fn fits(&self, other: &Self) -> bool {
        let (Some(one), Some(other)) = (&self.verified, &other.verified) else { return false };
        let is_at_same = one.at == other.at || have_common(&one.at, &other.at);
        one.keys == other.keys
            && is_at_same
            && may_agree(&one.issuers, &other.issuers)
            && may_agree(&one.audiences, &other.audiences)
    }

    /// Whether the accounts of the one may be those of the other.
    fn names_as(&self, other: &Self) -> bool {
        let issuers = |named: &Self| named.verified.as_ref().map(|verified| verified.issuers.clone());
        self.is_same(other) && may_agree(&issuers(self).unwrap_or_default(), &issuers(other).unwrap_or_default())
    }
}

/// Accounts that become other ones, known by the prefixes of the ways of signing in that named them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostNames {
    gone: BTreeSet<String>,
    kept: BTreeSet<String>,
}

impl LostNames {
    /// Every account, where nobody knows how it was named.
    #[must_use]
    pub fn all() -> Self {
        Self { gone: BTreeSet::from([String::new()]), kept: BTreeSet::new() }
    }

    /// Whether no way of signing in names its accounts otherwise.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.gone.is_empty()
    }

    /// The prefixes of the ways that are gone.
    pub fn gone(&self) -> impl Iterator<Item = &str> {
        self.gone.iter().map(String::as_str)
    }

    /// The prefixes of the ways that stay: an account that begins with a longer one of these is of that way.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }
}

impl fmt::Display for LostNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |all: &BTreeSet<String>| {
            let all: Vec<String> =
                all.iter().filter(|prefix| !prefix.is_empty()).map(|prefix| format!("`{prefix}`")).collect();
            all.join(" or ")
        };
        let (gone, kept) = (some(&self.gone), some(&self.kept));
        match (self.gone.contains(""), kept.is_empty()) {
            (true, true) => f.write_str("every account"),
            (true, false) => write!(f, "every account that does not begin with {kept}"),
            (false, _) => write!(f, "every account that begins with {gone}"),
        }
    }
}

fn have_common(one: &[String], other: &[String]) -> bool {
    one.iter().any(|text| other.contains(text))
}

/// Empty lists take anything.
fn may_agree(one: &[String], other: &[String]) -> bool {
    one.is_empty() || other.is_empty() || have_common(one, other)
}

/// Whether a way is another one.
type Rule<'a> = &'a dyn Fn(&Named, &Named) -> bool;

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

    /// Whether accounts that these name may be other ones under `next`.
    #[must_use]
    pub fn are_lost_by(&self, next: &Self) -> bool {
        !self.lost_by(next).is_nothing()
    }

    /// The accounts that these name and that would be other ones under `next`. A way that is new names nobody's account yet, and one that
    /// is only called otherwise names the same ones.
    #[must_use]
    pub fn lost_by(&self, next: &Self) -> LostNames {
        let mut lost = LostNames::default();
        for (named, found) in self.0.iter().zip(self.matched(next)) {
            let stays = match found {
                Some(at) => named.is_same(&next.0[at]),
                None => next.0.iter().any(|other| named.names_as(other)),
            };
            let of = if stays { &mut lost.kept } else { &mut lost.gone };
            of.insert(named.prefix.clone());
        }
        lost
    }

    /// How the way of this name among `next` named its accounts.
    #[must_use]
    pub fn of(&self, way: &str, next: &Self) -> Option<&Named> {
        let matched = self.matched(next);
        let is_it = |found: &Option<usize>| found.is_some_and(|at| next.0[at].way == way);
        self.0.iter().zip(matched).find(|(_, found)| is_it(found)).map(|(named, _)| named)
    }

    /// The one among `next` that each of these is: by its credentials first, then by its name. Where there is only one here and one
    /// there, it is the same.
    fn matched(&self, next: &Self) -> Vec<Option<usize>> {
        let is_only = self.0.len() == 1 && next.0.len() == 1;
        let rules: [Rule<'_>; 6] = [
            &|named, other| named.verifies_as(other) && named.way == other.way,
            &|named, other| named.verifies_as(other),
            &|named, other| named.fits(other) && named.way == other.way,
            &|named, other| named.fits(other),
            &|named, other| named.way == other.way,
            &|_, _| is_only,
        ];
        let mut matched: Vec<Option<usize>> = vec![None; self.0.len()];
        for is_it in rules {
            for (at, named) in self.0.iter().enumerate().filter(|(at, _)| matched[*at].is_none()).collect::<Vec<_>>() {
                let is_free = |found: &usize| !matched.contains(&Some(*found));
                matched[at] = (0..next.0.len()).filter(is_free).find(|found| is_it(named, &next.0[*found]));
            }
        }
        matched
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
            verified: None,
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
    fn a_way_that_goes_takes_the_accounts_that_begin_as_it_named_them() {
        let (browser, api, flat) =
            (("browser", "w:", &["sub"][..]), ("api", "api:", &["sub"][..]), ("web", "", &["sub"][..]));
        for (before, next, told, gone, kept) in [
            (vec![flat, api], vec![flat], "every account that begins with `api:`", vec!["api:"], vec![""]),
            (vec![flat, api], vec![api], "every account that does not begin with `api:`", vec![""], vec!["api:"]),
            (
                vec![browser, api],
                vec![flat],
                "every account that begins with `api:` or `w:`",
                vec!["api:", "w:"],
                vec![],
            ),
            (vec![flat], vec![browser], "every account", vec![""], vec![]),
        ] {
            let lost = names(&before).lost_by(&names(&next));
            assert_eq!(lost.to_string(), told);
            assert_eq!((lost.gone().collect::<Vec<_>>(), lost.kept().collect::<Vec<_>>()), (gone, kept), "{told}");
        }
        assert!(names(&[flat]).lost_by(&names(&[flat, api])).is_nothing());
        assert_eq!(LostNames::all().to_string(), "every account");
    }

    /// A way that verifies tokens in a cookie, or in `Authorization` where it names none.
    fn way(name: &str, (cookie, issuer): (&str, &str), (prefix, account): (&str, &str)) -> Named {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        let verified = Verified {
            at: some(cookie),
            issuers: some(issuer),
            audiences: some("read.example"),
            keys: "secret".to_owned(),
        };
        let (way, prefix, account) = (name.to_owned(), prefix.to_owned(), some(account));
        Named { way, prefix, account, verified: Some(verified) }
    }

    #[test]
    fn a_way_is_known_again_by_what_it_verifies_whatever_its_name() {
        let (session, api, other) = (("session", "https://site"), ("", "https://api"), ("mark", "https://other"));
        let one = || vec![way("identity", session, ("", "sub"))];
        let two = || vec![way("browser", session, ("w:", "sub")), way("api", api, ("a:", "sub"))];
        for (before, next, lost, of) in [
            (one(), vec![way("api", api, ("", "sub")), way("browser", session, ("", "email"))], true, ["", "sub"]),
            (one(), vec![way("api", api, ("", "sub")), way("browser", session, ("w:", "sub"))], true, ["", "sub"]),
            (one(), vec![way("api", api, ("a:", "sub")), way("browser", session, ("w:", "sub"))], true, ["", "sub"]),
            (one(), vec![way("api", api, ("a:", "id")), way("browser", session, ("", "sub"))], false, ["", "sub"]),
            (
                one(),
                vec![way("api", api, ("a:", "id")), way("browser", ("session", ""), ("w:", "sub"))],
                true,
                ["", "sub"],
            ),
            (one(), vec![way("api", api, ("", "sub")), way("other", other, ("", "sub"))], true, ["", ""]),
            (one(), vec![way("browser", session, ("", "email"))], true, ["sub", ""]),
            (one(), vec![way("browser", other, ("", "email"))], true, ["sub", ""]),
            (
                two(),
                vec![way("api", session, ("w:", "sub")), way("browser", api, ("a:", "sub"))],
                false,
                ["w:sub", "a:sub"],
            ),
            (
                two(),
                vec![way("api", session, ("a:", "sub")), way("browser", api, ("w:", "sub"))],
                true,
                ["w:sub", "a:sub"],
            ),
            (two(), vec![way("browser", session, ("w:", "sub"))], true, ["w:sub", ""]),
        ] {
            let (before, next) = (Names::new(before), Names::new(next));
            assert_eq!(before.are_lost_by(&next), lost, "{next:?}");
            let told = |at: usize| {
                next.0
                    .get(at)
                    .and_then(|named| before.of(&named.way, &next))
                    .map(ToString::to_string)
                    .unwrap_or_default()
            };
            assert_eq!([told(0), told(1)], of, "{next:?}");
        }
    }

    #[test]
    fn other_orders_and_numbers_of_ways_name_nobody_otherwise_by_themselves() {
        let (session, api, other) = (("session", "https://site"), ("", "https://api"), ("mark", "https://other"));
        let (web, machine) = (("", "https://web"), ("", "https://machine"));
        let flat = || way("identity", session, ("", "sub"));
        let browser = |name| way(name, session, ("w:", "sub"));
        let a = |name| way(name, api, ("a:", "sub"));
        let m = |name| way(name, other, ("m:", "id"));
        for (what, before, next, lost) in [
            ("another order", vec![browser("x"), a("y"), m("z")], vec![m("z"), browser("x"), a("y")], false),
            ("other names in turn", vec![browser("x"), a("y"), m("z")], vec![browser("y"), a("z"), m("x")], false),
            (
                "other names in another order",
                vec![browser("x"), a("y"), m("z")],
                vec![m("y"), a("x"), browser("z")],
                false,
            ),
            (
                "names of accounts in turn",
                vec![browser("x"), a("y"), m("z")],
                vec![way("x", session, ("a:", "sub")), way("y", api, ("m:", "id")), way("z", other, ("w:", "sub"))],
                true,
            ),
            ("one less", vec![browser("x"), a("y"), m("z")], vec![m("z"), browser("x")], true),
            (
                "one less, whose accounts another one names",
                vec![browser("x"), way("y", ("mark", "https://site"), ("w:", "sub"))],
                vec![browser("x")],
                false,
            ),
            (
                "one less, of another issuer",
                vec![browser("x"), way("y", other, ("w:", "sub"))],
                vec![browser("x")],
                true,
            ),
            ("one more before", vec![a("y")], vec![browser("x"), a("y")], false),
            ("one more that names alike", vec![a("y")], vec![way("x", session, ("a:", "sub")), a("y")], false),
            ("flat to named", vec![flat()], vec![a("y"), way("x", session, ("", "sub"))], false),
            ("flat to named, otherwise", vec![flat()], vec![a("y"), browser("x")], true),
            ("named to flat", vec![way("x", session, ("", "sub"))], vec![flat()], false),
            ("several to flat", vec![way("x", session, ("", "sub")), a("y")], vec![flat()], true),
            (
                "no issuer is asked for any more",
                vec![way("x", web, ("w:", "sub")), way("y", machine, ("m:", "sub"))],
                vec![way("y", ("", ""), ("m:", "sub")), way("x", ("", ""), ("w:", "sub"))],
                false,
            ),
            (
                "an issuer is asked for now",
                vec![way("x", ("", ""), ("w:", "sub")), way("y", ("", ""), ("m:", "sub"))],
                vec![way("y", machine, ("m:", "sub")), way("x", web, ("w:", "sub"))],
                false,
            ),
        ] {
            assert_eq!(Names::new(before).are_lost_by(&Names::new(next)), lost, "{what}");
        }
    }

    #[test]
    fn a_way_of_which_nothing_else_is_known_is_known_by_its_name_or_as_the_only_one() {
        let (one, two) = (names(&[("a", "", &["x"])]), names(&[("a", "", &["x"]), ("b", "", &["y"])]));
        let of = |names: &Names, way, next: &Names| names.of(way, next).map(ToString::to_string);
        let other = names(&[("c", "", &["z"])]);
        assert_eq!(of(&two, "b", &two).as_deref(), Some("y"));
        assert_eq!(of(&two, "c", &other), None);
        assert_eq!(of(&one, "c", &other).as_deref(), Some("x"));
        assert_eq!(of(&one, "c", &names(&[("c", "", &["z"]), ("d", "", &["z"])])), None);
    }

    #[test]
    fn names_are_shown_in_one_order_and_are_read_back() {
        let two = names(&[("b", "b:", &["/org/id", "sub"]), ("a", "a:", &["user_id"]), ("c", "a:", &["user_id"])]);
        assert_eq!(two.to_string(), "a:user_id, b:/org/id or sub");
        let text = serde_json::to_string(&two).expect("JSON");
        assert_eq!(serde_json::from_str::<Names>(&text).expect("read"), two);
    }
}
