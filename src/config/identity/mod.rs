//! `[identity]`: who is asking, and with which keys that is verified.

mod ask;
mod front;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod way;

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use entitlement::naming::Names;
use proxy::identity::{Algorithm, Buyer, WAYS_MAX};

use super::file::Organisation;
use super::secrets::Secrets;
use section::WaySection;

pub use section::{Section, make_room, nest, written};
pub use source::Source;
pub use way::Way;

/// The section, checked.
#[derive(Clone, Debug)]
pub struct Identity {
    /// One or more.
    pub ways: Vec<Way>,
    /// The users who may buy for their account; empty: all of them.
    pub buyers: Vec<Buyer>,
    /// What is accepted, but the operator should know.
    pub warnings: Vec<String>,
}

impl Identity {
    /// Checks the section and `[organisation]`; its files start at `directory`.
    pub fn check(section: &Section, organisation: &Organisation, directory: &Path) -> Result<Self> {
        let mut warnings = Vec::new();
        let buyer = |text: &String| text.parse().map_err(|error| anyhow!("organisation.buyers: \"{text}\": {error}"));
        let buyers = organisation.buyers.iter().map(buyer).collect::<Result<Vec<Buyer>>>()?;
        let mut check = |name: Option<&str>, way: &WaySection| {
            let way = Way::check((name, way, &section.flat), directory)?;
            warnings.extend(way.warnings());
            anyhow::Ok(way)
        };
        let ways = if section.ways.is_empty() {
            vec![check(None, &section.flat)?]
        } else {
            let ways = section
                .ways
                .iter()
                .map(|(name, way)| check(Some(name), way).with_context(|| format!("[identity.{name}]")));
            ways.collect::<Result<Vec<_>>>()?
        };
        if ways.len() > WAYS_MAX {
            bail!("[identity] has {} ways, and may have {WAYS_MAX}", ways.len());
        }
        let nameless: Vec<&str> =
            ways.iter().filter(|way| way.prefix.is_empty()).map(|way| way.name.as_str()).collect();
        if nameless.len() > 1 {
            warnings.push(format!(
                "the ways {} under [identity] have no `prefix`: what each of them calls 42 is one account",
                nameless.join(", ")
            ));
        }
        Ok(Self { ways, buyers, warnings })
    }

    /// Warns of questions that lead to Tollgate itself: to one of the public origins of the site, or to the address of the public listener.
    pub fn warn_of_own_address(&self, origins: &[String], listener: &str, warnings: &mut Vec<String>) {
        let own: Vec<String> = origins.iter().cloned().chain([format!("http://{listener}")]).collect();
        for way in &self.ways {
            let Source::Site(ask) = &way.source else { continue };
            let asked = ask.location.to_string();
            if own.iter().any(|origin| asked.strip_prefix(origin.as_str()).is_some_and(|rest| rest.starts_with('/'))) {
                warnings.push(format!(
                    "[identity.{}] ask = \"{asked}\" leads to Tollgate, where a question has no identity: name the address of the site \
                     itself, such as one under site.upstream",
                    way.name
                ));
            }
        }
    }

    /// By which claims of a token its account is known, for each way of signing in. With others every account is another one.
    pub(super) fn names(&self, site: (&str, &str)) -> Names {
        Names::new(self.ways.iter().map(|way| way.named(site)).collect())
    }

    /// The way whose tokens this process could sign itself.
    pub fn with_secret(&self) -> Option<(&Way, Algorithm)> {
        self.ways.iter().find_map(|way| match way.source {
            Source::Secret(algorithm) => Some((way, algorithm)),
            _ => None,
        })
    }

    /// The ways by which the site is asked whose a session is.
    pub fn session_ways(&self) -> Vec<String> {
        let ways = self.ways.iter().filter(|way| matches!(way.source, Source::Site(_)));
        ways.map(|way| way.name.clone()).collect()
    }

    /// For a person: what verifies.
    pub fn describe(&self) -> String {
        match self.ways.as_slice() {
            [way] => way.describe(),
            ways => ways.iter().map(|way| format!("{}: {}", way.name, way.describe())).collect::<Vec<_>>().join("; "),
        }
    }

    /// For a person: what each way that reads tokens wants of them.
    pub fn wanted(&self, (url, host): (&str, &str)) -> Vec<String> {
        let any = |list: Vec<String>| if list.is_empty() { "any".to_owned() } else { list.join(" or ") };
        let wanted = |way: &Way| {
            let (issuers, audiences) = (any(way.issuers(url)), any(way.audiences(host)));
            format!("{} wants: iss {issuers}, aud {audiences}, verified by {}", way.name, way.describe())
        };
        self.ways.iter().filter(|way| way.source.is_of_tokens()).map(wanted).collect()
    }

    /// The only audience that is asked for, if there is one.
    pub fn audience(&self) -> Option<&str> {
        match self.ways.as_slice() {
            [Way { audiences, .. }] if audiences.len() == 1 => audiences.first().map(String::as_str),
            _ => None,
        }
    }

    /// What the proxy is told, of a site at `url` under `host`.
    pub fn settings(&self, (url, host): (&str, &str), secrets: &Secrets) -> Result<proxy::identity::Settings> {
        let way = |way: &Way| {
            Ok(proxy::identity::Way {
                name: way.name.clone(),
                cookies: way.cookies.clone(),
                front: way.front.clone(),
                token_at: way.token_at.clone(),
                issuers: way.issuers(url),
                audiences: way.audiences(host),
                authorized_parties: way.parties.clone(),
                account: way.account.clone(),
                user: way.user.clone(),
                prefix: way.prefix.clone(),
                leeway: way.leeway,
                keys: way.keys(url, secrets)?,
            })
        };
        let ways = self.ways.iter().map(way).collect::<Result<_>>()?;
        Ok(proxy::identity::Settings { ways, buyers: self.buyers.clone() })
    }
}
