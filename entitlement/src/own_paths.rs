//! The paths of the site that are Tollgate's own: hosted pages, API, webhooks and keys. Within Tollgate they have the names that they have
//! on a site at the root of its host, such as `/billing/pricing`; [`OwnPaths::of`] says where browsers find them.

/// Where the hosted pages are unless a configuration says otherwise, and how they are called within Tollgate.
const PAGES: &str = "/billing";

/// The paths of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPaths {
    /// The path of the site, without a slash at its end: empty for a whole host.
    base: String,
    /// The path of the hosted pages, as browsers have it.
    pages: String,
}

impl Default for OwnPaths {
    /// A whole host, with the pages at their usual place.
    fn default() -> Self {
        Self { base: String::new(), pages: PAGES.to_owned() }
    }
}

impl OwnPaths {
    /// The paths of the site at `site_url`, whose pages are at the path `pages`.
    #[must_use]
    pub fn new(site_url: &str, pages: &str) -> Self {
        let without_slash = |path: &str| path.trim_end_matches('/').to_owned();
        Self { base: without_slash(&site_url[origin(site_url).len()..]), pages: without_slash(pages) }
    }

    /// The path of the site; empty for a whole host.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The front page.
    #[must_use]
    pub fn home(&self) -> String {
        format!("{}/", self.base)
    }

    /// Whether a path of the host, with a query or without, is one of the site.
    #[must_use]
    pub fn is_of_site(&self, target: &str) -> bool {
        let rest = target.strip_prefix(self.base.as_str());
        rest.is_some_and(|rest| self.base.is_empty() || rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }

    /// The path for which a cookie of the whole site is set: a browser sends it with that path and all below it (RFC 6265 section 5.1.4).
    #[must_use]
    pub fn of_cookies(&self) -> &str {
        if self.base.is_empty() { "/" } else { &self.base }
    }

    /// Where browsers find what is called `name` within Tollgate; a query goes along.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        match name.strip_prefix(PAGES).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
            Some(rest) => format!("{}{rest}", self.pages),
            None => format!("{}{name}", self.base),
        }
    }
}

/// Scheme, host and port of a URL, as it is written.
#[must_use]
pub fn origin(url: &str) -> &str {
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_has_its_own_paths() {
        let cases = [
            ("https://a.example", "/billing", ["/billing", "/billing/pricing", "/api/billing/tiers", "/", "/"]),
            ("https://a.example/", "/plan/", ["/plan", "/plan/pricing", "/api/billing/tiers", "/", "/"]),
            (
                "https://a.example:8/app/",
                "/app/plan",
                ["/app/plan", "/app/plan/pricing", "/app/api/billing/tiers", "/app/", "/app"],
            ),
        ];
        for (url, pages, expected) in cases {
            let own = OwnPaths::new(url, pages);
            let [account, pricing, api, home, cookies] = expected;
            assert_eq!(own.of("/billing"), account);
            assert_eq!(own.of("/billing?done=kept"), format!("{account}?done=kept"));
            assert_eq!(own.of("/billing/pricing"), pricing);
            assert_eq!(own.of("/api/billing/tiers"), api);
            assert_eq!((own.home().as_str(), own.of_cookies()), (home, cookies));
            assert!(own.is_of_site(home) && own.is_of_site(account) && own.is_of_site(cookies), "{url}");
            for other in ["/", "/application/a", "/other?/app/", "/APP/"] {
                assert_eq!(own.is_of_site(other), cookies == "/", "{url} {other}");
            }
        }
        assert_eq!(OwnPaths::default(), OwnPaths::new("https://a.example", "/billing"));
        assert_eq!(OwnPaths::default().of("/billings"), "/billings");
    }

    #[test]
    fn an_origin_ends_before_its_path() {
        for (url, expected) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("http://[::1]:8080/app/x", "http://[::1]:8080"),
            ("", ""),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}
