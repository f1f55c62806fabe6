//! The canonical form of a request target, or the reason why it has none.
//!
//! The rules match on the path, and the site behind reads it again with a parser of its own. Whatever two parsers
//! could read differently is refused; what is only spelled in an odd way is spelled in the usual one, and that is what
//! goes on the wire (RFC 3986 section 6.2.2, RFC 9112 section 3.2).

mod host;
mod method;

pub use host::{HostRefusal, host};
pub use method::{MethodRefusal, check_method};

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
    #[error("the path has a short name of Windows (`PREMIU~1`): use the long one")]
    ShortName,
    #[error("the path has an encoded `?`, `#` or blank, and another rule holds for what stands before it")]
    EncodedEnd,
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
/// There is one rule: escapes of unreserved characters (RFC 3986 section 2.3) are decoded, all others are written in
/// capitals, and everything else that has more than one reading is refused. So is every form but the origin form, `*`
/// among them: no rule is for a whole server. The absolute form of the request's own host becomes the origin form before (`screen`).
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

/// Whether a path has slashes or parameters of which two servers may make different segments.
pub(crate) fn is_raw(path: &str) -> bool {
    path.contains("//") || path.contains(';') || path.contains("%2F") || path.contains("%2f")
}

/// What is left of a canonical path for a server that decodes it and then reads it once more, as one that rewrites
/// URLs and forgets to encode does: an encoded `?` or `#` ends it, and blanks at its end are lost. For most paths that
/// is nothing else.
///
/// Such characters have a right to be in names. So a path with one is refused only where it matters: where another rule
/// would hold for what is left.
#[must_use]
pub fn reread(path: &str) -> Option<&str> {
    // Escapes are in capitals, and most paths have none.
    if !path.as_bytes().contains(&b'%') {
        return None;
    }
    let mut escapes = path.match_indices('%');
    let end = escapes.find(|(at, _)| matches!(path.get(*at..at + 3), Some("%3F" | "%23"))).map(|(at, _)| at);
    let left = path[..end.unwrap_or(path.len())].trim_end_matches("%20");
    (left.len() < path.len()).then_some(left)
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
mod tests;
