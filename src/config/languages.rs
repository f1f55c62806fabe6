//! `[pages.texts]`, with the same in other languages: `[pages.texts.de.pricing]`, for browsers that ask for them.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use billing::{Translation, texts};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::{Table, Value};

/// The tables of the texts, and what a language has beside them.
const SECTIONS: [&str; 6] = ["common", "pricing", "account", "back", "errors", "gate"];
const WORDS: &str = "words";

/// Billing's texts, those of the gate's own pages, and other languages as they are written.
#[derive(Debug)]
pub struct Texts {
    pub common: texts::Common,
    pub pricing: texts::Pricing,
    pub account: texts::Account,
    pub back: texts::Back,
    pub errors: texts::Errors,
    pub gate: proxy::respond::Texts,
    pub languages: BTreeMap<String, Table>,
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Sections)
    }
}

struct Sections;

impl<'de> Visitor<'de> for Sections {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let (mut common, mut pricing, mut account) = (None, None, None);
        let (mut back, mut errors, mut gate) = (None, None, None);
        let mut languages = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "common" => common = Some(map.next_value()?),
                "pricing" => pricing = Some(map.next_value()?),
                "account" => account = Some(map.next_value()?),
                "back" => back = Some(map.next_value()?),
                "errors" => errors = Some(map.next_value()?),
                "gate" => gate = Some(map.next_value()?),
                tag if is_language(tag) => {
                    let texts = map.next_value()?;
                    languages.insert(key, texts);
                }
                _ => return Err(A::Error::unknown_field(&key, &SECTIONS)),
            }
        }
        Ok(Texts {
            common: common.ok_or_else(|| A::Error::missing_field("common"))?,
            pricing: pricing.ok_or_else(|| A::Error::missing_field("pricing"))?,
            account: account.ok_or_else(|| A::Error::missing_field("account"))?,
            back: back.ok_or_else(|| A::Error::missing_field("back"))?,
            errors: errors.ok_or_else(|| A::Error::missing_field("errors"))?,
            gate: gate.ok_or_else(|| A::Error::missing_field("gate"))?,
            languages,
        })
    }
}

/// A language tag such as `en` or `pt-BR` (BCP 47), as far as a wrong one would hurt.
pub fn is_language(tag: &str) -> bool {
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_first = |first: &str| (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    tag.split('-').next().is_some_and(is_first) && tag.split('-').all(is_part)
}

/// Every other language, with what it leaves out as `written` says it, which is `[pages.texts]` with all its keys. `check` looks at each
/// one's own texts.
pub fn spoken(
    texts: &Texts,
    written: &Value,
    words: &BTreeMap<String, String>,
    check: impl Fn(&Value) -> Result<()>,
) -> Result<BTreeMap<String, Translation>> {
    let one = |(tag, own): (&String, &Table)| {
        let told = || format!("pages.texts.{tag}");
        let mut own = own.clone();
        let mut words = words.clone();
        if let Some(more) = own.remove(WORDS) {
            words.extend(more.try_into::<BTreeMap<String, String>>().with_context(|| format!("{}.{WORDS}", told()))?);
        }
        check(&Value::Table(own.clone())).with_context(told)?;
        let mut whole = written.as_table().cloned().unwrap_or_default();
        whole.retain(|key, _| key != "gate" && SECTIONS.contains(&key));
        for (section, more) in own {
            match (whole.get_mut(&section), more) {
                (Some(Value::Table(section)), Value::Table(more)) => section.extend(more),
                _ => bail!("{}.{section} is no table of texts of a page", told()),
            }
        }
        let texts = Value::Table(whole).try_into::<billing::Texts>().with_context(told)?;
        Ok((tag.clone(), Translation { texts, words }))
    };
    texts.languages.iter().map(one).collect()
}
