//! The sessions that other ways of signing in take no more: with another cookie, issuer or audience everybody has to sign in again.

use super::{Names, Verified, have_common, may_agree};

/// The beginning of a place that is a header.
const HEADER: &str = "header ";

impl Verified {
    /// Whether a credential for this way may be one for the other as well.
    fn is_taken_by(&self, other: &Self) -> bool {
        self.keys == other.keys
            && self.stands_where(other)
            && may_agree(&self.issuers, &other.issuers)
            && may_agree(&self.audiences, &other.audiences)
    }

    /// Whether the other way reads where a credential for this one stands. `Authorization` is read beside cookies, and not beside a header.
    fn stands_where(&self, other: &Self) -> bool {
        let is_read = self.at.is_empty() && !other.at.iter().any(|place| place.starts_with(HEADER));
        is_read || have_common(&self.at, &other.at)
    }

    /// The differences for which the other way takes no credential of this one.
    fn differences(&self, other: &Self) -> Vec<String> {
        let any = |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(" or ") };
        let told = |what: &str, none: &str, before: &[String], now: &[String]| {
            format!("{what} was {} and is {}", any(before, none), any(now, none))
        };
        let mut all = Vec::new();
        if !self.stands_where(other) {
            all.push(told("the cookie or header", "Authorization", &self.at, &other.at));
        }
        if !may_agree(&self.issuers, &other.issuers) {
            all.push(told("the issuer", "any", &self.issuers, &other.issuers));
        }
        if !may_agree(&self.audiences, &other.audiences) {
            all.push(told("the audience", "any", &self.audiences, &other.audiences));
        }
        if self.keys != other.keys {
            all.push(format!("the kind of keys was {} and is {}", self.keys, other.keys));
        }
        all
    }
}

impl Names {
    /// The ways of signing in of which `next` takes no session any more, each with the reason, in an operator's words. None where nobody
    /// knows what a way verified; nor is one that was taken away beside others, as [`Names::lost_by`] tells of it.
    #[must_use]
    pub fn signed_out_by(&self, next: &Self) -> Vec<String> {
        let verified: Vec<&Verified> = next.0.iter().filter_map(|named| named.verified.as_ref()).collect();
        if verified.len() < next.0.len() {
            return Vec::new();
        }
        let is_taken = |before: &Verified| verified.iter().any(|now| before.is_taken_by(now));
        let are_some_taken = self.0.iter().any(|named| named.verified.as_ref().is_none_or(is_taken));
        let mut all = Vec::new();
        for (named, found) in self.0.iter().zip(self.matched(next)) {
            let Some(before) = named.verified.as_ref().filter(|before| !is_taken(before)) else { continue };
            let why = match found.and_then(|at| next.0.get(at)?.verified.as_ref()) {
                Some(now) => before.differences(now).join(", "),
                None if are_some_taken => continue,
                None => "it is gone".to_owned(),
            };
            all.push(format!(
                "no session of the way of signing in `{}` is taken any more: {why}. Everybody who signed in by it has to sign in again",
                named.way
            ));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::Named;
    use super::*;

    /// A way that verifies in a place, or in `Authorization` alone, by an issuer, an audience and a kind of keys.
    fn way(name: &str, at: &str, [issuer, audience, keys]: [&str; 3]) -> Named {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        let verified =
            Verified { at: some(at), issuers: some(issuer), audiences: some(audience), keys: keys.to_owned() };
        let account = vec!["sub".to_owned()];
        Named { way: name.to_owned(), prefix: String::new(), account, verified: Some(verified) }
    }

    #[test]
    fn sessions_that_are_taken_no_more_are_told_with_what_differs() {
        let usual = ["https://id", "read", "secret"];
        let one = || vec![way("web", "session", usual)];
        let unknown = || vec![Named { verified: None, ..way("web", "session", usual) }];
        for (before, next, expected) in [
            (one(), one(), None),
            (one(), vec![way("browser", "session", usual), way("api", "", usual)], None),
            (one(), vec![way("web", "session", ["", "read", "secret"])], None),
            (one(), unknown(), None),
            (unknown(), vec![way("web", "sid", usual)], None),
            (vec![way("api", "", usual)], one(), None),
            (one(), vec![way("web", "sid", usual)], Some("the cookie or header was session and is sid.")),
            (one(), vec![way("web", "", usual)], Some("the cookie or header was session and is Authorization.")),
            (
                vec![way("api", "", usual)],
                vec![way("front", "header x-token", usual)],
                Some("the cookie or header was Authorization and is header x-token."),
            ),
            (
                one(),
                vec![way("web", "session", ["https://new", "shop", "published"])],
                Some(
                    "the issuer was https://id and is https://new, the audience was read and is shop, the kind of keys was secret and is published.",
                ),
            ),
            (one(), Vec::new(), Some("it is gone.")),
            (vec![way("web", "session", usual), way("api", "", ["https://api", "read", "secret"])], one(), None),
            (
                vec![way("web", "session", usual), way("api", "", usual)],
                vec![way("web", "sid", usual)],
                Some("no session of the way of signing in `web` is taken any more: the cookie or header was session"),
            ),
        ] {
            let told = Names::new(before.clone()).signed_out_by(&Names::new(next.clone()));
            assert_eq!(told.len(), usize::from(expected.is_some()), "{before:?} to {next:?}: {told:?}");
            for told in told {
                assert!(told.contains(expected.unwrap_or_default()), "{told}");
            }
        }
    }
}
