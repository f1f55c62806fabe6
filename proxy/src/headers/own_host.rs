//! A site that is told its own host names that host in redirects and cookies, where a client reaches it under another one.

use http::HeaderValue;
use http::header::{CONTENT_LOCATION, LOCATION, SET_COOKIE};
use pingora::ErrorType::InternalError;
use pingora::http::ResponseHeader;
use pingora::{OrErr, Result};

/// Takes the site's `own` host out of an answer to a client that asked for the host `public`: addresses below it become those of the
/// same place, and a cookie that is set for it becomes one of the host that was asked. All other addresses and cookies stay.
///
/// # Errors
/// Hardly: what is written is part of what stood there.
pub(crate) fn take_out(response: &mut ResponseHeader, own: &HeaderValue, public: Option<&str>) -> Result<()> {
    let Ok(own) = own.to_str() else { return Ok(()) };
    for name in [LOCATION, CONTENT_LOCATION] {
        let address = response.headers.get(&name).map(|value| characters(value.as_bytes()));
        if let Some(place) = address.and_then(|address| place(&address, own)) {
            response.insert_header(name, HeaderValue::from_bytes(&bytes(&place)).or_err(InternalError, "a place")?)?;
        }
    }
    let hosts = (host_of(own), public.unwrap_or_default());
    let is_meant = |value: &HeaderValue| value.to_str().is_ok_and(|cookie| without_domain(cookie, hosts).is_some());
    if !response.headers.get_all(SET_COOKIE).iter().any(is_meant) {
        return Ok(());
    }
    let cookies: Vec<HeaderValue> = response.headers.get_all(SET_COOKIE).iter().cloned().collect();
    response.remove_header(&SET_COOKIE);
    for cookie in cookies {
        match cookie.to_str().ok().and_then(|text| without_domain(text, hosts)) {
            Some(text) => response.append_header(SET_COOKIE, text)?,
            None => response.append_header(SET_COOKIE, cookie)?,
        };
    }
    Ok(())
}

/// The path, query and fragment of an address of the `own` host, with a scheme or without; `None` for any other, and for a path
/// that would be read as another host's address without its own (<https://url.spec.whatwg.org/#relative-state>).
fn place(address: &str, own: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("//")?;
    let ports: &[&str] = match scheme.to_ascii_lowercase().as_str() {
        "http:" => &[":80"],
        "https:" => &[":443"],
        "" => &[":80", ":443"],
        _ => return None,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let plain = |authority: &str| {
        let bare = ports.iter().find_map(|port| authority.strip_suffix(port)).unwrap_or(authority);
        bare.to_ascii_lowercase()
    };
    if plain(authority) != plain(own) || rest.starts_with("//") || rest.contains(['\\', '\t']) {
        return None;
    }
    Some(if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
}

/// One character for each byte: what is beyond ASCII has no meaning here, and goes on as it came.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of [`characters`].
fn bytes(characters: &str) -> Vec<u8> {
    characters.chars().filter_map(|character| u8::try_from(character).ok()).collect()
}

/// A host without its port.
fn host_of(authority: &str) -> &str {
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority })
}

/// A cookie without its `Domain`, where that is the `own` host or one above it, and the `public` one is not below it.
fn without_domain(cookie: &str, (own, public): (&str, &str)) -> Option<String> {
    let domain = |part: &str| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("domain").then(|| value.trim().trim_start_matches('.').to_ascii_lowercase())
    };
    let is_foreign =
        |part: &str| domain(part).is_some_and(|domain| is_below(own, &domain) && !is_below(public, &domain));
    let mut parts = cookie.split(';');
    let first = parts.next()?;
    let parts: Vec<&str> = parts.collect();
    if !parts.iter().any(|part| is_foreign(part)) {
        return None;
    }
    let kept = parts.into_iter().filter(|part| !is_foreign(part));
    Some(kept.fold(first.to_owned(), |cookie, part| format!("{cookie};{part}")))
}

/// Whether a host is a domain or lies below it (RFC 6265 section 5.1.3).
fn is_below(host: &str, domain: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let above = host.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.')) && !domain.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(own: &str, lines: &[(&'static str, &str)]) -> Vec<(String, String)> {
        let mut response = ResponseHeader::build(302, None).expect("a status");
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(&bytes(value)).expect("a value");
            response.append_header(*name, value).expect("a line");
        }
        let own = HeaderValue::from_str(own).expect("a host");
        take_out(&mut response, &own, Some("www.site.test")).expect("it is written");
        let lines = response.headers.iter();
        lines.map(|(name, value)| (name.to_string(), characters(value.as_bytes()))).collect()
    }

    #[test]
    fn addresses_of_the_own_host_are_those_of_the_same_place() {
        let cases = [
            ("app.internal", "https://app.internal/login?next=/a#b", "/login?next=/a#b"),
            ("app.internal", "HTTPS://APP.internal:443/login", "/login"),
            ("app.internal", "http://app.internal:80", "/"),
            ("app.internal:8443", "https://app.internal:8443?a=1", "/?a=1"),
            ("app.internal", "https://app.internal#part", "/#part"),
            ("app.internal:443", "//app.internal/x", "/x"),
            ("localhost:8443", "//localhost:8443/x", "/x"),
            ("app.internal", "https://app.internal/caf\u{e9}", "/caf\u{e9}"),
            // Others, and what would lead to another host.
            ("app.internal", "https://app.internal:8443/", "https://app.internal:8443/"),
            ("app.internal", "https://app.internal.evil/", "https://app.internal.evil/"),
            ("app.internal", "https://user@app.internal/", "https://user@app.internal/"),
            ("app.internal", "https://app.internal//evil.example/", "https://app.internal//evil.example/"),
            ("app.internal", "https://app.internal/\t/evil.example/", "https://app.internal/\t/evil.example/"),
            ("app.internal", "https://app.internal/\\evil.example/", "https://app.internal/\\evil.example/"),
            ("app.internal", "https://app.internal\\@evil.example/", "https://app.internal\\@evil.example/"),
            ("app.internal", "ftp://app.internal/", "ftp://app.internal/"),
            ("app.internal", "//app.internal.evil/", "//app.internal.evil/"),
            ("app.internal", "///app.internal/", "///app.internal/"),
            ("app.internal", "/a//app.internal/", "/a//app.internal/"),
            ("app.internal", "/login", "/login"),
        ];
        for (own, place, expected) in cases {
            for name in ["location", "content-location"] {
                assert_eq!(answer(own, &[(name, place)]), [(name.to_owned(), expected.to_owned())], "{place}");
            }
        }
    }

    #[test]
    fn cookies_of_the_own_host_are_those_of_the_host_that_was_asked() {
        let cases = [
            ("sid=1; Domain=app.internal; Path=/", "sid=1; Path=/"),
            ("sid=1; Path=/;domain = .APP.internal", "sid=1; Path=/"),
            ("sid=1; Domain=internal; Secure", "sid=1; Secure"),
            ("sid=1; Domain=site.test; Secure", "sid=1; Domain=site.test; Secure"),
            ("sid=1; Domain=pp.internal", "sid=1; Domain=pp.internal"),
            ("domain=app.internal; Path=/", "domain=app.internal; Path=/"),
            ("sid=1; Domain=", "sid=1; Domain="),
            ("sid=1", "sid=1"),
        ];
        for (cookie, expected) in cases {
            let other = ("set-cookie", "b=2; Domain=www.site.test");
            let expected = [expected, other.1].map(|value| ("set-cookie".to_owned(), value.to_owned()));
            assert_eq!(answer("app.internal:443", &[("set-cookie", cookie), other]), expected, "{cookie}");
        }
    }
}
