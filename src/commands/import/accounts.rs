//! `tollgate import accounts`: customers, credits, trials and invitations of accounts, from a table.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use billing::{Doing, Imported, RefusedRow};
use serde::Serialize;

use super::sheet::{self, Sheet};
use crate::commands::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, output};

/// Largest file, in bytes: some million accounts.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Rows after which a person hears how far it is.
const PROGRESS: u64 = 10_000;

/// Take over customers, credits, trials and invitations from a site's own tables
///
/// FILE is CSV in UTF-8, separated by commas. Its first line names the columns: account, and any of stripe_customer, polar_customer,
/// credit_until, trial_used_at, referral_code, referred_by. A column that is absent, and a field that is empty, touch nothing.
///
/// Without --apply it says what it would do. A line that cannot be read, or contradicts another one, is named by its number and left out; so is
/// a field that contradicts what is known. Behind a quote that is not closed nothing is read. All else is done. Again, it does nothing.
#[derive(clap::Args)]
pub struct Wishes {
    /// The table
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// Give credits of this tier [default: the tier that invitations give]
    #[arg(long, value_name = "TIER")]
    credit_tier: Option<String>,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Told<'a> {
    applied: bool,
    unfilled: u64,
    #[serde(flatten)]
    imported: &'a Imported,
}

/// Reads the table, then shows or does what it says.
pub fn run(wishes: &Wishes, file: &ConfigFile) -> Result<()> {
    let Sheet { rows, unfilled, refused } = sheet::read(&bytes(&wishes.file)?)
        .with_context(|| format!("{} cannot be imported, and nothing is done", wishes.file.display()))?;
    let config = Config::load(&file.config)?;
    let mut imported = parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let doing = if wishes.apply { Doing::Apply } else { Doing::Show };
        let (all, mut done) = (rows.len(), 0);
        let progress = |rows: u64| {
            if rows / PROGRESS > done / PROGRESS {
                output::progress(format_args!("{rows} of {all} rows"));
            }
            done = rows;
        };
        let imported = billing.import_accounts(&rows, wishes.credit_tier.as_deref(), doing, progress).await;
        anyhow::Ok(imported.with_context(|| stopped(wishes, done))?)
    })?;
    imported.refused.extend(refused);
    imported.refused.sort_by_key(|refused| refused.line);
    tell(wishes, unfilled, &imported)
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let told = || format!("{} cannot be read", path.display());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).with_context(told)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{} is longer than 256 MiB: split it", path.display());
    }
    Ok(bytes)
}

fn stopped(wishes: &Wishes, done: u64) -> String {
    if wishes.apply && done > 0 {
        format!("it stopped when the first {done} rows were done: run it again")
    } else {
        "nothing is done".to_owned()
    }
}

fn tell(wishes: &Wishes, unfilled: u64, imported: &Imported) -> Result<()> {
    output::json(&Told { applied: wishes.apply, unfilled, imported })?;
    let (were, given) = if wishes.apply { ("", "given") } else { ("to be ", "to be given") };
    let Imported { accounts, customers, credits, trials, codes, referrals, .. } = imported;
    output::line(format_args!("{}: {} new", output::count(imported.rows, "row"), output::count(*accounts, "account")));
    let tier = imported.tier.as_deref().unwrap_or_default();
    for (number, noun, told) in [
        (*customers, "customer", format!("{were}linked")),
        (*credits, "credit", format!("of {tier} {given}")),
        (*trials, "trial", format!("{were}noted as used")),
        (*codes, "referral code", format!("{were}taken over")),
        (*referrals, "invitation", format!("{were}taken over")),
    ] {
        if number > 0 {
            output::line(format_args!("  {} {told}", output::count(number, noun)));
        }
    }
    for (number, noun, told) in [
        (imported.unchanged, "row", "with nothing new"),
        (unfilled, "row", "without an account: left out until one is filled in"),
        (imported.credits_over, "credit", "whose end is past: nothing is given"),
        (imported.referrals_late, "invitation", "of accounts that have bought already: nobody is rewarded for them"),
    ] {
        if number > 0 {
            output::line(format_args!("  {} {told}", output::count(number, noun)));
        }
    }
    for RefusedRow { line, account, field, why } in &imported.refused {
        let account = account.as_ref().map(|account| format!(" ({account})")).unwrap_or_default();
        let field = field.as_ref().map(|field| format!(", {field},")).unwrap_or_default();
        output::line(format_args!("line {line}{account}{field} is left out: {why}"));
    }
    if !imported.published {
        output::warning("the cache does not know yet: a running billing tells it");
    }
    if !wishes.apply {
        output::note("nothing is done yet: --apply does it");
    } else if *customers > 0 {
        output::note(
            "what these customers have bought: `tollgate import stripe` asks Stripe, `tollgate reconcile` all providers",
        );
    }
    let part = if imported.refused.iter().any(|refused| refused.field.is_some()) { ", or a part of it" } else { "" };
    let lines: BTreeSet<u64> = imported.refused.iter().map(|refused| refused.line).collect();
    match lines.len() {
        0 => Ok(()),
        1 => bail!("1 line is left out{part}: correct it, and run it again"),
        lines => bail!("{lines} lines are left out{part}: correct them, and run it again"),
    }
}
