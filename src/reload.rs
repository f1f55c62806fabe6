//! SIGHUP: the configuration, and secrets that stand in files, are read again and replaced while everything runs.
//!
//! All of it or nothing: what is half written, wrong, or cannot change without a restart must not leave a process that
//! goes by one half of each.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use billing::{Billing, Considered, Origin, Proposal};
use entitlement::assertion::AssertionKey;
use entitlement::naming::Names;
use prometheus::{IntCounterVec, IntGauge, Opts};
use proxy::{Control, Verification};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::AdminToken;
use crate::asked;
use crate::commands::parts;
use crate::config::Config;
use crate::config::changes::Changes;
use crate::config::identity::Source;
use crate::config::secrets::Secrets;
use crate::naming;

/// The secrets that are replaced in place. The others are read at start only.
const REPLACED: [&str; 6] = [
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "POLAR_ACCESS_TOKEN",
    "POLAR_WEBHOOK_SECRET",
    "TOLLGATE_ADMIN_TOKEN",
    "TOLLGATE_APP_TOKEN",
];

/// The SIGHUPs of this process. From the moment that this exists, none ends the process, nor is one missed.
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to receive them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(runtime: &Runtime) -> Result<Self> {
        let _context = runtime.enter();
        Ok(Self(signal(SignalKind::hangup()).context("SIGHUP cannot be received")?))
    }
}

/// Who uses what can be replaced.
#[derive(Clone)]
pub struct Users {
    /// None in the role proxy, which uses no secret of a provider.
    pub billing: Option<Billing>,
    /// The state of accounts that are named otherwise than the configuration of this process says; billing has a warning of its own.
    pub names_kept: naming::Kept,
    pub admin_token: Arc<AdminToken>,
    /// The running gate and the key with which it signs; none in the role billing.
    pub gate: Option<(Control, AssertionKey)>,
}

/// What is in force, and where it was read.
pub struct InForce {
    pub path: PathBuf,
    pub config: Config,
    pub secrets: Secrets,
    /// By which claims accounts are named, whatever the configuration says; `None` as long as nobody has said so.
    pub names: Option<Names>,
}

/// What operators see of reloads.
struct Reloads {
    count: IntCounterVec,
    last: IntGauge,
}

impl Reloads {
    fn register() -> Result<Self> {
        let about = Opts::new("tollgate_config_reloads_total", "Reloads of the configuration by outcome");
        let count = IntCounterVec::new(about, &["outcome"])?;
        let last = IntGauge::new(
            "tollgate_config_loaded_timestamp_seconds",
            "When the configuration that is in force was read",
        )?;
        prometheus::register(Box::new(count.clone()))?;
        prometheus::register(Box::new(last.clone()))?;
        for outcome in ["applied", "refused"] {
            count.with_label_values(&[outcome]).reset();
        }
        last.set(parts::now().timestamp());
        Ok(Self { count, last })
    }
}

/// Reads everything again on every SIGHUP, and follows how accounts are named, for ever.
pub async fn follow(mut hangups: Hangups, users: Users, mut known: InForce) {
    let reloads = match Reloads::register() {
        Ok(reloads) => reloads,
        Err(error) => {
            tracing::error!(reason = format!("{error:#}"), "the metrics of reloads cannot be registered");
            return;
        }
    };
    loop {
        let renamed = tokio::select! {
            hangup = hangups.0.recv() => match hangup {
                Some(()) => None,
                None => return,
            },
            names = renamed(&users, known.names.as_ref()) => Some(names),
        };
        if let Some(names) = renamed {
            rename(&users, &mut known, names).await;
            continue;
        }
        match reload(&users, &known).await {
            Ok((config, secrets)) => {
                tell(&known.secrets.changed(&secrets));
                tell_of_config(&Changes::between(&known.config.table, &config.table), &config);
                reloads.count.with_label_values(&["applied"]).inc();
                reloads.last.set(parts::now().timestamp());
                known = InForce { path: known.path, config, secrets, names: known.names };
            }
            Err(error) => {
                reloads.count.with_label_values(&["refused"]).inc();
                tracing::error!(
                    reason = format!("{error:#}"),
                    "the configuration and the secrets are not put in force: the old ones stay"
                );
            }
        }
    }
}

/// Reads and checks everything, then puts it in force.
async fn reload(users: &Users, known: &InForce) -> Result<(Config, Secrets)> {
    let path = known.path.clone();
    // A file system may be slow.
    let read = tokio::task::spawn_blocking(move || Ok((Config::load(&path)?, Secrets::from_env()?)));
    let (config, secrets) = read.await.map_err(anyhow::Error::from).flatten()?;
    config.check_certificate(parts::now())?;
    let changes = Changes::between(&known.config.table, &config.table);
    check_names(users, known, &config.names()).await?;
    if let Some(fixed) = changes.fixed() {
        bail!("{fixed} cannot change while Tollgate runs: it needs a restart");
    }
    replace(users, known, &config, &secrets).await?;
    Ok((config, secrets))
}

/// Refuses other names of accounts than those in force, where somebody loses by them. Those that were held back at the start may stay so.
async fn check_names(users: &Users, known: &InForce, wanted: &Names) -> Result<()> {
    let configured = known.config.names();
    let of_billing = users.billing.as_ref().and_then(Billing::names);
    let in_force = of_billing.as_ref().or(known.names.as_ref()).unwrap_or(&configured);
    let lost = in_force.lost_by(wanted);
    if lost.is_nothing() || !configured.are_lost_by(wanted) {
        return Ok(());
    }
    let told = match &users.billing {
        Some(billing) => billing.renames(wanted).await.context("how accounts are named cannot be looked up")?,
        None => Some(billing::renamed_accounts(&in_force.to_string(), &wanted.to_string(), &lost)),
    };
    match told {
        Some(told) => bail!(
            "{told}: it needs a restart, and then a person who is told by `tollgate identity accept` how many accounts have access"
        ),
        None => Ok(()),
    }
}

/// Puts what was read in force. What can be refused comes before what cannot, and is taken back when a later part is.
async fn replace(users: &Users, known: &InForce, config: &Config, secrets: &Secrets) -> Result<()> {
    let catalog = consider(users, known, config).await?;
    let prepared = match &users.gate {
        Some((control, assertion)) => {
            let settings = proxy_settings(config, known, assertion)?;
            Some((control, control.prepare(settings, verification(known, config)).await?))
        }
        None => None,
    };
    if let Some(billing) = &users.billing {
        billing.replace_credentials(parts::credentials(secrets))?;
        if let Some((proposal, origin, considered)) = catalog
            && let Err(error) = billing.settle_catalog(&proposal, origin, considered).await
        {
            billing.replace_credentials(parts::credentials(&known.secrets))?;
            return Err(error).context("the catalog cannot be applied");
        }
    }
    asked::tell_of_reload(users.billing.as_ref(), &known.config, config).await;
    users.admin_token.replace(secrets.admin_token.as_deref());
    if let Some((control, prepared)) = prepared {
        control.commit(prepared);
    }
    if let Some(billing) = &users.billing {
        billing.want_names(config.names()).await;
    }
    users.names_kept.note(known.names.as_ref(), &config.names());
    users.names_kept.note_sessions(Some(&known.config.names()), &config.names());
    Ok(())
}

/// The settings of the gate, with the names of accounts that are in force.
fn proxy_settings(config: &Config, known: &InForce, assertion: &AssertionKey) -> Result<proxy::Settings> {
    // Settings that only a restart reads again stay as they were.
    let mut settings = parts::proxy_settings(config, &known.secrets, assertion.clone())?;
    if let Some(names) = &known.names {
        naming::keep(&mut settings.identity, names, &config.names());
    }
    Ok(settings)
}

/// Waits until accounts are named otherwise than is known; for ever without a gate.
async fn renamed(users: &Users, known: Option<&Names>) -> Names {
    if let Some((control, _)) = &users.gate
        && let Some(names) = naming::change(users.billing.as_ref(), control, known).await
    {
        return names;
    }
    std::future::pending().await
}

/// Names accounts as is in force from now on.
async fn rename(users: &Users, known: &mut InForce, names: Names) {
    let (before, wanted) = (known.names.replace(names), known.config.names());
    // The gate goes by the configuration as long as nothing else was said.
    let is_other = Some(before.as_ref().unwrap_or(&wanted)) != known.names.as_ref();
    if let Some((control, assertion)) = users.gate.as_ref().filter(|_| is_other) {
        let prepared = async {
            let settings = proxy_settings(&known.config, known, assertion)?;
            anyhow::Ok(control.prepare(settings, Verification::New).await?)
        };
        match prepared.await {
            Ok(prepared) => control.commit(prepared),
            Err(error) => tracing::error!(
                reason = format!("{error:#}"),
                "accounts cannot be named as is in force before the next start"
            ),
        }
    }
    users.names_kept.note(known.names.as_ref(), &wanted);
}

/// What is to become of the configured catalog. Where it is held back, no rule may require what the one in force lacks: a
/// running gate has rules that work.
async fn consider(users: &Users, known: &InForce, config: &Config) -> Result<Option<(Proposal, Origin, Considered)>> {
    let (Some(billing), Some(proposal)) = (&users.billing, parts::configured_proposal(config)) else { return Ok(None) };
    let changes = Changes::between(&known.config.table, &config.table);
    let is_same = known.config.catalog == config.catalog && !changes.touch("grace") && !changes.touch("policy");
    let origin = if is_same { Origin::SameFile } else { Origin::ChangedFile };
    let proposal = billing.with_prices(proposal).await.context("the catalog cannot be compared")?;
    let considered = billing.consider_catalog(&proposal, origin).await.context("the catalog cannot be compared")?;
    if let Considered::Keep { kept, why } = &considered {
        let lacking = config.lacking(&kept.catalog);
        if !lacking.is_empty() {
            billing.hold_back(&proposal, &kept.catalog, why);
            bail!("{why}; and the catalog in force lacks what these routes require: {}", lacking.join(", "));
        }
    }
    Ok(Some((proposal, origin, considered)))
}

/// Keys that were fetched, and tokens that were verified, are kept where nothing about them has changed.
fn verification(known: &InForce, config: &Config) -> Verification {
    let changes = Changes::between(&known.config.table, &config.table);
    let changed = changes.touch("identity") || changes.touch("organisation");
    // The content of a file may have changed.
    let is_of_file = config.identity.ways.iter().any(|way| matches!(way.source, Source::File { .. }));
    if changed || is_of_file { Verification::New } else { Verification::Same }
}

fn tell(changed: &[&str]) {
    let (replaced, others): (Vec<&str>, Vec<&str>) = changed.iter().partition(|name| REPLACED.contains(name));
    if replaced.is_empty() {
        tracing::info!("the secrets were read again: none of those that can be replaced is new");
    } else {
        tracing::info!(secrets = replaced.join(", "), "the secrets were read again: new ones are in force");
    }
    if !others.is_empty() {
        tracing::warn!(secrets = others.join(", "), "these secrets are new too, but need a restart");
    }
}

fn tell_of_config(changes: &Changes, config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if changes.is_empty() {
        tracing::info!("the configuration was read again: no key has changed");
    } else {
        tracing::info!(keys = changes.to_string(), "the configuration was read again: it is in force");
    }
}
