//! Cookies once more, as simply as it can be said what they mean: the quick way of the gate is held against this by tests and by a fuzzer.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::COOKIE;

use super::{Found, MARKS, Names, PIECES_MAX, Session, Signature, TOKEN_BYTES_MAX, Ways, sessions};

/// The value of all cookies of one name.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    whole: Vec<Vec<u8>>,
    /// The whole ones as the site is shown them, each with the pieces that its value says are there.
    with_its_own: Vec<Option<Vec<u8>>>,
    /// The signatures beside them.
    signatures: Vec<Vec<u8>>,
    /// Of each mark.
    pieces: Vec<Pieces>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pieces {
    None,
    /// One is there twice, or all are too long.
    Unusable,
    /// Joined, and each with its name.
    Joined(Vec<u8>, Vec<u8>),
}

/// A cookie has a name, an equals sign and a value; blanks around both mean nothing, nor does a value without any byte.
fn plainly(headers: &HeaderMap, name: &str) -> Meaning {
    let mut all: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for line in headers.get_all(COOKIE) {
        for cookie in line.as_bytes().split(|byte| *byte == b';') {
            let Some(at) = cookie.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = (cookie[..at].trim_ascii(), cookie[at + 1..].trim_ascii());
            all.entry(key.to_vec()).or_default().push(value.to_vec());
        }
    }
    let of = |key: &str| all.get(key.as_bytes()).cloned().unwrap_or_default();
    let whole: Vec<Vec<u8>> = of(name).into_iter().filter(|value| !value.is_empty()).collect();
    let with_its_own = whole.iter().enumerate().map(|(place, value)| {
        let text = std::str::from_utf8(bare(value)).ok()?;
        let count = text.strip_prefix("chunks-").or_else(|| text.strip_prefix("chunks:"))?.parse::<usize>().ok()?;
        let own: Vec<String> = (1..=count.min(PIECES_MAX + 1)).map(|chunk| format!("{name}C{chunk}")).collect();
        if own.is_empty() || own.len() > PIECES_MAX || own.iter().any(|own| of(own).len() <= place) {
            return None;
        }
        let lines = own.iter().map(|own| (own.clone(), of(own)[place].clone()));
        let lines: Vec<_> = [(name.to_owned(), value.clone())].into_iter().chain(lines).collect();
        Some(header(&lines))
    });
    let pieces = MARKS.map(|mark| {
        let values: Vec<_> = (0..PIECES_MAX).map(|number| of(&format!("{name}{mark}{number}"))).collect();
        let values: Vec<_> = values.into_iter().take_while(|values| !values.is_empty()).collect();
        if values.iter().any(|values| values.len() > 1) {
            return Pieces::Unusable;
        }
        let present = values.iter().map(|values| bare(&values[0]).to_vec());
        let lines: Vec<_> =
            present.enumerate().map(|(number, value)| (format!("{name}{mark}{number}"), value)).collect();
        let joined: Vec<u8> = lines.iter().flat_map(|(_, value)| value.clone()).collect();
        match joined.len() {
            _ if lines.is_empty() => Pieces::None,
            length if length > TOKEN_BYTES_MAX => Pieces::Unusable,
            _ => Pieces::Joined(joined, header(&lines)),
        }
    });
    let with_its_own = with_its_own.collect();
    Meaning { whole, with_its_own, signatures: of(&format!("{name}.sig")), pieces: pieces.into() }
}

/// A value without its quotes.
fn bare(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

/// Cookies as a header has them.
fn header(lines: &[(String, Vec<u8>)]) -> Vec<u8> {
    let lines: Vec<Vec<u8>> = lines.iter().map(|(name, value)| [name.as_bytes(), value].join(&b'=')).collect();
    lines.join(&b"; "[..])
}

/// Whether the gate makes of cookies what they mean plainly, for a token in them and for a session that the site is shown.
///
/// # Errors
/// The difference.
pub(crate) fn compare(headers: &HeaderMap, name: &str) -> Result<(), String> {
    let Meaning { whole, with_its_own, signatures, pieces } = plainly(headers, name);
    let mut names = Names::default();
    names.add(name, Ways::one(0));
    let (mut found, mut has_pieces) = (Vec::new(), false);
    for cookie in names.all(headers) {
        match cookie {
            Found::Whole(_, value) => found.push(value.to_vec()),
            Found::Piece => has_pieces = true,
        }
    }
    let joined = if has_pieces { names.joined(headers) } else { Vec::new() };
    let token: Vec<Option<Vec<u8>>> = joined.into_iter().map(|(_, value)| value).collect();
    let expected = pieces.iter().filter_map(|pieces| match pieces {
        Pieces::Joined(joined, _) if !joined.is_empty() => Some(Some(joined.clone())),
        Pieces::None | Pieces::Joined(..) => None,
        Pieces::Unusable => Some(None),
    });
    let expected: Vec<_> = expected.collect();
    if (&found, &token) != (&whole, &expected) {
        return Err(format!("{headers:?}: found {found:?} and {token:?}, and {whole:?} and {expected:?} are there"));
    }
    for signature in [Signature::None, Signature::Beside] {
        let whole_shown = |(value, text): (&Vec<u8>, &Option<Vec<u8>>)| {
            let alone = (name.to_owned(), value.clone());
            match (text, signatures.as_slice(), signature) {
                (Some(text), ..) => Some(text.clone()),
                (None, [], _) | (None, _, Signature::None) => Some(header(&[alone])),
                (None, [one], Signature::Beside) => Some(header(&[alone, (format!("{name}.sig"), one.clone())])),
                (None, _, Signature::Beside) => None,
            }
        };
        let in_pieces = pieces.iter().filter_map(|pieces| match pieces {
            Pieces::Joined(_, text) => Some(Some(text.clone())),
            Pieces::None => None,
            Pieces::Unusable => Some(None),
        });
        let expected: Vec<Option<Vec<u8>>> =
            whole.iter().zip(&with_its_own).map(whole_shown).chain(in_pieces).collect();
        compare_shown((headers, name, signature), &expected)?;
    }
    Ok(())
}

/// Whether the gate shows the site these sessions; none is one that it refuses.
fn compare_shown(
    (headers, name, signature): (&HeaderMap, &str, Signature),
    expected: &[Option<Vec<u8>>],
) -> Result<(), String> {
    let mut shown = Vec::new();
    sessions(headers, name, signature, |session| {
        shown.push(match session {
            Session::Whole(value) => Some(header(&[(name.to_owned(), value.to_vec())])),
            Session::Signed(value, signature) => {
                Some(header(&[(name.to_owned(), value.to_vec()), (format!("{name}.sig"), signature.to_vec())]))
            }
            Session::Pieces { text, .. } => Some(text),
            Session::Doubled => None,
        });
    });
    // How long a session may be is looked at when it is shown.
    let is_long = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(|text| text.len() > TOKEN_BYTES_MAX);
    let agree = |(shown, expected): (&Option<Vec<u8>>, &Option<Vec<u8>>)| {
        shown == expected || (expected.is_none() && is_long(shown))
    };
    if shown.len() != expected.len() || !shown.iter().zip(expected).all(agree) {
        return Err(format!("{headers:?}, {signature:?}: shown {shown:?}, and {expected:?} are there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[String]) -> HeaderMap {
        let values = lines.iter().filter_map(|line| Some((COOKIE, HeaderValue::from_str(line).ok()?)));
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_bound_and_a_gap_mean_the_same_on_both_ways() {
        let long = |bytes| format!("s.0={}; s.1=b", "a".repeat(bytes));
        for line in [long(TOKEN_BYTES_MAX - 1), long(TOKEN_BYTES_MAX), "s.0=; s.1=b".into(), "s.63=a; s.64=b".into()] {
            compare(&headers(&[line]), "s").expect("the same");
        }
        let all: Vec<String> = (0..=PIECES_MAX).map(|number| format!("s.{number}=x")).collect();
        compare(&headers(&[all.join(";")]), "s").expect("the same");
    }

    proptest! {
        #[test]
        fn cookies_mean_what_they_mean_plainly(
            lines in prop::collection::vec(
                prop::collection::vec(
                    "s|s\\.|s_|[0-3]|00|63|64|=|;|; |[ab\" %]|s\\.0=a;|s\\.1=b;|s=c;|s_0=d;|s__0=e;|s__1=f;|s\\.sig=g;|s=chunks-2;|sC1=h;|sC2=i;",
                    0..12,
                ),
                0..3,
            ),
        ) {
            let lines: Vec<String> = lines.iter().map(|parts| parts.concat()).collect();
            prop_assert_eq!(compare(&headers(&lines), "s"), Ok(()));
        }
    }
}
