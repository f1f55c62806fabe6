//! `tollgate explain`: which rule, which verdict, which grant, and why.

use anyhow::{Context, Result, anyhow, bail};
use billing::{Billing, Considered, Explained, Origin, Waiting};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::authorize::{Basis, Caller, Denial, authorize};
use entitlement::catalog::Catalog;
use entitlement::record::Entitlement;
use entitlement::subscription::State;
use entitlement::timeline::{Grant, Source, Status, timeline};
use proxy::decide::{Meaning, NOT_CONFIGURED_CODE, Peer};
use proxy::routes::Destination;
use proxy::routing::{Found, Routing};
use proxy::target;
use proxy::upstream::{Site, UNKNOWN_HOST_CODE, site_for};
use serde_json::json;

use super::{events, moment, parts};
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
        /// Decide at this time, past or future, such as 2027-01-31 or 2027-01-31T09:30:00Z
        #[arg(long, value_name = "TIME", value_parser = moment::moment)]
        at: Option<DateTime<Utc>>,
    },
    /// What an account has, since when, until when, from what (needs DATABASE_URL)
    Account {
        /// The account id: the `sub` of its token
        id: AccountId,
        /// At this time, past or future, such as 2027-01-31
        #[arg(long, value_name = "TIME", value_parser = moment::moment)]
        at: Option<DateTime<Utc>>,
    },
}

/// Prints the explanation.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    match &arguments.what {
        What::Route { method, path, account, tier, at } => {
            check_request(method, path)?;
            let entitlement = match (account, tier) {
                (Some(account), _) => Some(of_account(&config, account)?),
                (None, Some(tier)) => Some(holding(&config, tier)?),
                (None, None) => None,
            };
            route(config, method, path, entitlement.as_ref(), at.unwrap_or_else(now))
        }
        What::Account { id, at } => {
            let at = at.unwrap_or_else(now);
            let explained = parts::runtime()?.block_on(async {
                let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
                let mut explained = billing.explain_account(id, at).await?;
                explained.warnings.extend(held_back_catalog(&billing, &config).await?);
                anyhow::Ok(explained)
            })?;
            output::json(&explained)?;
            if !output::is_json() {
                print_account(&explained, at);
            }
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a command is where time comes in")]
fn now() -> Timestamp {
    Utc::now()
}

fn route(config: Config, method: &str, path: &str, entitlement: Option<&Entitlement>, at: Timestamp) -> Result<()> {
    let method = method.parse::<http::Method>().map_err(|_| anyhow!("\"{method}\" is not a method, such as GET"))?;
    let (host, path) = host_and_path(path);
    let gateways = config.file.decide.gateways.join(", ");
    let sites = config.sites().unwrap_or_default().to_vec();
    let routing = Routing::below(
        &config.own_paths,
        (config.routes, config.default),
        config.readings,
        config.decide,
        config.trusted_proxies,
    );
    let Found { path, asked_by, held } = match routing.find(&method, host, path) {
        Ok(found) => found,
        Err(refused) => {
            let status = refused.status.as_u16();
            output::json(&json!({ "status": status, "code": refused.code, "detail": refused.detail }))?;
            output::line(format_args!("verdict   {status} {}: {}", refused.code, refused.detail));
            return Ok(());
        }
    };
    output::line(format_args!("path      {path}"));
    for (peer, meaning) in &asked_by {
        output::line(format_args!("decide    {}", question(*peer, *meaning, &gateways)));
    }
    if !asked_by.is_empty() {
        output::line("          from all other connections:");
    }
    output::line(format_args!("rule      {}: {}", held.rule.label, held.rule.policy.require));
    if held.policy.require != held.rule.policy.require {
        output::line(format_args!("          with the rules of its other readings: {}", held.policy.require));
    }
    if let Some(allow) = &held.rule.allow {
        output::line(format_args!("          lets in {}", allow::described(allow)));
    }
    if held.rule.destination == Destination::Site && !is_served(&sites, host) {
        return Ok(());
    }
    let caller = entitlement.map_or(Caller::Anonymous, Caller::Known);
    match entitlement {
        Some(entitlement) => {
            let segment = entitlement.timeline.at(at);
            let until = segment.until.map_or("without end".to_owned(), |until| format!("until {}", until.to_rfc3339()));
            output::line(format_args!(
                "caller    {} has {} ({}) {until}",
                entitlement.account,
                segment.plan.tier,
                segment.status.as_str()
            ));
        }
        None => output::line("caller    not signed in"),
    }
    output::line(format_args!("at        {}", at.to_rfc3339()));
    let verdict = verdict(authorize(caller, &held.policy, at).map(|permit| permit.basis().clone()));
    output::line(format_args!("verdict   {verdict}"));
    output::json(&json!({
        "path": path.to_string(),
        "rule": held.rule.label.to_string(),
        "require": held.policy.require.to_string(),
        "account": entitlement.map(|entitlement| &entitlement.account),
        "tier": entitlement.map(|entitlement| entitlement.timeline.at(at).plan.tier.clone()),
        "at": at,
        "verdict": verdict,
    }))
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

/// Says which servers get a request for this host; or that none do, and what the gate answers.
fn is_served(sites: &[Site], host: Option<&str>) -> bool {
    let has_hosts = sites.iter().any(|site| !site.hosts.is_empty());
    if has_hosts && host.is_none() {
        output::line("site      as the host says: write the whole URL, such as https://read.example/page");
        return true;
    }
    let host = host.and_then(|host| target::host(host.as_bytes()).ok());
    match site_for(sites, host.as_deref()).and_then(|index| sites.get(index)) {
        Some(site) => output::line(format_args!("site      {}", describe(site))),
        // The command needs no site, as the role billing does not.
        None if sites.is_empty() => {}
        None => {
            output::line(format_args!("verdict   421 {UNKNOWN_HOST_CODE}: no [[upstream]] is for this host"));
            return false;
        }
    }
    true
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

fn verdict(decision: Result<Basis, Denial>) -> String {
    match decision {
        Ok(Basis::Met | Basis::LetIn) => "pass".to_owned(),
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

/// A subscription's state with its date.
fn state(state: State) -> String {
    match state {
        State::Incomplete => "incomplete".to_owned(),
        State::Trialing { ends_at } => format!("trialing until {}", ends_at.to_rfc3339()),
        State::Active { paid_until: Some(until) } => format!("active, paid until {}", until.to_rfc3339()),
        State::Active { paid_until: None } => "active".to_owned(),
        State::PastDue { since } => format!("past due since {}", since.to_rfc3339()),
        State::Unpaid => "unpaid".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Lapsed { at } => format!("not among what ran at {}", at.to_rfc3339()),
        State::Ended { at } => format!("ended at {}", at.to_rfc3339()),
    }
}

fn print_subscriptions(explained: &Explained) {
    for subscription in &explained.subscriptions {
        let end = subscription.cancel_at.map(|end| format!(", ends {}", end.to_rfc3339())).unwrap_or_default();
        let id = &subscription.id;
        let (state, prices) = (state(subscription.state), subscription.prices.join(", "));
        output::line(format_args!("subscription {}:{}  {state}{end}  {prices}", id.provider, id.id));
        for withheld in explained.withheld.iter().filter(|withheld| withheld.subscription == *id) {
            let (reason, way_back) = (withheld.reason.as_str(), withheld.way_back.as_str());
            output::line(format_args!("  gives nothing: {reason}; what brings access back: {way_back}"));
        }
        for unnamed in explained.unnamed_prices.iter().filter(|unnamed| unnamed.subscription == *id) {
            output::line(format_args!("  no catalog names the price {}: it gives nothing", unnamed.price));
        }
    }
}

/// Why the catalog of the configuration is not the one in force, where it is not.
async fn held_back_catalog(billing: &Billing, config: &Config) -> Result<Option<String>> {
    let Some(proposal) = parts::configured_proposal(config) else { return Ok(None) };
    Ok(match billing.consider_catalog(&proposal, Origin::SameFile).await? {
        Considered::Keep { why, .. } => Some(why),
        Considered::InForce | Considered::Apply(_) => None,
    })
}

/// Changes that wait for a person's word, for this account and for all.
fn print_held_back(explained: &Explained) {
    for Waiting { provider, object_kind, object_id, since } in &explained.held_back {
        let named: Vec<&str> = [provider, object_kind, object_id].into_iter().filter_map(Option::as_deref).collect();
        output::line(format_args!(
            "held back {} since {}: a comparison would take access by it. `tollgate reconcile --held-back` lists all, `tollgate reconcile --force` does it",
            named.join(" "),
            since.to_rfc3339()
        ));
    }
    let is_told = |warning: &&String| explained.held.as_ref().is_some_and(|held| held.why == **warning);
    for warning in explained.warnings.iter().filter(|warning| !is_told(warning)) {
        output::line(format_args!("held back {warning}"));
    }
}

/// The records that serve beside the rows.
fn print_cache(explained: &Explained) {
    output::line(match (&explained.cached_version, &explained.cache_fault) {
        (Some(version), _) => format!("cache     Redis holds version {version}"),
        (None, Some(fault)) => format!("cache     Redis cannot say: {fault}"),
        (None, None) => "cache     Redis holds nothing of it, or none is configured".to_owned(),
    });
    if let Some(held) = &explained.held {
        let billing::HeldRecord { database, version, tier, status, why } = held;
        output::line(format_args!(
            "held      {tier} ({status}) serves, version {version} of the database {database}: {why}"
        ));
    }
}

fn print_account(explained: &Explained, at: Timestamp) {
    output::line(format_args!("account   {}, version {}", explained.account, explained.version));
    if explained.version == 0 {
        output::line("          nothing is known of it: is it the right one?");
    }
    if let Some(at) = explained.blocked_at {
        output::line(format_args!("blocked   since {}: no gated route passes, whatever is paid", at.to_rfc3339()));
    }
    print_cache(explained);
    print_held_back(explained);
    output::line(format_args!("at        {}", at.to_rfc3339()));
    let time = |time: Option<Timestamp>, open: &str| time.map_or(open.to_owned(), |time| time.to_rfc3339());
    for segment in &explained.segments {
        let mark = if segment.holds { "→" } else { " " };
        let sources = if segment.sources.is_empty() { "no grant".to_owned() } else { segment.sources.join(", ") };
        let (from, until) = (time(segment.from, "ever"), time(segment.until, "open"));
        output::line(format_args!("{mark} {from} … {until}  {} ({})  {sources}", segment.tier, segment.status));
    }
    print_subscriptions(explained);
    for unseen in &explained.unseen {
        let (id, since) = (&unseen.subscription, unseen.since.to_rfc3339());
        output::line(format_args!(
            "unseen    {}:{} since {since}: the provider no longer shows it; it stays as it is",
            id.provider, id.id
        ));
    }
    for subscription in &explained.of_test_mode {
        let id = &subscription.id;
        output::line(format_args!("test mode {}:{} grants nothing: live subscriptions count", id.provider, id.id));
    }
    for credit in &explained.credits {
        let revoked = if credit.revoked_at.is_some() { ", taken back" } else { "" };
        let end = match credit.days {
            Some(days) => format!("for {}", output::count(days, "day")),
            None => format!("until {}", time(credit.ends_at, "open")),
        };
        output::line(format_args!("credit {}  {} {end}{revoked}  {}", credit.id, credit.tier, credit.reason));
    }
    for invoice in &explained.invoices {
        let failed = invoice.failed_at.map(|at| format!(", first failed at {}", at.to_rfc3339())).unwrap_or_default();
        let (id, paid, attempts) = (&invoice.id, invoice.paid, invoice.attempts);
        output::line(format_args!(
            "invoice {id}  paid {paid}, tried {}{failed}  {}",
            output::count(attempts, "time"),
            invoice.subscription
        ));
    }
    for money in &explained.returned {
        let payment = &money.payment;
        let disputes = money.disputes.iter().map(|dispute| format!("  dispute {} {:?}", dispute.id, dispute.state));
        let disputes: String = disputes.collect::<String>().to_lowercase();
        let refunds: i64 = money.refunds.iter().map(|refund| refund.amount).fold(payment.refunded, i64::max);
        output::line(format_args!("payment {}  {refunds} of {} went back{disputes}", payment.id, payment.amount));
    }
    for event in &explained.events {
        output::line(format_args!("event {}", events::one_line(event).trim_start()));
    }
    for change in &explained.changes {
        let billing::AuditLine { at, version, cause, detail, user, .. } = change;
        let user = user.as_ref().map(|user| format!(" (by {user})")).unwrap_or_default();
        output::line(format_args!("change {}  version {version}  {cause}: {detail}{user}", at.to_rfc3339()));
    }
}
