//! Targets that a site has although two servers may read them differently: `/@scope%2Fname`, `/img/https://a.example/b`, `/a;v=1`.
//! They pass where a route says so, and where no reading of them has a rule that asks for anything.

use crate::target::{self, Refusal};

/// Every reading of a raw path: an encoded slash is one or is not, a second slash counts or does not, parameters belong to a
/// segment or do not.
///
/// # Errors
/// When it has more that is ambiguous than these.
pub(crate) fn decoded(path: &str) -> Result<Vec<String>, Refusal> {
    let decoded = path.replace("%2F", "/").replace("%2f", "/");
    // Whatever else there is has to be clear, in what is cut as well.
    for clear in [collapsed(&decoded.replace(';', "-")), collapsed(&cut(&decoded))] {
        target::canonical(clear.as_bytes())?;
    }
    let mut readings = Vec::new();
    for text in [path, &decoded] {
        for text in [text.to_owned(), cut(text), ended(text)] {
            for text in [collapsed(&text), text] {
                if !readings.contains(&text) {
                    readings.push(text);
                }
            }
        }
    }
    Ok(readings)
}

/// Without the parameters of its segments.
fn cut(path: &str) -> String {
    let names: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap_or(segment)).collect();
    names.join("/")
}

/// As it stands before the first parameter: some servers take all that follows for one.
fn ended(path: &str) -> String {
    path.split(';').next().unwrap_or(path).to_owned()
}

/// With one slash where several stand.
fn collapsed(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for character in path.chars() {
        if !(character == '/' && text.ends_with('/')) {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_is_there() {
        for (path, expected) in [
            ("/@a%2fb", vec!["/@a%2fb", "/@a/b"]),
            ("/img/https://a/b", vec!["/img/https:/a/b", "/img/https://a/b"]),
            ("/a;v=1/b", vec!["/a;v=1/b", "/a/b", "/a"]),
            (
                "/x%2Fpaid;y//z",
                vec![
                    "/x%2Fpaid;y/z",
                    "/x%2Fpaid;y//z",
                    "/x%2Fpaid/z",
                    "/x%2Fpaid//z",
                    "/x%2Fpaid",
                    "/x/paid;y/z",
                    "/x/paid;y//z",
                    "/x/paid/z",
                    "/x/paid//z",
                    "/x/paid",
                ],
            ),
        ] {
            assert_eq!(decoded(path).expect("it can be read"), expected, "{path}");
        }
    }

    #[test]
    fn what_is_ambiguous_besides_is_refused() {
        for path in ["/a%2F..%2Fb", "/a;/../b", "/a//%2e%2e/b", "/a%2F%00", "/a;%5C", "/a%252Fb;", "/a;\u{1}", "a//b"] {
            assert!(decoded(path).is_err(), "{path}");
        }
    }
}
