//! One way to know who asks, checked.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use entitlement::account::AccountId;
use entitlement::naming::{Named, Verified};
use proxy::identity::{Claim, FLAT, FrontSettings, Key, Keys};

use super::ask::Ask;
use super::front;
use super::section::{OneOrMore, WaySection};
use super::source::Source;
use crate::config::secrets::Secrets;

/// Largest `leeway`: clocks that are further apart are broken, and an expired token must end.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// A way, checked.
#[derive(Clone, Debug)]
pub struct Way {
    pub name: String,
    pub cookies: Vec<String>,
    /// The header that is read in place of cookies and `Authorization`.
    pub(in crate::config) front: Option<FrontSettings>,
    pub(super) token_at: Option<String>,
    /// As they are written: of the flat way, empty ones stand for the site's own.
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) parties: Vec<String>,
    pub(super) account: Vec<Claim>,
    /// The claim that names the user who acts.
    pub(super) user: Option<Claim>,
    pub(super) prefix: String,
    pub leeway: Duration,
    pub source: Source,
}

impl Way {
    pub(super) fn check(
        (name, section, common): (Option<&str>, &WaySection, &WaySection),
        directory: &Path,
    ) -> Result<Self> {
        let ask = Ask::check((section, common), name.is_some())?;
        let front = front::check(section, name.is_some())?;
        let cookies = section.cookie.all();
        for cookie in &cookies {
            if cookie.is_empty()
                || !cookie.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte))
            {
                bail!("identity.cookie = \"{cookie}\" is not the name of a cookie");
            }
        }
        let leeway = section.leeway.or(common.leeway).unwrap_or_default();
        if leeway > LEEWAY_MAX || leeway.subsec_nanos() != 0 {
            bail!("identity.leeway = \"{}\" must be whole seconds, 5m at most", humantime::format_duration(leeway));
        }
        if let Some(pointer) = &section.token_at
            && (!pointer.starts_with('/') || pointer.parse::<Claim>().is_err())
        {
            bail!("identity.token_at = \"{pointer}\" is no JSON pointer: write it like \"/access_token\"");
        }
        if section.token_at.is_some() && cookies.is_empty() {
            bail!("identity.token_at says where a token stands in a cookie: name the cookie");
        }
        check_lists(section)?;
        let account = section.account.as_ref().map_or_else(|| vec!["sub".to_owned()], OneOrMore::all);
        if account.is_empty() {
            bail!("identity.account is empty: name the claim, such as \"sub\"");
        }
        let claim =
            |key: &str, text: &str| text.parse().map_err(|error| anyhow!("identity.{key} = \"{text}\": {error}"));
        let account = account.iter().map(|text| claim("account", text)).collect::<Result<Vec<Claim>>>()?;
        let user = section.user.as_ref().map(|text| claim("user", text)).transpose()?;
        let source = match (ask, &front) {
            (Some(ask), _) => Source::Site(ask),
            (None, Some(front)) if !front::is_signed(section) => Source::Unsigned(front.header.to_string()),
            (None, _) => Source::check((section, common), name.is_some(), directory)?,
        };
        // The site's answers have no usual place for it.
        let user = user.or_else(|| source.is_of_tokens().then(Claim::subject));
        let (issuers, audiences) = (section.issuer.all(), section.audience.all());
        let is_published = matches!(source, Source::Published(_));
        if name.is_some() && is_published && issuers.is_empty() {
            bail!("a key set needs `issuer`: whatever else its provider signs would count");
        }
        let parties = section.authorized_parties.clone();
        let (name, prefix) = (name.unwrap_or(FLAT).to_owned(), section.prefix.clone());
        let token_at = section.token_at.clone();
        Ok(Self { name, cookies, front, token_at, issuers, audiences, parties, account, user, prefix, leeway, source })
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let written_by_users = |claim: &&Claim| claim.to_string().starts_with("/user_metadata");
        let account = self.account.iter().find(written_by_users).map(|claim| {
            format!("identity: account = \"{claim}\" is a claim that users write themselves: each could name another one's account")
        });
        let user = self.user.iter().find(written_by_users).map(|claim| {
            format!("identity: user = \"{claim}\" is a claim that users write themselves: each could act under another one's name")
        });
        let is_path = |claim: &&Claim| claim.to_string().contains('.') && !claim.to_string().starts_with('/');
        let dotted = self.account.iter().find(is_path).filter(|_| matches!(self.source, Source::Site(_))).map(|claim| {
            let pointer = claim.to_string().replace('.', "/");
            format!("identity: account = \"{claim}\" is a key of that very name in the site's answer: what is inside of another is written \"/{pointer}\"")
        });
        self.source.warning().into_iter().chain(account).chain(user).chain(dotted).collect()
    }

    /// The source of its account ids, of a site at `url` under `host`.
    pub(super) fn named(&self, (url, host): (&str, &str)) -> Named {
        let account = match &self.source {
            Source::Unsigned(header) => vec![format!("header {header}")],
            _ => self.account.iter().map(ToString::to_string).collect(),
        };
        let header = self.front.iter().map(|front| format!("header {}", front.header));
        let verified = Verified {
            at: self.cookies.iter().cloned().chain(header).collect(),
            issuers: self.issuers(url),
            audiences: self.audiences(host),
            keys: self.source.kind().to_owned(),
        };
        Named { way: self.name.clone(), prefix: self.prefix.clone(), account, verified: Some(verified) }
    }

    /// The way, in an operator's words.
    pub fn describe(&self) -> String {
        match &self.front {
            Some(front) if !matches!(self.source, Source::Unsigned(_)) => {
                format!("{}, in the header {} of a proxy in front", self.source.describe(), front.header)
            }
            _ => self.source.describe(),
        }
    }

    /// What `iss` may be; empty: anything.
    pub fn issuers(&self, url: &str) -> Vec<String> {
        if self.name == FLAT && self.issuers.is_empty() { vec![url.to_owned()] } else { self.issuers.clone() }
    }

    /// What `aud` may have; empty: anything.
    pub fn audiences(&self, host: &str) -> Vec<String> {
        if self.name == FLAT && self.audiences.is_empty() { vec![host.to_owned()] } else { self.audiences.clone() }
    }

    /// The first claim that names the account, where it is no pointer, and what it says of this one.
    pub fn token_claim(&self, account: &AccountId) -> Option<(String, String)> {
        let claim = self.account.iter().map(ToString::to_string).find(|claim| !claim.starts_with('/'))?;
        Some((claim, account.as_str().strip_prefix(self.prefix.as_str())?.to_owned()))
    }

    /// What verifies tokens.
    pub(super) fn keys(&self, url: &str, secrets: &Secrets) -> Result<Keys> {
        Ok(match &self.source {
            Source::Secret(algorithm) => Keys::Fixed(vec![Key::shared(secrets.jwt_secret()?, *algorithm)?]),
            Source::File { keys, .. } => Keys::Fixed(keys.clone()),
            Source::Published(settings) => Keys::Published(settings.clone()),
            Source::Unsigned(_) => Keys::Unsigned,
            Source::Site(ask) => Keys::Asked(ask.settings(url)?),
        })
    }
}

/// Refuses what no token could say, and a prefix that no account could have.
fn check_lists(section: &WaySection) -> Result<()> {
    let lists = [
        ("issuer", section.issuer.all()),
        ("audience", section.audience.all()),
        ("authorized_parties", section.authorized_parties.clone()),
    ];
    for (key, texts) in lists {
        if let Some(text) = texts.iter().find(|text| text.trim() != text.as_str() || text.is_empty()) {
            bail!(
                "identity.{key} has \"{text}\", which is empty or has blanks around it: take it away, or write what tokens say"
            );
        }
    }
    let prefix = &section.prefix;
    if AccountId::parse(&format!("{prefix}x")).is_err() {
        bail!("identity.prefix = {prefix:?} cannot begin the id of an account: write a few letters, such as \"app:\"");
    }
    Ok(())
}
