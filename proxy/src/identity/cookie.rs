//! One cookie out of all `Cookie` headers (RFC 6265 section 5.4; HTTP/2 may split them, RFC 9113 section 8.2.3).

use http::HeaderMap;
use http::header::COOKIE;

use super::Sole;

/// The value of the cookie of that name. An empty one is what a site leaves behind when its user signs out: none.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Sole<&'a [u8]> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let Some(value) = value_of(pair.trim_ascii(), name.as_bytes()) else { continue };
            if found.replace(value).is_some() {
                return Sole::Many;
            }
        }
    }
    match found {
        None | Some(b"") => Sole::None,
        Some(value) => Sole::One(value),
    }
}

/// The value of one `name=value`, when it has that name.
fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = pair.strip_prefix(name)?.trim_ascii_start();
    Some(rest.strip_prefix(b"=")?.trim_ascii())
}
