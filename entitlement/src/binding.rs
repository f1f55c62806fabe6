//! Which key of a provider may speak for what is stored, and which of its events count.
//!
//! A key belongs to what is stored, not the other way round: a wrong one for a minute must not end what runs.

use std::fmt;

/// What the stored subscriptions of a provider say of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// A live subscription is stored, or a person has said that live ones count.
    pub live: bool,
    /// A subscription of test mode runs.
    pub test: bool,
    /// Whether any subscription runs for which the provider can be asked to vouch.
    pub runs: bool,
    /// An account of the provider that has answered for what runs.
    pub account: Option<String>,
    /// Whether the account of the key is one of those.
    pub has_account_of_key: bool,
}

/// What a key says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// `None` when it does not say.
    pub livemode: Option<bool>,
    /// `None` when it may not be read.
    pub account: Option<String>,
}

/// Why a key may not speak for what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    TestKey,
    LiveKey,
    OtherAccount {
        key: String,
        stored: String,
    },
    /// It sees nothing of what runs here.
    SeesNothing,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestKey => f.write_str("it is a test key, and live subscriptions are stored"),
            Self::LiveKey => f.write_str(
                "it is a live key, and the stored subscriptions are of test mode: `tollgate provider use-live` lets it take over",
            ),
            Self::OtherAccount { key, stored } => {
                write!(f, "it belongs to another account, {key}: the stored subscriptions are of {stored}")
            }
            Self::SeesNothing => {
                f.write_str("it sees none of the subscriptions that run here: it belongs to another account")
            }
        }
    }
}

/// Whether a key fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    Fits,
    Not(Misfit),
    /// What the key sees decides: it has to see one of those that run.
    IfItSees,
}

/// Decides whether a key may speak for what is stored.
#[must_use]
pub fn fit(stored: &Stored, key: &Key) -> Fit {
    match key.livemode {
        Some(false) if stored.live => return Fit::Not(Misfit::TestKey),
        Some(true) if stored.test && !stored.live => return Fit::Not(Misfit::LiveKey),
        _ => {}
    }
    match (&stored.account, &key.account) {
        _ if !stored.runs => Fit::Fits,
        (Some(_), Some(_)) if stored.has_account_of_key => Fit::Fits,
        (Some(stored), Some(key)) => Fit::Not(Misfit::OtherAccount { key: key.clone(), stored: stored.clone() }),
        _ => Fit::IfItSees,
    }
}

/// What is to be done with a verified event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    Apply,
    /// It never counts.
    Ignore(&'static str),
    /// It counts when another key is configured.
    Wait(String),
}

/// Why a test event is ignored for good.
pub const TEST_EVENT: &str = "a test event, and live subscriptions are stored";

/// Decides whether an event of a mode counts under a key. `key` is `None` when none is configured, and an error when it
/// does not fit.
#[must_use]
pub fn turn(event_livemode: Option<bool>, key: Option<Result<Option<bool>, &Misfit>>, is_live_stored: bool) -> Turn {
    match (event_livemode, key) {
        (Some(false), _) if is_live_stored => Turn::Ignore(TEST_EVENT),
        (_, Some(Err(misfit))) => Turn::Wait(format!("waits for the right API key: {misfit}")),
        (Some(true), Some(Ok(Some(false)))) => {
            Turn::Wait("waits for the right API key: a live event, and it is a test key".into())
        }
        (Some(false), Some(Ok(Some(true)))) => {
            Turn::Wait("waits for the right API key: a test event, and it is a live key".into())
        }
        _ => Turn::Apply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Option<bool> = Some(true);
    const TEST: Option<bool> = Some(false);

    fn key(livemode: Option<bool>, account: Option<&str>) -> Key {
        Key { livemode, account: account.map(str::to_owned) }
    }

    #[test]
    fn a_key_belongs_to_what_is_stored() {
        let nothing = Stored::default();
        let test = Stored { test: true, runs: true, ..nothing.clone() };
        let live = Stored { live: true, runs: true, ..nothing.clone() };
        let both = Stored { test: true, ..live.clone() };
        let ended = Stored { live: true, ..nothing.clone() };
        let unknown = nothing.clone();
        let ours = Stored { account: Some("acct_ours".into()), has_account_of_key: true, ..live.clone() };
        let theirs = Stored { has_account_of_key: false, ..ours.clone() };
        let other = Misfit::OtherAccount { key: "acct_b".into(), stored: "acct_ours".into() };
        let cases = [
            ("nothing stored", &nothing, key(TEST, Some("acct_b")), Fit::Fits),
            ("nothing stored, live", &nothing, key(LIVE, None), Fit::Fits),
            ("a test key over live ones", &live, key(TEST, Some("acct_ours")), Fit::Not(Misfit::TestKey)),
            ("a live key over test ones", &test, key(LIVE, Some("acct_ours")), Fit::Not(Misfit::LiveKey)),
            ("a test key over test ones", &test, key(TEST, Some("acct_b")), Fit::IfItSees),
            ("a live key over both", &both, key(LIVE, None), Fit::IfItSees),
            ("a test key over both", &both, key(TEST, None), Fit::Not(Misfit::TestKey)),
            ("live ones that ended", &ended, key(LIVE, Some("acct_b")), Fit::Fits),
            ("a test key over live ones that ended", &ended, key(TEST, None), Fit::Not(Misfit::TestKey)),
            ("of unknown mode", &unknown, key(LIVE, Some("acct_b")), Fit::Fits),
            ("our account", &ours, key(LIVE, Some("acct_ours")), Fit::Fits),
            ("another account", &theirs, key(LIVE, Some("acct_b")), Fit::Not(other.clone())),
            ("a key that may not say", &theirs, key(LIVE, None), Fit::IfItSees),
            ("a key without a mode", &live, key(None, None), Fit::IfItSees),
            ("a key without a mode, of another account", &theirs, key(None, Some("acct_b")), Fit::Not(other)),
        ];
        for (what, stored, key, expected) in cases {
            assert_eq!(fit(stored, &key), expected, "{what}");
        }
    }

    #[test]
    fn an_event_counts_under_the_key_that_fits_it() {
        let wrong = Misfit::SeesNothing;
        let cases = [
            ("no key", LIVE, None, true, "apply"),
            ("no key, test", TEST, None, false, "apply"),
            ("no key, test beside live ones", TEST, None, true, "ignore"),
            ("its key", LIVE, Some(Ok(LIVE)), true, "apply"),
            ("its test key", TEST, Some(Ok(TEST)), false, "apply"),
            ("a test key", LIVE, Some(Ok(TEST)), false, "wait"),
            ("a live key", TEST, Some(Ok(LIVE)), false, "wait"),
            ("a live key beside live ones", TEST, Some(Ok(LIVE)), true, "ignore"),
            ("a key that does not say", LIVE, Some(Ok(None)), false, "apply"),
            ("an event that does not say", None, Some(Ok(TEST)), false, "apply"),
            ("a key that does not fit", LIVE, Some(Err(&wrong)), true, "wait"),
            ("a key that does not fit, and no mode", None, Some(Err(&wrong)), false, "wait"),
        ];
        for (what, event, key, is_live_stored, expected) in cases {
            let turn = match turn(event, key, is_live_stored) {
                Turn::Apply => "apply",
                Turn::Ignore(_) => "ignore",
                Turn::Wait(_) => "wait",
            };
            assert_eq!(turn, expected, "{what}");
        }
    }
}
