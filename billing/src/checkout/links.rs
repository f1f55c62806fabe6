//! The URLs between the site, the billing pages and the provider; and which `next` a buyer may be sent on to.

use entitlement::catalog::Provider;
use entitlement::login::Login;
use entitlement::own_paths::{OwnPaths, origin};
use url::{Position, Url};

/// Longest `next` that is followed, in bytes. Stripe refuses a success URL of more than 5000 characters, and each byte
/// may take three.
const NEXT_BYTES_MAX: usize = 1500;

/// Where a checkout returns to. These are names within Tollgate: [`OwnPaths::of`] says where they are.
pub const RETURN_PATH: &str = "/billing/return";

/// The hosted pricing page.
pub const PRICING_PATH: &str = "/billing/pricing";

/// The hosted page of one's own plan.
pub const ACCOUNT_PATH: &str = "/billing";

/// The path, query and fragment of `next`, ready for a `Location` header, when it leads to this site and nowhere else: neither to
/// another host, nor to another site of this one.
#[must_use]
pub fn own_path(own: &OwnPaths, next: &str) -> Option<String> {
    let mut chars = next.chars();
    // Browsers read `//host` and `/\host` as another site.
    let rooted = chars.next() == Some('/') && !matches!(chars.next(), Some('/' | '\\'));
    // They also drop tabs and line breaks before they look, and read `\` as `/`.
    let plain = !next.chars().any(|c| c.is_control() || c == '\\');
    if !rooted || !plain || next.len() > NEXT_BYTES_MAX {
        return None;
    }
    let url = Url::parse("https://site.invalid").ok()?.join(next).ok()?;
    // Removing dot segments can make a `//` out of `/..//`.
    let path = &url[Position::BeforePath..];
    (url.host_str() == Some("site.invalid") && !path.starts_with("//") && own.is_of_site(path)).then(|| path.to_owned())
}

/// A path of the site's host as a whole URL; what is one already stays.
#[must_use]
pub fn on_site(site_url: &str, target: &str) -> String {
    if target.starts_with('/') { format!("{}{target}", origin(site_url)) } else { target.to_owned() }
}

/// `target` with `next` added to its query, if there is one.
#[must_use]
pub fn with_next(target: &str, next: Option<&str>) -> String {
    let Some(next) = next else { return target.to_owned() };
    let mark = if target.contains('?') { '&' } else { '?' };
    format!("{target}{mark}{}", encoded("next", next))
}

/// The login page, with the way back to a page of the site.
#[must_use]
pub fn signing_in(login: &Login, page: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
    login.leading_back(&encoded)
}

/// Where the provider sends the buyer after paying. It puts the session's id where the braces stand, which therefore
/// stay as they are.
#[must_use]
pub fn success_url(site_url: &str, own: &OwnPaths, provider: Provider, next: Option<&str>) -> String {
    let session = match provider {
        Provider::Stripe => "{CHECKOUT_SESSION_ID}",
        Provider::Polar => "{CHECKOUT_ID}",
    };
    with_next(&format!("{}?session_id={session}", on_site(site_url, &own.of(RETURN_PATH))), next)
}

fn encoded(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_site_is_followed() {
        let long = format!("/{}", "x".repeat(NEXT_BYTES_MAX));
        let cases = [
            ("/", Some("/")),
            ("/premium/a?b=c#d", Some("/premium/a?b=c#d")),
            ("/a b/ü", Some("/a%20b/%C3%BC")),
            ("/a/../b", Some("/b")),
            ("/?next=//evil.example", Some("/?next=//evil.example")),
            ("/@evil.example", Some("/@evil.example")),
            ("", None),
            ("premium", None),
            ("https://evil.example/", None),
            ("javascript:alert(1)", None),
            ("//evil.example", None),
            ("/\\evil.example", None),
            ("\\/evil.example", None),
            ("/a\\b", None),
            ("/\t/evil.example", None),
            ("/\n/evil.example", None),
            ("/a\r\nSet-Cookie: b", None),
            ("/..//evil.example", None),
            ("/.//evil.example", None),
            ("/a/..//evil.example", None),
            (" //evil.example", None),
            (long.as_str(), None),
        ];
        for (next, expected) in cases {
            assert_eq!(own_path(&OwnPaths::default(), next).as_deref(), expected, "{next:?}");
        }
        let below = OwnPaths::new("https://read.example/app", "/app/plan");
        for (next, expected) in [
            ("/app", Some("/app")),
            ("/app?a", Some("/app?a")),
            ("/app/b/../c#d", Some("/app/c#d")),
            ("/", None),
            ("/other", None),
            ("/application", None),
            ("/app/../other", None),
            ("/app/%2e%2E/other", None),
            ("/other/../app/", Some("/app/")),
        ] {
            assert_eq!(own_path(&below, next).as_deref(), expected, "{next:?}");
        }
    }

    #[test]
    fn urls_are_built_on_the_site() {
        assert_eq!(on_site("https://read.example", "/billing/pricing"), "https://read.example/billing/pricing");
        assert_eq!(on_site("https://read.example/app", "/login"), "https://read.example/login");
        assert_eq!(on_site("https://read.example", "https://id.example/login"), "https://id.example/login");
        assert_eq!(with_next("/login", None), "/login");
        assert_eq!(with_next("/login", Some("/billing?a=b&c")), "/login?next=%2Fbilling%3Fa%3Db%26c");
        assert_eq!(signing_in(&Login::default(), "/billing?a=b&c"), "/login?next=%2Fbilling%3Fa%3Db%26c");
        assert_eq!(with_next("/login?via=link", Some("/")), "/login?via=link&next=%2F");
        assert_eq!(
            success_url("https://read.example", &OwnPaths::default(), Provider::Stripe, Some("/premium/a")),
            "https://read.example/billing/return?session_id={CHECKOUT_SESSION_ID}&next=%2Fpremium%2Fa"
        );
        let below = OwnPaths::new("https://read.example/app", "/app/plan");
        assert_eq!(
            success_url("https://read.example/app", &below, Provider::Polar, None),
            "https://read.example/app/plan/return?session_id={CHECKOUT_ID}"
        );
    }
}
