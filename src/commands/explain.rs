//! `tollgate explain`: which rule, which verdict, which grant, and why.

use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail};
use billing::{Billing, Considered, Origin};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::authorize::{Basis, Caller, Denial, authorize};
use entitlement::catalog::Catalog;
use entitlement::record::Entitlement;
use entitlement::timeline::{Grant, Source, Status, timeline};
use proxy::decide::{Meaning, NOT_CONFIGURED_CODE, Peer};
use proxy::routes::{Allow, Destination};
use proxy::routing::{Found, Held, Routing};
use proxy::target;
use proxy::upstream::{Site, UNKNOWN_HOST_CODE, site_for};
use serde_json::json;

use super::{explained, moment, parts, token};
use crate::config::secrets::Secrets;
use crate::config::sites::describe;
use crate::config::{Config, allow};
use crate::{ConfigFile, logging, output};

/// Explain what a route asks for, or what an account has
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Subcommand)]
enum What {
    /// Which rule decides a request, and how
    Route {
        /// The method, such as GET
        method: String,
        /// The path as a browser sends it
        path: String,
        /// Decide for this account (needs DATABASE_URL)
        #[arg(long, value_name = "ID", conflicts_with = "tier")]
        account: Option<AccountId>,
        /// Decide for somebody who holds this tier (needs a catalog in the configuration)
        #[arg(long, value_name = "TIER")]
        tier: Option<String>,
        #[command(flatten)]
        visitor: Visitor,
        /// Decide at this time, past or future, such as 2027-01-31 or 2027-01-31T09:30:00Z
        #[arg(long, value_name = "TIME", value_parser = moment::moment)]
        at: Option<DateTime<Utc>>,
    },
    /// What an account has, since when, until when, from what (needs DATABASE_URL)
    ///
    /// An account of which nothing is known has what everybody has: that is the answer, with a warning and `known` of --json, and ends with 0.
    Account {
        /// The account id: the `sub` of its token
        id: AccountId,
        /// At this time, past or future, such as 2027-01-31
        #[arg(long, value_name = "TIME", value_parser = moment::moment)]
        at: Option<DateTime<Utc>>,
    },
}

/// The visitor of a request, as far as `allow` of a route knows one.
#[derive(clap::Args)]
struct Visitor {
    /// Decide for a visitor from this address, whom `allow` of the route may let in
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Decide for a request with this token of `allow`; `-` reads it from standard input. Its variable has to be set here
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

impl Visitor {
    fn read(&self) -> Result<Self> {
        let token = self.token.as_deref().map(token::given).transpose()?;
        Ok(Self { address: self.address, token })
    }

    /// Whether a rule lets it in; nothing where that is not asked.
    fn is_let_in(&self, routing: &Routing, held: &Held<'_>) -> Option<bool> {
        let is_asked = self.address.is_some() || self.token.is_some();
        is_asked.then(|| routing.lets_in(held, self.address, self.token.as_deref()))
    }
}

/// Prints the explanation.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    match &arguments.what {
        What::Route { method, path, account, tier, visitor, at } => {
            check_request(method, path)?;
            let entitlement = match (account, tier) {
                (Some(account), _) => Some(of_account(&config, account)?),
                (None, Some(tier)) => Some(holding(&config, tier)?),
                (None, None) => None,
            };
            let visitor = visitor.read()?;
            route(config, (method, path), &visitor, entitlement.as_ref(), at.unwrap_or_else(now))
        }
        What::Account { id, at } => {
            let at = at.unwrap_or_else(now);
            let told = parts::runtime()?.block_on(async {
                let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
                let mut explained = billing.explain_account(id, at).await?;
                explained.warnings.extend(held_back_catalog(&billing, &config).await?);
                anyhow::Ok(explained)
            })?;
            if !told.known {
                output::warning(format_args!("nothing is known of the account {id}: is it the right one?"));
            }
            output::json(&told)?;
            if !output::is_json() {
                explained::print(&told, at);
            }
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a command is where time comes in")]
fn now() -> Timestamp {
    Utc::now()
}

fn route(
    config: Config,
    (method, path): (&str, &str),
    visitor: &Visitor,
    entitlement: Option<&Entitlement>,
    at: Timestamp,
) -> Result<()> {
    let method = method.parse::<http::Method>().map_err(|_| anyhow!("\"{method}\" is not a method, such as GET"))?;
    let (host, path) = host_and_path(path);
    let gateways = config.file.decide.gateways.join(", ");
    let sites = config.sites().unwrap_or_default().to_vec();
    // Other questions need no secrets.
    let routes = if visitor.token.is_some() { allow::with_tokens(config.routes)? } else { config.routes };
    let routing = Routing::below(
        &config.own_paths,
        (routes, config.default),
        config.readings,
        config.decide,
        config.trusted_proxies,
    );
    let Found { path, asked_by, held } = match routing.find(&method, host, path) {
        Ok(found) => found,
        Err(refused) => {
            let status = refused.status.as_u16();
            let verdict = format!("{status} {}: {}", refused.code, refused.detail);
            output::line(format_args!("verdict   {verdict}"));
            return output::json(
                &json!({ "status": status, "code": refused.code, "detail": refused.detail, "verdict": verdict }),
            );
        }
    };
    output::line(format_args!("path      {path}"));
    let asked_by: Vec<String> = asked_by.iter().map(|(peer, meaning)| question(*peer, *meaning, &gateways)).collect();
    for question in &asked_by {
        output::line(format_args!("decide    {question}"));
    }
    if !asked_by.is_empty() {
        output::line("          from all other connections:");
    }
    let is_let_in = visitor.is_let_in(&routing, &held);
    print_rule(&held, is_let_in);
    let site = match served(&sites, host) {
        _ if held.rule.destination != Destination::Site => None,
        Ok(site) => site,
        Err(verdict) => {
            output::line(format_args!("verdict   {verdict}: no [[upstream]] is for this host"));
            let (path, rule) = (path.to_string(), held.rule.label.to_string());
            return output::json(&json!({
                "path": path, "rule": rule, "status": 421, "code": UNKNOWN_HOST_CODE, "verdict": verdict,
            }));
        }
    };
    if let Some(site) = &site {
        output::line(format_args!("site      {site}"));
    }
    let caller = entitlement.map_or(Caller::Anonymous, Caller::Known);
    print_caller(entitlement, at);
    let decision = authorize(caller, &held.policy, at).map(|permit| permit.basis().clone());
    let verdict = verdict(decision, is_let_in);
    output::line(format_args!("verdict   {verdict}"));
    output::json(&json!({
        "path": path.to_string(),
        "rule": held.rule.label.to_string(),
        "require": held.policy.require.to_string(),
        "allow": held.rule.allow.as_deref().map(allow::described),
        "let_in": is_let_in,
        "decide": asked_by,
        "site": site,
        "account": entitlement.map(|entitlement| &entitlement.account),
        "tier": entitlement.map(|entitlement| entitlement.timeline.at(at).plan.tier.clone()),
        "at": at,
        "verdict": verdict,
    }))
}

/// The rule, what else has to be satisfied, and the requests that it lets in all the same.
fn print_rule(held: &Held<'_>, is_let_in: Option<bool>) {
    output::line(format_args!("rule      {}: {}", held.rule.label, held.rule.policy.require));
    if held.policy.require != held.rule.policy.require {
        output::line(format_args!("          with the rules of its other readings: {}", held.policy.require));
    }
    if let Some(allow) = &held.rule.allow {
        let hint = if is_let_in.is_none() { ": try them with --address and --token" } else { "" };
        output::line(format_args!("          lets in {}{hint}", allow::described(allow)));
    }
}

/// Which account is asked about, what it has, and when.
fn print_caller(entitlement: Option<&Entitlement>, at: Timestamp) {
    match entitlement {
        Some(Entitlement { account, timeline, .. }) => {
            let segment = timeline.at(at);
            let until =
                segment.until.map_or("without end".to_owned(), |until| format!("until {}", output::moment(until)));
            let (tier, status) = (&segment.plan.tier, segment.status.as_str());
            output::line(format_args!("caller    {account} has {tier} ({status}) {until}"));
        }
        None => output::line("caller    not signed in"),
    }
    output::line(format_args!("at        {}", output::moment(at)));
}

/// Refuses what no client sends, which is a slip of the hand more often than a question.
fn check_request(method: &str, path: &str) -> Result<()> {
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        bail!("\"{method}\" is not a method: write it in capitals, such as GET");
    }
    if !path.starts_with('/') && !path.contains("://") && path != "*" {
        bail!("\"{path}\" is not a path: it begins with a slash, such as /premium");
    }
    Ok(())
}

/// Which servers get a request for this host, if any is needed; or what the gate answers where none do.
fn served(sites: &[Site], host: Option<&str>) -> Result<Option<String>, String> {
    let has_hosts = sites.iter().any(|site| !site.hosts.is_empty());
    if has_hosts && host.is_none() {
        return Ok(Some("as the host says: write the whole URL, such as https://read.example/page".to_owned()));
    }
    let host = host.and_then(|host| target::host(host.as_bytes()).ok());
    match site_for(sites, host.as_deref()).and_then(|index| sites.get(index)) {
        Some(site) => Ok(Some(describe(site))),
        // The command needs no site, as the role billing does not.
        None if sites.is_empty() => Ok(None),
        None => Err(format!("421 {UNKNOWN_HOST_CODE}")),
    }
}

/// What the gate makes of a request for the path of decisions that comes by such a connection.
fn question(peer: Peer, meaning: Meaning, gateways: &str) -> String {
    let from = match peer {
        Peer::Gateway => format!("asked by decide.gateways ({gateways})"),
        Peer::TrustedProxy => "asked by proxy.trusted_proxies".to_owned(),
        Peer::Other => "asked by others".to_owned(),
    };
    match meaning {
        Meaning::Question => format!("{from}: the verdict on what the gateway asks about"),
        Meaning::NotConfigured => format!("{from}: 403 {NOT_CONFIGURED_CODE}, as decide.gateways is empty"),
        Meaning::Request => format!("{from}: a request like any other"),
    }
}

/// A path alone, or the whole URL where hosts matter.
fn host_and_path(text: &str) -> (Option<&str>, &str) {
    let Some((_, rest)) = text.split_once("://").filter(|_| text.starts_with("http")) else { return (None, text) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (Some(authority), if path.is_empty() { "/" } else { path })
}

fn verdict(decision: Result<Basis, Denial>, is_let_in: Option<bool>) -> String {
    match decision {
        Err(denial) if is_let_in == Some(true) && Allow::overcomes(&denial) => verdict(Ok(Basis::LetIn), None),
        Ok(Basis::Met) => "pass".to_owned(),
        Ok(Basis::LetIn) => "pass, let in as nobody".to_owned(),
        Ok(Basis::Fallback) => "pass, because the rule lets pass when nobody can say".to_owned(),
        Ok(Basis::Shadow(denial)) => format!("pass, only counted: would be {}", status(&denial)),
        Err(denial) => status(&denial),
    }
}

fn status(denial: &Denial) -> String {
    match denial {
        Denial::SignIn | Denial::BadCredential | Denial::Ambiguous => format!("401 {}", denial.code()),
        Denial::Pay { required, current } => format!("402 {}: needs {required}, has {current}", denial.code()),
        Denial::Forbidden { required, current } => {
            format!("403 {}: needs {required}, which nothing sold gives; has {current}", denial.code())
        }
        Denial::Blocked => format!("403 {}: whatever it has paid for", denial.code()),
        Denial::Unknown => format!("503 {}", denial.code()),
    }
}

fn of_account(config: &Config, account: &AccountId) -> Result<Entitlement> {
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(config, &Secrets::from_env()?).await?;
        parts::say_if_unknown(&billing, account.as_str()).await?;
        let explained = billing.explain_account(account, now()).await?;
        Ok(Entitlement { account: explained.account, version: explained.version, timeline: explained.timeline })
    })
}

/// Somebody who holds `tier` for good.
fn holding(config: &Config, tier: &str) -> Result<Entitlement> {
    let catalog: &Catalog = config.catalog.as_ref().context("--tier needs `catalog = \"…\"` in the configuration")?;
    if catalog.tier(tier).is_none() {
        let codes: Vec<&str> = catalog.tiers().iter().map(|tier| tier.code.as_str()).collect();
        bail!("the catalog has no tier `{tier}`: it has {}", codes.join(", "));
    }
    let grant = Grant {
        source: Source::Credit(0),
        tier: tier.to_owned(),
        status: Status::Active,
        from: Timestamp::MIN_UTC,
        until: None,
    };
    let account = AccountId::parse("somebody")?;
    Ok(Entitlement { account, version: 1, timeline: timeline(catalog, &[grant]) })
}

/// Why the catalog of the configuration is not the one in force, where it is not.
async fn held_back_catalog(billing: &Billing, config: &Config) -> Result<Option<String>> {
    let Some(proposal) = parts::configured_proposal(config) else { return Ok(None) };
    let proposal = billing.with_known_prices(proposal).await?;
    Ok(match billing.consider_catalog(&proposal, Origin::SameFile).await? {
        Considered::Keep { why, .. } => Some(why),
        Considered::InForce | Considered::Apply(_) => None,
    })
}
