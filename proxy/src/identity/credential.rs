//! The bearer token, and a token in what libraries put around it.

use http::header::HeaderValue;
use percent_encoding::percent_decode;

/// The token of an `Authorization` header of the scheme `Bearer` (RFC 6750 section 2.1). Another scheme is none of ours.
pub(super) fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let value = value.as_bytes();
    match value.split_first_chunk::<7>() {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Some(token.trim_ascii()),
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
