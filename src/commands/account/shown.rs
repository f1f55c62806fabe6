//! Accounts that are looked at: found, shown, given out as a copy.

use std::path::PathBuf;

use anyhow::{Result, bail};
use billing::{Billing, Shown};
use entitlement::Timestamp;
use entitlement::account::AccountId;

use crate::commands::explained;
use crate::{files, output};

/// Give out all that is stored of an account, as JSON
///
/// Every row of every table that is about it, with the bodies of its events: for a request under GDPR article 15 or 20. Look through it before
/// you hand it over: it names other accounts that it invited, or was invited by. Fails for an account of which nothing is known.
#[derive(clap::Args)]
pub struct Export {
    /// The account id
    account: AccountId,
    /// Where to write it, readable by you alone; a file that is there is not overwritten. Without it: standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Lists the accounts that are found.
pub async fn find(billing: &Billing, text: &str) -> Result<()> {
    let found = billing.find_accounts(text).await?;
    output::json(&found)?;
    if found.is_empty() {
        bail!("nothing is called \"{text}\", and no account's id contains it");
    }
    for billing::Found { account, by, found } in &found {
        let how = if by == "account" { String::new() } else { format!("  {by} {found}") };
        output::line(format_args!("{account}{how}"));
    }
    Ok(())
}

/// Shows one account.
pub async fn show(billing: &Billing, account: &AccountId) -> Result<()> {
    let shown = billing.show_account(account).await?;
    output::json(&shown)?;
    print(&shown);
    Ok(())
}

fn print(shown: &Shown) {
    let moment = |at: Option<Timestamp>| at.map(output::moment);
    let glance = &shown.glance;
    output::line(format_args!("account   {}, known since {}", shown.account, output::moment(glance.created_at)));
    let until = moment(shown.until).map(|until| format!(" until {until}")).unwrap_or_default();
    output::line(format_args!("has       {} ({}){until}", shown.tier, shown.status));
    for (name, text) in [
        ("blocked", moment(shown.blocked_at).map(|since| format!("since {since}"))),
        ("also", (!glance.aliases.is_empty()).then(|| format!("{}, to providers", glance.aliases.join(", ")))),
        ("trial", moment(glance.trial_used_at).map(|at| format!("used at {at}"))),
        ("checkout", moment(glance.open_checkout).map(|at| format!("open, as of {at}"))),
        ("code", glance.referral_code.clone()),
        ("invited", glance.invited_by.as_ref().map(|by| format!("by {by}"))),
        ("invited", (glance.invited > 0).then(|| output::count(glance.invited, "account"))),
        ("agreed", (glance.consents > 0).then(|| output::count(glance.consents, "consent"))),
        ("events", (glance.events > 0).then(|| glance.events.to_string())),
    ] {
        if let Some(text) = text {
            output::line(format_args!("{name:<9} {text}"));
        }
    }
    for customer in &shown.customers {
        output::line(format_args!("customer  {}:{}", customer.provider, customer.customer_id));
    }
    for subscription in &shown.subscriptions {
        let (id, state) = (&subscription.id, explained::state(subscription.state));
        output::line(format_args!(
            "subscription {}:{}  {state}  {}",
            id.provider,
            id.id,
            subscription.prices.join(", ")
        ));
    }
    for credit in &shown.credits {
        let taken = if credit.revoked_at.is_some() { ", taken back" } else { "" };
        output::line(format_args!("credit    {}: {}{taken}, {}", credit.id, credit.tier, credit.reason));
    }
}

/// Writes the copy.
pub async fn export(billing: &Billing, Export { account, output: to }: &Export) -> Result<()> {
    if let Some(path) = to.as_deref().filter(|path| files::is_taken(path)) {
        bail!("{} is there already, and nothing is overwritten", path.display());
    }
    let exported = billing.export_account(account).await?;
    let rows: usize = exported.tables.values().map(Vec::len).sum();
    let unassigned = exported.unassigned_events;
    if unassigned > 0 {
        let events = output::count(unassigned, "event");
        output::warning(format_args!(
            "of {events} in the inbox it is not known yet whom it is about (`tollgate events list --state pending`): export again when that is known"
        ));
    }
    match to {
        Some(path) => {
            files::create(path, &format!("{:#}\n", serde_json::to_value(&exported)?), files::SECRET)?;
            output::json(&serde_json::json!({ "account": account, "rows": rows, "written": path }))?;
            output::line(format_args!("{rows} rows are written to {}", path.display()));
        }
        None => {
            output::json(&exported)?;
            output::line(format_args!("{:#}", serde_json::to_value(&exported)?));
        }
    }
    Ok(())
}
