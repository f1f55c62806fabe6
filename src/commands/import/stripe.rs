//! `tollgate import stripe`: links the customers that name their account, and takes over what they have bought.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use billing::{Contradiction, Doing, ImportedFrom, PaidTwice, Unlinked};
use serde::Serialize;

use crate::commands::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, files, output};

/// Contradictions, and objects, of which each is told.
const SHOWN: usize = 20;

/// Customers and subscriptions that Stripe has already
///
/// Reads all customers, checkouts and subscriptions. A customer is linked to the account that its first checkout names (as
/// client_reference_id), else to the one in the metadata of a checkout, of itself or of a subscription; what is linked already stays. Then
/// its subscriptions count. Nothing is written at Stripe, and e-mail addresses link nobody.
#[derive(clap::Args)]
pub struct Wishes {
    /// Under which key metadata names the account [default: stripe.metadata_key]
    #[arg(long, value_name = "KEY")]
    metadata_key: Option<String>,
    /// Where to write the customers that nobody links, those that pay first, as a table for `tollgate import accounts` whose accounts are to be
    /// filled in; a file that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    unlinked: Option<PathBuf>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Told<'a> {
    applied: bool,
    #[serde(flatten)]
    imported: &'a ImportedFrom,
}

/// Imports, or shows what that would do.
pub fn run(wishes: &Wishes, file: &ConfigFile) -> Result<()> {
    let config = Config::load(&file.config)?;
    let secrets = Secrets::from_env()?;
    let key = wishes.metadata_key.as_deref();
    if let Some(key) = key.filter(|key| !billing::is_metadata_key(key)) {
        bail!("\"{}\" is no key of metadata: it has 1 to 40 characters, without brackets", key.escape_debug());
    }
    if let Some(path) = wishes.unlinked.as_ref().filter(|path| files::is_taken(path)) {
        bail!("{} is there already, and nothing is overwritten", path.display());
    }
    let imported = parts::runtime()?.block_on(async {
        let billing = parts::operator_billing_with(&config, &secrets, key).await?;
        let progress = |so_far: &ImportedFrom| {
            let ImportedFrom { customers, checkouts, subscriptions, .. } = so_far;
            output::progress(format_args!(
                "{customers} customers, {checkouts} checkouts, {subscriptions} subscriptions"
            ));
        };
        let doing = if wishes.plan { Doing::Show } else { Doing::Apply };
        let imported = billing.import_stripe(doing, progress).await;
        imported.context(if wishes.plan { "nothing is done" } else { "what is before stays done: run it again" })
    })?;
    if let Some(path) = &wishes.unlinked {
        files::create(path, &table(&imported.unlinked)?, files::PLAIN)?;
    }
    tell(wishes, &imported)
}

/// As `tollgate import accounts` reads it.
fn table(unlinked: &[Unlinked]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["account", "stripe_customer"])?;
    for Unlinked { customer, .. } in unlinked {
        writer.write_record(["", customer])?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    String::from_utf8(bytes).context("a customer is no text")
}

fn tell(wishes: &Wishes, imported: &ImportedFrom) -> Result<()> {
    output::json(&Told { applied: !wishes.plan, imported })?;
    let ImportedFrom { customers, subscriptions, running, linked, known, .. } = imported;
    let paying = imported.unlinked_running;
    let count = output::count;
    output::line(format_args!("{}: {known} linked before, {linked} linked now", count(*customers, "customer")));
    output::line(format_args!("{}, of which {running} run", count(*subscriptions, "subscription")));
    let nobody = imported.unlinked.len() as u64;
    if nobody > 0 {
        let have = output::verb(paying, "has", "have");
        output::line(format_args!(
            "nobody links {}; {paying} of them {have} a subscription that runs",
            count(nobody, "customer")
        ));
        for Unlinked { customer, running } in imported.unlinked.iter().filter(|one| one.running > 0).take(SHOWN) {
            let runs = count(u64::from(*running), "subscription");
            output::line(format_args!("  {customer} ({runs}): `tollgate link ACCOUNT stripe:{customer}`"));
        }
        if wishes.unlinked.is_none() {
            output::line("  --unlinked FILE lists all of them");
        }
    }
    for (price, number) in &imported.unknown_prices {
        let runs = count(*number, "subscription");
        output::line(format_args!("no tier names the price {price} of {runs}: add it to the catalog"));
    }
    imported.contradictions.iter().take(SHOWN).for_each(contradiction);
    more(imported.contradictions.len());
    for PaidTwice { account, what, subscriptions } in imported.paid_twice.iter().take(SHOWN) {
        let all = subscriptions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        output::line(format_args!("{account} pays for {what} more than once, by {all}: refund and end all but one"));
    }
    more(imported.paid_twice.len());
    for id in imported.left.iter().take(SHOWN) {
        output::line(format_args!(
            "{id} would take access from an account, and is left: `tollgate reconcile` weighs it"
        ));
    }
    more(imported.left.len());
    if wishes.plan {
        output::note("nothing is done yet: without --plan it is");
    }
    Ok(())
}

fn contradiction(Contradiction { customer, account, named, subscription }: &Contradiction) {
    match subscription {
        Some(subscription) => output::line(format_args!(
            "{customer} is of {account}, and its subscription {subscription} names {named}: correct the metadata of one of the two"
        )),
        None => output::line(format_args!(
            "{customer} is of {account}, and {named} is named, too: `tollgate link {} stripe:{customer}` says otherwise",
            billing::shell_word(named.as_str())
        )),
    }
}

fn more(number: usize) {
    if let Some(more) = number.checked_sub(SHOWN).filter(|more| *more > 0) {
        output::line(format_args!("  and {more} more: --json has all of them"));
    }
}
