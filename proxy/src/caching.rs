//! Keeps gated responses out of shared caches: a cookie, unlike `Authorization`, does not do that by itself (RFC 9111
//! section 3.5).

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;

/// What a gated response varies by.
const VARY_BY: [&str; 2] = ["Cookie", "Authorization"];

/// Directives that invite a shared cache; they contradict `private`.
const SHARED: [&str; 2] = ["public", "s-maxage"];

/// Marks a response as being for one user alone. What the site says beside that stays.
///
/// # Errors
/// When a response has too many headers.
pub fn keep_private(response: &mut ResponseHeader) -> Result<()> {
    if let Some(directives) = private(&response.headers) {
        response.insert_header(CACHE_CONTROL, directives)?;
    }
    if let Some(vary) = vary(&response.headers) {
        response.insert_header(VARY, vary)?;
    }
    Ok(())
}

/// The `Cache-Control` to set, unless there is one that will do.
fn private(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut kept = String::from("private");
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in directives(value.as_bytes()) {
            let name = directive.split('=').next().unwrap_or_default().trim();
            // `private="x"` is about the field x alone.
            let whole = directive.trim().len() == name.len();
            if name.eq_ignore_ascii_case("no-store") || (whole && name.eq_ignore_ascii_case("private")) {
                return None;
            }
            if !SHARED.iter().any(|shared| name.eq_ignore_ascii_case(shared)) {
                kept.push_str(", ");
                kept.push_str(directive.trim());
            }
        }
    }
    Some(HeaderValue::try_from(kept).unwrap_or(HeaderValue::from_static("private")))
}

/// The directives of a `Cache-Control`, whose arguments may be quoted and hold commas.
fn directives(value: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts.filter(|part| !part.trim().is_empty()).collect()
}

/// The `Vary` to set, unless there is one that will do.
fn vary(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = || headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let has =
        |name: &str| values().flat_map(|value| value.split(',')).any(|field| field.trim().eq_ignore_ascii_case(name));
    if has("*") || VARY_BY.iter().all(|name| has(name)) {
        return None;
    }
    let missing = VARY_BY.into_iter().filter(|name| !has(name));
    let merged: Vec<&str> = values().chain(missing).collect();
    HeaderValue::try_from(merged.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: &[(&'static str, &str)]) -> (String, String) {
        let mut response = ResponseHeader::build(200, None).expect("a response");
        for (name, value) in lines {
            response.append_header(*name, *value).expect("a header");
        }
        keep_private(&mut response).expect("it is marked");
        let all = |name| {
            let values = response.headers.get_all(name).iter().map(|value| value.to_str().expect("text"));
            values.collect::<Vec<_>>().join(" | ")
        };
        (all(CACHE_CONTROL), all(VARY))
    }

    #[test]
    fn a_gated_response_is_private_whatever_the_site_says() {
        let cases: [(&[&str], &str); 9] = [
            (&[], "private"),
            (&["private"], "private"),
            (&["Private, max-age=5"], "Private, max-age=5"),
            (&["no-store"], "no-store"),
            (&["max-age=60"], "private, max-age=60"),
            (&["public, max-age=60, s-maxage=600"], "private, max-age=60"),
            (&["public", "immutable"], "private, immutable"),
            (&["private=\"set-cookie, x\", max-age=1"], "private, private=\"set-cookie, x\", max-age=1"),
            (&["no-cache=\"a, private\""], "private, no-cache=\"a, private\""),
        ];
        for (lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|value| ("cache-control", *value)).collect();
            assert_eq!(kept(&lines).0, expected, "{lines:?}");
        }
    }

    #[test]
    fn what_the_site_varies_by_is_kept() {
        let cases: [(&[&str], &str); 6] = [
            (&[], "Cookie, Authorization"),
            (&["Accept-Encoding"], "Accept-Encoding, Cookie, Authorization"),
            (&["accept", "COOKIE"], "accept, COOKIE, Authorization"),
            (&["cookie, authorization"], "cookie, authorization"),
            (&["*"], "*"),
            (&["Accept, *"], "Accept, *"),
        ];
        for (lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|value| ("vary", *value)).collect();
            assert_eq!(kept(&lines).1, expected, "{lines:?}");
        }
    }
}
