//! The same answer for people: a page of the site, with its name, its look, its words, and ways on.
//!
//! The stylesheets and the logo are the hosted pages' own, which a browser keeps for ever. What stands in the page itself is
//! enough where they cannot be had.

use std::collections::BTreeMap;

use askama::Template;
use bytes::Bytes;
use entitlement::authorize::Requirement;
use entitlement::fill::fill;
use entitlement::login::Login;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::answer::Cause;
use super::links::with_next;

/// Nothing runs on it, and nothing is loaded from elsewhere.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Where there is no stylesheet.
const STYLE: &str = ":root{color-scheme:light dark;font:1rem/1.55 system-ui,sans-serif}\
    header,main{max-width:46rem;margin:0 auto;padding:1rem}.actions a{margin-inline-end:1rem}";

/// The parts of the gate's pages, as the configuration has them: it was checked there.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// The language of the texts (BCP 47).
    pub language: String,
    pub site_name: String,
    /// Paths on the site, in their order.
    pub stylesheets: Vec<String>,
    /// In place of the name: a path on the site.
    pub logo: Option<String>,
    /// The front page: a path on the site.
    pub home: String,
    /// Where to sign in.
    pub login: Login,
    /// Where to pay.
    pub pricing: String,
    /// Tiers by code, as users read them.
    pub tiers: BTreeMap<String, String>,
    /// Features by code, as users read them.
    pub words: BTreeMap<String, String>,
    pub texts: Texts,
}

/// Declares the texts; their keys in the configuration are the names here.
macro_rules! texts {
    ($($key:ident),+ $(,)?) => {
        /// Every text of the gate's pages.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Texts { $(pub(super) $key: String),+ }
    };
}

texts! {
    sign_in, sign_in_text, expired, expired_text, several, several_text, pay, pay_text, not_sold, not_sold_text,
    refused, refused_text, bad_request, bad_request_text, too_large, too_large_text, too_many, too_many_text,
    internal, internal_text, unreachable, unreachable_text, unavailable, unavailable_text, slow, slow_text,
    tier, feature, and, or, go_sign_in, go_pricing, go_home,
}

#[derive(Template)]
#[template(path = "gate.html")]
struct Page<'a> {
    pages: &'a Pages,
    style: &'static str,
    code: &'static str,
    title: &'a str,
    text: String,
    links: [Link<'a>; 3],
}

struct Link<'a> {
    class: &'static str,
    to: String,
    text: &'a str,
}

impl Pages {
    /// The page in place of a problem document; none when it cannot be made.
    pub(super) fn page(&self, status: StatusCode, cause: &Cause) -> Option<Bytes> {
        let (title, text) = self.texts.of(status, cause.code);
        let required = cause.required.as_ref().map(|required| self.words_of(required)).unwrap_or_default();
        let current = cause.current.as_deref().map(|code| self.tier(code)).unwrap_or_default();
        let text = fill(text, &[("required", &required), ("tier", current)]);
        let page = Page { pages: self, style: STYLE, code: cause.code, title, text, links: self.links(status, cause) };
        page.render().ok().map(Bytes::from)
    }

    /// The ways on, first the one that helps.
    fn links(&self, status: StatusCode, cause: &Cause) -> [Link<'_>; 3] {
        let to = |place: &str| cause.next.as_deref().map_or_else(|| place.to_owned(), |next| with_next(place, next));
        let texts = &self.texts;
        let login = cause.next.as_deref().map(|next| self.login.leading_back(next));
        let login = login.unwrap_or_else(|| self.login.address().to_owned());
        let sign_in = Link { class: "button quiet", to: login, text: &texts.go_sign_in };
        let pricing = Link { class: "button quiet", to: to(&self.pricing), text: &texts.go_pricing };
        let home = Link { class: "button quiet", to: self.home.clone(), text: &texts.go_home };
        let mut links = match status {
            StatusCode::UNAUTHORIZED => [sign_in, pricing, home],
            StatusCode::PAYMENT_REQUIRED => [pricing, sign_in, home],
            _ => [home, pricing, sign_in],
        };
        links[0].class = "button";
        links
    }

    fn tier<'a>(&'a self, code: &'a str) -> &'a str {
        self.tiers.get(code).map_or(code, String::as_str)
    }

    /// A requirement in the words of the site.
    fn words_of(&self, requirement: &Requirement) -> String {
        match requirement {
            Requirement::Public | Requirement::SignedIn => String::new(),
            Requirement::Tier(code) => fill(&self.texts.tier, &[("name", self.tier(code))]),
            Requirement::Feature(code) => {
                let word = self.words.get(code).cloned().unwrap_or_else(|| code.replace(['_', '-'], " "));
                fill(&self.texts.feature, &[("name", &word)])
            }
            Requirement::All(parts) => self.joined(parts, &self.texts.and),
            Requirement::Any(parts) => self.joined(parts, &self.texts.or),
        }
    }

    /// A tier that was renamed stands in a requirement under both codes, which have one name.
    fn joined(&self, parts: &[Requirement], word: &str) -> String {
        let mut words: Vec<String> = Vec::with_capacity(parts.len());
        for part in parts {
            let part = self.words_of(part);
            if !part.is_empty() && !words.contains(&part) {
                words.push(part);
            }
        }
        words.join(word)
    }
}

impl Texts {
    /// Title and text.
    fn of(&self, status: StatusCode, code: &str) -> (&str, &str) {
        match (status.as_u16(), code) {
            (_, "sign_in") => (&self.sign_in, &self.sign_in_text),
            (_, "ambiguous_identity") => (&self.several, &self.several_text),
            (401, _) => (&self.expired, &self.expired_text),
            (402, _) => (&self.pay, &self.pay_text),
            (_, "forbidden") => (&self.not_sold, &self.not_sold_text),
            (403, _) => (&self.refused, &self.refused_text),
            (413 | 414 | 431, _) => (&self.too_large, &self.too_large_text),
            (429, _) => (&self.too_many, &self.too_many_text),
            (502, _) => (&self.unreachable, &self.unreachable_text),
            (408 | 503, _) => (&self.unavailable, &self.unavailable_text),
            (504, _) => (&self.slow, &self.slow_text),
            (500..=599, _) => (&self.internal, &self.internal_text),
            _ => (&self.bad_request, &self.bad_request_text),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Pages whose texts are their own keys, with what can be filled in.
    pub(in crate::respond) fn pages() -> Pages {
        let mut texts = Texts {
            pay: "pay-title".into(),
            pay_text: "needs {required}, has {tier}".into(),
            tier: "[{name}]".into(),
            feature: "<{name}>".into(),
            or: " or-word ".into(),
            ..Texts::default()
        };
        (texts.go_sign_in, texts.go_pricing, texts.go_home) = ("in".into(), "prices".into(), "home".into());
        Pages {
            language: "de".into(),
            site_name: "The <Reader>".into(),
            home: "/".into(),
            stylesheets: vec!["/billing/assets/a.css".into()],
            logo: None,
            login: Login::default(),
            pricing: "/prices".into(),
            tiers: [("free", "Gratis"), ("paid", "Gold"), ("old", "Gold")]
                .map(|(code, name)| (code.into(), name.into()))
                .into(),
            words: [("api", "<Schnittstelle>")].map(|(code, word)| (code.into(), word.into())).into(),
            texts,
        }
    }

    fn shown(pages: &Pages, status: u16, cause: &Cause) -> String {
        let page = pages.page(StatusCode::from_u16(status).expect("a status"), cause).expect("it is made");
        String::from_utf8(page.to_vec()).expect("text")
    }

    #[test]
    fn a_page_speaks_with_the_sites_words_and_nothing_in_it_becomes_markup() {
        let tier = |code: &str| Requirement::Tier(code.into());
        let required = Requirement::Any(vec![tier("paid"), tier("old"), Requirement::Feature("api".into())]);
        let cause = Cause {
            code: "payment_required",
            required: Some(required),
            current: Some("free".into()),
            next: Some("%2Fa".into()),
        };
        let page = shown(&pages(), 402, &cause);
        for expected in [
            "<html lang=\"de\">",
            "<title>pay-title · The &#60;Reader&#62;</title>",
            "needs [Gold] or-word &#60;&#60;Schnittstelle&#62;&#62;, has Gratis",
            "<a class=\"button\" href=\"/prices?next=%2Fa\">prices</a>",
            "href=\"/login?next=%2Fa\">in</a>",
            "href=\"/\">home</a>",
            "<link rel=\"stylesheet\" href=\"/billing/assets/a.css\">",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains("payment required") && !page.contains("Payment Required"), "{page}");
    }

    #[test]
    fn a_logo_stands_in_the_place_of_the_name_and_every_page_has_ways_on() {
        let pages = Pages { logo: Some("/billing/assets/logo.svg".into()), ..pages() };
        for status in [400, 401, 402, 403, 405, 413, 429, 431, 500, 502, 503, 504] {
            let page = shown(&pages, status, &Cause { code: "any", ..Cause::default() });
            for expected in [
                "src=\"/billing/assets/logo.svg\" alt=\"The &#60;Reader&#62;\"",
                "href=\"/login\"",
                "href=\"/prices\"",
                "href=\"/\"",
            ] {
                assert!(page.contains(expected), "{status}: {page}");
            }
        }
    }
}
