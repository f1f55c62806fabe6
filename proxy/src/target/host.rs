//! The host that a request names, in the one form in which hosts are compared.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Why a `Host` or `:authority` is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostRefusal {
    #[error("the request has no host")]
    Missing,
    #[error("the host is not a name or an address, with a port or without")]
    Malformed,
}

impl HostRefusal {
    /// The stable code of this answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing_host",
            Self::Malformed => "bad_host",
        }
    }
}

/// The host of a `Host` header or an `:authority` as rules compare it: in lower case, without port and without the dot
/// of the root. Nothing is allocated when it is written so.
///
/// # Errors
/// When it is empty, or when two parsers could read it differently: userinfo, escapes, a list, a port that is none
/// (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
pub fn host(raw: &[u8]) -> Result<Cow<'_, str>, HostRefusal> {
    if raw.is_empty() {
        return Err(HostRefusal::Missing);
    }
    let text = std::str::from_utf8(raw).map_err(|_| HostRefusal::Malformed)?;
    let name_ends =
        if text.starts_with('[') { text.find(']').map(|at| at + 1) } else { raw.iter().position(|byte| *byte == b':') };
    let (name, port) = text.split_at(name_ends.unwrap_or(text.len()));
    if !is_port(port) {
        return Err(HostRefusal::Malformed);
    }
    let name = match name.strip_prefix('[') {
        Some(address) => return ipv6(name, address),
        None => rootless(name)?,
    };
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

/// Nothing, or a colon and a number.
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty() };
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

/// An address in brackets, in the one form of the many that it has (RFC 5952). `text` stands behind the opening bracket.
fn ipv6<'a>(name: &'a str, text: &str) -> Result<Cow<'a, str>, HostRefusal> {
    let address = text.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok());
    let form = format!("[{}]", address.ok_or(HostRefusal::Malformed)?);
    Ok(if form == name { Cow::Borrowed(name) } else { Cow::Owned(form) })
}

/// A name or an IPv4 address without the dot of the root. `_` is in no host name, but in many a container's.
fn rootless(name: &str) -> Result<&str, HostRefusal> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut label_is_empty = true;
    for byte in name.bytes() {
        match byte {
            b'.' if label_is_empty => return Err(HostRefusal::Malformed),
            b'.' => label_is_empty = true,
            b'-' | b'_' => label_is_empty = false,
            byte if byte.is_ascii_alphanumeric() => label_is_empty = false,
            _ => return Err(HostRefusal::Malformed),
        }
    }
    if label_is_empty { Err(HostRefusal::Malformed) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_compared_in_one_form() {
        let cases = [
            ("read.example", "read.example"),
            ("READ.example:8443", "read.example"),
            ("read.example.", "read.example"),
            ("Read.Example.:80", "read.example"),
            ("localhost", "localhost"),
            ("my_app-1:3000", "my_app-1"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[0:0:0:0:0:0:0:1]:80", "[::1]"),
            ("[2001:db8:0:0::1]", "[2001:db8::1]"),
        ];
        for (raw, expected) in cases {
            assert_eq!(host(raw.as_bytes()).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn a_host_that_could_be_read_in_two_ways_is_refused() {
        assert_eq!(host(b""), Err(HostRefusal::Missing));
        let malformed: [&[u8]; 28] = [
            b".",
            b"..",
            b"a..b",
            b".a",
            b"a..",
            b":80",
            b"a:",
            b"a:x",
            b"a:80:80",
            b"a:70000",
            b"a:+80",
            b"a@b",
            b"a b",
            b" a",
            b"a,b",
            b"a/b",
            b"a\\b",
            b"a?b",
            b"a#b",
            b"a%2eb",
            b"caf\xc3\xa9",
            b"\xff",
            b"[::1",
            b"[a]",
            b"[::1]x",
            b"::1",
            b"a\0",
            b"[::1]:",
        ];
        for raw in malformed {
            assert_eq!(host(raw), Err(HostRefusal::Malformed), "{}", String::from_utf8_lossy(raw));
        }
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(raw in "[a-zA-Z0-9.:_\\[\\]-]{0,20}") {
            if let Ok(form) = host(raw.as_bytes()) {
                prop_assert_eq!(host(form.as_bytes()), Ok(form.clone()));
                prop_assert!(!form.bytes().any(|byte| byte.is_ascii_uppercase()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = host(&raw);
            let _ = host(&[b"[", &raw[..]].concat());
        }
    }
}
