//! Headers of one connection, which stay on it (RFC 9110 section 7.6.1).

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;

/// Most headers that a request's `Connection` may name: as many as Pingora reads.
pub(crate) const NOMINATIONS_MAX: usize = 9;

/// Whether a header speaks of its connection by its name alone. Of framing it is not said here: that is written anew.
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
    // Most names are told by their first bytes: this is asked of every header.
    match name.as_str().as_bytes() {
        [b'c', b'o', b'n', b'n', rest @ ..] => rest == b"ection",
        [b'k', rest @ ..] => rest == b"eep-alive",
        [b'u', rest @ ..] => rest == b"pgrade",
        [b't', b'e'] => true,
        [b'p', b'r', b'o', b'x', b'y', b'-', rest @ ..] => {
            matches!(rest, b"connection" | b"authenticate" | b"authorization")
        }
        [b'h', b't', rest @ ..] => rest == b"tp2-settings",
        _ => false,
    }
}

/// What all `Connection` lines say.
pub(crate) fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(CONNECTION).iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    tokens.filter(|token| !token.is_empty())
}

/// Whether what `Connection` names are names, and not too many.
pub(crate) fn are_readable(headers: &HeaderMap) -> bool {
    let is_name = |token: &[u8]| HeaderName::from_bytes(token).is_ok();
    tokens(headers).enumerate().all(|(at, token)| at < NOMINATIONS_MAX && is_name(token))
}

/// Whether one of several `Connection` lines says that its connection ends: Pingora reads the first alone.
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    let are_several = headers.get_all(CONNECTION).iter().nth(1).is_some();
    are_several && tokens(headers).any(|token| token.eq_ignore_ascii_case(b"close"))
}

/// Removes what a site says of its own connection, and what it names there. Framing stays: it is that of the answer.
pub(crate) fn strip(response: &mut ResponseHeader) {
    if !response.headers.keys().any(is_of_connection) {
        return;
    }
    let is_framing = |name: &HeaderName| [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
    let named = tokens(&response.headers).filter_map(|token| HeaderName::from_bytes(token).ok());
    let named = named.filter(|name| !is_framing(name));
    let names: Vec<HeaderName> =
        response.headers.keys().filter(|name| is_of_connection(name)).cloned().chain(named).collect();
    for name in names {
        response.remove_header(&name);
    }
}

/// Says a length once that a site says more than once: not everybody reads a list of them as one (RFC 9110 section 8.6).
///
/// # Errors
/// When it cannot be said, which is never.
pub(crate) fn say_length_once(response: &mut ResponseHeader) -> Result<()> {
    let mut lines = response.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return Ok(()) };
    let one = first.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
    if lines.next().is_none() && one.len() == first.len() {
        return Ok(());
    }
    let one = HeaderValue::from_bytes(one).unwrap_or(HeaderValue::from_static("0"));
    response.insert_header(CONTENT_LENGTH, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).expect("a response");
        for (name, value) in lines {
            response.append_header(*name, *value).expect("a header");
        }
        response
    }

    #[test]
    fn an_answers_headers_of_its_connection_are_removed_and_no_others() {
        let mut head = response(&[
            ("Connection", "keep-alive, X-Hop"),
            ("connection", "x-other , content-length,,bad name"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "close"),
            ("Proxy-Authenticate", "Basic"),
            ("Upgrade", "h2c"),
            ("TE", "trailers"),
            ("X-Hop", "1"),
            ("X-Other", "2"),
            ("Content-Length", "3"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", "x"),
            ("X-Kept", "4"),
            ("Tea", "5"),
        ]);
        strip(&mut head);
        let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "tea", "trailer", "transfer-encoding", "x-kept"]);
    }

    #[test]
    fn a_length_is_said_once() {
        for lines in [&["5"][..], &["5, 5"], &["5", "5"], &["5,5", "5"]] {
            let mut head = ResponseHeader::build(200, None).expect("a response");
            for line in lines {
                head.append_header(CONTENT_LENGTH, *line).expect("a header");
            }
            say_length_once(&mut head).expect("it is said");
            assert_eq!(head.headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), ["5"], "{lines:?}");
        }
    }

    #[test]
    fn every_line_counts() {
        let cases: [(&[&str], bool); 6] = [
            (&[], false),
            (&["close"], false),
            (&["keep-alive", "close"], true),
            (&["close", "keep-alive"], true),
            (&["keep-alive", "x, CLOSE"], true),
            (&["x", "Keep-Alive"], false),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONNECTION, HeaderValue::from_static(line));
            }
            assert_eq!(closes(&headers), expected, "{lines:?}");
        }
    }
}
