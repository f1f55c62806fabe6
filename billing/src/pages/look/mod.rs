//! How the pages look and what they say, as the operator has told.

mod assets;
mod language;
mod locale;
pub mod texts;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use entitlement::own_paths::OwnPaths;

pub use assets::{Asset, ROUTE as ASSET_ROUTE, get as asset};
pub use entitlement::fill::fill;
pub use language::Spoken;
pub use locale::Locale;
pub use texts::{Texts, days_left};

const STYLE: &str = include_str!("../../../templates/pages.css");
const SCRIPT: &str = include_str!("../../../templates/pages.js");

/// Parts of codes that are no words.
const ABBREVIATIONS: [&str; 24] = [
    "ai", "api", "cdn", "crm", "csv", "dns", "gdpr", "html", "id", "ip", "json", "mfa", "pdf", "rss", "saml", "scim",
    "seo", "sla", "sms", "sso", "ssl", "url", "vat", "vpn",
];

/// What an operator may say about the pages; checked by whoever reads the configuration.
#[derive(Clone, Debug)]
pub struct Look {
    /// The language of the texts (BCP 47).
    pub language: String,
    pub site_name: String,
    /// The public address of the site, without a slash at its end.
    pub site_url: String,
    /// Where browsers find what is Tollgate's own.
    pub own_paths: OwnPaths,
    /// Whether search engines may show what is sold.
    pub index: bool,
    /// What they show of it.
    pub description: String,
    /// Where to ask for a tier that has no price.
    pub contact_url: Option<String>,
    pub terms_url: Option<String>,
    pub privacy_url: Option<String>,
    /// Where the site's sessions are ended.
    pub logout_url: Option<String>,
    pub logo: Option<Image>,
    /// Comes after the pages' own.
    pub stylesheet: Option<String>,
    /// What a buyer agrees to, by the id that a price names.
    pub consents: BTreeMap<String, String>,
    /// The codes of features and metrics, in words.
    pub words: BTreeMap<String, String>,
    pub texts: Texts,
    /// Other languages, by their tags (BCP 47).
    pub languages: BTreeMap<String, Translation>,
}

/// The texts and words of another language.
#[derive(Clone, Debug)]
pub struct Translation {
    pub texts: Texts,
    pub words: BTreeMap<String, String>,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its media type.
    pub kind: &'static str,
    pub bytes: Bytes,
}

/// The look of the pages, ready to be served.
#[derive(Clone, Debug)]
pub struct Pages {
    pub(crate) language: String,
    pub(crate) site_name: String,
    pub(crate) site_url: String,
    pub(crate) own_paths: OwnPaths,
    pub(crate) index: bool,
    pub(crate) description: String,
    pub(crate) contact_url: Option<String>,
    pub(crate) terms_url: Option<String>,
    pub(crate) privacy_url: Option<String>,
    pub(crate) logout_url: Option<String>,
    pub(crate) texts: Texts,
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) theme: Option<Asset>,
    pub(crate) logo: Option<Asset>,
    consents: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
    /// The language of what buyers agree to.
    pub(crate) consent_language: String,
    /// The same in the other languages.
    others: Vec<Arc<Self>>,
}

impl Pages {
    /// Pages of that look.
    #[must_use]
    pub fn new(look: Look) -> Self {
        const CSS: &str = "text/css; charset=utf-8";
        let mut texts = look.texts;
        texts.common.locale = Locale::of(&look.language);
        let own = look.own_paths;
        let mut pages = Self {
            consent_language: look.language.clone(),
            others: Vec::new(),
            language: look.language,
            site_name: look.site_name,
            site_url: look.site_url,
            index: look.index,
            description: look.description,
            contact_url: look.contact_url,
            terms_url: look.terms_url,
            privacy_url: look.privacy_url,
            logout_url: look.logout_url,
            texts,
            style: Asset::new(&own, "pages", CSS, STYLE),
            script: Asset::new(&own, "pages", "text/javascript; charset=utf-8", SCRIPT),
            theme: look.stylesheet.map(|text| Asset::new(&own, "theme", CSS, text)),
            logo: look.logo.map(|logo| Asset::new(&own, "logo", logo.kind, logo.bytes)),
            own_paths: own,
            consents: look.consents,
            words: look.words,
        };
        let spoken = look.languages.into_iter().map(|(language, Translation { mut texts, words })| {
            texts.common.locale = Locale::of(&language);
            Arc::new(Self { language, texts, words, ..pages.clone() })
        });
        pages.others = spoken.collect();
        pages
    }

    /// The pages in the other languages.
    fn others(&self) -> &[Arc<Self>] {
        &self.others
    }

    /// The text of that id; one that is not known here cannot be agreed to on the hosted page.
    #[must_use]
    pub fn consent(&self, id: &str) -> Option<&str> {
        self.consents.get(id).map(String::as_str)
    }

    /// Where browsers find the page of that name.
    pub(crate) fn own(&self, name: &str) -> String {
        self.own_paths.of(name)
    }

    /// A feature's or metric's code as buyers read it: abbreviations in capitals.
    pub(crate) fn word(&self, code: &str) -> String {
        let spelt =
            |part: &str| if ABBREVIATIONS.contains(&part) { part.to_ascii_uppercase() } else { part.to_owned() };
        let of_code = || code.split(['_', '-']).map(spelt).collect::<Vec<_>>().join(" ");
        self.words.get(code).cloned().unwrap_or_else(of_code)
    }

    /// The paths of the stylesheets, in their order.
    pub fn stylesheets(&self) -> impl Iterator<Item = &str> {
        [&self.style].into_iter().chain(&self.theme).map(Asset::path)
    }

    /// The path of the logo.
    #[must_use]
    pub fn logo(&self) -> Option<&str> {
        self.logo.as_ref().map(Asset::path)
    }

    fn assets(&self) -> impl Iterator<Item = &Asset> {
        [&self.style, &self.script].into_iter().chain(&self.theme).chain(&self.logo)
    }
}

#[cfg(test)]
pub mod examples {
    //! The pages as the configuration's default has them.

    use super::*;

    /// As they are when nobody says anything else.
    pub fn look() -> Look {
        let default: toml::Table =
            toml::from_str(include_str!("../../../../config/tollgate.toml")).expect("the default");
        let part = |name: &str| default["pages"][name].clone();
        Look {
            language: "en".into(),
            site_name: "read.example".into(),
            site_url: "https://read.example".into(),
            own_paths: OwnPaths::default(),
            index: false,
            description: String::new(),
            contact_url: None,
            terms_url: None,
            privacy_url: None,
            logout_url: None,
            logo: None,
            stylesheet: None,
            consents: part("consents").try_into().expect("consents"),
            words: part("words").try_into().expect("words"),
            texts: texts().try_into().expect("texts"),
            languages: BTreeMap::new(),
        }
    }

    /// The default's texts, without those of the gate.
    pub fn texts() -> toml::Value {
        let default: toml::Table =
            toml::from_str(include_str!("../../../../config/tollgate.toml")).expect("the default");
        let mut texts = default["pages"]["texts"].clone();
        texts.as_table_mut().expect("a table").remove("gate");
        texts
    }

    /// [`look`], ready.
    pub fn pages() -> Pages {
        Pages::new(look())
    }
}
