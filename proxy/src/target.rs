//! The canonical form of a request target, or the reason why it has none.
//!
//! The rules match on the path, and the site behind reads it again with a parser of its own. Whatever two parsers
//! could read differently is refused; what is only spelled in an odd way is spelled in the usual one, and that is what
//! goes on the wire (RFC 3986 section 6.2.2, RFC 9112 section 3.2).

use std::borrow::Cow;

/// A request target in origin form whose path is canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: Cow<'a, str>,
    query: Option<&'a [u8]>,
}

/// Why a request target is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the request target does not begin with a slash")]
    NotOriginForm,
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path has an encoded slash or backslash")]
    EncodedSeparator,
    #[error("the path has a backslash")]
    Backslash,
    #[error("the path has a semicolon")]
    Semicolon,
    #[error("the request target has a fragment")]
    Fragment,
    #[error("the request target has a control character, plain or encoded")]
    Control,
    #[error("the path has a `%` that is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    #[error("the path is not UTF-8 once decoded")]
    NotUtf8,
    #[error("the path has a character that must be percent-encoded")]
    NotEncoded,
}

impl Refusal {
    /// The stable code of this answer.
    pub const CODE: &'static str = "ambiguous_target";
}

impl Target<'_> {
    /// The canonical path: it begins with a slash and has no empty segment but the last.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The target as it must go on the wire, when that differs from how it came in.
    #[must_use]
    pub fn rewritten(&self) -> Option<Vec<u8>> {
        let Cow::Owned(path) = &self.path else { return None };
        let mut target = path.clone().into_bytes();
        if let Some(query) = self.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        Some(target)
    }
}

/// The canonical form of a raw path and query. Nothing is allocated when it already is canonical.
///
/// # Errors
/// When two parsers could read the target differently.
pub fn canonical(raw: &[u8]) -> Result<Target<'_>, Refusal> {
    if raw.first() != Some(&b'/') {
        return Err(Refusal::NotOriginForm);
    }
    let (path, query) = match raw.iter().position(|byte| *byte == b'?') {
        Some(mark) => (&raw[..mark], Some(&raw[mark + 1..])),
        None => (raw, None),
    };
    if let Some(query) = query {
        check_query(query)?;
    }
    let path = if scan(path)? { decoded(path)? } else { as_text(path)? };
    Ok(Target { path, query })
}

/// The query goes through as it is: the rules never read it.
fn check_query(query: &[u8]) -> Result<(), Refusal> {
    for byte in query {
        match byte {
            b'#' => return Err(Refusal::Fragment),
            0..=0x1f | 0x7f => return Err(Refusal::Control),
            _ => {}
        }
    }
    Ok(())
}

/// What a byte means in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    Plain,
    Slash,
    Percent,
    Refused(Refusal),
}

/// By value: one look for each byte of a path.
static BYTES: [Byte; 256] = {
    let mut bytes = [Byte::Plain; 256];
    let mut value = 0;
    while value < 256 {
        bytes[value] = match value as u8 {
            b'/' => Byte::Slash,
            b'%' => Byte::Percent,
            b'\\' => Byte::Refused(Refusal::Backslash),
            b';' => Byte::Refused(Refusal::Semicolon),
            b'#' => Byte::Refused(Refusal::Fragment),
            0..=0x1f | 0x7f => Byte::Refused(Refusal::Control),
            b' ' | 0x80..=0xff => Byte::Refused(Refusal::NotEncoded),
            _ => Byte::Plain,
        };
        value += 1;
    }
    bytes
};

/// Whether an ASCII path without refused bytes and segments has percent escapes.
fn scan(path: &[u8]) -> Result<bool, Refusal> {
    let (mut start, mut escaped) = (1, false);
    for (at, byte) in path.iter().enumerate().skip(1) {
        match BYTES[usize::from(*byte)] {
            Byte::Plain => {}
            Byte::Slash if at == start => return Err(Refusal::EmptySegment),
            Byte::Slash => {
                check_segment(&path[start..at])?;
                start = at + 1;
            }
            Byte::Percent => escaped = true,
            Byte::Refused(refusal) => return Err(refusal),
        }
    }
    check_segment(&path[start..])?;
    Ok(escaped)
}

fn check_segment(segment: &[u8]) -> Result<(), Refusal> {
    if segment == b"." || segment == b".." { Err(Refusal::DotSegment) } else { Ok(()) }
}

/// The path with every escape of an unreserved character decoded and all others in upper case.
fn decoded(path: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let mut wire = Vec::with_capacity(path.len());
    // What an application sees in the end: it must be text.
    let mut meaning = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            wire.push(*first);
            meaning.push(*first);
            continue;
        }
        let (digits, tail) = tail.split_first_chunk::<2>().ok_or(Refusal::BadEscape)?;
        rest = tail;
        let byte = escape(*digits)?;
        meaning.push(byte);
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => wire.push(byte),
            b'/' | b'\\' => return Err(Refusal::EncodedSeparator),
            b';' => return Err(Refusal::Semicolon),
            _ => wire.extend([b'%', digits[0].to_ascii_uppercase(), digits[1].to_ascii_uppercase()]),
        }
    }
    // Decoding can complete a dot segment, or the second half of a double encoding.
    scan(&wire)?;
    if wire.windows(5).any(|five| five.starts_with(b"%25") && escape([five[3], five[4]]).is_ok()) {
        return Err(Refusal::DoubleEncoding);
    }
    let meaning = std::str::from_utf8(&meaning).map_err(|_| Refusal::NotUtf8)?;
    if meaning.chars().any(char::is_control) {
        return Err(Refusal::Control);
    }
    if wire == path {
        return as_text(path);
    }
    String::from_utf8(wire).map(Cow::Owned).map_err(|_| Refusal::NotUtf8)
}

/// The byte that two hexadecimal digits stand for.
fn escape(digits: [u8; 2]) -> Result<u8, Refusal> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (high, low) = (digit(digits[0]).ok_or(Refusal::BadEscape)?, digit(digits[1]).ok_or(Refusal::BadEscape)?);
    Ok(high << 4 | low)
}

fn as_text(path: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| Refusal::NotUtf8)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_canonical_target_passes_as_it_is() {
        for raw in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/..d/...",
            "/%C3%A9",
            "/a%20b",
            "/50%25",
            "/@u:x/!$&'()*+,=~",
            "/?",
            "/a?x=/../%zz;\\",
        ] {
            let target = canonical(raw.as_bytes()).unwrap_or_else(|refusal| panic!("{raw}: {refusal}"));
            assert_eq!(target.rewritten(), None, "{raw}");
            assert_eq!(target.path(), raw.split('?').next().expect("a path"));
        }
    }

    #[test]
    fn an_odd_spelling_is_rewritten() {
        let cases = [
            ("/%61dmin", "/admin"),
            ("/%41%2d%7E%5f", "/A-~_"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%2eb", "/a.b"),
            ("/%61?q=%61", "/a?q=%61"),
            ("/%61?", "/a?"),
        ];
        for (raw, wire) in cases {
            let rewritten = canonical(raw.as_bytes()).expect(raw).rewritten().expect(raw);
            assert_eq!(String::from_utf8(rewritten).expect("text"), wire);
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        use Refusal::*;
        let cases: [(&[u8], Refusal); 44] = [
            (b"", NotOriginForm),
            (b"*", NotOriginForm),
            (b"?x", NotOriginForm),
            (b"admin/x", NotOriginForm),
            (b"foo:/admin", NotOriginForm),
            (b"http://h/admin", NotOriginForm),
            (b"h:80", NotOriginForm),
            (b"\\admin", NotOriginForm),
            (b"//admin", EmptySegment),
            (b"//", EmptySegment),
            (b"/a//b", EmptySegment),
            (b"/a//", EmptySegment),
            (b"/.", DotSegment),
            (b"/./a", DotSegment),
            (b"/a/..", DotSegment),
            (b"/a/../b", DotSegment),
            (b"/%2e/a", DotSegment),
            (b"/a/%2E%2e", DotSegment),
            (b"/a/.%2e/b", DotSegment),
            (b"/a%2fb", EncodedSeparator),
            (b"/..%2Fb", EncodedSeparator),
            (b"/a%5cb", EncodedSeparator),
            (b"/a\\b", Backslash),
            (b"/a;x=1/b", Semicolon),
            (b"/a%3bx", Semicolon),
            (b"/..;/b", Semicolon),
            (b"/a#b", Fragment),
            (b"/a?b#c", Fragment),
            (b"/a\tb", Control),
            (b"/a\x7f", Control),
            (b"/a%00", Control),
            (b"/a%0d%0aX:y", Control),
            (b"/a%7F", Control),
            (b"/a%C2%85", Control),
            (b"/a?b\0", Control),
            (b"/a%", BadEscape),
            (b"/a%4", BadEscape),
            (b"/a%zz", BadEscape),
            (b"/a%2541", DoubleEncoding),
            (b"/a%25%34%31", DoubleEncoding),
            (b"/a%c0%ae", NotUtf8),
            (b"/a%ff", NotUtf8),
            ("/café".as_bytes(), NotEncoded),
            (b"/a b", NotEncoded),
        ];
        for (raw, refusal) in cases {
            assert_eq!(canonical(raw), Err(refusal), "{}", String::from_utf8_lossy(raw));
        }
    }

    /// Paths that are odd often, and refused not always.
    fn odd_path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-zA-Z0-9._~-]{1,3}",
            3 => "%[0-9a-fA-F]{2}",
            1 => "%25[0-9a-f%]{1,2}",
            2 => Just("/".to_owned()),
            1 => "[ -~]",
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn canonicalising_twice_changes_nothing(raw in odd_path()) {
            if let Ok(target) = canonical(raw.as_bytes()) {
                let wire = target.rewritten().unwrap_or_else(|| raw.clone().into_bytes());
                let again = canonical(&wire).expect("what is on the wire is canonical");
                prop_assert_eq!(again.rewritten(), None);
                prop_assert_eq!(again.path(), target.path());
            }
        }

        #[test]
        fn a_canonical_path_has_nothing_of_what_is_refused(raw in odd_path()) {
            if let Ok(target) = canonical(raw.as_bytes()) {
                let path = target.path();
                prop_assert!(path.starts_with('/') && !path.contains("//") && path.is_ascii());
                let meaning = percent_decode_str(path).decode_utf8().expect("text");
                prop_assert!(!meaning.chars().any(|c| matches!(c, '\\' | ';') || c.is_control()));
                prop_assert_eq!(meaning.matches('/').count(), path.matches('/').count(), "no hidden separator");
                for segment in meaning.split('/') {
                    prop_assert!(segment != "." && segment != "..");
                }
                prop_assert_eq!(&percent_decode_str(&meaning).decode_utf8_lossy(), &meaning, "nothing left to decode");
            }
        }

        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = canonical(&raw);
            let _ = canonical(&[b"/", &raw[..]].concat());
        }
    }
}
