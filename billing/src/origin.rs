//! From where a request that changes something was sent, as the browser states it.
//!
//! A session cookie comes along with what a foreign page sends, so the cookie proves nothing. What a browser states of the sender
//! does: `Sec-Fetch-Site` (Fetch Metadata) and `Origin` (RFC 6454), which no page can set or suppress. `same-origin` is proof by
//! itself, as it is said of the very address that was asked; a proxy or a `Referrer-Policy` that makes `Origin` null takes nothing
//! from it. Otherwise `Origin` decides: all browsers have sent it with forms since 2020. That needs no token, so a page can be open
//! for days, and every process can take its form.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// From where a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A page of this site.
    Own,
    /// A page of another site, or one that hides where it is from.
    Foreign,
    /// No browser says anything.
    Unknown,
}

impl Sender {
    /// The sender of a request with these headers to a site with these origins, which are written as browsers do.
    pub fn of(headers: &HeaderMap, origins: &[String]) -> Self {
        let one = |name| {
            let mut values = headers.get_all(name).iter();
            (values.next(), values.next().is_some())
        };
        let site = one(SEC_FETCH_SITE);
        if site.0.is_some_and(|site| site == "same-origin") && !site.1 {
            return Self::Own;
        }
        match one(header::ORIGIN) {
            // A browser says that it is another page's, and which one is hidden.
            (None, _) if site.0.is_some_and(|site| site != "none") => Self::Foreign,
            (None, _) => Self::Unknown,
            (Some(origin), false) if is_one_of(origin, origins) => Self::Own,
            _ => Self::Foreign,
        }
    }
}

/// Whether the same origin is meant, with its default port or without.
fn is_one_of(origin: &HeaderValue, origins: &[String]) -> bool {
    let text = origin.to_str().ok().filter(|text| text.matches('/').count() == 2 && !text.contains(['@', '?', '#']));
    let Some(Ok(url)) = text.map(Url::parse) else { return false };
    let origin = url.origin();
    origin.is_tuple() && origins.contains(&origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_origin_is_proof_by_itself_and_otherwise_the_origin_decides() {
        use Sender::{Foreign, Own, Unknown};
        let own = Some("https://read.example");
        let cases = [
            ("a page of ours", own, Some("same-origin"), Own),
            ("of an older browser", own, None, Own),
            ("without an origin, and the browser vouches for it", None, Some("same-origin"), Own),
            ("a front that hides the origin", Some("null"), Some("same-origin"), Own),
            ("another name of this server", Some("https://new.read.example"), Some("same-origin"), Own),
            ("with the default port", Some("https://read.example:443"), None, Own),
            ("in capitals", Some("https://Read.Example"), None, Own),
            ("the site's other name", Some("https://www.read.example"), Some("same-site"), Own),
            ("the other name with a port", Some("https://www.read.example:443"), None, Own),
            ("the other name to this one", own, Some("same-site"), Own),
            ("from one name to an unrelated one", own, Some("cross-site"), Own),
            ("a program, or a browser that hides everything", None, None, Unknown),
            ("typed in by hand", None, Some("none"), Unknown),
            ("cross-site without an origin", None, Some("cross-site"), Foreign),
            ("a neighbour without an origin", None, Some("same-site"), Foreign),
            ("a foreign page", Some("https://evil.example"), Some("cross-site"), Foreign),
            ("a foreign page, older browser", Some("https://evil.example"), None, Foreign),
            ("a neighbour under the same domain", Some("https://blog.read.example"), Some("same-site"), Foreign),
            ("a sandboxed page", Some("null"), Some("cross-site"), Foreign),
            ("a sandboxed page, older browser", Some("null"), None, Foreign),
            ("another port", Some("https://read.example:8443"), Some("same-site"), Foreign),
            ("without encryption", Some("http://read.example"), None, Foreign),
            ("without encryption on the other's port", Some("http://read.example:443"), None, Foreign),
            ("a longer name", Some("https://read.example.evil.example"), None, Foreign),
            ("a name in front", Some("https://read.example@evil.example"), None, Foreign),
            ("a path", Some("https://read.example/"), None, Foreign),
            ("a local file", Some("file://"), None, Foreign),
            ("nearly proof", Some("https://evil.example"), Some("Same-Origin"), Foreign),
        ];
        let origins = ["https://read.example".to_owned(), "https://www.read.example".to_owned()];
        for (what, origin, site, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            headers.extend(site.map(|site| (SEC_FETCH_SITE, HeaderValue::from_static(site))));
            assert_eq!(Sender::of(&headers, &origins), expected, "{what}");
        }
        let twice = |name: HeaderName, values: [&'static str; 2]| {
            values.into_iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect::<HeaderMap>()
        };
        let sites = twice(SEC_FETCH_SITE, ["same-origin", "cross-site"]);
        assert_eq!(Sender::of(&sites, &origins), Foreign);
        let both = twice(header::ORIGIN, ["https://read.example", "https://evil.example"]);
        assert_eq!(Sender::of(&both, &origins), Foreign);
    }
}
