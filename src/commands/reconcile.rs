//! `tollgate reconcile`: compare with the providers, repair, report the drift.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use billing::{Billing, Contradiction, Force, Held, Kind, Report, UnlinkedSubscription};
use entitlement::account::AccountId;
use entitlement::catalog::Provider;

use super::consent::Consent;
use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Rows of one page of what is held back.
const PAGE: u32 = 1000;

/// Compare with the providers, repair what differs, and report it
///
/// Safe beside live webhooks and other processes, and safe to repeat: a comparison that was interrupted goes on where it
/// stopped. Needs STRIPE_API_KEY or POLAR_ACCESS_TOKEN, of the mode and account of what is stored. What would take access
/// from more than 3 accounts and more than 2 % of those that have it, counted over 24 hours, is held back and listed. With --force
/// it is compared once more and done, after a question that says of how many accounts; --yes answers.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what this account has
    #[arg(long, value_name = "ID", conflicts_with = "events")]
    account: Option<AccountId>,
    /// Only take over events that were never delivered: much quicker than comparing everything
    #[arg(long)]
    events: bool,
    /// Compare nothing: list everything that is held back
    #[arg(long, conflicts_with_all = ["account", "events", "end_unseen", "yes", "force"])]
    held_back: bool,
    /// Compare nothing: ask the providers again about the subscriptions that they no longer showed, and end those that they do not
    /// have. One of which its provider tells again comes back
    #[arg(long, conflicts_with_all = ["account", "events"])]
    end_unseen: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    file: ConfigFile,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        if arguments.held_back {
            return list_held(&billing).await;
        }
        if arguments.end_unseen {
            return end_unseen(&billing, arguments.consent).await;
        }
        let Compared { reports, lost } = compare(&billing, arguments).await?;
        // Events that were taken over are applied by whoever is quicker: this command or `tollgate run`.
        billing.apply_due(parts::now()).await?;
        parts::publish_all(&billing).await?;
        output::json(&reports)?;
        reports.iter().for_each(print);
        let held = held_in(&billing, &reports).await?;
        if held > 0 {
            bail!(
                "{} would lose access, which is many: nothing of that is done. `tollgate reconcile --held-back` lists them, `tollgate reconcile --force` does it",
                output::count(held, "account")
            );
        }
        if arguments.consent.is_forced() {
            output::note(format_args!("{} lost access", output::count(lost, "account")));
        }
        Ok(())
    })
}

/// How the comparisons went, and how many accounts lost what was held back.
struct Compared {
    reports: Vec<Report>,
    lost: u64,
}

async fn compare(billing: &Billing, arguments: &Arguments) -> Result<Compared> {
    if let Some(account) = &arguments.account {
        parts::say_if_unknown(billing, account.as_str()).await?;
        return Ok(Compared { reports: billing.reconcile_account(account, parts::now()).await?, lost: 0 });
    }
    let kinds: &[Kind] = if arguments.events { &[Kind::Delta] } else { &[Kind::Delta, Kind::Full] };
    let reports = compare_all(billing, kinds, Force::No).await?;
    let held = held_in(billing, &reports).await?;
    if held == 0 || !arguments.consent.is_forced() {
        return Ok(Compared { reports, lost: 0 });
    }
    // The accounts that are held back are known by now: a person says yes to so many, and to no others.
    let accounts = output::count(held, "account");
    arguments.consent.agree(held > 1, &format!("{accounts} {} access", output::verb(held, "loses", "lose")))?;
    let reports = compare_all(billing, kinds, Force::Yes).await?;
    let providers: Vec<Provider> = reports.iter().map(|report| report.provider).collect();
    let lost = held.saturating_sub(billing.held_accounts(&providers, parts::now()).await?);
    Ok(Compared { reports, lost })
}

/// How many accounts are held back by now. The last comparison with a provider speaks for those before it, and an account that several
/// hold back counts once.
async fn held_in(billing: &Billing, reports: &[Report]) -> Result<u64> {
    let last: BTreeMap<&str, &Report> = reports.iter().map(|report| (report.provider.as_str(), report)).collect();
    let holding = last.into_values().filter(|report| report.held_back > 0);
    let providers: Vec<Provider> = holding.map(|report| report.provider).collect();
    Ok(if providers.is_empty() { 0 } else { billing.held_accounts(&providers, parts::now()).await? })
}

async fn compare_all(billing: &Billing, kinds: &[Kind], force: Force) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for kind in kinds {
        let progress = |report: &Report| output::progress(told(report));
        reports.extend(billing.reconcile(*kind, force, parts::now(), progress).await?);
    }
    if reports.is_empty() {
        bail!("another process is comparing right now: try again when it is done");
    }
    Ok(reports)
}

async fn list_held(billing: &Billing) -> Result<()> {
    let (mut after, mut page) = (None, billing.held_back(None, PAGE).await?);
    let mut list = output::List::begin();
    loop {
        let Some(last) = page.last() else {
            if after.is_none() {
                output::progress("nothing is held back");
            }
            return Ok(());
        };
        after = Some(last.id);
        for held in &page {
            list.push(held)?;
            output::line(one_line(held));
        }
        page = billing.held_back(after, PAGE).await?;
    }
}

async fn end_unseen(billing: &Billing, consent: Consent) -> Result<()> {
    let absent = billing.absent(parts::now()).await.context("nothing is ended")?;
    if absent.shown > 0 {
        parts::publish_all(billing).await?;
        let (shown, them) = (output::count(absent.shown, "subscription"), output::verb(absent.shown, "it", "them"));
        output::note(format_args!("{shown}: the providers show {them} after all, and what they show counts"));
    }
    let unseen = absent.unseen;
    if unseen.subscriptions == 0 {
        output::json(&serde_json::json!({ "ended": 0 }))?;
        output::line("the providers show every subscription that runs here: nothing is ended");
        return Ok(());
    }
    let what = format!(
        "{} of {}, which their providers no longer show, end",
        output::count(unseen.subscriptions, "subscription"),
        output::count(unseen.accounts, "account")
    );
    consent.ask(&what, &absent.verdict)?;
    let ended = billing.end_unseen(&absent, parts::now()).await?;
    parts::publish_all(billing).await?;
    output::json(&serde_json::json!({ "ended": ended }))?;
    let are = output::verb(ended, "is", "are");
    output::line(format_args!("{} {are} ended", output::count(ended, "subscription")));
    Ok(())
}

fn print(report: &Report) {
    output::line(told(report));
    for unlinked in &report.unlinked_subscriptions {
        let UnlinkedSubscription { customer, subscription } = unlinked;
        let provider = report.provider;
        output::line(format_args!(
            "  nobody links {customer} ({subscription}): `tollgate link ACCOUNT {provider}:{customer}`"
        ));
    }
    for Contradiction { customer, account, named, subscription } in &report.contradictions {
        let subscription = subscription.as_deref().unwrap_or_default();
        output::line(format_args!("  {customer} is of {account}, and its subscription {subscription} names {named}"));
    }
    for held in &report.held {
        output::line(one_line(held));
    }
    let more = report.held_back.saturating_sub(i64::try_from(report.held.len()).unwrap_or(0));
    if more > 0 {
        output::line(format_args!("  and {more} more"));
    }
}

fn one_line(held: &Held) -> String {
    let of = |part: &Option<String>| part.clone().unwrap_or_default();
    let (provider, kind, id) = (of(&held.provider), of(&held.object_kind), of(&held.object_id));
    format!("  held back: {} by {provider} {kind} {id}, since {}", held.account, output::moment(held.noted_at))
}

fn told(report: &Report) -> String {
    let Report { provider, kind, compared, drift, unlinked, refused, unseen, held_back, is_complete, .. } = report;
    let what = match kind {
        Kind::Delta => "events",
        Kind::Full => "objects",
    };
    let so_far = if *is_complete { "" } else { " so far" };
    let some = |count: &i64, what: &str| if *count == 0 { String::new() } else { format!(", {count} {what}") };
    let unlinked = some(unlinked, "of customers that nobody has linked to an account");
    let refused = some(refused, "about which the provider refuses to say anything");
    let unseen = some(unseen, "that run here and that the provider does not have, which stay as they are");
    let held_back = some(held_back, "accounts that would lose access and are held back");
    format!(
        "{provider}: {compared} {what} compared{so_far}, {drift} differed and were repaired{unlinked}{refused}{unseen}{held_back}"
    )
}
