//! How the hosted pages look and speak: `[pages]`, with its files read and its texts checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use billing::{Image, Look, Pages, texts};
use entitlement::catalog::Catalog;
use entitlement::own_paths::OwnPaths;
use serde::Deserialize;
use toml::Value;
use url::Url;

use super::Config;
use super::file::{DEFAULT, File};
use super::languages::{self, Texts, is_language};
use super::nearest;

/// The largest logo, in bytes: every visitor loads it.
const LOGO_BYTES_MAX: u64 = 256 * 1024;

/// The longest name of a site, and what search engines show at most, in characters.
const SITE_NAME_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 1000;

/// The longest id of a text that buyers agree to, in bytes.
const CONSENT_BYTES_MAX: usize = 100;

/// The largest stylesheet, in bytes.
const STYLESHEET_BYTES_MAX: u64 = 256 * 1024;

/// `[pages]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub path: String,
    language: String,
    site_name: String,
    index: bool,
    description: String,
    logo: Option<String>,
    stylesheet: Option<String>,
    contact_url: String,
    terms_url: String,
    privacy_url: String,
    logout_url: String,
    consents: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
    texts: Texts,
}

impl Config {
    /// The gate's own pages. The gate has no catalog of its own: a tier that is in no file is named by its code.
    pub fn gate_pages(&self) -> proxy::respond::Pages {
        let (section, site) = (&self.file.pages, &self.file.site);
        let mut tiers = BTreeMap::new();
        for tier in self.catalog.iter().flat_map(Catalog::tiers) {
            tiers.extend(tier.renamed_from.iter().map(|old| (old.clone(), tier.name.clone())));
            tiers.insert(tier.code.clone(), tier.name.clone());
        }
        proxy::respond::Pages {
            language: section.language.clone(),
            site_name: section.site_name(self.site_host()).to_owned(),
            home: self.own_paths.home(),
            stylesheets: self.pages.stylesheets().map(str::to_owned).collect(),
            logo: self.pages.logo().map(str::to_owned),
            login: self.login.clone(),
            pricing: site.pricing_url.clone(),
            tiers,
            words: section.words.clone(),
            texts: section.texts.gate.clone(),
        }
    }
}

impl Section {
    /// The site's name; its host when it has none.
    fn site_name<'a>(&'a self, host: &'a str) -> &'a str {
        if self.site_name.is_empty() { host } else { &self.site_name }
    }
}

impl File {
    /// Reads the files that `[pages]` names, in `directory`, and checks its texts. `table` is the file with all its keys;
    /// the host of `site` names it when nothing else does.
    pub fn pages(&self, table: &toml::Table, directory: &Path, site: &Url, own: &OwnPaths) -> Result<Arc<Pages>> {
        let section = &self.pages;
        check_language(&section.language)?;
        let links = [
            ("contact_url", &section.contact_url),
            ("terms_url", &section.terms_url),
            ("privacy_url", &section.privacy_url),
            ("logout_url", &section.logout_url),
        ];
        links.into_iter().try_for_each(|(key, text)| check_link(key, text))?;
        check_lines(section)?;
        let default: toml::Table = toml::from_str(DEFAULT).context("the default configuration")?;
        check_placeholders(&at(&default, "texts"), &at(table, "texts"))?;
        check_common(&section.texts.common)?;
        check_consents(&at(&default, "consents"), &section.consents)?;
        let logo = section.logo.as_ref().map(|name| logo(&directory.join(name))).transpose().context("pages.logo")?;
        let stylesheet = section.stylesheet.as_ref().map(|name| stylesheet(&directory.join(name))).transpose();
        let check = |own: &Value| check_placeholders(&at(&default, "texts"), own);
        let languages = languages::spoken(&section.texts, &at(table, "texts"), &section.words, check)?;
        for (tag, spoken) in &languages {
            check_common(&spoken.texts.common).with_context(|| format!("pages.texts.{tag}"))?;
        }
        let Texts { common, pricing, account, back, errors, .. } = &section.texts;
        let texts = billing::Texts {
            common: common.clone(),
            pricing: pricing.clone(),
            account: account.clone(),
            back: back.clone(),
            errors: errors.clone(),
        };
        Ok(Arc::new(Pages::new(Look {
            language: section.language.clone(),
            site_name: section.site_name(site.host_str().unwrap_or_default()).to_owned(),
            site_url: site.as_str().trim_end_matches('/').to_owned(),
            own_paths: own.clone(),
            index: section.index,
            description: section.description.clone(),
            contact_url: link(&section.contact_url),
            terms_url: link(&section.terms_url),
            privacy_url: link(&section.privacy_url),
            logout_url: link(&section.logout_url),
            logo,
            stylesheet: stylesheet.context("pages.stylesheet")?,
            consents: section.consents.clone(),
            words: section.words.clone(),
            texts,
            languages,
        })))
    }
}

/// Where a link leads; an empty one is none.
fn link(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The part of `[pages]` with this name.
fn at(table: &toml::Table, name: &str) -> Value {
    let part = table.get("pages").and_then(|pages| pages.get(name));
    part.cloned().unwrap_or_else(|| Value::Table(toml::Table::new()))
}

fn check_language(tag: &str) -> Result<()> {
    if is_language(tag) {
        return Ok(());
    }
    bail!("pages.language = \"{tag}\" is not a language tag: write it as \"en\" or \"pt-BR\"")
}

fn check_link(key: &str, text: &str) -> Result<()> {
    let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    let is_url = Url::parse(text).is_ok_and(|url| match url.scheme() {
        "https" => url.host_str().is_some() && url.username().is_empty() && url.password().is_none(),
        "mailto" => url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        _ => false,
    });
    let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if text.is_empty() || (is_plain && (is_path || is_url)) {
        return Ok(());
    }
    bail!("pages.{key} = \"{}\" must be https://, mailto: or a path on the site", super::urls::shown(text))
}

/// Lines that stand on each page and among what search engines show.
fn check_lines(section: &Section) -> Result<()> {
    for (key, text, most) in [
        ("site_name", &section.site_name, SITE_NAME_CHARS_MAX),
        ("description", &section.description, DESCRIPTION_CHARS_MAX),
    ] {
        if text.chars().count() > most || text.chars().any(char::is_control) {
            bail!("pages.{key} must be one line of {most} characters at most");
        }
    }
    if let Some((code, _)) = section.words.iter().find(|(_, word)| word.trim().is_empty()) {
        bail!("pages.words.{code} is empty: write what buyers read, or take the line away");
    }
    Ok(())
}

/// What somebody agreed to must stay readable under its id.
fn check_consents(default: &Value, consents: &BTreeMap<String, String>) -> Result<()> {
    for (id, text) in consents {
        let known = default.get(id).and_then(Value::as_str);
        if known.is_some_and(|known| known != text) {
            bail!(
                "pages.consents.{id} is a text that buyers may have agreed to: give the new wording an id of its own"
            );
        }
        if !(1..=CONSENT_BYTES_MAX).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("pages.consents has the id \"{id}\": write a word such as \"monthly-waiver-2\"");
        }
        if text.trim().is_empty() {
            bail!("pages.consents.{id} is empty: nobody can agree to nothing");
        }
    }
    Ok(())
}

/// Each text that a price on sale asks for is there: else nobody could buy at it on the pages.
pub fn check_agreed(section: &Section, catalog: &Catalog) -> Result<()> {
    let consents = &section.consents;
    let of_tiers = catalog.tiers().iter().flat_map(|tier| &tier.prices);
    let prices = of_tiers.chain(catalog.addons().iter().flat_map(|addon| &addon.prices));
    for price in prices.filter(|price| !price.retired) {
        let Some(id) = price.consent.as_deref().filter(|id| !consents.contains_key(*id)) else { continue };
        let hint = nearest::hint(id, consents.keys().map(String::as_str));
        bail!("the price `{}` asks for the consent \"{id}\", which [pages.consents] does not have{hint}", price.name());
    }
    Ok(())
}

/// A word for a code that the catalog does not have stands on no page.
pub fn warn_of_unknown_words(section: &Section, catalog: &Catalog, warnings: &mut Vec<String>) {
    let of_tiers = catalog
        .tiers()
        .iter()
        .flat_map(|tier| tier.features.iter().chain(tier.limits.keys()).chain(tier.levels.keys()));
    let of_addons = catalog.addons().iter().flat_map(|addon| &addon.requires);
    let known: BTreeSet<&str> = of_tiers.chain(of_addons).map(String::as_str).collect();
    let default = toml::from_str(DEFAULT).map(|default| at(&default, "words")).ok();
    let is_default = |word: &str| default.as_ref().is_some_and(|words| words.get(word).is_some());
    for word in section.words.keys().filter(|word| !known.contains(word.as_str()) && !is_default(word)) {
        let hint = nearest::hint(word, known.iter().copied());
        warnings.push(format!(
            "pages.words.{word} is a word for a feature or a limit that the catalog does not have{hint}"
        ));
    }
}

/// The placeholders of a date of one's own: by default the language decides, and the text is empty.
const DATE: &str = "{day} {month} {year}";

/// A day that names no part of it, and months without names, tell nobody when.
fn check_common(common: &texts::Common) -> Result<()> {
    if !common.date.is_empty() && placeholders(&common.date).is_disjoint(&placeholders(DATE)) {
        bail!("pages.texts.common.date = \"{}\" names no day: write it such as \"{DATE}\"", common.date);
    }
    if let Some(place) = common.months.iter().position(|month| month.trim().is_empty()) {
        bail!("pages.texts.common.months has no name for month {}", place + 1);
    }
    Ok(())
}

/// A text may use what its default uses, and nothing else.
fn check_placeholders(default: &Value, mine: &Value) -> Result<()> {
    let (Value::Table(default), Value::Table(mine)) = (default, mine) else { return Ok(()) };
    for (section, texts) in mine {
        let texts = texts.as_table().into_iter().flatten();
        for (key, text) in texts.filter_map(|(key, text)| Some((key, text.as_str()?))) {
            let known = match (section.as_str(), key.as_str()) {
                ("common", "date") => DATE,
                _ => default.get(section).and_then(|texts| texts.get(key)).and_then(Value::as_str).unwrap_or_default(),
            };
            if text.rsplit_once('{').is_some_and(|(_, rest)| !rest.contains('}')) {
                bail!("pages.texts.{section}.{key} = \"{text}\" opens a brace that nothing closes");
            }
            let known = placeholders(known);
            if let Some(wrong) = placeholders(text).difference(&known).next() {
                let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                bail!("pages.texts.{section}.{key} has {{{wrong}}}, but here can be filled in: {known}");
            }
        }
    }
    Ok(())
}

/// What stands in braces.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

fn logo(path: &Path) -> Result<Image> {
    let kind = match path.extension().and_then(|kind| kind.to_str()) {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        _ => bail!("{} must be an SVG, PNG, JPEG or WebP", path.display()),
    };
    Ok(Image { kind, bytes: read(path, LOGO_BYTES_MAX)?.into() })
}

fn stylesheet(path: &Path) -> Result<String> {
    String::from_utf8(read(path, STYLESHEET_BYTES_MAX)?).map_err(|_| anyhow!("{} is not UTF-8", path.display()))
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let size =
        std::fs::metadata(path).with_context(|| format!("cannot read {}: check the path", path.display()))?.len();
    if size > bytes_max {
        bail!("{} has {size} bytes: {bytes_max} are the most", path.display());
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(text: &str, directory: &Path) -> Result<Arc<Pages>> {
        let table = File::table(text)?;
        let file = File::from_table(table.clone())?;
        file.pages(&table, directory, &"https://read.example".parse()?, &OwnPaths::default())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("large.png"), vec![0; 300_000]).expect("it is written");
        std::fs::write(directory.path().join("bad.css"), [0xff]).expect("it is written");
        let cases = [
            ("language = \"\"", "not a language tag"),
            ("language = \"english language\"", "not a language tag"),
            ("language = \"German\"", "not a language tag"),
            ("language = \"x\"", "not a language tag"),
            ("texts.common.date = \"today\"", "names no day"),
            ("texts.common.date = \"%d.%m.%Y\"", "names no day"),
            ("texts.common.date = \"{month} {day\"", "opens a brace that nothing closes"),
            (
                "texts.common.months = [\"a\",\"b\",\" \",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\"]",
                "no name for month 3",
            ),
            ("contact_url = \"javascript:alert(1)\"", "must be https://"),
            ("contact_url = \"//evil.example\"", "must be https://"),
            ("logo = \"none.svg\"", "pages.logo: cannot read"),
            ("logo = \"logo.gif\"", "must be an SVG, PNG, JPEG or WebP"),
            ("logo = \"large.png\"", "262144 are the most"),
            ("stylesheet = \"bad.css\"", "is not UTF-8"),
            ("consents.monthly-waiver-1 = \"Yes.\"", "give the new wording an id of its own"),
            ("consents.mine = \" \"", "nobody can agree to nothing"),
            ("texts.pricing.titel = \"Plans\"", "did you mean `title`?"),
            ("texts.pricing.buy = \"Get {plan}\"", "texts.pricing.buy has {plan}, but here can be filled in: {tier}"),
            ("texts.pricing.title = \"{site}\"", "here can be filled in: nothing"),
            ("texts.common.months = [\"Jan\"]", "length"),
            ("texts.common.date = \"{days}\"", "here can be filled in: {day}, {month}, {year}"),
        ];
        for (text, expected) in cases {
            let error = pages(&format!("[pages]\n{text}\n"), directory.path()).expect_err(text);
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn another_language_says_what_it_has_and_is_checked_like_the_first() {
        let directory = tempfile::tempdir().expect("a directory");
        let german = "[pages.texts.de.pricing]\ntitle = \"Preise\"\n[pages.texts.de.words]\narchive = \"Archiv\"\n";
        pages(german, directory.path()).expect("two languages");
        for (text, expected) in [
            ("[pages.texts.de.pricing]\nbuy = \"{plan}\"\n", "here can be filled in: {tier}"),
            ("[pages.texts.de.pricing]\ntitel = \"Preise\"\n", "unknown field `titel`"),
            ("[pages.texts.de.prices]\ntitle = \"Preise\"\n", "is no table of texts"),
            ("[pages.texts.de.gate]\npay = \"Teil eines Plans\"\n", "is no table of texts"),
            ("[pages.texts.de.common]\ndate = \"heute\"\n", "names no day"),
            ("[pages.texts.de.words]\narchive = 1\n", "pages.texts.de.words"),
            ("[pages.texts.german.pricing]\ntitle = \"Preise\"\n", "unknown key `german`"),
        ] {
            let error = format!("{:#}", pages(text, directory.path()).expect_err(text));
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn the_default_is_complete_and_files_are_read_beside_it() {
        let directory = tempfile::tempdir().expect("a directory");
        pages("", directory.path()).expect("the default is valid");
        std::fs::write(directory.path().join("logo.svg"), "<svg/>").expect("it is written");
        std::fs::write(directory.path().join("mine.css"), ":root { --accent: #123456; }").expect("it is written");
        let mine = "[pages]\nlanguage = \"pt-BR\"\nlogo = \"logo.svg\"\nstylesheet = \"mine.css\"\n\
                    consents.mine = \"I agree.\"\ntexts.pricing.title = \"Planos\"\n\
                    texts.common.date = \"{day}/{month}/{year}\"\n";
        pages(mine, directory.path()).expect("it is valid");
    }
}
