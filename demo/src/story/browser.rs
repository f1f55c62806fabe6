//! As much of a browser as the story needs: cookies of one site, and redirects that are looked at before they are
//! followed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{RequestBuilder, Response, redirect::Policy};
use serde_json::Value;
use url::form_urlencoded;

/// How long one request may take; coming back from a checkout waits for the purchase.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// The longest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// One person's browser.
pub struct Browser {
    http: reqwest::Client,
    /// The site whose cookies are kept.
    site: String,
    cookies: BTreeMap<String, String>,
}

/// What came back.
pub struct Page {
    pub status: u16,
    /// Where it redirects to; a path when that is on the site.
    pub location: Option<String>,
    pub body: String,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.location.as_ref().map_or(Ok(()), |location| write!(f, " → {location}"))
    }
}

impl Page {
    /// Whether this is a 303 to exactly this path, whatever its query.
    pub fn leads_to(&self, path: &str) -> bool {
        let leads = |location: &String| location.split(['?', '#']).next() == Some(path);
        self.status == 303 && self.location.as_ref().is_some_and(leads)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{} instead of JSON", self.status))
    }
}

impl Browser {
    pub fn new(site: &str) -> Result<Self> {
        let http = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(REQUEST_LIMIT);
        let http = http.build().context("cannot prepare the browser")?;
        Ok(Self { http, site: site.trim_end_matches('/').to_owned(), cookies: BTreeMap::new() })
    }

    /// Opens a page, as somebody who clicks on a link.
    pub async fn get(&mut self, target: &str) -> Result<Page> {
        self.get_with(target, &[]).await
    }

    /// The same, with headers that a browser would not send.
    pub async fn get_with(&mut self, target: &str, headers: &[(&str, &str)]) -> Result<Page> {
        let request = self.http.get(self.url(target)).header(ACCEPT, "text/html,application/xhtml+xml");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(target, request).await
    }

    /// Sends a form.
    pub async fn post_form(&mut self, target: &str, fields: &[(String, String)]) -> Result<Page> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(self.url(target)).header(ACCEPT, "text/html");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        self.send(target, request).await
    }

    /// Calls the site's API, as a script of the site does.
    pub async fn post_json(&mut self, target: &str, body: &Value) -> Result<Page> {
        let request = self.http.post(self.url(target)).header(ORIGIN, &self.site).header(ACCEPT, "application/json");
        self.send(target, request.json(body)).await
    }

    /// A path is on the site.
    fn url(&self, target: &str) -> String {
        if target.starts_with('/') { format!("{}{target}", self.site) } else { target.to_owned() }
    }

    fn is_on_site(&self, target: &str) -> bool {
        self.own_path(&self.url(target)).is_some()
    }

    /// The path of a URL on the site.
    fn own_path<'u>(&self, url: &'u str) -> Option<&'u str> {
        url.strip_prefix(&self.site).filter(|path| path.starts_with('/'))
    }

    async fn send(&mut self, target: &str, mut request: RequestBuilder) -> Result<Page> {
        let on_site = self.is_on_site(target);
        if on_site && !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let response = request.send().await.with_context(|| format!("no answer for {target}"))?;
        if on_site {
            self.keep_cookies(&response);
        }
        let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let location = location.map(|url| self.own_path(&url).unwrap_or(&url).to_owned());
        Ok(Page { status: response.status().as_u16(), location, body: text(response).await? })
    }

    fn keep_cookies(&mut self, response: &Response) {
        for header in response.headers().get_all(SET_COOKIE) {
            let header = String::from_utf8_lossy(header.as_bytes());
            let mut parts = header.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            if parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

async fn text(mut response: Response) -> Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        if body.len() + chunk.len() > PAGE_BYTES_MAX {
            bail!("the page is longer than {PAGE_BYTES_MAX} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, location: &str) -> Page {
        Page { status, location: Some(location.to_owned()), body: String::new() }
    }

    #[test]
    fn only_a_303_to_the_path_itself_leads_there() {
        assert!(page(303, "/login?next=%2F").leads_to("/login") && page(303, "/login").leads_to("/login"));
        for other in [page(302, "/login"), page(303, "/login2"), page(303, "https://evil.example/login")] {
            assert!(!other.leads_to("/login"), "{other}");
        }
    }

    #[test]
    fn cookies_are_for_the_site_only() {
        let browser = Browser::new("http://127.0.0.1:8080/").expect("a browser");
        assert!(browser.is_on_site("/a") && browser.is_on_site("http://127.0.0.1:8080/a"));
        for other in ["http://127.0.0.1:80801/a", "http://127.0.0.1/a", "http://127.0.0.1:8080@evil.example/"] {
            assert!(!browser.is_on_site(other), "{other}");
        }
    }
}
