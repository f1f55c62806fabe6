//! The configuration: the commented default file, then the operator's file, then secrets from the environment.
//!
//! Everything is parsed and checked here, before anything binds or connects.

pub mod allow;
pub mod asked;
mod below;
pub mod changes;
mod decide;
pub mod file;
pub mod identity;
pub mod limits;
mod lines;
mod meant;
mod methods;
mod misnamed;
mod misplaced;
pub mod nearest;
mod languages;
pub mod pages;
mod places;
mod plain;
pub mod routes;
pub mod secrets;
pub mod sites;
mod span;
mod stripe;
mod suspect;
mod text;
#[cfg(test)]
mod tests;
mod urls;
mod webhooks;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use entitlement::Timestamp;
use entitlement::authorize::Policy;
use entitlement::catalog::{Catalog, Draft};
use entitlement::login::Login;
use entitlement::naming::Names;
use entitlement::own_paths::OwnPaths;
use entitlement::record::Namespace;
use proxy::forwarded::TrustedProxies;
use proxy::readings::{Languages, Readings};
use proxy::routes::Route;
use proxy::upstream::Site;
use url::Url;

use crate::output::moment;
use file::File;
use identity::Identity;

pub use stripe::stripe_api;

/// Days before its end from which a certificate is warned of: Let's Encrypt's are renewed 30 days before it.
const RENEWAL_DAYS: i64 = 14;

/// A configuration that can be run.
#[derive(Debug)]
pub struct Config {
    pub file: File,
    /// The parsed `site.url`, without a trailing slash when printed by [`Config::site_url`].
    site: Url,
    /// Where browsers find what is Tollgate's own.
    pub own_paths: OwnPaths,
    /// Further origins under which users reach the site.
    pub also: Vec<String>,
    /// Where users sign in.
    pub login: Login,
    /// Who is asking.
    pub identity: Identity,
    pub catalog: Option<Catalog>,
    /// The digest of a change of the catalog to which a person has agreed in its file.
    pub accept: Option<String>,
    /// The servers of the site, or of several by their hosts.
    sites: Vec<Site>,
    pub routes: Vec<Route>,
    pub default: Policy,
    /// How the site reads paths.
    pub readings: Readings,
    /// Whose word on the client is believed.
    pub trusted_proxies: TrustedProxies,
    /// Where other gateways ask for decisions.
    pub decide: proxy::decide::Settings,
    pub limits: proxy::Limits,
    /// How the hosted pages look, and what they say.
    pub pages: Arc<billing::Pages>,
    /// With one, the public listener speaks TLS.
    pub certificate: Option<proxy::Certificate>,
    /// Every key with its value, to see what a newer configuration changes.
    pub table: toml::Table,
    /// What is accepted, but the operator should know.
    pub warnings: Vec<String>,
    /// Paths in the file are relative to this directory.
    directory: PathBuf,
}

impl Config {
    /// Reads and checks the configuration at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let text = text::read(path, "configuration", "create it or name another with --config FILE")?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&text, directory).map_err(|error| placed(error, path, &text))
    }

    /// Checks a configuration's text; relative paths in it start at `directory`.
    pub fn parse(text: &str, directory: PathBuf) -> Result<Self> {
        Self::parse_with(text, directory, None)
    }

    /// As [`Config::parse`], with a catalog at hand for a text that names none.
    pub fn parse_with(text: &str, directory: PathBuf, catalog: Option<Catalog>) -> Result<Self> {
        let table = File::table(text)?;
        let file = File::from_table(table.clone())?;
        let site = below::site(&file.site.url)?;
        let own_paths = below::own_paths(&file)?;
        let also =
            file.site.also.iter().map(|text| Ok(urls::origin("site.also", text)?.origin().ascii_serialization()));
        let also: Vec<String> = also.collect::<Result<_>>()?;
        let login = urls::login(&file.site, &site)?;
        urls::check(&file)?;
        meant::check(&file)?;
        let sites = sites::check(&file, &directory)?;
        places::check(&file, &sites)?;
        meant::check_upstreams((&file, &sites), &site, &also)?;
        let identity = Identity::check(&file.identity, &file.organisation, &directory)?;
        let (catalog, accept) = catalog_of(&file, &directory, catalog)?;
        let mut warnings: Vec<String> = identity.warnings.clone();
        warnings.extend(urls::unsafe_site(&site));
        let origins: Vec<String> =
            [site.origin().ascii_serialization()].into_iter().chain(also.iter().cloned()).collect();
        sites::warn_of_unknown_hosts(&sites, &origins, &mut warnings);
        identity.warn_of_own_address(&origins, &file.listen.public, &mut warnings);
        let routes = routes::compile(&file.routes, catalog.as_ref(), &mut warnings)?;
        let default = routes::policy("[default]", &file.default, catalog.as_ref())?;
        let framework = file.site.framework.parse().context("site.framework")?;
        let readings = Readings {
            case_sensitive: file.site.case_sensitive,
            framework,
            languages: Languages::new(file.site.languages.clone()),
        };
        below::check_routes(&own_paths, &routes)?;
        suspect::warn((&file.site, &own_paths), (&routes, &default), framework, &mut warnings);
        let routes: Vec<Route> = webhooks::routes(&file, &own_paths)?.into_iter().chain(routes).collect();
        let trusted_proxies = TrustedProxies::parse(&file.proxy.trusted_proxies).context("proxy.trusted_proxies")?;
        let decide = decide::check(&file, &own_paths, &mut warnings)?;
        allow::check_addresses(&routes, (&trusted_proxies, decide.gateways()), &identity, &mut warnings)?;
        let limits = file.limits.check(file.proxy.buffer_body)?;
        let pages = file.pages(&table, &directory, &site, &own_paths)?;
        if let Some(catalog) = &catalog {
            pages::warn_of_unknown_words(&file.pages, catalog, &mut warnings);
            suspect::warn_of_catalog(catalog, &mut warnings);
        }
        let certificate = file.tls.as_ref().map(|tls| tls.read(&directory)).transpose()?;
        let config = Self {
            file,
            site,
            own_paths,
            also,
            login,
            identity,
            catalog,
            accept,
            sites,
            routes,
            default,
            readings,
            trusted_proxies,
            decide,
            limits,
            pages,
            certificate,
            table,
            warnings,
            directory,
        };
        config.namespace()?;
        Ok(config)
    }

    /// Whether the certificate may be served at `now`.
    pub fn check_certificate(&self, now: Timestamp) -> Result<()> {
        let Some(certificate) = &self.certificate else { return Ok(()) };
        let (from, until) = certificate.validity();
        if until <= now {
            bail!("tls.certificate has expired at {}: put a new one in its place", moment(until));
        }
        if now < from {
            bail!("tls.certificate is not valid before {}: is the clock right?", moment(from));
        }
        Ok(())
    }

    /// What an operator should know of the certificate at `now`.
    pub fn warn_of_certificate(&self, now: Timestamp) -> Option<String> {
        let (_, until) = self.certificate.as_ref()?.validity();
        let days = (until - now).num_days();
        (days < RENEWAL_DAYS).then(|| format!("tls.certificate expires in {days} days, at {}", moment(until)))
    }

    /// The addresses that have to be the same in proxies and in billing, by their keys.
    pub fn shared_addresses(&self) -> BTreeMap<String, String> {
        below::shared(&self.table)
    }

    /// The public address, without a trailing slash.
    pub fn site_url(&self) -> String {
        self.site.as_str().trim_end_matches('/').to_owned()
    }

    /// The name that keeps keys and channel in Redis apart from those of other installations.
    pub fn namespace(&self) -> Result<Namespace> {
        let set = &self.file.cache.namespace;
        let namespace = if set.is_empty() { &self.site_url() } else { set };
        Namespace::parse(namespace).with_context(|| format!("cache.namespace = \"{namespace}\""))
    }

    /// The host of the public origin, without a port.
    pub fn site_host(&self) -> &str {
        self.site.host_str().unwrap_or_default()
    }

    /// The public origin and all others of the site, as browsers write them.
    pub fn origins(&self) -> Vec<String> {
        std::iter::once(self.site.origin().ascii_serialization()).chain(self.also.iter().cloned()).collect()
    }

    /// For which the assertion is.
    pub fn audience(&self) -> String {
        let set = &self.file.assertion.audience;
        let told = if set.is_empty() { self.identity.audience() } else { Some(set.as_str()) };
        told.unwrap_or(self.site_host()).to_owned()
    }

    /// By which claims accounts are named, for each way of signing in.
    pub fn names(&self) -> Names {
        self.identity.names((&self.site_url(), self.site_host()))
    }

    /// What verifies credentials.
    pub fn identity_settings(&self, secrets: &secrets::Secrets) -> Result<proxy::identity::Settings> {
        self.identity.settings((&self.site_url(), self.site_host()), secrets)
    }

    /// Where the catalog's file is, as an operator would name it.
    pub fn catalog_path(&self) -> PathBuf {
        self.directory.join(self.file.catalog.as_deref().unwrap_or("catalog.toml"))
    }

    /// A file beside the configuration.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The rules that require what the configured catalog has and `kept`, which is in force in its place, has not.
    pub fn lacking(&self, kept: &Catalog) -> Vec<String> {
        let Some(catalog) = &self.catalog else { return Vec::new() };
        let lacks = |policy: &Policy| routes::lacks(&policy.require, catalog, kept);
        let routes = self.routes.iter().filter(|route| lacks(&route.policy)).map(|route| route.pattern.to_string());
        routes.chain(lacks(&self.default).then(|| "[default]".to_owned())).collect()
    }

    /// Marks what [`Config::lacking`] names as what nobody can say anything of. Returns the same names.
    pub fn leave_open(&self, kept: &Catalog, routes: &mut [Route], default: &mut Policy) -> Vec<String> {
        let Some(catalog) = &self.catalog else { return Vec::new() };
        let policies = routes.iter_mut().map(|route| &mut route.policy).chain([default]);
        for policy in policies.filter(|policy| routes::lacks(&policy.require, catalog, kept)) {
            policy.is_known = false;
        }
        self.lacking(kept)
    }

    /// Where the embedded PostgreSQL keeps its files.
    pub fn embedded_path(&self) -> PathBuf {
        self.directory.join(&self.file.embedded.path)
    }

    /// Where processes take over from each other; none when they do not.
    pub fn handover_path(&self) -> Option<PathBuf> {
        let place = &self.file.shutdown.handover;
        (!place.is_empty()).then(|| self.directory.join(place))
    }

    /// The servers of the site, or of several by their hosts. Names are looked up while it runs.
    pub fn sites(&self) -> Result<&[Site]> {
        if self.sites.is_empty() {
            bail!("site.upstream is empty: name at least one address of your site, such as \"127.0.0.1:3000\"");
        }
        Ok(&self.sites)
    }
}

/// An error with the file, and the line of what it names, before it.
fn placed(error: anyhow::Error, path: &Path, text: &str) -> anyhow::Error {
    if error.is::<OfCatalog>() {
        return error;
    }
    let told = format!("{error:#}");
    let path = path.display();
    let line = if let Some(complaint) = error.downcast_ref::<plain::Complaint>() {
        lines::line_at(text, &complaint.path)
    } else if let Some(of_price) = error.downcast_ref::<meant::OfPrice>() {
        of_price.line(text)
    } else if told.contains("(line ") {
        None
    } else {
        lines::line_of(text, &told)
    };
    match line {
        Some(line) => error.context(format!("{path}, line {line}")),
        None => error.context(path.to_string()),
    }
}

/// A complaint about the catalog, which names its file.
#[derive(Debug)]
struct OfCatalog(String);

impl std::fmt::Display for OfCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OfCatalog {}

fn of_catalog(error: anyhow::Error, path: &Path, text: &str) -> anyhow::Error {
    OfCatalog(format!("{:#}", placed(error, path, text))).into()
}

/// What a catalog file says.
#[derive(Clone, Debug)]
pub struct CatalogFile {
    pub catalog: Catalog,
    /// The digest of a change to which a person has agreed.
    pub accept: Option<String>,
}

/// The catalog that the file names, or the one at hand, and a person's word for what it changes.
fn catalog_of(file: &File, directory: &Path, at_hand: Option<Catalog>) -> Result<(Option<Catalog>, Option<String>)> {
    let (catalog, accept) = match &file.catalog {
        Some(path) => {
            let path = directory.join(path);
            let text = catalog_text(&path)?;
            let CatalogFile { catalog, accept } = parse_catalog(&text, &path)?;
            pages::check_agreed(&file.pages, &catalog).map_err(|error| of_catalog(error, &path, &text))?;
            (Some(catalog), accept)
        }
        None => (at_hand, None),
    };
    if let Some(catalog) = &catalog {
        check_referral(&file.referral, catalog)?;
    }
    Ok((catalog, accept))
}

/// Reads and checks a catalog file.
pub fn read_catalog(path: &Path) -> Result<CatalogFile> {
    parse_catalog(&catalog_text(path)?, path)
}

fn catalog_text(path: &Path) -> Result<String> {
    text::read(path, "catalog", "check the path")
}

/// Checks the text of a catalog, which is or will be at `path`.
pub fn parse_catalog(text: &str, path: &Path) -> Result<CatalogFile> {
    let unusable = |error: toml::de::Error| OfCatalog(format!("{}: {}", path.display(), plain::explain(&error, text)));
    let draft: Draft = toml::from_str(text).map_err(unusable)?;
    let accept = draft.accept.clone();
    let catalog = Catalog::try_from(draft).map_err(|error| of_catalog(error.into(), path, text))?;
    meant::check_catalog(&catalog).map_err(|error| of_catalog(error, path, text))?;
    Ok(CatalogFile { catalog, accept })
}

/// Resolves `host:port` of the configuration key `key`.
pub fn address(key: &str, name: &str) -> Result<SocketAddr> {
    let mut addresses = name
        .to_socket_addrs()
        .with_context(|| format!("{key} = \"{name}\" is not an address: write it as \"host:port\""))?;
    addresses.next().with_context(|| format!("{key} = \"{name}\" resolves to no address"))
}

fn check_referral(referral: &file::Referral, catalog: &Catalog) -> Result<()> {
    let tier = &referral.tier;
    if tier.is_empty() || catalog.tier(tier).is_some() || referral.credit_days == 0 {
        return Ok(());
    }
    let codes = catalog.tiers().iter().map(|tier| tier.code.as_str());
    bail!("referral.tier = \"{tier}\" is no tier of the catalog{}", nearest::hint(tier, codes));
}
