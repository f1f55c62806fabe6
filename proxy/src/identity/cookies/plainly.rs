//! Cookies once more, as simply as it can be said what they mean: the quick way of the gate is held against this by tests and by a fuzzer.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::COOKIE;

use super::{Found, Names, PIECES_MAX, Session, TOKEN_BYTES_MAX, Ways, sessions};

/// The value of all cookies of one name.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    whole: Vec<Vec<u8>>,
    pieces: Pieces,
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
    let mut whole = Vec::new();
    let mut pieces: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
    for line in headers.get_all(COOKIE) {
        for cookie in line.as_bytes().split(|byte| *byte == b';') {
            let Some(at) = cookie.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = (cookie[..at].trim_ascii(), cookie[at + 1..].trim_ascii());
            if key == name.as_bytes() && !value.is_empty() {
                whole.push(value.to_vec());
            }
            for number in 0..PIECES_MAX {
                if key == format!("{name}.{number}").as_bytes() {
                    pieces.entry(number).or_default().push(value);
                }
            }
        }
    }
    if pieces.values().any(|values| values.len() > 1) {
        return Meaning { whole, pieces: Pieces::Unusable };
    }
    let (mut joined, mut shown) = (Vec::new(), Vec::new());
    for (number, (place, values)) in pieces.iter().enumerate() {
        if number != *place {
            break;
        }
        let bare = match values[0] {
            [b'"', inner @ .., b'"'] => inner,
            value => value,
        };
        joined.extend_from_slice(bare);
        let line = format!("{}{name}.{number}=", if number == 0 { "" } else { "; " });
        shown.extend_from_slice(line.as_bytes());
        shown.extend_from_slice(bare);
    }
    let pieces = match joined.len() {
        _ if shown.is_empty() => Pieces::None,
        length if length > TOKEN_BYTES_MAX => Pieces::Unusable,
        _ => Pieces::Joined(joined, shown),
    };
    Meaning { whole, pieces }
}

/// Whether the gate makes of cookies what they mean plainly, for a token in them and for a session that the site is shown.
///
/// # Errors
/// The difference.
pub(crate) fn compare(headers: &HeaderMap, name: &str) -> Result<(), String> {
    let Meaning { whole, pieces } = plainly(headers, name);
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
    let expected = match &pieces {
        Pieces::Joined(joined, _) if !joined.is_empty() => vec![Some(joined.clone())],
        Pieces::None | Pieces::Joined(..) => vec![],
        Pieces::Unusable => vec![None],
    };
    if (&found, &token) != (&whole, &expected) {
        return Err(format!("{headers:?}: found {found:?} and {token:?}, and {whole:?} and {expected:?} are there"));
    }
    let (mut shown, mut in_pieces) = (Vec::new(), vec![]);
    sessions(headers, name, |session| match session {
        Session::Whole(value) => shown.push(value.to_vec()),
        Session::Pieces(text) => in_pieces.push(Some(text)),
        Session::Doubled => in_pieces.push(None),
    });
    let expected = match pieces {
        Pieces::Joined(_, text) => vec![Some(text)],
        Pieces::None => vec![],
        Pieces::Unusable => vec![None],
    };
    // How long a session may be is looked at when it is shown.
    let is_long = expected == [None] && in_pieces.iter().flatten().any(|text| text.len() > TOKEN_BYTES_MAX);
    if shown != whole || (in_pieces != expected && !is_long) {
        return Err(format!(
            "{headers:?}: shown {shown:?} and {in_pieces:?}, and {whole:?} and {expected:?} are there"
        ));
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
                prop::collection::vec("s|s\\.|[0-3]|00|63|64|=|;|; |[ab\" %]|s\\.0=a;|s\\.1=b;|s=c;", 0..12), 0..3,
            ),
        ) {
            let lines: Vec<String> = lines.iter().map(|parts| parts.concat()).collect();
            prop_assert_eq!(compare(&headers(&lines), "s"), Ok(()));
        }
    }
}
