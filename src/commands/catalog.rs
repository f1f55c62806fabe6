//! `tollgate catalog`: see what a catalog file would change, and change it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use billing::{Billing, CatalogPlan, CatalogReport, Word};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::confirm::{Answer, confirm};
use super::parts;
use crate::config::secrets::Secrets;
use crate::config::{self, Config};
use crate::{ConfigFile, files, logging, output};

/// How long to wait while another process tells the cache.
const MOMENT: Duration = Duration::from_millis(50);

/// How long the cache may take to be told of a batch.
const STANDSTILL: Duration = Duration::from_secs(10);

/// Show or apply the difference between a catalog file and what is sold now, or write one from what a provider sells
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum Action {
    /// Show what applying FILE would change, and what accounts would lose
    Plan(Catalog),
    /// Show the difference, ask when accounts lose something, then apply it: every account is told
    ///
    /// More than 2 % of the accounts that have access, and more than 3, need --force, or the digest that `plan` prints as `accept`
    /// in the file: it holds how many lose something, and is no word for more. What was taken within the last 24 hours counts with it,
    /// by catalogs, comparisons and all else; not what --force or `accept` agreed to, where a person was told that it is many.
    Apply {
        #[command(flatten)]
        catalog: Catalog,
        #[command(flatten)]
        answer: Answer,
        /// Apply it however many accounts lose something; goes without a question
        #[arg(long)]
        force: bool,
    },
    /// Write a catalog from what a provider sells: its active products and recurring prices
    ///
    /// Needs STRIPE_API_KEY, and no database. What a catalog cannot say becomes a comment, and is told: one line for each price.
    Import {
        #[arg(value_enum)]
        provider: ImportedProvider,
        /// Where to write it; a file that is there is not overwritten. Without it: standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum ImportedProvider {
    Stripe,
}

#[derive(clap::Args)]
struct Catalog {
    /// The catalog file
    file: PathBuf,
}

/// Prints the difference, and applies it if asked to.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let named = match &arguments.action {
        Action::Plan(named) | Action::Apply { catalog: named, .. } => named,
        Action::Import { provider: ImportedProvider::Stripe, output } => {
            return import(&arguments.config.config, output.as_deref());
        }
    };
    let file = config::read_catalog(&named.file)?;
    let config = Config::load(&arguments.config.config)?;
    config::pages::check_agreed(&config.file.pages, &file.catalog).context(named.file.display().to_string())?;
    let proposal = parts::proposal(&config, &file, &named.file);
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let proposal = billing.with_prices(proposal).await?;
        let plan = billing.plan_catalog(&proposal).await?;
        show(&plan);
        if matches!(arguments.action, Action::Plan(_)) {
            let CatalogPlan { changes, losses, digest, is_accepted, .. } = &plan;
            let accepted = is_accepted;
            output::json(&json!({ "changes": changes, "losses": losses, "digest": digest, "accepted": accepted }))?;
        }
        if let Action::Apply { answer, force, .. } = &arguments.action {
            let word = match word(&plan, *answer, *force) {
                Ok(word) => word,
                Err(refused) => {
                    let CatalogPlan { changes, losses, digest, .. } = &plan;
                    output::json(&json!({ "applied": false, "changes": changes, "losses": losses, "digest": digest }))?;
                    return Err(refused);
                }
            };
            if word == Word::Agreed {
                billing.check_catalog_plan(&proposal, &plan).await?;
            }
            output::progress("applying …");
            let applied = billing.apply_catalog(&proposal, &plan, word).await?;
            output::progress("telling the cache …");
            let told = tell(&billing).await?;
            let CatalogReport { changes, accounts } = &applied;
            output::json(&json!({ "changes": changes, "accounts": accounts, "told": told }))?;
            output::line(format_args!(
                "applied: {}, {} {}",
                output::count(u64::try_from(changes.len()).unwrap_or(u64::MAX), "change"),
                output::count(*accounts, "account"),
                if told { "told" } else { "still to be told" }
            ));
        }
        Ok(())
    })
}

/// Writes what Stripe sells as a catalog that `tollgate check` accepts.
fn import(config: &Path, to: Option<&Path>) -> Result<()> {
    if let Some(path) = to.filter(|path| files::is_taken(path)) {
        bail!("{} is there already, and nothing is overwritten", path.display());
    }
    let secrets = Secrets::from_env()?;
    let stripe = billing::Stripe {
        api_key: Some(
            secrets.stripe_api_key.context("STRIPE_API_KEY is not set: what is sold is read with it")?.into(),
        ),
        api_base: config::stripe_api(config)?,
        webhook_secrets: Vec::new(),
        webhook_path: String::new(),
        metadata_key: String::new(),
        account: None,
    };
    let billing::ImportedCatalog { text, left_out } = parts::runtime()?.block_on(billing::import_catalog(&stripe))?;
    let read =
        config::parse_catalog(&text, Path::new("what Stripe sells")).context("what Stripe sells makes no catalog")?;
    let tiers = read.catalog.tiers().len().saturating_sub(1);
    match to {
        Some(path) => files::create(path, &text, files::PLAIN)?,
        None if output::is_json() => {}
        None => output::line(text.trim_end()),
    }
    let told = output::count(u64::try_from(tiers).unwrap_or(u64::MAX), "tier");
    output::progress(format_args!("{told}: look through names, ranks and features before you use it"));
    left_out.iter().for_each(|why| output::progress(format_args!("left out: {why}")));
    output::json(&json!({ "tiers": tiers, "catalog": text, "written": to, "left_out": left_out }))
}

fn show(plan: &CatalogPlan) {
    if plan.changes.is_empty() {
        output::line("nothing changes");
        return;
    }
    plan.changes.iter().for_each(output::line);
    let losses = &plan.losses;
    if !losses.is_any() {
        let have = output::verb(losses.holders, "has", "have");
        output::line(format_args!("no account loses anything ({} {have} access)", losses.holders));
        return;
    }
    output::line(format_args!(
        "{} and {} would lose something; {} {} access",
        output::count(losses.accounts, "account"),
        output::count(losses.subscriptions, "running subscription"),
        output::count(losses.holders, "account"),
        output::verb(losses.holders, "has", "have")
    ));
    for (what, count) in &losses.by {
        output::line(format_args!("  {}", billing::tallied(*count, what)));
    }
    if losses.taken_before > 0 {
        let before = output::count(losses.taken_before, "account");
        output::line(format_args!("{before} lost something within the last 24 hours"));
    }
    let accepted = if plan.is_accepted { ": accepted in the file" } else { "" };
    output::line(format_args!("digest {}{accepted}", plan.digest));
    if !plan.is_accepted {
        output::line(format_args!(
            "  accept = \"{}\" in the catalog's file agrees to this, and to no more",
            plan.digest
        ));
    }
}

/// What a person says of the losses.
fn word(plan: &CatalogPlan, answer: Answer, force: bool) -> Result<Word> {
    if !plan.losses.is_any() || plan.is_accepted {
        return Ok(Word::None);
    }
    if force {
        return Ok(Word::Forced);
    }
    if plan.is_many() {
        bail!(
            "{}. That is many, so nothing is done: say --force, or write accept = \"{}\" into the file",
            plan.told(),
            plan.digest
        );
    }
    confirm(&format!("{}. Apply it?", plan.told()), answer)?;
    Ok(Word::Agreed)
}

/// Tells the cache of every account, beside `tollgate run`, which does the same; or leaves it to that one, where there is no cache, or
/// none that can be told. Returns whether all have been told.
async fn tell(billing: &Billing) -> Result<bool> {
    let (mut told, mut until) = (parts::publish_all(billing).await, Instant::now() + STANDSTILL);
    let (mut place, mut given) = (None, None);
    while told.is_ok() && billing.can_tell() {
        let now = billing.catalog_walk().await?;
        if now.is_none() {
            // All have a new version; another process may have given them, and not have told the cache.
            let at = *given.get_or_insert_with(parts::now);
            if !billing.has_untold(at).await? {
                return Ok(true);
            }
        }
        if now != place {
            (place, until) = (now, Instant::now() + STANDSTILL);
        }
        if Instant::now() >= until {
            break;
        }
        // `tollgate run` has the batch, or an account is being changed: a moment later there is another one.
        tokio::time::sleep(MOMENT).await;
        told = parts::publish_all(billing).await;
    }
    if billing.can_tell() {
        let why = told.err().map(|error| format!(": {error:#}")).unwrap_or_default();
        output::warning(format_args!(
            "the catalog is in force, and the cache could not be told of every account yet{why}; `tollgate run` goes on with it, after \
             `tollgate database accept` where readiness warns of the database"
        ));
    }
    Ok(false)
}
