//! Where a buyer goes on to after paying, when several windows lead to the same checkout.
//!
//! An account has one open checkout, whose return address names the page of the window that opened it. A window that
//! comes later gets the same checkout, and no provider lets its return address be changed. So each browser remembers what
//! its last click named, together with the checkout for which it did; that counts for more than the return address.

use entitlement::own_paths::OwnPaths;
use http::{HeaderMap, HeaderValue};

use super::links;
use crate::cookie::Cookie;
use crate::settings::Settings;

/// The cookie: sent with nothing but the page to which the provider returns.
const CLICKED: Cookie = Cookie { name: "tollgate_next", page: Some(links::RETURN_PATH) };

/// No provider keeps a checkout open for longer.
const SECONDS: i64 = 24 * 60 * 60;

/// Browsers drop a cookie that is longer, and would keep the one before it (RFC 6265 section 6.1), in bytes.
const VALUE_BYTES_MAX: usize = 3800;

/// What makes a browser remember where the click that led to a checkout wants to go on to; nowhere is remembered, too.
#[must_use]
pub fn remembering(session: &str, next: Option<&str>, settings: &Settings) -> Option<HeaderValue> {
    let mut value = url::form_urlencoded::Serializer::new(String::new());
    value.append_pair("session", session);
    if let Some(next) = next.and_then(|next| links::own_path(settings.own_paths(), next)) {
        value.append_pair("next", &next);
    }
    let value = value.finish();
    if value.len() > VALUE_BYTES_MAX {
        return CLICKED.forgotten(settings);
    }
    CLICKED.remembering(&value, SECONDS, settings)
}

/// The page that somebody who comes back from a checkout goes on to: what this browser's last click named for it, else
/// what its return address says. Only ever a page of this site.
#[must_use]
pub fn next(headers: &HeaderMap, session: Option<&str>, returned_to: Option<&str>, own: &OwnPaths) -> Option<String> {
    let here = |next: &str| links::own_path(own, next);
    let clicked = CLICKED.read(headers).map(Click::read);
    match clicked.filter(|click| click.session.is_some() && click.session.as_deref() == session) {
        Some(click) => click.next.as_deref().and_then(here),
        None => returned_to.and_then(here),
    }
}

/// What makes a browser forget its last click; nothing when there is nothing to forget.
#[must_use]
pub fn forgotten(headers: &HeaderMap, settings: &Settings) -> Option<HeaderValue> {
    CLICKED.read(headers).and_then(|_| CLICKED.forgotten(settings))
}

/// What a browser remembers. Anybody could have written it there.
#[derive(Debug, Default)]
struct Click {
    session: Option<String>,
    next: Option<String>,
}

impl Click {
    fn read(value: &str) -> Self {
        let mut click = Self::default();
        for (name, value) in url::form_urlencoded::parse(value.as_bytes()) {
            match name.as_ref() {
                "session" => click.session = Some(value.into_owned()),
                "next" => click.next = Some(value.into_owned()),
                _ => {}
            }
        }
        click
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::tests::settings;

    fn sent(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookie).expect("a header"))])
    }

    fn clicked(session: &str, next: Option<&str>) -> HeaderMap {
        let cookie = remembering(session, next, &settings()).expect("a cookie");
        sent(cookie.to_str().expect("ASCII").split(';').next().expect("a pair"))
    }

    #[test]
    fn the_last_click_of_a_browser_decides_for_its_checkout_alone() {
        let own = OwnPaths::default();
        let cases = [
            ("another window", clicked("cs_1", Some("/b?c=d&e#f")), Some("/b?c=d&e#f")),
            ("another window that goes nowhere", clicked("cs_1", None), None),
            ("a click for another checkout", clicked("cs_2", Some("/b")), Some("/a")),
            ("another device", HeaderMap::new(), Some("/a")),
            ("nothing that is understood", sent("tollgate_next=%%%"), Some("/a")),
            ("a click for nothing", sent("tollgate_next=next=%2Fb"), Some("/a")),
            ("another cookie", sent("tollgate_nextx=session=cs_1&next=%2Fb"), Some("/a")),
        ];
        for (what, headers, expected) in cases {
            assert_eq!(next(&headers, Some("cs_1"), Some("/a"), &own).as_deref(), expected, "{what}");
        }
        assert_eq!(
            next(&clicked("cs_1", Some("/b")), None, Some("/a"), &own).as_deref(),
            Some("/a"),
            "no checkout at all"
        );
    }

    #[test]
    fn nobody_is_led_to_another_site() {
        let own = OwnPaths::default();
        for evil in
            ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/..//evil.example"]
        {
            assert_eq!(next(&clicked("cs_1", Some(evil)), Some("cs_1"), None, &own), None, "{evil}");
            let encoded: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
            let forged = sent(&format!("tollgate_next=session=cs_1&next={encoded}"));
            assert_eq!(next(&forged, Some("cs_1"), None, &own), None, "written by somebody else: {evil}");
            assert_eq!(next(&HeaderMap::new(), Some("cs_1"), Some(evil), &own), None, "{evil}");
        }
    }

    #[test]
    fn it_is_sent_with_nothing_else_and_forgotten_in_the_end() {
        let settings = settings();
        let text = |cookie: Option<HeaderValue>| cookie.expect("a cookie").to_str().expect("ASCII").to_owned();
        let remembered = text(remembering("cs_1", Some("/a;b=\u{fc}"), &settings));
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/billing/return", "Max-Age=86400"] {
            assert!(remembered.split("; ").any(|part| part == attribute), "{attribute}: {remembered}");
        }
        let gone = text(forgotten(&clicked("cs_1", None), &settings));
        assert!(gone.starts_with("tollgate_next=; Path=/billing/return; Max-Age=0"), "{gone}");
        assert_eq!(forgotten(&HeaderMap::new(), &settings), None);
        // Written as a value, it would be more than a browser keeps.
        let long = format!("/{}", "\u{fc}".repeat(700));
        assert!(text(remembering("cs_1", Some(&long), &settings)).contains("Max-Age=0"));
    }
}
