//! Keeps responses for one user out of shared caches: a cookie, unlike `Authorization`, does not do that by itself (RFC 9111
//! section 3.5).

use http::header::{CACHE_CONTROL, VARY};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;

use crate::routes::{Destination, Rule};
use crate::view::View;

/// The request headers by which a response varies whose site may be told of an account.
const VARY_BY: [&str; 2] = ["Cookie", "Authorization"];

/// Directives that invite a shared cache; they contradict `private`.
const SHARED: [&str; 2] = ["public", "s-maxage"];

/// What tells one kind of cache something else than `Cache-Control` does, beside `CDN-Cache-Control` and its like
/// (RFC 9213).
const TARGETED: [HeaderName; 3] = [
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("edge-control"),
    HeaderName::from_static("x-accel-expires"),
];

/// Marks a response that this rule let pass, and whose site was told what `view` says.
///
/// # Errors
/// When a reason phrase of the site's own cannot be kept.
pub(crate) fn mark(response: &mut ResponseHeader, rule: Option<&Rule>, view: Option<&View>) -> Result<()> {
    match (rule, view) {
        (Some(rule), _) if rule.is_gated() => keep_private(response),
        (Some(rule), _) if rule.shared || rule.destination != Destination::Site => Ok(()),
        (Some(_), Some(_)) => mark_public(response, Told::Account),
        (Some(_), None) => mark_public(response, Told::Nobody),
        (None, _) => Ok(()),
    }
}

/// Marks a response as being for one user alone. What the site says beside that stays; names go out in lower case, as
/// in [`crate::headers::rewrite`].
///
/// # Errors
/// When a reason phrase of the site's own cannot be kept.
fn keep_private(response: &mut ResponseHeader) -> Result<()> {
    let directives = private(&response.headers);
    let has_targeted = response.headers.keys().any(is_targeted);
    change(response, directives, has_targeted)
}

/// Marks a response to everybody, whose site was told of an account or of nobody: a cache that keeps what was made for nobody gives
/// it to no account. What never changes is the same for all.
///
/// # Errors
/// When a reason phrase of the site's own cannot be kept.
fn mark_public(response: &mut ResponseHeader, told: Told) -> Result<()> {
    match told {
        _ if is_immutable(&response.headers) => Ok(()),
        Told::Account => keep_private(response),
        Told::Nobody => change(response, None, false),
    }
}

/// Of whom the site was told for a response to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Account,
    Nobody,
}

/// Whether the response says that it never changes (RFC 8246).
fn is_immutable(headers: &HeaderMap) -> bool {
    let mut directives = headers.get_all(CACHE_CONTROL).iter().flat_map(|value| directives(value.as_bytes()));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("immutable"))
}

/// Sets these directives, if any, and what a response varies by; takes away what speaks to some shared caches alone.
fn change(response: &mut ResponseHeader, directives: Option<HeaderValue>, has_targeted: bool) -> Result<()> {
    let vary = vary(&response.headers);
    if directives.is_none() && vary.is_none() && !has_targeted {
        return Ok(());
    }
    let own_reason = response.get_reason_phrase().filter(|reason| Some(*reason) != response.status.canonical_reason());
    let own_reason = own_reason.map(str::to_owned);
    let nothing = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(response, nothing));
    if has_targeted {
        let names: Vec<HeaderName> = parts.headers.keys().filter(|name| is_targeted(name)).cloned().collect();
        names.iter().for_each(|name| drop(parts.headers.remove(name)));
    }
    parts.headers.reserve(4);
    if let Some(directives) = directives {
        parts.headers.insert(CACHE_CONTROL, directives);
    }
    if let Some(vary) = vary {
        parts.headers.insert(VARY, vary);
    }
    *response = ResponseHeader::from(parts);
    own_reason.map_or(Ok(()), |reason| response.set_reason_phrase(Some(&reason)))
}

/// Whether a header speaks to some shared caches alone: to those it would overrule `private`.
fn is_targeted(name: &HeaderName) -> bool {
    name.as_str().ends_with("-cache-control") || TARGETED.contains(name)
}

/// The `Cache-Control` to set, unless there is one that will do.
fn private(headers: &HeaderMap) -> Option<HeaderValue> {
    if !headers.contains_key(CACHE_CONTROL) {
        return Some(HeaderValue::from_static("private"));
    }
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
    if !headers.contains_key(VARY) {
        return Some(HeaderValue::from_static("Cookie, Authorization"));
    }
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
    fn a_public_response_is_private_when_its_site_was_told_of_an_account() {
        const BOTH: &str = "Cookie, Authorization";
        let cases = [
            (Told::Account, "public, max-age=60", "private, max-age=60", BOTH),
            (Told::Nobody, "public, max-age=60", "public, max-age=60", BOTH),
            (Told::Account, "no-store", "no-store", BOTH),
            (Told::Account, "public, max-age=31536000, immutable", "public, max-age=31536000, immutable", ""),
            (Told::Nobody, "Immutable", "Immutable", ""),
            (Told::Account, "immutable=no, x=\"a, immutable\"", "private, immutable=no, x=\"a, immutable\"", BOTH),
        ];
        for (told, said, control, vary) in cases {
            let mut response = ResponseHeader::build(200, None).expect("a response");
            response.append_header(CACHE_CONTROL, said).expect("a header");
            response.append_header("CDN-Cache-Control", "max-age=60").expect("a header");
            mark_public(&mut response, told).expect("it is marked");
            let value = |name| response.headers.get(name).map_or("", |value| value.to_str().expect("text"));
            assert_eq!((value(CACHE_CONTROL), value(VARY)), (control, vary), "{told:?} {said}");
            let is_kept = told == Told::Nobody || vary.is_empty();
            assert_eq!(response.headers.contains_key("cdn-cache-control"), is_kept, "{told:?} {said}");
        }
    }

    #[test]
    fn the_rest_of_the_response_stays_as_it_is() {
        let mut response = ResponseHeader::build(207, None).expect("a response");
        response.set_reason_phrase(Some("Quite Fine")).expect("a phrase");
        for value in ["a=1", "b=2"] {
            response.append_header("Set-Cookie", value).expect("a header");
        }
        keep_private(&mut response).expect("it is marked");
        assert_eq!((response.status.as_u16(), response.get_reason_phrase()), (207, Some("Quite Fine")));
        assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn what_is_said_to_shared_caches_alone_is_removed() {
        let mut response = ResponseHeader::build(304, None).expect("a response");
        let lines = [
            ("CDN-Cache-Control", "max-age=60"),
            ("Cloudflare-CDN-Cache-Control", "max-age=60"),
            ("Surrogate-Control", "max-age=60"),
            ("Edge-Control", "cache-maxage=60"),
            ("X-Accel-Expires", "60"),
            ("Cache-Control", "private"),
            ("Vary", "Cookie, Authorization"),
            ("X-DNS-Prefetch-Control", "on"),
        ];
        for (name, value) in lines {
            response.append_header(name, value).expect("a header");
        }
        keep_private(&mut response).expect("it is marked");
        let mut names: Vec<&str> = response.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "vary", "x-dns-prefetch-control"]);
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
