//! `tollgate setup`: makes in Stripe what the catalog and the site need.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use billing::{ConnectError, Foreign, Setup, SetupWishes, WebhookSecret};
use clap::Subcommand;
use entitlement::binding::Misfit;
use serde_json::json;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::dotenv::EnvFile;
use crate::{ConfigFile, logging, output};

/// The variable of the webhook endpoint's secret.
const SECRET: &str = "STRIPE_WEBHOOK_SECRET";

/// Secrets that are kept beside a new one: what was signed with them may still be on its way.
const OLD_SECRETS_MAX: usize = 1;

/// Make in a provider's account what the catalog and the site need
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    provider: Provider,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum Provider {
    /// Products and prices of the catalog's lookup keys, the webhook endpoint, and the customer portal
    ///
    /// Compares first, and does only what is missing or differs: a second run does nothing. A price whose amount, currency or cadence
    /// changed is a new one, which takes the lookup key over; the old one is archived, and its subscriptions go on. After a failure, run
    /// it again. Where DATABASE_URL is set, its PostgreSQL has to run: a key of another account or mode than what is stored there is refused.
    Stripe(Wishes),
}

#[derive(clap::Args)]
struct Wishes {
    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    /// Do it with a key of live mode: what is made is sold for real money
    #[arg(long)]
    live: bool,
    /// Where STRIPE_WEBHOOK_SECRET is written when the webhook endpoint is made [default: .env beside the configuration]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Make another webhook endpoint in the place of the one that is there, as its secret cannot be read again
    #[arg(long)]
    new_secret: bool,
    /// Change prices that another installation of Tollgate has made in the same account
    #[arg(long)]
    take_over: bool,
}

/// Sets the provider up.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let Provider::Stripe(wishes) = &arguments.provider;
    let config = Config::load(&arguments.config.config)?;
    let secrets = Secrets::from_env()?;
    let catalog = config
        .catalog
        .as_ref()
        .context("the configuration names no catalog: write catalog = \"catalog.toml\" into it")?;
    check_key(&secrets, wishes)?;
    let path = wishes.env_file.clone().unwrap_or_else(|| config.beside(".env"));
    let mut file = if wishes.plan { None } else { Some(open(&path)?) };
    let secret = match &file {
        _ if wishes.new_secret => WebhookSecret::Renew,
        _ if !secrets.stripe_webhook_secrets.is_empty() => WebhookSecret::Known,
        Some(file) if file.value_of(SECRET).is_some() => WebhookSecret::Known,
        _ => WebhookSecret::Missing,
    };
    let foreign = if wishes.take_over { Foreign::TakeOver } else { Foreign::Refuse };
    let settings = parts::unsigned_settings(&config, &secrets)?;
    parts::runtime()?.block_on(async {
        check_stored(&config, &secrets, wishes).await?;
        let setup = Setup::prepare(&settings, catalog, SetupWishes { secret, foreign }).await?;
        setup.notes().iter().for_each(output::warning);
        match &mut file {
            None => show(&setup),
            Some(file) => perform(&setup, file).await,
        }
    })
}

/// Whether the key is of the mode that is meant.
fn check_key(secrets: &Secrets, wishes: &Wishes) -> Result<()> {
    let key = secrets.stripe_api_key.as_deref().context(
        "STRIPE_API_KEY is not set: take one from Stripe's dashboard (Developers, API keys), write it into .env, and read that with \
         `set -a; . ./.env; set +a`",
    )?;
    match billing::is_live_key(key) {
        Some(true) if !wishes.live && !wishes.plan => {
            bail!("STRIPE_API_KEY is of live mode, where real money moves: say --live, or use a key of test mode")
        }
        Some(false) if wishes.live => bail!("STRIPE_API_KEY is of test mode: without --live it is used as it is"),
        _ => Ok(()),
    }
}

/// Whether the key belongs to the account and the mode of what the database holds, where there is one: else it would make things in another
/// account. A live key comes before its subscriptions, so --live lets it in.
async fn check_stored(config: &Config, secrets: &Secrets, wishes: &Wishes) -> Result<()> {
    if secrets.database_url.is_none() {
        return Ok(());
    }
    let misfit = async { Ok(parts::unmigrated_billing(config, secrets).await?.misfit().await?) };
    let misfit: Result<_> = misfit.await;
    let misfit = misfit.map_err(|error| {
        let is_away =
            matches!(error.downcast_ref(), Some(ConnectError::Unreachable { .. } | ConnectError::Silent { .. }));
        let first = if is_away { ": PostgreSQL has to run first, where DATABASE_URL says" } else { "" };
        error.context(format!(
            "whether STRIPE_API_KEY belongs to what the database holds cannot be said, so nothing is done{first}"
        ))
    })?;
    match misfit {
        None => Ok(()),
        Some(Misfit::LiveKey) if wishes.live || wishes.plan => Ok(()),
        Some(misfit) => bail!("STRIPE_API_KEY is not used: {misfit}. Nothing is done in Stripe"),
    }
}

fn open(path: &std::path::Path) -> Result<EnvFile> {
    let file = EnvFile::open(path)?;
    let of_file = format!("{SECRET}_FILE");
    if std::env::var_os(&of_file).is_some() || file.value_of(&of_file).is_some() {
        bail!(
            "{of_file} is set, and only one of the two can be: take it away, as {SECRET} is written to {}",
            path.display()
        );
    }
    Ok(file)
}

fn show(setup: &Setup) -> Result<()> {
    let steps = setup.steps();
    steps.iter().for_each(output::line);
    setup.open().iter().for_each(output::warning);
    if steps.is_empty() {
        output::line("nothing is to be done");
    }
    output::json(&json!({ "done": false, "steps": steps, "open": setup.open(), "warnings": output::warned() }))
}

async fn perform(setup: &Setup, file: &mut EnvFile) -> Result<()> {
    let mut done = Vec::new();
    let told = |step: &str| {
        output::line(step);
        done.push(step.to_owned());
    };
    let path = file.path().to_owned();
    let keep = |secret: &str| {
        let old = file.value_of(SECRET).unwrap_or_default();
        let old = old.split(',').map(str::trim).filter(|old| !old.is_empty()).take(OLD_SECRETS_MAX);
        let all: Vec<&str> = std::iter::once(secret).chain(old).collect();
        file.set(SECRET, &all.join(","))
    };
    let ended = setup.run(told, keep).await;
    output::json(&json!({ "done": ended.is_ok(), "steps": done, "open": setup.open(), "warnings": output::warned() }))?;
    ended?;
    if done.is_empty() {
        output::line("nothing was to be done");
    }
    if setup.brings_secret() {
        let place = crate::dotenv::sourced(&path);
        output::line(format_args!("{SECRET} is written to {}: read it with `{place}`", path.display()));
    }
    if !setup.open().is_empty() {
        bail!("{}", setup.open().join("; "));
    }
    Ok(())
}
