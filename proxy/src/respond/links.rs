//! Where users are sent to sign in or to pay, and where they come back to.

use entitlement::login::Login;
use entitlement::own_paths;
use http::header::{LOCATION, REFERER};
use http::{HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::reader::{Reader, is_true};
use super::{Answer, Asked, HX_REDIRECT, X_INERTIA_LOCATION};
use crate::target;

/// Longest `next` of a redirect, in bytes before encoding; without it the user starts over at the front page.
const NEXT_BYTES_MAX: usize = 2048;

/// Characters that a query value need not encode (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where users are sent.
#[derive(Clone, Debug)]
pub struct Links {
    /// To sign in.
    pub login: Login,
    /// To pay.
    pub pricing: String,
    /// To pay, as a program may want to know it: with the site's origin.
    pub upgrade: String,
    /// The origin of `site.url`.
    site: String,
    /// The front page: a path.
    home: String,
    /// The site's own, in lower case and without default ports.
    origins: Vec<String>,
}

impl Links {
    /// Links as they are configured; the pricing page is a path of the site, or a URL. `also` are further origins of the site.
    #[must_use]
    pub fn new(site_url: &str, also: &[String], login: Login, pricing_url: &str) -> Self {
        let upgrade = if pricing_url.starts_with('/') {
            format!("{}{pricing_url}", own_paths::origin(site_url))
        } else {
            pricing_url.to_owned()
        };
        let own = std::iter::once(site_url).chain(also.iter().map(String::as_str));
        let origins = own.filter_map(|url| origin(&url.parse().ok()?)).collect();
        let site = own_paths::origin(site_url).to_owned();
        let home = format!("{}/", site_url[site.len()..].trim_end_matches('/'));
        Self { login, pricing: pricing_url.to_owned(), upgrade, site, home, origins }
    }

    /// The same answer with whole addresses where it leads on, for a gateway: some take a path for one of the server that they have
    /// asked. They are of the origin whose host was asked for, when it is one of the site's, else of `site.url`.
    #[must_use]
    pub fn absolute(&self, mut answer: Answer, host: Option<&str>) -> Answer {
        let origin = self.origins.iter().find(|origin| host.is_some() && host_of(origin) == host);
        let origin = origin.unwrap_or(&self.site);
        for (name, value) in &mut answer.headers {
            if [LOCATION, HX_REDIRECT, X_INERTIA_LOCATION].contains(name)
                && let Ok(path) = value.to_str()
                && path.starts_with('/')
                && let Ok(whole) = HeaderValue::try_from(format!("{origin}{path}"))
            {
                *value = whole;
            }
        }
        answer
    }

    /// Where a user goes on afterwards, encoded for a query: always a canonical path of this very site. A fragment that htmx asks
    /// for is no page, and a form is not sent again: then it is the page from which it was asked for.
    pub(super) fn next(&self, asked: Asked<'_>, reader: Reader) -> String {
        let is_boosted = || is_true(asked.headers, "hx-boosted");
        let is_fragment = reader == Reader::Htmx && !is_boosted();
        let page = |name: &str| self.path_here(asked.headers.get(name)?);
        let next = match (*asked.method == Method::GET, is_fragment) {
            (true, false) => asked.target.to_owned(),
            (true, true) => page("hx-current-url").unwrap_or_else(|| asked.target.to_owned()),
            (false, _) => page("hx-current-url")
                .or_else(|| page(REFERER.as_str()))
                .unwrap_or_else(|| self.home.clone().into_bytes()),
        };
        let next = if next.len() > NEXT_BYTES_MAX { self.home.as_bytes() } else { &*next };
        percent_encode(next, ENCODED).to_string()
    }

    /// The canonical path and query of a URL of this site.
    fn path_here(&self, url: &HeaderValue) -> Option<Vec<u8>> {
        let url: Uri = url.to_str().ok()?.parse().ok()?;
        if !self.origins.contains(&origin(&url)?) {
            return None;
        }
        // Another site of the host is not this one.
        let raw = url.path_and_query()?.as_str();
        if !raw.starts_with(&self.home) && url.path() != self.home.trim_end_matches('/') {
            return None;
        }
        let raw = raw.as_bytes();
        let rewritten = target::canonical(raw).ok()?.rewritten();
        Some(rewritten.unwrap_or_else(|| raw.to_owned()))
    }
}

/// An address with the way back.
pub(super) fn with_next(to: &str, next: &str) -> String {
    let mark = if to.contains('?') { '&' } else { '?' };
    format!("{to}{mark}next={next}")
}

/// Scheme, host and port of a URL (RFC 6454 section 6.1).
fn origin(url: &Uri) -> Option<String> {
    let (scheme, host) = (url.scheme_str()?.to_ascii_lowercase(), url.host()?.to_ascii_lowercase());
    let default = if scheme == "https" { 443 } else { 80 };
    let port = url.port_u16().filter(|port| *port != default);
    Some(port.map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}")))
}

/// The host of an origin, without its port.
fn host_of(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    let port = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    Some(port.map_or(authority, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};

    use super::*;

    type Lines = [(&'static str, &'static str)];

    #[test]
    fn a_gateway_is_told_whole_addresses_of_the_site() {
        let also = ["https://www.read.example:8443".to_owned(), "http://[::1]:8080".to_owned()];
        let links = Links::new("https://Read.example:444/", &also, Login::default(), "https://pay.example/");
        for (host, location, expected) in [
            (None, "/login?next=%2F", "https://Read.example:444/login?next=%2F"),
            (Some("other.example"), "/login", "https://Read.example:444/login"),
            (Some("read.example"), "/login", "https://read.example:444/login"),
            (Some("www.read.example"), "/login", "https://www.read.example:8443/login"),
            (Some("[::1]"), "/login", "http://[::1]:8080/login"),
            (Some("read.example"), "https://pay.example/", "https://pay.example/"),
        ] {
            for name in [LOCATION, HX_REDIRECT, X_INERTIA_LOCATION] {
                let headers = vec![(name, HeaderValue::from_static(location))];
                let answer =
                    Answer { status: http::StatusCode::SEE_OTHER, headers, body: super::super::Body::default() };
                assert_eq!(links.absolute(answer, host).headers[0].1, expected, "{host:?} {location}");
            }
        }
    }

    #[test]
    fn a_site_below_a_path_has_its_front_page_there() {
        let links = Links::new("https://read.example/app", &[], Login::default(), "/app/billing/pricing");
        assert_eq!(links.upgrade, "https://read.example/app/billing/pricing");
        let long = [b"/app/".as_slice(), &[b'x'; NEXT_BYTES_MAX]].concat();
        let headers = HeaderMap::new();
        for (method, target) in [(Method::POST, b"/app/row".as_slice()), (Method::GET, &long)] {
            let asked = Asked { method: &method, headers: &headers, target };
            assert_eq!(links.next(asked, Reader::Script), "%2Fapp%2F", "{method}");
        }
        for (page, expected) in [("app/list", "%2Fapp%2Flist"), ("app?a", "%2Fapp%3Fa"), ("other", "%2Fapp%2F")] {
            let page = HeaderValue::try_from(format!("https://read.example/{page}")).expect("a value");
            let headers = HeaderMap::from_iter([(REFERER, page)]);
            let asked = Asked { method: &Method::POST, headers: &headers, target: b"/app/row" };
            assert_eq!(links.next(asked, Reader::Script), expected);
        }
        let headers = vec![(LOCATION, HeaderValue::from_static("/app/login"))];
        let answer = Answer { status: http::StatusCode::SEE_OTHER, headers, body: super::super::Body::default() };
        assert_eq!(links.absolute(answer, None).headers[0].1, "https://read.example/app/login");
    }

    #[test]
    fn a_user_goes_on_at_a_page_of_this_site() {
        let links =
            Links::new("https://read.example/", &["https://www.read.example".to_owned()], Login::default(), "/p");
        let here = ("hx-current-url", "https://read.example/list?page=2#part");
        let cases: [(Method, Reader, &Lines, &str); 13] = [
            (Method::GET, Reader::Script, &[], "/row/1"),
            (Method::GET, Reader::Navigation, &[("referer", "https://read.example/list")], "/row/1"),
            (Method::GET, Reader::Htmx, &[], "/row/1"),
            (Method::GET, Reader::Htmx, &[here], "/list?page=2"),
            (Method::GET, Reader::Htmx, &[here, ("hx-boosted", "true")], "/row/1"),
            (Method::POST, Reader::Htmx, &[here], "/list?page=2"),
            (Method::GET, Reader::Htmx, &[("hx-current-url", "https://WWW.read.example:443/list")], "/list"),
            (Method::GET, Reader::Htmx, &[("hx-current-url", "https://evil.example/list")], "/row/1"),
            (Method::GET, Reader::Htmx, &[("hx-current-url", "http://read.example/list")], "/row/1"),
            (Method::GET, Reader::Htmx, &[("hx-current-url", "https://read.example/../a")], "/row/1"),
            (Method::POST, Reader::Navigation, &[("referer", "https://read.example/form")], "/form"),
            (Method::POST, Reader::Inertia, &[("referer", "https://evil.example/form")], "/"),
            (Method::PUT, Reader::Inertia, &[], "/"),
        ];
        for (method, reader, lines, expected) in cases {
            let line = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let headers: HeaderMap = lines.iter().map(line).collect();
            let asked = Asked { method: &method, headers: &headers, target: b"/row/1" };
            let expected = percent_encode(expected.as_bytes(), ENCODED).to_string();
            assert_eq!(links.next(asked, reader), expected, "{method} {reader:?} {lines:?}");
        }
    }
}
