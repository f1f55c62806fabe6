//! The head of an answer of HTTP/1, and how its body is framed (RFC 9112 section 6.3).
//!
//! It is read as leniently as Pingora's client reads, and strictly where a message ends: what could be read in two ways is
//! no answer.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, Version};
use httparse::{ParserConfig, Status};
use pingora::http::{ResponseHeader, header_value_from_raw};
use pingora::{Error, ErrorType, Result};

use crate::headers::hop;

/// Most headers.
const HEADERS_MAX: usize = 256;

/// How the body behind a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Chunks,
    Length(u64),
    UntilClose,
}

/// What a head says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) framing: Framing,
    /// Whether the connection may be used again behind it.
    pub(super) is_kept: bool,
    /// Whether something was removed from the head.
    pub(super) is_changed: bool,
}

/// A whole head, and whether it differs from what came: a line that is folded is written in one (RFC 9112 section 5.2).
pub(super) fn head(whole: &Bytes) -> Result<(Box<ResponseHeader>, bool)> {
    match parse(whole) {
        Ok(head) => Ok((head, false)),
        Err(error) => match unfolded(whole) {
            Some(line) => parse(&line).map(|head| (head, true)),
            None => Err(error),
        },
    }
}

/// Refuses a beginning of which no head can become.
pub(super) fn begun(bytes: &[u8]) -> Result<()> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let mut parser = parser();
    parser.allow_obsolete_multiline_headers_in_responses(true);
    match parser.parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::because(ErrorType::InvalidHTTPHeader, "a head", error)),
    }
}

fn parser() -> ParserConfig {
    let mut parser = ParserConfig::default();
    parser.allow_spaces_after_header_name_in_responses(true);
    parser
}

fn parse(whole: &Bytes) -> Result<Box<ResponseHeader>> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    match parser().parse_response_with_uninit_headers(&mut parsed, whole, &mut headers) {
        Ok(Status::Complete(length)) if length == whole.len() => {}
        Ok(_) => return Err(invalid("a head with two ends")),
        Err(error) => return Err(Error::because(ErrorType::InvalidHTTPHeader, "a head", error)),
    };
    let mut head = Box::new(ResponseHeader::build(parsed.code.unwrap_or_default(), Some(parsed.headers.len()))?);
    head.set_version(if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 });
    head.set_reason_phrase(parsed.reason)?;
    for header in parsed.headers.iter().filter(|header| !header.name.is_empty()) {
        let name = whole.slice_ref(header.name.as_bytes());
        let value = header_value_from_raw(whole.slice_ref(header.value));
        head.append_header(name, value)?;
    }
    Ok(head)
}

/// The same head with each line that goes on in the next one in one line; none when there is no such line, or when it is the
/// first, which has no business there.
fn unfolded(whole: &[u8]) -> Option<Bytes> {
    let mut bytes = BytesMut::from(whole);
    let first = memchr::memchr(b'\n', &bytes)?;
    if matches!(bytes.get(first + 1), Some(b' ' | b'\t')) {
        return None;
    }
    let mut has_fold = false;
    for at in first + 1..bytes.len().saturating_sub(1) {
        if bytes[at] == b'\n' && matches!(bytes[at + 1], b' ' | b'\t') {
            bytes[at] = b' ';
            if bytes[at - 1] == b'\r' {
                bytes[at - 1] = b' ';
            }
            has_fold = true;
        }
    }
    has_fold.then(|| bytes.freeze())
}

/// What the head of an answer says, to a HEAD or to another method. What it may not say is removed.
pub(super) fn said(head: &mut ResponseHeader, is_head: bool) -> Result<Said> {
    if head.status.is_informational() {
        return Ok(Said { framing: Framing::None, is_kept: true, is_changed: strip_framing(head) });
    }
    if head.status == StatusCode::NO_CONTENT {
        // Some sites send the body that they announce.
        let is_changed = strip_framing(head);
        return Ok(Said { framing: Framing::None, is_kept: !is_changed && stays(head), is_changed });
    }
    let is_chunked = is_chunked(&head.headers)?;
    // The length does not count beside chunks, and somebody thought that it does.
    let is_changed = is_chunked && head.remove_header(&CONTENT_LENGTH).is_some();
    let length = length(&head.headers)?;
    let is_kept = stays(head) && !is_changed && !(is_chunked && head.version == Version::HTTP_10);
    let framing = match length {
        _ if is_head || head.status == StatusCode::NOT_MODIFIED => Framing::None,
        _ if is_chunked => Framing::Chunks,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    Ok(Said { framing, is_kept, is_changed })
}

/// Removes what speaks of a body where there can be none (RFC 9110 section 8.6, RFC 9112 section 6.1); whether there was
/// something.
pub(crate) fn strip_framing(head: &mut ResponseHeader) -> bool {
    let names = [CONTENT_LENGTH, TRANSFER_ENCODING];
    let has_some = names.iter().any(|name| head.headers.contains_key(name));
    if has_some {
        names.iter().chain([&TRAILER]).for_each(|name| drop(head.remove_header(name)));
    }
    has_some
}

/// Whether a body comes in chunks. No site is told that another coding is understood, and chunks in chunks are none.
fn is_chunked(headers: &HeaderMap) -> Result<bool> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(false),
        (Some(line), None) if line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(invalid("a Transfer-Encoding that is not chunked, once")),
    }
}

/// The length in a head: one number, however often it is said.
fn length(headers: &HeaderMap) -> Result<Option<u64>> {
    let mut lengths =
        headers.get_all(CONTENT_LENGTH).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let Some(first) = lengths.next() else { return Ok(None) };
    match number(first) {
        Some(first) if lengths.all(|other| number(other) == Some(first)) => Ok(Some(first)),
        _ => Err(invalid("a Content-Length that is not one number")),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Whether the site keeps its connection after this answer.
fn stays(head: &ResponseHeader) -> bool {
    let says = |token: &str| hop::tokens(&head.headers).any(|said| said.eq_ignore_ascii_case(token.as_bytes()));
    if head.version == Version::HTTP_11 { !says("close") } else { says("keep-alive") && !says("close") }
}

pub(super) fn invalid(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of this head: what it says, and its lines.
    fn read(text: &str, is_head: bool) -> Option<(Said, bool, String)> {
        let (mut head, is_folded) = head(&Bytes::from(text.to_owned())).ok()?;
        let said = said(&mut head, is_head).ok()?;
        let mut lines = BytesMut::new();
        head.header_to_h1_wire(&mut lines);
        Some((said, is_folded, String::from_utf8_lossy(&lines).into_owned()))
    }

    #[test]
    fn a_body_is_framed_as_this_table_says() {
        use Framing::{Chunks, Length, None as Nothing, UntilClose};
        let cases: [(&str, Option<(Framing, bool)>); 27] = [
            ("1.1 200\r\nContent-Length: 5\r\n", Some((Length(5), true))),
            ("1.1 200\r\nContent-Length: 0\r\n", Some((Nothing, true))),
            ("1.1 200\r\nContent-Length: 5\r\nContent-Length: 5,5\r\n", Some((Length(5), true))),
            ("1.1 200\r\nContent-Length: 5\r\nContent-Length: 6\r\n", None),
            ("1.1 200\r\nContent-Length: 5,\r\n", None),
            ("1.1 200\r\nContent-Length: 18446744073709551616\r\n", None),
            ("1.1 200\r\nContent-Length : 5\r\n", Some((Length(5), true))),
            ("1.1 200\r\nTransfer-Encoding: Chunked\r\n", Some((Chunks, true))),
            ("1.1 200\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", Some((Chunks, false))),
            ("1.1 200\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", None),
            ("1.1 200\r\nTransfer-Encoding: chunked, chunked\r\n", None),
            ("1.1 200\r\nTransfer-Encoding: gzip, chunked\r\n", None),
            ("1.1 200\r\nTransfer-Encoding: gzip\r\n", None),
            ("1.1 200\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n", None),
            ("1.1 200\r\nTransfer-Encoding:\r\n", None),
            ("1.1 200\r\nTransfer-Encoding: xchunked\r\n", None),
            ("1.1 200\r\n", Some((UntilClose, true))),
            (
                "1.1 200\r\nConnection: keep-alive\r\nConnection: x, Close\r\nContent-Length: 5\r\n",
                Some((Length(5), false)),
            ),
            ("1.0 200\r\nContent-Length: 5\r\n", Some((Length(5), false))),
            ("1.0 200\r\nConnection: keep-alive\r\nContent-Length: 5\r\n", Some((Length(5), true))),
            ("1.0 200\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n", Some((Chunks, false))),
            ("1.1 204\r\n", Some((Nothing, true))),
            ("1.1 204\r\nContent-Length: 5\r\n", Some((Nothing, false))),
            ("1.1 204\r\nTransfer-Encoding: chunked\r\n", Some((Nothing, false))),
            ("1.1 304\r\nContent-Length: 5\r\n", Some((Nothing, true))),
            ("1.1 205\r\nContent-Length: 5\r\n", Some((Length(5), true))),
            ("1.1 103\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n", Some((Nothing, true))),
        ];
        for (text, expected) in cases {
            let read = read(&format!("HTTP/{text}\r\n"), false);
            let found = read.as_ref().map(|(said, ..)| (said.framing, said.is_kept));
            assert_eq!(found, expected, "{text:?}");
            let has_none = text.contains("204") || text.contains("103");
            assert!(!has_none || read.is_some_and(|(.., lines)| lines.is_empty()), "{text:?}");
        }
        let head = read("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", true).expect("a head");
        assert_eq!((head.0.framing, head.2.as_str()), (Nothing, "Content-Length: 5\r\n"));
    }

    #[test]
    fn a_folded_line_is_one_line_and_what_is_odd_in_a_head_is_refused() {
        let folded =
            read("HTTP/1.1 200 OK\r\nX: a\r\n \tb\r\nY: c\n d\r\nContent-Length: 0\r\n\r\n", false).expect("a head");
        assert!(folded.1, "{folded:?}");
        assert_eq!(
            folded.2.lines().map(|line| line.replace(' ', "")).collect::<Vec<_>>(),
            ["X:a\tb", "Y:cd", "Content-Length:0"]
        );
        for text in [
            "HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: a\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
        ] {
            assert_eq!(read(text, false), None, "{text:?}");
        }
        let many: String = (0..=HEADERS_MAX).map(|number| format!("X-{number}: a\r\n")).collect();
        assert_eq!(read(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"), false), None, "too many");
    }
}
