//! The meaning of the site's answer to a question, and how long it may be kept.

use std::time::Duration;

use entitlement::Timestamp;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::identity::json;
use crate::identity::principal::{Naming, Principal};
use crate::identity::refusal::Refusal;

/// The site's answer about a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// None: the session belongs to no account.
    pub(super) principal: Option<Principal>,
    /// Why the answer names no account, where it says something.
    pub(super) unread: Option<Refusal>,
    /// How long that counts.
    pub(super) keep: Duration,
    /// When the session ends.
    pub(super) ends: Option<Timestamp>,
}

/// Why there is no answer that could be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the site does not answer in time: `deadline` under [identity] says how long it may take")]
    Slow,
    #[error("too many questions are under way")]
    Busy,
    #[error("the site cannot be reached: {0}")]
    Unreachable(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer has status {0}: 200 is expected for a session, and 401, 403 or 404 for none")]
    Status(u16),
    #[error("the answer is a redirect ({0}), which is not followed: it should be 401 where nobody is signed in")]
    Redirect(u16),
    #[error("the answer is longer than 64 KiB")]
    TooLong,
    #[error("the answer is no JSON, or has a key twice")]
    NoJson,
    #[error(
        "`expires_at` in the answer is neither a number, of seconds or milliseconds since 1970, nor a date with its zone such as 2030-01-31T12:00:00Z"
    )]
    NoDate,
}

impl Fault {
    /// Whether it is the site as a whole that does not answer.
    pub(super) const fn is_of_connection(&self) -> bool {
        matches!(self, Self::Slow | Self::Unreachable(_) | Self::Broken(_))
    }
}

/// Whether the body of an answer with this status says anything.
pub(super) fn has_word(status: StatusCode) -> Result<bool, Fault> {
    match status.as_u16() {
        200 => Ok(true),
        401 | 403 | 404 => Ok(false),
        status @ 300..=399 => Err(Fault::Redirect(status)),
        status => Err(Fault::Status(status)),
    }
}

/// Reads an answer: the account and the user that `naming` finds in `body`. Without a body, the status has said that there is no account.
/// The answer counts for `keep` at most.
pub(super) fn read(
    body: Option<&[u8]>,
    headers: &HeaderMap,
    naming: &Naming,
    keep: Duration,
    now: Timestamp,
) -> Result<Said, Fault> {
    let keep = max_age(headers).map_or(keep, |max_age| keep.min(max_age));
    let nobody = Said { principal: None, unread: None, keep, ends: None };
    let Some(body) = body else { return Ok(nobody) };
    let Value::Object(answer) = json::value(body).ok_or(Fault::NoJson)? else {
        // Some libraries answer `null` where no user is signed in.
        return Ok(nobody);
    };
    let principal = match naming.principal(&answer) {
        Ok(principal) => principal,
        Err(refusal) => return Ok(Said { unread: (!answer.is_empty()).then_some(refusal), ..nobody }),
    };
    let ends = match answer.get("expires_at") {
        None | Some(Value::Null) => None,
        Some(date) => Some(moment(date).ok_or(Fault::NoDate)?),
    };
    if ends.is_some_and(|ends| ends <= now) {
        return Ok(nobody);
    }
    Ok(Said { principal: Some(principal), unread: None, keep, ends })
}

/// The number from which on a moment is told in milliseconds: as seconds it would be in the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// A date as RFC 3339 writes it, or seconds or milliseconds since 1970.
fn moment(date: &Value) -> Option<Timestamp> {
    match date {
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc()),
        Value::Number(number) => {
            let told = number.as_i64().or_else(|| number.as_f64().map(whole))?;
            let seconds = if told >= MILLISECONDS_FROM { told / 1000 } else { told };
            // Beyond all time is never.
            Some(Timestamp::from_timestamp(seconds, 0).unwrap_or(if seconds < 0 {
                Timestamp::MIN_UTC
            } else {
                Timestamp::MAX_UTC
            }))
        }
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a date beyond all time saturates, which is what is meant")]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

/// The smallest `max-age` of `Cache-Control` (RFC 9111 section 5.2.2.1). One that is no number is the shortest.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let ages = lines.flat_map(|line| line.split(',')).filter_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().trim_matches('"').parse().unwrap_or(0))
    });
    ages.min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use entitlement::account::AccountId;
    use http::HeaderValue;

    use super::*;

    const KEEP: Duration = Duration::from_secs(30);

    fn read_with(body: Option<&[u8]>, lines: &[&'static str]) -> Result<Said, Fault> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        }
        let pointer = |name: &str| name.parse().expect("a pointer");
        let account = ["/account/id", "/user/id"].map(pointer).to_vec();
        let naming = Naming { account, user: Some(pointer("/user/id")), prefix: "s:".to_owned(), buyers: [].into() };
        let now = Timestamp::from_timestamp(1_000, 0).expect("in range");
        read(body, &headers, &naming, KEEP, now)
    }

    #[test]
    fn a_status_says_all_or_the_body_does_or_nothing_is_said() {
        for (status, expected) in [
            (200, Ok(true)),
            (401, Ok(false)),
            (403, Ok(false)),
            (404, Ok(false)),
            (204, Err(Fault::Status(204))),
            (302, Err(Fault::Redirect(302))),
            (304, Err(Fault::Redirect(304))),
            (400, Err(Fault::Status(400))),
            (429, Err(Fault::Status(429))),
            (500, Err(Fault::Status(500))),
            (503, Err(Fault::Status(503))),
        ] {
            assert_eq!(has_word(StatusCode::from_u16(status).expect("a status")), expected, "{status}");
        }
    }

    #[test]
    fn an_answer_names_one_account_or_nobody_or_is_not_understood() {
        let account = |body: &str| {
            let said = read_with(Some(body.as_bytes()), &[])?;
            Ok(said.principal.map(|principal| principal.account.to_string()))
        };
        for (body, expected) in [
            (r#"{"user":{"id":"u"}}"#, Ok(Some("s:u"))),
            (r#"{"user":{"id":42}}"#, Ok(Some("s:42"))),
            (r#"{"user":{"id":"u"},"account":{"id":"a"}}"#, Ok(Some("s:a"))),
            (r#"{"user":{"id":"u"},"account":null}"#, Ok(Some("s:u"))),
            // A value that is there and is no account id hides the later ones.
            (r#"{"user":{"id":"u"},"account":{"id":["a","b"]}}"#, Ok(None)),
            (r#"{"user":{"id":""}}"#, Ok(None)),
            (r#"{"user":{"id":null}}"#, Ok(None)),
            (r#"{"user":{"id":true}}"#, Ok(None)),
            (r#"{"user":{"id":" u"}}"#, Ok(None)),
            (r#"{"user":{"id":"a\r\nb"}}"#, Ok(None)),
            ("{}", Ok(None)),
            ("null", Ok(None)),
            ("[]", Ok(None)),
            (r#"{"user":{"id":"u","id":"v"}}"#, Err(Fault::NoJson)),
            ("<html>sign in</html>", Err(Fault::NoJson)),
            ("", Err(Fault::NoJson)),
        ] {
            assert_eq!(account(body), expected.map(|id| id.map(str::to_owned)), "{body}");
        }
        assert_eq!(account(&"[".repeat(10_000)), Err(Fault::NoJson), "it has a depth");
        let long = format!(r#"{{"user":{{"id":"{}"}}}}"#, "x".repeat(300));
        assert_eq!(account(&long), Ok(None));
        assert_eq!(read_with(None, &[]).map(|said| said.principal), Ok(None));
    }

    #[test]
    fn an_answer_that_says_something_and_names_no_account_has_a_reason() {
        for (body, expected) in [
            ("{}", None),
            ("null", None),
            (r#"{"user":{"id":"u"}}"#, None),
            (r#"{"user":null}"#, Some(Refusal::NoAccount)),
            (r#"{"uid":"u"}"#, Some(Refusal::NoAccount)),
            (r#"{"user":{"id":{}}}"#, Some(Refusal::NoAccount)),
            (r#"{"user":{"id":[]},"account":{"id":"a"}}"#, Some(Refusal::NoUser)),
        ] {
            assert_eq!(read_with(Some(body.as_bytes()), &[]).expect("an answer").unread, expected, "{body}");
        }
        assert_eq!(read_with(None, &[]).expect("an answer").unread, None);
    }

    #[test]
    fn an_answer_names_the_user_who_acts_for_the_account() {
        for (body, expected) in [
            (r#"{"user":{"id":"u"},"account":{"id":"a"}}"#, Some(("s:a", Some("s:u")))),
            (r#"{"user":{"id":"u"}}"#, Some(("s:u", None))),
            (r#"{"account":{"id":"a"}}"#, Some(("s:a", None))),
            (r#"{"user":{"id":["u"]},"account":{"id":"a"}}"#, None),
        ] {
            let principal = read_with(Some(body.as_bytes()), &[]).expect("an answer").principal;
            let named = principal.as_ref().map(|known| (known.account.as_str(), known.user().map(AccountId::as_str)));
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn an_answer_counts_no_longer_than_it_says_itself() {
        let keep = |lines: &[&'static str]| read_with(Some(b"{}"), lines).map(|said| said.keep.as_secs());
        for (lines, seconds) in [
            (&[][..], 30),
            (&["max-age=5"], 5),
            (&["private, Max-Age=\"5\""], 5),
            (&["max-age=600"], 30),
            (&["max-age=10", "max-age=3, private"], 3),
            (&["max-age=0, private, must-revalidate"], 0),
            (&["max-age=soon"], 0),
            (&["s-maxage=1, no-store"], 30),
        ] {
            assert_eq!(keep(lines), Ok(seconds), "{lines:?}");
        }
        assert_eq!(read_with(None, &["max-age=2"]).map(|said| said.keep.as_secs()), Ok(2), "of nobody, too");
    }

    #[test]
    fn a_session_ends_when_the_answer_says_so() {
        let ends = |date: &str| -> Result<Option<Option<i64>>, Fault> {
            let said = read_with(Some(format!(r#"{{"user":{{"id":"u"}},"expires_at":{date}}}"#).as_bytes()), &[])?;
            Ok(said.principal.map(|_| said.ends.map(|ends| ends.timestamp())))
        };
        for (date, expected) in [
            ("2000", Ok(Some(Some(2_000)))),
            ("2000.9", Ok(Some(Some(2_000)))),
            ("1893456000", Ok(Some(Some(1_893_456_000)))),
            ("1893456000000", Ok(Some(Some(1_893_456_000)))),
            ("1893456000123.5", Ok(Some(Some(1_893_456_000)))),
            ("\"2030-01-01T00:00:00.000Z\"", Ok(Some(Some(1_893_456_000)))),
            ("\"1970-01-01T01:00:00Z\"", Ok(Some(Some(3_600)))),
            ("\"1970-01-01T02:00:00+01:00\"", Ok(Some(Some(3_600)))),
            ("null", Ok(Some(None))),
            ("1000", Ok(None)),
            ("-1", Ok(None)),
            ("\"1970-01-01T00:00:00Z\"", Ok(None)),
            ("\"tomorrow\"", Err(Fault::NoDate)),
            ("\"2030-01-01T00:00:00\"", Err(Fault::NoDate)),
            ("true", Err(Fault::NoDate)),
        ] {
            assert_eq!(ends(date), expected, "{date}");
        }
        assert!(matches!(ends("1e300"), Ok(Some(Some(_)))), "never");
    }
}
