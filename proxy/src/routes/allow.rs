//! Requests that a route lets in although nobody is signed in: feeds, crawlers, monitors. They come from an address, or have a token.
//!
//! A token is a secret that stands in an address, so it goes no further than this: whatever it is worth, it is taken out of the request
//! before anything else is made of that.

use std::borrow::Cow;
use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use entitlement::authorize::Denial;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;

use crate::forwarded::TrustedProxies;
use crate::headers::Withheld;

/// Headers in which browsers and scripts send the address of a page.
const PAGES: [HeaderName; 4] = [
    http::header::REFERER,
    HeaderName::from_static("hx-current-url"),
    HeaderName::from_static("ping-from"),
    HeaderName::from_static("ping-to"),
];

/// Shortest token, in bytes: 128 bits, if it was made as told.
pub const TOKEN_BYTES_MIN: usize = 16;

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 256;

/// The requests that a route lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// From these addresses and networks.
    pub addresses: TrustedProxies,
    /// With one of these.
    pub tokens: Vec<Token>,
}

/// A token: its variable in the environment, its place in a request, and its values, of which more than one count while it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub variable: String,
    pub place: Place,
    /// SHA-256 of each: itself it is not kept.
    digests: Vec<Digest>,
}

type Digest = [u8; 32];

/// Where a request has a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A parameter of the query.
    Query(String),
    /// A header of its own.
    Header(HeaderName),
}

/// A parameter: its name and its value, as a site reads them.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A request, read for what a route lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) is_let_in: bool,
    /// Whether its address had a token, whatever that is worth.
    pub(crate) had_token: bool,
    /// Its target without the tokens, where it had any.
    pub(crate) target: Option<Vec<u8>>,
}

impl Token {
    /// A token without values: it lets in nobody.
    #[must_use]
    pub const fn new(variable: String, place: Place) -> Self {
        Self { variable, place, digests: Vec::new() }
    }

    /// The same with its values.
    #[must_use]
    pub fn with(self, values: &[String]) -> Self {
        Self { digests: values.iter().map(|value| sum(value.as_bytes())).collect(), ..self }
    }

    /// Whether this is one of its values.
    fn is(&self, value: &[u8]) -> bool {
        is_one_of(&self.digests, value)
    }

    fn is_in(&self, headers: &HeaderMap, pairs: &[Pair<'_>]) -> bool {
        match &self.place {
            // One and no other: of several the site may read another.
            Place::Header(name) => {
                let mut values = headers.get_all(name).iter();
                values.next().is_some_and(|value| self.is(value.as_bytes())) && values.next().is_none()
            }
            Place::Query(name) => {
                let mut values = pairs.iter().filter(|(key, _)| **key == *name.as_bytes());
                values.next().is_some_and(|(_, value)| self.is(value)) && values.next().is_none()
            }
        }
    }
}

impl Allow {
    /// Reads a request with these headers and this target, which comes from `address` as far as that is known.
    pub(crate) fn read(&self, headers: &HeaderMap, target: &[u8], address: Option<IpAddr>) -> Read {
        let pairs: Vec<_> = query(target).map(|query| pairs(query).collect()).unwrap_or_default();
        let by_token = self.tokens.iter().fold(false, |found, token| token.is_in(headers, &pairs) | found);
        let target = self.without_tokens(target);
        let is_let_in = by_token || address.is_some_and(|address| self.addresses.include(address));
        Read { is_let_in, had_token: target.is_some(), target }
    }

    /// Whether one of its tokens is this.
    pub(crate) fn has_token(&self, value: &str) -> bool {
        self.tokens.iter().fold(false, |found, token| token.is(value.as_bytes()) | found)
    }

    /// Whether an address or a token lets in in spite of this denial: not where it is certain that an account is shut out, or may be.
    #[must_use]
    pub const fn overcomes(denial: &Denial) -> bool {
        !matches!(denial, Denial::Blocked | Denial::Ambiguous)
    }

    fn has_parameter(&self, name: &[u8]) -> bool {
        self.tokens.iter().any(|token| matches!(&token.place, Place::Query(own) if *name == *own.as_bytes()))
    }

    /// A target without the parameters that are for tokens; none where it has none of them.
    fn without_tokens(&self, target: &[u8]) -> Option<Vec<u8>> {
        let query = query(target)?;
        let is_kept = |part: &&[u8]| !self.has_parameter(&pair(part).0);
        let kept: Vec<&[u8]> = parts(query).filter(is_kept).collect();
        if kept.len() == parts(query).count() {
            return None;
        }
        Some(with_query(target, &kept))
    }
}

/// The tokens of all routes: so that one reaches no other part of the site either.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests {
    is_any: bool,
    headers: Withheld,
    digests: Vec<Digest>,
}

impl Guests {
    pub(super) fn add(&mut self, allow: &Allow) {
        self.is_any = true;
        for token in &allow.tokens {
            self.digests.extend_from_slice(&token.digests);
            if let Place::Header(name) = &token.place {
                self.headers.add(name);
            }
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        !self.is_any
    }

    /// A target without the parameters that have a token, of whatever route and under whatever name; none where it has none of them.
    pub(crate) fn without_tokens(&self, target: &[u8]) -> Option<Vec<u8>> {
        let query = if self.digests.is_empty() { None } else { query(target) }?;
        let kept: Vec<&[u8]> = parts(query).filter(|part| !self.are_in(part)).collect();
        (kept.len() < parts(query).count()).then(|| with_query(target, &kept))
    }

    /// Whether a part of a query has a token. Some servers begin a parameter at a semicolon, too.
    fn are_in(&self, part: &[u8]) -> bool {
        part.split(|byte| *byte == b';')
            .map(pair)
            .any(|(name, value)| [name, value].iter().any(|text| is_one_of(&self.digests, text)))
    }

    /// Whether an address of a page has a token.
    fn are_named_in(&self, page: &HeaderValue) -> bool {
        let page = page.as_bytes().split(|byte| *byte == b'#').next().unwrap_or_default();
        query(page).is_some_and(|query| parts(query).any(|part| self.are_in(part)))
    }

    /// The headers of a request that the site does not get: those of tokens in every spelling that it may take for theirs.
    pub(crate) fn withheld(&self, headers: &HeaderMap) -> Vec<HeaderName> {
        let of_tokens = headers.keys().filter(|name| self.headers.holds(name.as_str().as_bytes()));
        let of_pages =
            PAGES.into_iter().filter(|name| headers.get_all(name).iter().any(|page| self.are_named_in(page)));
        of_tokens.cloned().chain(of_pages).collect()
    }
}

/// Whether a value is one of these. How long that takes says nothing of them but the bounds of their length.
fn is_one_of(digests: &[Digest], value: &[u8]) -> bool {
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&value.len()) {
        return false;
    }
    let sum = sum(value);
    digests.iter().fold(false, |found, known| verify_slices_are_equal(known, &sum).is_ok() | found)
}

/// A target with this in the place of its query.
fn with_query(target: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    if parts.is_empty() { path.to_vec() } else { [path, &parts.join(&b'&')].join(&b'?') }
}

fn sum(value: &[u8]) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, value).as_ref());
    sum
}

fn query(target: &[u8]) -> Option<&[u8]> {
    let at = target.iter().position(|byte| *byte == b'?')?;
    Some(&target[at + 1..])
}

fn parts(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|byte| *byte == b'&')
}

fn pairs(query: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    parts(query).map(pair)
}

/// A name and its value, as a site reads them.
fn pair(part: &[u8]) -> Pair<'_> {
    let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
    (percent_decode(&part[..at]).into(), percent_decode(part.get(at + 1..).unwrap_or_default()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn allow() -> Allow {
        let token = |place| Token::new("FEED_TOKEN".into(), place).with(&[TOKEN.into(), "fedcba9876543210".into()]);
        let addresses = TrustedProxies::parse(&["203.0.113.0/24"]).expect("addresses");
        let header = HeaderName::from_static("x-feed-token");
        Allow { addresses, tokens: vec![token(Place::Query("token".into())), token(Place::Header(header))] }
    }

    fn read(target: &str, lines: &[(&'static str, &'static str)], address: &str) -> (bool, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let read = allow().read(&headers, target.as_bytes(), address.parse().ok());
        assert_eq!(read.had_token, read.target.is_some());
        (read.is_let_in, read.target.map(|target| String::from_utf8(target).expect("text")))
    }

    #[test]
    fn an_address_or_a_token_lets_in_and_the_token_goes_no_further() {
        let stays = |is_let_in| (is_let_in, None);
        let left = |is_let_in, target: &str| (is_let_in, Some(target.to_owned()));
        let header = |value| [("x-feed-token", value)];
        for (target, lines, address, expected) in [
            ("/feed", &[][..], "192.0.2.1", stays(false)),
            ("/feed", &[], "203.0.113.9", stays(true)),
            ("/feed", &[], "::ffff:203.0.113.9", stays(true)),
            ("/feed", &[], "", stays(false)),
            ("/feed?token=0123456789abcdef", &[], "", left(true, "/feed")),
            ("/feed?token=fedcba9876543210", &[], "", left(true, "/feed")),
            ("/feed?a=b&token=0123456789abcdef&c", &[], "", left(true, "/feed?a=b&c")),
            ("/feed?%74oken=%30123456789abcdef", &[], "", left(true, "/feed")),
            ("/feed?token=0123456789abcdeg", &[], "", left(false, "/feed")),
            ("/feed?token=", &[], "", left(false, "/feed")),
            ("/feed?token", &[], "203.0.113.9", left(true, "/feed")),
            ("/feed?token=0123456789abcdef&token=0123456789abcdef", &[], "", left(false, "/feed")),
            ("/feed?token=x&token=0123456789abcdef", &[], "", left(false, "/feed")),
            ("/feed?Token=0123456789abcdef", &[], "", stays(false)),
            ("/feed?tokens=0123456789abcdef", &[], "", stays(false)),
            ("/feed?a=b;token=0123456789abcdef", &[], "", stays(false)),
            ("/feed?", &[], "", stays(false)),
            ("/feed", &header("0123456789abcdef"), "", stays(true)),
            ("/feed", &header("0123456789abcde"), "", stays(false)),
            ("/feed", &[("x-feed-token", "0123456789abcdef"), ("x-feed-token", "0123456789abcdef")], "", stays(false)),
        ] {
            assert_eq!(read(target, lines, address), expected, "{target} {lines:?} {address}");
        }
        let long = format!("/feed?token={}", "a".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(read(&long, &[], ""), left(false, "/feed"));
    }

    #[test]
    fn a_token_is_not_kept_and_none_lets_in_nobody() {
        let shown = format!("{:?}", allow());
        assert!(!shown.contains(TOKEN), "{shown}");
        let token = Token::new("FEED_TOKEN".into(), Place::Query("token".into()));
        for value in ["", TOKEN] {
            assert!(!token.is(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn no_part_of_the_site_gets_a_token() {
        let mut guests = Guests::default();
        assert!(guests.is_empty());
        guests.add(&allow());
        for (name, value, is_withheld) in [
            ("x-feed-token", "anything", true),
            ("x_feed_token", "anything", true),
            ("x.feed-token", "anything", true),
            ("referer", "https://read.example/feed?a=b&token=0123456789abcdef", true),
            ("referer", "https://read.example/feed?token=0123456789abcdef#part", true),
            ("hx-current-url", "https://read.example/feed?token=0123456789abcdef", true),
            ("ping-from", "https://read.example/feed?a=b;t=fedcba9876543210", true),
            ("ping-to", "https://read.example/feed?0123456789abcdef", true),
            ("referer", "https://read.example/reset?token=another", false),
            ("referer", "https://read.example/feed#?token=0123456789abcdef", false),
            ("x-other", "0123456789abcdef", false),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(!guests.withheld(&headers).is_empty(), is_withheld, "{name}: {value}");
        }
        for (target, left) in [
            ("/a?token=0123456789abcdef", Some("/a")),
            ("/a?b=c&key=fedcba9876543210&d", Some("/a?b=c&d")),
            ("/a?b=c;%74oken=%30123456789abcdef&d", Some("/a?d")),
            ("/a?0123456789abcdef", Some("/a")),
            ("/a?x=1&token=0123456789abcdef?y", None),
            ("/a?token=another", None),
            ("/a?token=", None),
            ("/0123456789abcdef", None),
        ] {
            let cleared = guests.without_tokens(target.as_bytes());
            assert_eq!(cleared, left.map(|left| left.as_bytes().to_owned()), "{target}");
        }
        assert_eq!(Guests::default().without_tokens(b"/a?token=0123456789abcdef"), None);
    }
}
