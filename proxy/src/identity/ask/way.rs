//! One way by which the site is asked: the credentials that it shows to the site, and its reading of the answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use entitlement::Timestamp;
use entitlement::record::forget::Sum;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::warn;

use super::Plan;
use super::answer::{self, Fault, Said};
use super::metrics::Counters;
use super::question::Site;
use super::sums::{Sums, sum};
use crate::identity::cookies::{self, Session, Signature};
use crate::identity::jwks::PublishedError;
use crate::identity::principal::Naming;
use crate::identity::refusal::Refusal;
use crate::ladder::circuit::Circuit;

/// The name of a credential in memory: its way and cookie, and its SHA-256, as a credential itself is never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::identity) struct Digest {
    /// The number of the way among those that ask.
    way: usize,
    /// The place of the cookie among those of the way.
    cookie: usize,
    /// A cookie in pieces, of which the values are one, is another credential than a whole one of the same value.
    in_pieces: bool,
    sum: Sum,
}

impl Digest {
    /// The sum of the credential's value, by which all processes know it: without its signature, and however it is spelled.
    pub(super) const fn sum(&self) -> Sum {
        self.sum
    }
}

/// A credential as it is shown to the site. An answer counts for no other spelling of it, and none with another signature; the session ends for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::identity) struct Shown {
    pub(super) digest: Digest,
    /// The keyed digest of the header's value.
    text: u128,
}

/// A credential of a request, or the reason for which it cannot be shown to the site.
pub(super) type Asked<T> = Result<T, Refusal>;

/// Longest credential, in bytes: more than browsers keep of one cookie, in all its pieces.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// Questions in a row without any answer after which the site is left alone for a moment.
const FAILURES_MAX: u32 = 5;

/// A credential as the site is asked about it.
#[derive(Clone)]
pub(in crate::identity) struct Presented {
    /// Its way among those that ask.
    pub(super) way: usize,
    pub(in crate::identity) shown: Shown,
    /// The value of the header.
    text: Vec<u8>,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({}, [redacted])", self.way)
    }
}

/// One way by which the site is asked.
#[derive(Debug)]
pub(super) struct SessionWay {
    pub(super) place: usize,
    pub(super) name: String,
    /// The cookies that are shown to the site; empty: `Authorization`.
    cookies: Vec<String>,
    signature: Signature,
    sums: Sums,
    naming: Naming,
    pub(super) site: Site,
    keep: Duration,
    pub(super) deadline: Duration,
    pub(super) stale: Duration,
    pub(super) circuit: Circuit,
    pub(super) metrics: Counters,
    has_warned_of_cookie: AtomicBool,
    pub(super) logged: AtomicU64,
    /// Whether it has named an account, or was said not to.
    pub(super) has_named: AtomicBool,
}

impl SessionWay {
    pub(super) fn new(plan: Plan) -> Result<Self, PublishedError> {
        let Plan { place, name, cookies, naming, settings } = plan;
        let (keep, deadline, stale, signature) = (settings.keep, settings.deadline, settings.stale, settings.signature);
        Ok(Self {
            place,
            metrics: Counters::of(&name)?,
            name,
            cookies,
            signature,
            sums: Sums::new(),
            naming,
            site: Site::new(settings)?,
            keep,
            deadline,
            stale,
            circuit: Circuit::new(FAILURES_MAX),
            has_warned_of_cookie: AtomicBool::new(false),
            logged: AtomicU64::new(0),
            has_named: AtomicBool::new(false),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Gives each credential of a request that the site can be asked about; `number` is this way's among those that ask.
    pub(super) fn presented(&self, number: usize, headers: &HeaderMap, each: impl FnMut(Asked<Presented>)) {
        self.each((number, self.signature), headers, each);
    }

    /// The names in memory of the sessions of a request, whatever signature stands beside them.
    pub(super) fn sessions(&self, number: usize, headers: &HeaderMap) -> Vec<Digest> {
        let mut all = Vec::new();
        self.each((number, Signature::None), headers, |asked| {
            all.extend(asked.map(|presented| presented.shown.digest));
        });
        all
    }

    fn each(
        &self,
        (number, signature): (usize, Signature),
        headers: &HeaderMap,
        mut each: impl FnMut(Asked<Presented>),
    ) {
        if self.cookies.is_empty() {
            let mut lines = headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes().trim_ascii());
            match (lines.next(), lines.next()) {
                (Some(_), Some(_)) => each(Err(Refusal::Doubled)),
                (Some(value), None) if !value.is_empty() => {
                    each(self.show((number, 0), &[value], |_| self.sums.of(value, || value.into())));
                }
                _ => {}
            }
            return;
        }
        for (place, name) in self.cookies.iter().enumerate() {
            cookies::sessions(headers, name, signature, |session| {
                let (place, name) = ((number, place), name.as_bytes());
                let whole = |value| self.sums.of(value, || cookies::plain(value));
                each(match session {
                    Session::Whole(value) => self.show(place, &[name, b"=", value], |_| whole(value)),
                    Session::Signed(value, signature) => {
                        let parts = [name, b"=", value, b"; ", name, b".sig=", signature];
                        self.show(place, &parts, |_| whole(value))
                    }
                    Session::Pieces { value, text } => self.show(place, &[&text], |digest| {
                        digest.in_pieces = true;
                        sum(&cookies::plain(&value))
                    }),
                    Session::Doubled => Err(Refusal::Doubled),
                });
            });
        }
    }

    /// The names in memory of the credentials with this sum, if the way is called so.
    pub(super) fn digests(&self, number: usize, way: &str, sum: Sum) -> impl Iterator<Item = Digest> {
        let cookies = if self.name == way { self.cookies.len().max(1) } else { 0 };
        let both = move |cookie| [false, true].map(move |in_pieces| Digest { way: number, cookie, in_pieces, sum });
        (0..cookies).flat_map(both)
    }

    /// The cookies of this way that an answer sets, as a request would show them; those that it clears without a value.
    pub(super) fn set_by(&self, response: &HeaderMap) -> HeaderMap {
        let lines = response.get_all(SET_COOKIE).iter().filter(|line| self.is_set_by(line.as_bytes()));
        let pairs = lines.filter_map(|line| {
            let pair = line.as_bytes().split(|byte| *byte == b';').next()?;
            HeaderValue::from_bytes(pair).ok()
        });
        pairs.map(|pair| (COOKIE, pair)).collect()
    }

    /// Whether a `Set-Cookie` is for a cookie that is shown to the site, or for one that belongs to it.
    pub(super) fn is_set_by(&self, line: &[u8]) -> bool {
        let name = line.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default().trim_ascii();
        self.cookies.iter().any(|cookie| {
            name.strip_prefix(cookie.as_bytes())
                .is_some_and(|rest| rest.is_empty() || cookies::is_of_another(rest, self.signature))
        })
    }

    /// Asks the site about a credential.
    pub(super) async fn ask(&self, question: &Presented, now: Timestamp) -> Result<Said, Fault> {
        // It was a header's value before.
        let mut value = HeaderValue::from_bytes(&question.text).map_err(|_| Fault::Status(400))?;
        value.set_sensitive(true);
        let answer = self.site.ask(self.carrier(), value).await?;
        if answer.headers.contains_key(SET_COOKIE) && !self.has_warned_of_cookie.swap(true, Ordering::Relaxed) {
            warn!(
                way = self.name,
                url = %self.site.location(),
                "the answer to a question about a session sets a cookie, which is dropped: no browser would get it"
            );
        }
        answer::read(answer.body.as_deref(), &answer.headers, &self.naming, self.keep, now)
    }

    /// The credential of a way and a cookie, whose header is made of these parts.
    fn show(
        &self,
        (way, cookie): (usize, usize),
        parts: &[&[u8]],
        sum: impl FnOnce(&mut Digest) -> Sum,
    ) -> Asked<Presented> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > CREDENTIAL_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let mut digest = Digest { way, cookie, in_pieces: false, sum: Sum::default() };
        digest.sum = sum(&mut digest);
        let text = parts.concat();
        Ok(Presented { way, shown: Shown { digest, text: self.sums.digest(&text) }, text })
    }

    fn carrier(&self) -> HeaderName {
        if self.cookies.is_empty() { AUTHORIZATION } else { COOKIE }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::identity::ask::tests::plan;

    /// The name of some credential.
    pub(in crate::identity::ask) const fn numbered(cookie: usize) -> Shown {
        Shown { digest: Digest { way: 0, cookie, in_pieces: false, sum: [0; 32] }, text: 0 }
    }

    /// A way whose cookies have signatures beside them, or none.
    fn way(cookies: &[&str], signature: Signature) -> SessionWay {
        let mut plan = plan("http://127.0.0.1:9/", cookies);
        plan.settings.signature = signature;
        SessionWay::new(plan).expect("a way")
    }

    fn shown(way: &SessionWay, lines: &[(HeaderName, &'static str)]) -> Vec<Result<String, Refusal>> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut all = Vec::new();
        way.presented(0, &headers, |asked| {
            all.push(asked.map(|shown| String::from_utf8_lossy(&shown.text).into_owned()));
        });
        all
    }

    #[test]
    fn the_site_is_shown_the_credential_alone() {
        let one = |text: &str| vec![Ok(text.to_owned())];
        for (cookies, lines, expected) in [
            (&["sid"][..], &[(COOKIE, "a=1; sid=x; b=2"), (AUTHORIZATION, "Bearer t")][..], one("sid=x")),
            (&["sid"], &[(COOKIE, "a=1"), (COOKIE, "sid=\"x\"")], one("sid=\"x\"")),
            (&["sid"], &[(COOKIE, "sid=; sid2=x; xsid=x")], vec![]),
            (&["sid"], &[(COOKIE, "sid=x; sid=y")], vec![Ok("sid=x".to_owned()), Ok("sid=y".to_owned())]),
            (&["sid"], &[(COOKIE, "sid.1=b; sid.0=a; sid.3=d")], one("sid.0=a; sid.1=b")),
            (&["sid"], &[(COOKIE, "sid.0=a; sid.0=b")], vec![Err(Refusal::Doubled)]),
            (&["sid"], &[(COOKIE, "sid__1=b; sid__0=a; sid_id=c")], one("sid__0=a; sid__1=b")),
            (&["sid"], &[(COOKIE, "sid_0=a; sid_1=b")], one("sid_0=a; sid_1=b")),
            (&["sid"], &[(COOKIE, "sid.sig=s; a=1; sid=x; sid.sig=t")], one("sid=x")),
            (&["sid"], &[(COOKIE, "sidC2=b; sid=chunks-2; sidC1=a; sidC3=d")], one("sid=chunks-2; sidC1=a; sidC2=b")),
            (&["sid"], &[(COOKIE, "sid=chunks-2; sidC1=a; sidC3=d")], one("sid=chunks-2")),
            (&["sid"], &[(COOKIE, "sid=x; sidC1=a; sid.signature=b")], one("sid=x")),
            (&["a", "b"], &[(COOKIE, "b=2; a=1")], vec![Ok("a=1".to_owned()), Ok("b=2".to_owned())]),
            (&[], &[(COOKIE, "sid=x"), (AUTHORIZATION, "Token t")], one("Token t")),
            (&[], &[(AUTHORIZATION, " ")], vec![]),
        ] {
            assert_eq!(shown(&way(cookies, Signature::None), lines), expected, "{cookies:?} {lines:?}");
        }
        let long = vec![b'x'; CREDENTIAL_BYTES_MAX + 1];
        let way = way(&["sid"], Signature::None);
        assert!(matches!(way.show((0, 0), &[&long], |_| Sum::default()), Err(Refusal::TooLong)));
    }

    #[test]
    fn a_signature_is_shown_where_the_way_has_one_and_several_are_no_credential() {
        let way = way(&["sid"], Signature::Beside);
        let one = |text: &str| vec![Ok(text.to_owned())];
        for (line, expected) in [
            ("sid.sig=s; a=1; sid=x", one("sid=x; sid.sig=s")),
            ("sid=x", one("sid=x")),
            ("sid=x; sid.signature=s", one("sid=x")),
            ("sid=x; sid.sig=s; sid=y", vec![Ok("sid=x; sid.sig=s".into()), Ok("sid=y; sid.sig=s".into())]),
            ("sid=x; sid.sig=s; sid.sig=s", vec![Err(Refusal::Doubled)]),
            ("sid.sig=s", vec![]),
        ] {
            assert_eq!(shown(&way, &[(COOKIE, line)]), expected, "{line}");
        }
    }

    #[test]
    fn a_credential_is_found_by_the_sum_of_its_value_whole_or_in_pieces() {
        let way = way(&["a", "b"], Signature::Beside);
        let digests = |line: &'static str| {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(line))]);
            let mut all = Vec::new();
            way.presented(1, &headers, |asked| all.push(asked.expect("it can be shown").shown.digest));
            all
        };
        let known: Vec<Digest> = way.digests(1, "session", sum(b"xyz")).collect();
        assert_eq!(known.len(), 4);
        for (line, is_known) in [
            ("a=xyz", true),
            ("b=xyz", true),
            ("a.0=xy; a.1=z", true),
            ("a__0=xy; a__1=z", true),
            ("a=xyz; a.sig=z", true),
            ("a=xy; a.sig=z", false),
            ("a=\"xyz\"", true),
            ("a=x%79z", true),
            ("a=chunks-1; aC1=xyz", true),
            ("a=chunks-02; aC1=xy; aC2=z; aC3=", true),
            ("b.0=x; b.1=yz", true),
            ("a=xy", false),
            ("a.0=xy", false),
            ("c=xyz", false),
        ] {
            assert_eq!(digests(line).iter().any(|digest| known.contains(digest)), is_known, "{line}");
        }
        assert_ne!(digests("a=xyz"), digests("b=xyz"), "each cookie by itself");
        assert_ne!(digests("a=xyz"), digests("a.0=xyz"));
        assert_eq!(way.digests(1, "other", sum(b"xyz")).count(), 0);
    }

    #[test]
    fn an_answer_sets_a_cookie_by_its_whole_name() {
        let signed = way(&["sid"], Signature::Beside);
        let way = way(&["sid"], Signature::None);
        assert!(signed.is_set_by(b"sid.sig=x") && signed.is_set_by(b"sid=x"));
        for (line, is_set) in [
            ("sid=x; Path=/", true),
            ("sid=; Max-Age=0", true),
            (" sid = x", true),
            ("sid.1=x", true),
            ("sid__0=x", true),
            ("sid_12=x", true),
            ("sid.sig=x", false),
            ("sidC1=x", true),
            ("sid", true),
            ("sid_=x", false),
            ("sid_a=x", false),
            ("sid.1a=x", false),
            ("sidCx=x", false),
            ("sid.x=1", false),
            ("sids=x", false),
            ("a=sid=x", false),
            ("", false),
        ] {
            assert_eq!(way.is_set_by(line.as_bytes()), is_set, "{line}");
        }
    }
}
