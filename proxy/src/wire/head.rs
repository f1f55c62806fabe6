//! Where the head of a message begins and ends, in bytes that come in pieces.

use memchr::memchr;

/// Longest method, in bytes: of more that come without a blank no request becomes.
const METHOD_MAX: usize = 32;

/// Looks for the end of a head: the first empty line. Each byte is looked at once, however the head comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadEnd {
    seen: usize,
}

impl HeadEnd {
    /// How long the head at the beginning of `bytes` is, when it is whole. They are those of the call before, and more.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(at) = memchr(b'\n', bytes.get(self.seen..)?) {
            let next = self.seen + at + 1;
            match &bytes[next..] {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                [] | [b'\r'] => {
                    self.seen = next - 1;
                    return None;
                }
                _ => self.seen = next,
            }
        }
        self.seen = bytes.len();
        None
    }
}

/// How many of the first bytes are empty lines, which may stand before a request (RFC 9112 section 2.2).
pub fn empty_lines(bytes: &[u8]) -> usize {
    let mut count = 0;
    loop {
        count += match &bytes[count..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return count,
        };
    }
}

/// What bytes behind a request are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing but empty lines.
    Nothing,
    /// The beginning of a request.
    Begun,
    /// A whole head.
    Request,
    /// No request, whatever may follow.
    Other,
}

/// What these bytes, which came behind a request, are. Whether a head is right is seen when its turn comes; here it is enough
/// that it begins with a method.
pub fn behind(bytes: &[u8]) -> Behind {
    let bytes = &bytes[empty_lines(bytes)..];
    if bytes.is_empty() || bytes == b"\r" {
        return Behind::Nothing;
    }
    let method = bytes.iter().position(|byte| !is_of_token(*byte)).unwrap_or(bytes.len());
    match bytes.get(method) {
        _ if method == 0 => Behind::Other,
        None if method <= METHOD_MAX => Behind::Begun,
        Some(b' ') if HeadEnd::default().find(bytes).is_some() => Behind::Request,
        Some(b' ') => Behind::Begun,
        _ => Behind::Other,
    }
}

/// Whether a method may hold this byte (RFC 9110 section 5.6.2).
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_first_empty_line_however_it_comes() {
        let heads =
            ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\n\n", "a\n\r\n"];
        for head in heads {
            let bytes = format!("{head}\r\n\r\nbehind");
            for piece in 1..=bytes.len() {
                let (mut end, mut found) = (HeadEnd::default(), None);
                for count in (piece..=bytes.len() + piece).step_by(piece).map(|count| count.min(bytes.len())) {
                    found = end.find(&bytes.as_bytes()[..count]);
                    if found.is_some() {
                        break;
                    }
                    assert!(count < head.len(), "{head:?} in pieces of {piece}");
                }
                assert_eq!(found, Some(head.len()), "{head:?} in pieces of {piece}");
            }
        }
        assert_eq!(HeadEnd::default().find(b"GET / HTTP/1.1\r\nX: \r\r\n"), None);
    }

    #[test]
    fn empty_lines_before_a_request_are_counted() {
        let cases = [("", 0), ("\r", 0), ("\r\n", 2), ("\n\r\n\nGET", 4), ("\r\n\r", 2), ("\rGET", 0), (" \r\n", 0)];
        for (bytes, count) in cases {
            assert_eq!(empty_lines(bytes.as_bytes()), count, "{bytes:?}");
        }
    }

    #[test]
    fn what_stands_behind_a_request_is_told_apart() {
        let cases = [
            ("", Behind::Nothing),
            ("\r\n\n", Behind::Nothing),
            ("\r", Behind::Nothing),
            ("G", Behind::Begun),
            ("\r\nGET / HTTP/1.1\r\nHost:", Behind::Begun),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST", Behind::Request),
            ("\0", Behind::Other),
            ("{\"a\": 1}", Behind::Other),
            ("GET /a b HTTP/1.1\r\n: a\r\n", Behind::Begun),
            ("GET\r\n", Behind::Other),
            ("nonsense-that-goes-on-without-a-blank", Behind::Other),
            (" GET / HTTP/1.1\r\n", Behind::Other),
            ("\x16\x03\x01", Behind::Other),
        ];
        for (bytes, expected) in cases {
            assert_eq!(behind(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
