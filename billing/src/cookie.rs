//! Cookies: how they are read and written. None of ours can be read by a script.

use http::{HeaderMap, HeaderValue, header};

use crate::settings::Settings;

/// A cookie of ours: its name, and the page with which a browser sends it, or none: with all of the site.
#[derive(Clone, Copy, Debug)]
pub struct Cookie {
    pub name: &'static str,
    pub page: Option<&'static str>,
}

impl Cookie {
    /// What a browser sends under this name; of several the first, which is the one of the longest path (RFC 6265
    /// section 5.4).
    pub fn read(self, headers: &HeaderMap) -> Option<&str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';'));
        pairs.filter_map(|pair| pair.trim().strip_prefix(self.name)?.strip_prefix('=')).next()
    }

    /// What makes a browser remember `value` for some seconds. Lax: people come from elsewhere (RFC 6265bis section
    /// 5.5.7). `None` when the value cannot stand in a header.
    pub fn remembering(self, value: &str, seconds: i64, settings: &Settings) -> Option<HeaderValue> {
        let own = settings.own_paths();
        let name = self.name;
        let path = self.page.map_or_else(|| own.of_cookies().to_owned(), |page| own.of(page));
        let secure = if settings.site_url.starts_with("https://") { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).ok()
    }

    /// What makes a browser forget.
    pub fn forgotten(self, settings: &Settings) -> Option<HeaderValue> {
        self.remembering("", 0, settings)
    }

    /// Whether an answer sets it.
    pub fn is_set_by(self, answer: &HeaderMap) -> bool {
        let mut set = answer.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        set.any(|text| text.strip_prefix(self.name).is_some_and(|rest| rest.starts_with('=')))
    }
}
