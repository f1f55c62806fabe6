//! The bearer token, and a token in what libraries put around it.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use percent_encoding::percent_decode;

/// The content of `Authorization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authorization<'a> {
    /// The token of the scheme `Bearer` (RFC 6750 section 2.1).
    Bearer(&'a [u8]),
    /// A text that may be a token, of another scheme or of none: some sites read it.
    Other(&'a [u8]),
    /// There are two headers, or one that a proxy has made of two, with these tokens. It is one header (RFC 9110 section 11.6.2): of several,
    /// the site may read another than a gateway.
    Doubled(Vec<&'a [u8]>),
}

/// The content of `Authorization`, as far as it may be a token.
pub(super) fn authorization(headers: &HeaderMap) -> Option<Authorization<'_>> {
    let mut lines = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let (first, second) = (lines.next()?, lines.next());
    // No token has a comma.
    let is_list = bearer(first).is_some_and(|token| token.contains(&b','));
    if second.is_none() && !is_list {
        return in_one(first);
    }
    let parts = [first].into_iter().chain(second).chain(lines).flat_map(|line| line.split(|byte| *byte == b','));
    let tokens = parts.filter_map(|part| match in_one(part.trim_ascii())? {
        Authorization::Bearer(token) | Authorization::Other(token) => Some(token),
        Authorization::Doubled(_) => None,
    });
    Some(tokens.collect()).filter(|tokens: &Vec<&[u8]>| !tokens.is_empty()).map(Authorization::Doubled)
}

fn in_one(value: &[u8]) -> Option<Authorization<'_>> {
    if let Some(token) = bearer(value) {
        return Some(Authorization::Bearer(token));
    }
    let word = value.trim_ascii().rsplit(|byte| matches!(byte, b' ' | b'\t' | b'=')).next()?;
    let may_be_token = word.iter().filter(|byte| **byte == b'.').count() == 2;
    may_be_token.then_some(Authorization::Other(word))
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    match value.split_first_chunk::<7>() {
        Some((scheme, token)) if scheme[..6].eq_ignore_ascii_case(b"bearer") && matches!(scheme[6], b' ' | b'\t') => {
            Some(token.trim_ascii())
        }
        _ => value.eq_ignore_ascii_case(b"bearer").then_some(b""),
    }
}

/// The token in what libraries make of it: percent-encoded once, in quotes, and with one `Bearer ` before it. None when there is
/// nothing around it.
pub(super) fn unwrapped(value: &[u8]) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_decode(value).collect();
    let inner = unquoted(&decoded);
    let token = match inner.split_first_chunk::<7>() {
        Some((scheme, token)) if scheme[..6].eq_ignore_ascii_case(b"bearer") && matches!(scheme[6], b' ' | b'+') => {
            unquoted(token)
        }
        _ => inner,
    };
    (token != value).then(|| token.to_owned())
}

/// Without one pair of quotes, which may be those of a cookie (RFC 6265 section 4.1.1) or of JSON.
fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.trim_ascii(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_has_one_token_and_what_two_have_is_nobodys() {
        use Authorization::{Bearer, Doubled, Other};
        let cases: [(&[&str], Option<Authorization<'_>>); 16] = [
            (&[], None),
            (&["Bearer a.b.c"], Some(Bearer(b"a.b.c"))),
            (&["bearer  a.b.c "], Some(Bearer(b"a.b.c"))),
            (&["BEARER\ta.b.c"], Some(Bearer(b"a.b.c"))),
            (&["Bearer"], Some(Bearer(b""))),
            (&["Bearer a.b.c", "Bearer a.b.c"], Some(Doubled(vec![b"a.b.c"; 2]))),
            (&["Bearer a.b.c", "Basic eA=="], Some(Doubled(vec![b"a.b.c"]))),
            (&["", "Token d.e.f", "Bearer a.b.c"], Some(Doubled(vec![b"d.e.f", b"a.b.c"]))),
            (&["Bearer a.b.c, Bearer d.e.f"], Some(Doubled(vec![b"a.b.c", b"d.e.f"]))),
            (&["Bearer a.b.c,"], Some(Doubled(vec![b"a.b.c"]))),
            // Of these the gate reads none.
            (&["Basic eDp5", "Basic eDp5"], None),
            (&["Token a.b.c"], Some(Other(b"a.b.c"))),
            (&["JWT\ta.b.c"], Some(Other(b"a.b.c"))),
            (&["a.b.c"], Some(Other(b"a.b.c"))),
            (&["Token token=a.b.c"], Some(Other(b"a.b.c"))),
            (&["Basic eDp5"], None),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, line.parse().expect("a value"));
            }
            assert_eq!(authorization(&headers), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_token_is_taken_out_of_what_is_around_it_once() {
        let cases: [(&str, Option<&str>); 17] = [
            ("a.b.c", None),
            ("\"a.b.c\"", Some("a.b.c")),
            ("'a.b.c'", Some("a.b.c")),
            ("%22a.b.c%22", Some("a.b.c")),
            ("a%2Eb%2ec", Some("a.b.c")),
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c", Some("a.b.c")),
            ("Bearer+a.b.c", Some("a.b.c")),
            ("Bearer%20a.b.c", Some("a.b.c")),
            ("\"Bearer a.b.c\"", Some("a.b.c")),
            ("Bearer \"a.b.c\"", Some("a.b.c")),
            ("%22Bearer%20a.b.c%22", Some("a.b.c")),
            ("Bearer Bearer a.b.c", Some("Bearer a.b.c")),
            ("%2522a.b.c%2522", Some("%22a.b.c%22")),
            ("\"a.b.c", None),
            ("Basic a.b.c", None),
            ("\"", None),
        ];
        for (value, expected) in cases {
            assert_eq!(unwrapped(value.as_bytes()).as_deref(), expected.map(str::as_bytes), "{value}");
        }
    }
}
