//! Where credentials stand: the bearer token, and cookies by their names, whole or in pieces, as sites and their libraries write them.

#[cfg(any(test, fuzzing))]
pub(crate) mod plainly;

use std::borrow::Cow;
use std::ops::BitOr;

use super::{TOKEN_BYTES_MAX, json};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::COOKIE;
use percent_encoding::percent_decode;

/// Most ways to know who asks.
pub const WAYS_MAX: usize = 16;

/// Most pieces of one cookie: browsers keep 4 KiB in each.
const PIECES_MAX: usize = 64;

/// Marks that libraries write between the name of a cookie and the number of a piece: Auth.js, Supabase and others; nextjs-auth0; oauth2-proxy.
const MARKS: [&str; 3] = [".", "__", "_"];

/// The mark of the cookie with the signature of another one, as cookie-session and Koa have it.
const SIGNATURE: &str = ".sig";

/// Whether the signature of a cookie stands in another one beside it, without which it names no visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    None,
    Beside,
}

/// The value of a cookie in pieces `nameC1`, `nameC2` and so on, as ASP.NET has them, is one of these and their number.
const CHUNKS: [&[u8]; 2] = [b"chunks-", b"chunks:"];

/// A set of ways, by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways(u16);

impl Ways {
    pub(super) fn one(place: usize) -> Self {
        Self(1_u16.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or(0))
    }

    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let place = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (place < u16::BITS).then_some(usize::try_from(place).unwrap_or_default())
        })
    }
}

impl BitOr for Ways {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The names of cookies that hold credentials, each with the ways that read it.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(String, Ways)>);

/// A cookie of one of the names, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Whole(Ways, &'a [u8]),
    Piece,
}

impl Names {
    pub(super) fn add(&mut self, name: &str, way: Ways) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, ways)) => *ways = *ways | way,
            None => self.0.push((name.to_owned(), way)),
        }
    }

    /// All cookies of these names, as they are (RFC 6265 section 5.4; HTTP/2 may split the header, RFC 9113 section 8.2.3). An empty one
    /// is what a site leaves behind when its user signs out: none.
    pub(super) fn all<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = Found<'a>> {
        pairs(headers).flat_map(|pair| {
            self.0.iter().filter_map(move |(name, ways)| {
                let rest = pair.strip_prefix(name.as_bytes())?;
                match rest.split_first() {
                    Some((b'.' | b'_', rest)) if is_numbered(rest) => Some(Found::Piece),
                    _ => {
                        let value = valued(rest)?;
                        (!value.is_empty()).then_some(Found::Whole(*ways, value))
                    }
                }
            })
        })
    }

    /// The value of a cookie in pieces: `name.0`, `name.1` and so on, joined from 0 to the first gap, each of [`MARKS`] by itself. None of
    /// it where a piece is there twice, as another order would make another token.
    pub(super) fn joined(&self, headers: &HeaderMap) -> Vec<(Ways, Option<Vec<u8>>)> {
        let all = |(name, ways): &(String, Ways)| {
            let ways = *ways;
            MARKS.map(|mark| join(name, mark, headers)).into_iter().flatten().map(move |whole| (ways, whole))
        };
        self.0.iter().flat_map(all).collect()
    }
}

/// Whether a cookie may belong to the one whose name its own begins with.
fn belongs(rest: &[u8]) -> bool {
    match rest.split_first() {
        Some((b'.' | b'_', more)) => is_numbered(more),
        Some((b'C', more)) => more.first().is_some_and(u8::is_ascii_digit),
        _ => false,
    }
}

/// Whether the rest of a cookie's name makes it a part of the one whose name stands before it.
pub(super) fn is_of_another(rest: &[u8], signature: Signature) -> bool {
    let marks = MARKS.into_iter().chain(["C"]).filter_map(|mark| rest.strip_prefix(mark.as_bytes()));
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    (signature == Signature::Beside && rest == SIGNATURE.as_bytes()) || marks.into_iter().any(is_number)
}

/// Whether what follows the first byte behind a name may be the number of a piece.
fn is_numbered(rest: &[u8]) -> bool {
    rest.strip_prefix(b"_").unwrap_or(rest).first().is_some_and(u8::is_ascii_digit)
}

/// `None` where there is no first piece, `Some(None)` where one is there twice or all are too long.
fn join(name: &str, mark: &str, headers: &HeaderMap) -> Option<Option<Vec<u8>>> {
    let Some(pieces) = gather(name, mark, headers) else { return Some(None) };
    let whole: Vec<u8> = pieces.into_iter().flatten().copied().take(TOKEN_BYTES_MAX + 1).collect();
    if whole.is_empty() { None } else { Some((whole.len() <= TOKEN_BYTES_MAX).then_some(whole)) }
}

/// The pieces of a cookie from the first to the gap; `None` where one of them is there twice.
fn gather<'a>(name: &str, mark: &str, headers: &'a HeaderMap) -> Option<Vec<&'a [u8]>> {
    let mut pieces: Vec<Option<&[u8]>> = Vec::new();
    let mut doubled = PIECES_MAX;
    for pair in pairs(headers) {
        let Some((number, value)) = pair.strip_prefix(name.as_bytes()).and_then(|rest| piece(rest, mark)) else {
            continue;
        };
        if number >= PIECES_MAX {
            continue;
        }
        if pieces.len() <= number {
            pieces.resize(number + 1, None);
        }
        if pieces.get_mut(number).is_some_and(|place| place.replace(value).is_some()) {
            doubled = doubled.min(number);
        }
    }
    let whole: Vec<&[u8]> = pieces.into_iter().map_while(|piece| piece).collect();
    (whole.len() <= doubled).then_some(whole)
}

/// A session in a cookie, as the site is shown it.
pub(super) enum Session<'a> {
    Whole(&'a [u8]),
    /// A cookie, and its signature in another one.
    Signed(&'a [u8], &'a [u8]),
    /// A value in several cookies, and these with their names.
    Pieces {
        value: Vec<u8>,
        text: Vec<u8>,
    },
    /// A piece or the signature is there twice.
    Doubled,
}

/// Gives each session in cookies of this name: whole ones as they are, with those that belong to them, and pieces as one.
pub(super) fn sessions(headers: &HeaderMap, name: &str, signature: Signature, mut each: impl FnMut(Session<'_>)) {
    // Most requests have one, and no other cookie whose name begins so.
    let (mut first, mut others, mut has_more) = (None, Vec::new(), false);
    let mut signatures = Vec::new();
    for rest in pairs(headers).filter_map(|pair| pair.strip_prefix(name.as_bytes())) {
        if belongs(rest) {
            has_more = true;
        } else if let Some(value) = rest.strip_prefix(SIGNATURE.as_bytes()).and_then(valued) {
            signatures.push(value);
        } else if let Some(value) = valued(rest).filter(|value| !value.is_empty()) {
            if first.is_none() {
                first = Some(value);
            } else {
                others.push(value);
            }
        }
    }
    let is_signed = signature == Signature::Beside;
    for (number, value) in first.into_iter().chain(others).enumerate() {
        let chunks = if has_more { in_chunks((name, value), number, headers) } else { None };
        each(match (chunks, signatures.as_slice()) {
            (Some(chunks), _) => chunks,
            (None, [signature]) if is_signed => Session::Signed(value, signature),
            (None, [_, _, ..]) if is_signed => Session::Doubled,
            (None, _) => Session::Whole(value),
        });
    }
    for mark in MARKS.into_iter().filter(|_| has_more) {
        let Some(pieces) = gather(name, mark, headers) else {
            each(Session::Doubled);
            continue;
        };
        let mut text = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            add(&mut text, &format!("{name}{mark}{number}"), piece);
        }
        if !text.is_empty() {
            each(Session::Pieces { value: pieces.concat(), text });
        }
    }
}

/// A cookie, of which there are `number` before it, whose value stands in as many others as it says; none where that is no number, or one is
/// missing: then ASP.NET takes it as it is.
fn in_chunks((name, value): (&str, &[u8]), number: usize, headers: &HeaderMap) -> Option<Session<'static>> {
    let count = CHUNKS.iter().find_map(|begin| unquoted(value).strip_prefix(*begin))?;
    let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
    if !(1..=PIECES_MAX).contains(&count) {
        return None;
    }
    let (mut whole, mut text) = (Vec::new(), Vec::new());
    add(&mut text, name, value);
    for chunk in 1..=count {
        let own = format!("{name}C{chunk}");
        let chunk = pairs(headers).filter_map(|pair| pair.strip_prefix(own.as_bytes()).and_then(valued)).nth(number)?;
        add(&mut text, &own, chunk);
        whole.extend_from_slice(unquoted(chunk));
    }
    Some(Session::Pieces { value: whole, text })
}

/// A value as most sites read it: without quotes and percent-encoding. However a client spells it, it is one session.
pub(super) fn plain(value: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(unquoted(value)).into()
}

/// Adds a cookie to the text of a header.
fn add(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(if text.is_empty() { b"" } else { b"; " });
    text.extend_from_slice(name.as_bytes());
    text.push(b'=');
    text.extend_from_slice(value);
}

/// The value of `=value`, the rest of a cookie behind its name.
fn valued(rest: &[u8]) -> Option<&[u8]> {
    rest.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii)
}

/// The number and the value of `.0=value`, where the mark is a dot.
fn piece<'a>(rest: &'a [u8], mark: &str) -> Option<(usize, &'a [u8])> {
    let rest = rest.strip_prefix(mark.as_bytes())?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = rest.split_at(end);
    // `00` is another cookie than `0`.
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, unquoted(valued(rest)?)))
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
}

/// The token in a cookie that holds JSON: as it is, percent-encoded, or in base64 after `base64-`; `pointer` says where it stands in it.
pub(super) fn inside(value: &[u8], pointer: &str) -> Option<Vec<u8>> {
    let value = unquoted(value);
    let decoded: Vec<u8> = percent_decode(value).collect();
    let text = match decoded.strip_prefix(b"base64-") {
        Some(encoded) => {
            let engines = [URL_SAFE_NO_PAD, URL_SAFE, STANDARD_NO_PAD, STANDARD];
            engines.iter().find_map(|engine| engine.decode(encoded).ok())?
        }
        None => decoded,
    };
    // A value that has a `%` of its own and was never encoded is read as it is.
    let json = json::value(value).or_else(|| json::value(&text))?;
    json.pointer(pointer)?.as_str().map(|token| token.as_bytes().to_owned())
}

/// Without the quotes of a cookie's value (RFC 6265 section 4.1.1).
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).expect("a value"));
        }
        headers
    }

    fn names() -> Names {
        let mut names = Names::default();
        names.add("session", Ways::one(0));
        names.add("__Secure-session", Ways::one(1));
        names.add("session", Ways::one(2));
        names
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let found = |line: &str| {
            let headers = headers(&[line]);
            names().all(&headers).map(|found| format!("{found:?}")).collect::<Vec<_>>()
        };
        assert_eq!(found("a=1; sessions=2; xsession=3; session.x=4; session="), [""; 0]);
        assert_eq!(found("session = x ;__Secure-session=y").len(), 2);
        assert_eq!(found("session.0=x"), ["Piece"]);
        let headers = headers(&["session=x"]);
        assert_eq!(names().all(&headers).next(), Some(Found::Whole(Ways::one(0) | Ways::one(2), b"x")));
    }

    #[test]
    fn pieces_are_joined_from_the_first_to_the_gap_and_a_doubled_one_is_none() {
        let joined = |lines: &[&str]| {
            let all = names().joined(&headers(lines));
            let all = all.into_iter().map(|(_, value)| value.map(|value| String::from_utf8(value).expect("text")));
            all.collect::<Vec<_>>()
        };
        let one = |text: &str| vec![Some(text.to_owned())];
        assert_eq!(joined(&["session.0=a; session.1=b; session.2=c"]), one("abc"));
        assert_eq!(joined(&["session.2=c", "session.0=a", "session.1=b"]), one("abc"), "in any order");
        assert_eq!(joined(&["session.0=a; session.2=c"]), one("a"), "up to the gap");
        assert_eq!(joined(&["session.1=b"]), []);
        assert_eq!(joined(&["session.0=a; session.1=b; session.1=c"]), [None]);
        assert_eq!(joined(&["session.0=a; session.5=b; session.5=c"]), one("a"), "doubled beyond the gap");
        assert_eq!(joined(&["session.5=b; session.5=c"]), []);
        assert_eq!(joined(&["session.0=a; session.0=a"]), [None], "even the same one");
        assert_eq!(joined(&["session.0=a; session.01=b; session.00=x; session.-1=y; session.1x=z"]), one("a"));
        assert_eq!(joined(&["session.0=a; session.99999999999999999999=b; session.64=c"]), one("a"));
        assert_eq!(joined(&["session__1=b; session__0=a"]), one("ab"));
        assert_eq!(joined(&["session_0=a; session_1=b; session__1=c"]), one("ab"));
        let several = joined(&["session_0=a; session.0=b; session__0=c; session__0=d"]);
        assert_eq!(several, [Some("b".to_owned()), None, Some("a".to_owned())], "each mark by itself");
        let long = format!("session.0={}; session.1={}", "a".repeat(60_000), "b".repeat(60_000));
        assert_eq!(joined(&[&long]), [None], "it has a bound");
    }

    #[test]
    fn json_is_read_in_the_forms_that_libraries_write() {
        let json = r#"{"access_token":"a.b.c","user":{"token":"d.e.f"}}"#;
        let encoded = percent_encoding::utf8_percent_encode(json, percent_encoding::NON_ALPHANUMERIC).to_string();
        let base64 = format!("base64-{}", URL_SAFE_NO_PAD.encode(json));
        let padded = format!("base64-{}", STANDARD.encode(json));
        for value in [json, &encoded, &base64, &padded, &format!("\"{encoded}\"")] {
            assert_eq!(inside(value.as_bytes(), "/access_token").as_deref(), Some(b"a.b.c".as_slice()), "{value}");
            assert_eq!(inside(value.as_bytes(), "/user/token").as_deref(), Some(b"d.e.f".as_slice()), "{value}");
        }
        let array = "%5B%22a.b.c%22%2C%22refresh%22%5D";
        assert_eq!(inside(array.as_bytes(), "/0").as_deref(), Some(b"a.b.c".as_slice()));
        let deep = "[".repeat(10_000);
        assert_eq!(inside(br#"{"access_token":"a","access_token":"b"}"#, "/access_token"), None, "said twice");
        for value in ["", "a.b.c", "base64-", "base64-%%%", "{", r#"{"access_token":1}"#, r#"{"x":"a"}"#, &deep] {
            assert_eq!(inside(value.as_bytes(), "/access_token"), None, "{value:.40}");
        }
    }
}
