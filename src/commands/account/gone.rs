//! Accounts that go: to another id, or for good.

use anyhow::Result;
use billing::{Asker, Billing, Cancel, EraseWish, Erased, Merge, MoveWish, MovedAccount, Rehearsal};
use entitlement::account::AccountId;

use crate::commands::confirm::{Answer, confirm};
use crate::commands::parts::say_when_it_holds;
use crate::output;

/// Move everything of an account to another id
///
/// As when an identity provider has changed its ids: customers, subscriptions, credits, invitations, consents and the log go to NEW, and OLD has
/// nothing from then on. Events that still name OLD are NEW's; tokens of OLD are not. A checkout that OLD has open is closed, and where that cannot
/// be, what is paid there is NEW's. Fails for an account of which nothing is known, and where NEW has something of its own. Done again, it changes
/// nothing.
#[derive(clap::Args)]
pub struct Move {
    /// The account id that it has
    old: AccountId,
    /// The account id that it gets
    new: AccountId,
    /// Put both together where NEW has something of its own; that cannot be undone
    #[arg(long)]
    merge: bool,
    /// An id of your own for this: done once, however often it is run
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    /// Say what would be moved, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    answer: Answer,
}

/// Erase all that is personal of an account
///
/// For a request under GDPR article 17. Sums stay for the books, consents for `[retention] consents`, both under a pseudonym; hashes stay, so that no
/// later event brings the account back. What the provider has is erased there. Fails for an account of which nothing is known, and while
/// a subscription runs, unless --cancel ends it. It cannot be undone. Done again, it changes nothing.
#[derive(clap::Args)]
pub struct Erase {
    /// The account id
    account: AccountId,
    /// End running subscriptions at once, without a refund
    #[arg(long)]
    cancel: bool,
    /// An id of your own for this: done once, however often it is run
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    /// Say what would be erased and what kept, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    answer: Answer,
}

/// Moves, after a question.
pub async fn move_account(billing: &Billing, wish: &Move) -> Result<()> {
    let Move { old, new, merge, id, dry_run, answer } = wish;
    let merge = if *merge { Merge::Allow } else { Merge::Refuse };
    let (id, asker) = (id.as_deref(), Asker::Operator);
    let rehearsed = MoveWish { from: old, to: new, merge, id, asker, rehearsal: Rehearsal::Yes };
    let planned = billing.move_account(rehearsed).await?;
    if *dry_run {
        output::json(&planned)?;
        say_moved(&planned, "would go");
        return Ok(());
    }
    if planned.changed {
        confirm(&format!("{old} has nothing from then on, and {new} has {}.", counted(&planned)), *answer)?;
    }
    let moved = billing.move_account(MoveWish { rehearsal: Rehearsal::No, ..rehearsed }).await?;
    output::json(&moved)?;
    say_moved(&moved, "went");
    say_when_it_holds(moved.published);
    Ok(())
}

fn say_moved(moved: &MovedAccount, verb: &str) {
    let MovedAccount { account, to, changed, .. } = moved;
    if *changed {
        output::line(format_args!("{account} {verb} to {to}: {}", counted(moved)));
    } else {
        output::line(format_args!("{account} is {to}, as it was before"));
    }
}

fn counted(MovedAccount { moved, .. }: &MovedAccount) -> String {
    let counts = [
        (moved.customers, "customer"),
        (moved.subscriptions, "subscription"),
        (moved.credits, "credit"),
        (moved.consents, "consent"),
        (moved.referrals, "invitation"),
        (moved.events, "event"),
    ];
    told(&counts)
}

/// Erases, after a question.
pub async fn erase(billing: &Billing, wish: &Erase) -> Result<()> {
    let Erase { account, cancel, id, dry_run, answer } = wish;
    let cancel = if *cancel { Cancel::Now } else { Cancel::Refuse };
    let rehearsed = EraseWish { account, cancel, id: id.as_deref(), asker: Asker::Operator, rehearsal: Rehearsal::Yes };
    let planned = billing.erase_account(rehearsed).await?;
    if *dry_run {
        output::json(&planned)?;
        say_erased(&planned, "would be erased", Rehearsal::Yes);
        return Ok(());
    }
    if planned.changed {
        confirm(&format!("{account} is erased for good: {}.", lost(&planned)), *answer)?;
    }
    let erased = billing.erase_account(EraseWish { rehearsal: Rehearsal::No, ..rehearsed }).await?;
    output::json(&erased)?;
    say_erased(&erased, "is erased", Rehearsal::No);
    say_when_it_holds(erased.published);
    Ok(())
}

fn say_erased(erased: &Erased, verb: &str, rehearsal: Rehearsal) {
    let Erased { account, changed, canceled, erasure, .. } = erased;
    if !changed {
        output::line(format_args!("{account} was erased before"));
        return;
    }
    output::line(format_args!("{account} {verb}: {}", lost(erased)));
    for running in canceled {
        let subscription = format!("{}:{}", running.provider, running.subscription_id);
        output::line(match rehearsal {
            Rehearsal::Yes => format!("it pays for {subscription} ({})", running.state),
            Rehearsal::No => format!("{subscription} has been ended"),
        });
    }
    output::line(format_args!(
        "kept as {}: {}, {}, {}",
        erasure.pseudonym,
        output::count(erasure.kept_invoices, "invoice"),
        output::count(erasure.kept_payments, "payment"),
        output::count(erasure.kept_consents, "consent")
    ));
}

fn lost(Erased { erasure, .. }: &Erased) -> String {
    let counts = [
        (erasure.customers, "customer"),
        (erasure.subscriptions, "subscription"),
        (erasure.credits, "credit"),
        (erasure.events, "event"),
        (erasure.changes, "line"),
    ];
    told(&counts)
}

fn told(counts: &[(i64, &str)]) -> String {
    counts.iter().map(|&(number, noun)| output::count(number, noun)).collect::<Vec<_>>().join(", ")
}
