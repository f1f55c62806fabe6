//! A site below a path of its host (`site.url = "https://x.example/app"`), and hosted pages at a path of one's own.
//!
//! Every path in the file is as browsers write it, with that of the site, and so it arrives here: a balancer must keep it. What the file
//! leaves at its default is below the site's path.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use entitlement::own_paths::{OwnPaths, origin};
use proxy::routes::{Pattern, Route};
use toml::{Table as Toml, Value};
use url::Url;

use super::file::File;
use super::urls::{has_host, shown};

/// Keys whose default is a path below that of the site.
const PATHS: [(&str, &str); 6] = [
    ("pages", "path"),
    ("site", "login_url"),
    ("site", "pricing_url"),
    ("referral", "landing_url"),
    ("stripe", "webhook_path"),
    ("polar", "webhook_path"),
];

/// Where browsers and providers ask for what is Tollgate's own, beside the pages.
const OWN: [&str; 4] = ["/api/billing", "/api/stripe", "/api/polar", "/.well-known/tollgate/jwks.json"];

/// Paths for the application and for proxies on the internal listener: requests below the pages are carried there, too.
const INTERNAL: [&str; 5] =
    ["/app/v1", "/internal/entitlements", "/internal/records", "/internal/sessions", "/internal/told"];

/// Puts the paths that `mine` leaves at their default below that of the site, and the pricing page among the pages.
pub fn settle(merged: &mut Toml, mine: &Toml) {
    let text = |table: &Toml, section: &str, key: &str| {
        table.get(section).and_then(|section| section.get(key)).and_then(Value::as_str).map(str::to_owned)
    };
    let url = text(merged, "site", "url").unwrap_or_default();
    let pages = text(merged, "pages", "path").unwrap_or_default();
    let is_mine = |section: &str, key: &str| mine.get(section).is_some_and(|section| section.get(key).is_some());
    let own = if is_mine("pages", "path") {
        OwnPaths::new(&url, &pages)
    } else {
        let base = OwnPaths::new(&url, "").base().to_owned();
        OwnPaths::new(&url, &format!("{base}{pages}"))
    };
    for (section, key) in PATHS.into_iter().filter(|(section, key)| !is_mine(section, key)) {
        let Some(default) = text(merged, section, key) else { continue };
        if let Some(section) = merged.get_mut(section).and_then(Value::as_table_mut) {
            section.insert(key.to_owned(), Value::String(own.of(&default)));
        }
    }
}

/// The addresses by which proxies and billing find each other's pages, by their keys: they have to be the same in both.
pub fn shared(table: &Toml) -> BTreeMap<String, String> {
    let keys = PATHS.into_iter().chain([("site", "next_param"), ("site", "also")]);
    let value = |section: &str, key: &str| table.get(section)?.get(key).map(Value::to_string);
    keys.filter_map(|(section, key)| Some((format!("{section}.{key}"), value(section, key)?))).collect()
}

/// The site's address: an origin, and perhaps a path.
///
/// # Errors
/// When it is no address, or no request can have its path.
pub fn site(text: &str) -> Result<Url> {
    let told = shown(text);
    let url = Url::parse(text)
        .with_context(|| format!("site.url = \"{told}\" is not a URL: write it like \"https://read.example\""))?;
    let is_bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.ends_with(['?', '#']);
    let is_host = has_host(&url) && url.port() != Some(0);
    if !matches!(url.scheme(), "http" | "https") || !is_host || !is_bare {
        bail!(
            "site.url = \"{told}\" must be an origin, such as \"https://read.example\", or one with a path behind it"
        );
    }
    let path = &text[origin(text).len()..];
    // A path that a URL's parser puts right would be another path than that of the rules.
    if path.trim_end_matches('/') != url.path().trim_end_matches('/')
        || path.contains(['*', ';', '"'])
        || path.ends_with("//")
    {
        bail!("site.url = \"{text}\": its path must be as browsers write it, such as \"/app\"");
    }
    if path.len() > 1 {
        Pattern::parse(path).with_context(|| format!("site.url = \"{text}\""))?;
    }
    Ok(url)
}

/// Tollgate's own paths.
///
/// # Errors
/// When the pages cannot be where the file has them.
pub fn own_paths(file: &File) -> Result<OwnPaths> {
    let text = &file.pages.path;
    let place = || format!("pages.path = \"{text}\"");
    if !text.starts_with('/') || text == "/" || text.ends_with('/') || text.contains(['*', '?', '#', ';', '"']) {
        bail!("{} must be a path of the site, such as \"/membership\"", place());
    }
    Pattern::parse(text).with_context(place)?;
    let own = OwnPaths::new(&file.site.url, text);
    let base = own.base();
    if !base.is_empty() && !is_below(base, text) {
        bail!("{} is not below the path of site.url: write \"{base}{text}\"", place());
    }
    if text == base {
        bail!("{} is the whole site: name a path below it", place());
    }
    let is_in_the_way = |path: &str| {
        let (path, text) = (path.to_ascii_lowercase(), text.to_ascii_lowercase());
        is_below(&path, &text) || is_below(&text, &path)
    };
    let taken = OWN.iter().map(|name| own.of(name)).chain(INTERNAL.map(str::to_owned));
    if let Some(taken) = taken.into_iter().find(|path| is_in_the_way(path)) {
        bail!("{} is in the way of Tollgate's own {taken}: choose another path", place());
    }
    Ok(own)
}

/// Refuses a rule that asks for something at a path which no browser asks for: the page that is meant would be open.
///
/// # Errors
/// The first such rule.
pub fn check_routes(own: &OwnPaths, routes: &[Route]) -> Result<()> {
    let base = own.base();
    for route in routes.iter().filter(|route| route.is_gated() && route.hosts.is_none()) {
        if !base.is_empty() && !route.pattern.reaches_below(base) {
            let pattern = &route.pattern;
            bail!(
                "route \"{pattern}\" is not below the path of site.url, and browsers ask for nothing else: write \"{base}{pattern}\", or `hosts` \
                 where it is meant for another site"
            );
        }
    }
    Ok(())
}

/// Whether a path is `base`, or below it.
fn is_below(base: &str, path: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, "".into())
    }

    #[test]
    fn what_a_file_leaves_out_is_below_the_sites_path() {
        let paths = |text: &str| {
            let file = parse(text).expect(text).file;
            let (site, pages) = (file.site, file.pages);
            [pages.path, site.login_url, site.pricing_url, file.referral.landing_url, file.stripe.webhook_path]
        };
        assert_eq!(paths(""), ["/billing", "/login", "/billing/pricing", "/", "/api/stripe/webhook"]);
        assert_eq!(
            paths("[site]\nurl = \"https://x.example/app\"\n"),
            ["/app/billing", "/app/login", "/app/billing/pricing", "/app/", "/app/api/stripe/webhook"]
        );
        assert_eq!(
            paths("[pages]\npath = \"/plan\"\n"),
            ["/plan", "/login", "/plan/pricing", "/", "/api/stripe/webhook"]
        );
        let all = "[site]\nurl = \"https://x.example/app/\"\nlogin_url = \"/login\"\n[pages]\npath = \"/app/plan\"\n\
                   [stripe]\nwebhook_path = \"/hooks/stripe\"\n";
        assert_eq!(paths(all), ["/app/plan", "/login", "/app/plan/pricing", "/app/", "/hooks/stripe"]);
        assert_eq!(parse(all).expect("valid").site_url(), "https://x.example/app");
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let below = "[site]\nurl = \"https://x.example/app\"\n";
        let gated = "[[route]]\npath = \"/premium/**\"\nrequire = { signed_in = true }\n";
        for (text, expected) in [
            ("[site]\nurl = \"https://x.example/app?a\"".to_owned(), "must be an origin"),
            ("[site]\nurl = \"https://x.example/a/../b\"".to_owned(), "as browsers write it"),
            ("[site]\nurl = \"https://x.example//a\"".to_owned(), "no request can have the path"),
            ("[site]\nurl = \"https://x.example/a b\"".to_owned(), "as browsers write it"),
            ("[site]\nurl = \"https://x.example/*\"".to_owned(), "as browsers write it"),
            ("[site]\nalso = [\"https://x.example/app\"]".to_owned(), "must be an origin"),
            (format!("{below}[pages]\npath = \"/plan\""), "write \"/app/plan\""),
            (format!("{below}[pages]\npath = \"/app\""), "is the whole site"),
            ("[pages]\npath = \"plan\"".to_owned(), "must be a path"),
            ("[pages]\npath = \"/plan/\"".to_owned(), "must be a path"),
            ("[pages]\npath = \"/plan/*\"".to_owned(), "must be a path"),
            ("[pages]\npath = \"/a//b\"".to_owned(), "no request can have the path"),
            ("[pages]\npath = \"/api/billing/x\"".to_owned(), "in the way of Tollgate's own"),
            ("[pages]\npath = \"/api\"".to_owned(), "in the way of Tollgate's own"),
            ("[pages]\npath = \"/.well-known\"".to_owned(), "in the way of Tollgate's own"),
            ("[pages]\npath = \"/app/v1\"".to_owned(), "in the way of Tollgate's own /app/v1"),
            ("[pages]\npath = \"/APP\"".to_owned(), "in the way of Tollgate's own /app/v1"),
            ("[pages]\npath = \"/app/v1/accounts\"".to_owned(), "in the way of Tollgate's own /app/v1"),
            (format!("{below}[pages]\npath = \"/app/v1\""), "in the way of Tollgate's own /app/v1"),
            ("[pages]\npath = \"/internal\"".to_owned(), "in the way of Tollgate's own /internal"),
            ("[pages]\npath = \"/internal/Told\"".to_owned(), "in the way of Tollgate's own /internal/told"),
            ("[pages]\npath = \"/decide\"".to_owned(), "decide.path"),
            ("[pages]\npath = \"/hooks\"\n[stripe]\nwebhook_path = \"/hooks/stripe\"".to_owned(), "of Tollgate's own"),
            (format!("{below}{gated}"), "write \"/app/premium/**\""),
        ] {
            let error = format!("{:#}", parse(&text).expect_err(&text));
            assert!(error.contains(expected), "{text}: {error}");
        }
        for text in [
            format!("{below}[[route]]\npath = \"/app/premium/**\"\nrequire = {{ signed_in = true }}\n"),
            format!("{below}[[route]]\npath = \"/**/edit\"\nrequire = {{ signed_in = true }}\n"),
            format!("{below}{gated}hosts = [\"y.example\"]\n"),
            format!("{below}[[route]]\npath = \"/healthz\"\nrequire = {{ public = true }}\n"),
            "[pages]\npath = \"/apis\"".to_owned(),
        ] {
            parse(&text).expect(&text);
        }
    }
}
