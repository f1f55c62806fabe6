//! Facts about an account, for a person.

use billing::{Explained, ExplainedItem, ReturnedMoney, Waiting};
use entitlement::Timestamp;
use entitlement::payment::RefundState;
use entitlement::subscription::{State, SubscriptionId};

use super::events;
use crate::output::{self, moment};

/// A subscription's state with its date.
pub fn state(state: State) -> String {
    match state {
        State::Incomplete => "incomplete".to_owned(),
        State::Trialing { ends_at } => format!("trialing until {}", moment(ends_at)),
        State::Active { paid_until: Some(until) } => format!("active, paid until {}", moment(until)),
        State::Active { paid_until: None } => "active".to_owned(),
        State::PastDue { since } => format!("past due since {}", moment(since)),
        State::Unpaid => "unpaid".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Unknown => "of a status that this build does not know".to_owned(),
        State::Lapsed { at } => format!("not among what ran at {}", moment(at)),
        State::WrittenOff { at } => format!(
            "ended by a person at {}, as its provider no longer showed it; it comes back when its provider tells of it again",
            moment(at)
        ),
        State::Ended { at } => format!("ended at {}", moment(at)),
    }
}

fn print_subscriptions(explained: &Explained) {
    for subscription in &explained.subscriptions {
        let end = subscription.cancel_at.map(|end| format!(", ends {}", moment(end))).unwrap_or_default();
        let id = &subscription.id;
        let (state, prices) = (state(subscription.state), subscription.prices.join(", "));
        let resumes = subscription.resumes_at.map(|at| format!(" until {}", moment(at))).unwrap_or_default();
        let paused =
            if subscription.collection_paused { format!(", collection paused{resumes}") } else { String::new() };
        output::line(format_args!("subscription {}:{}  {state}{paused}{end}  {prices}", id.provider, id.id));
        for withheld in explained.withheld.iter().filter(|withheld| withheld.subscription == *id) {
            let (reason, way_back) = (withheld.reason.as_str(), withheld.way_back.as_str());
            output::line(format_args!("  gives nothing: {reason}; what brings access back: {way_back}"));
        }
        print_items(explained, id);
        for unnamed in explained.unnamed_prices.iter().filter(|unnamed| unnamed.subscription == *id) {
            output::line(format_args!("  no catalog names the price {}: it gives nothing", unnamed.price));
        }
    }
}

/// The things that a subscription is for, where they are several: each has its own money.
fn print_items(explained: &Explained, id: &SubscriptionId) {
    let items: Vec<_> = explained.items.iter().filter(|item| item.subscription == *id).collect();
    for ExplainedItem { price, kind, code, until, reason, way_back, .. } in items.iter().filter(|_| items.len() > 1) {
        let told = match (reason, way_back) {
            (Some(reason), Some(way_back)) => {
                format!("gives nothing: {}; what brings it back: {}", reason.as_str(), way_back.as_str())
            }
            _ => "gives access".to_owned(),
        };
        let until = until.map(|until| format!(", its period ends {}", moment(until))).unwrap_or_default();
        output::line(format_args!("  {kind} {code} ({price}): {told}{until}"));
    }
}

/// Changes that wait for a person's word, for this account and for all.
fn print_held_back(explained: &Explained) {
    for Waiting { provider, object_kind, object_id, since } in &explained.held_back {
        let named: Vec<&str> = [provider, object_kind, object_id].into_iter().filter_map(Option::as_deref).collect();
        output::line(format_args!(
            "held back {} since {}: a comparison would take access by it. `tollgate reconcile --held-back` lists all, `tollgate reconcile --force` does it",
            named.join(" "),
            moment(*since)
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
        let billing::HeldRecord { database, version, tier, status, why, .. } = held;
        output::line(format_args!(
            "held      {tier} ({status}) serves, version {version} of the database {database}: {why}"
        ));
    }
    if let Some(beside) = &explained.beside {
        output::line(format_args!("beside    {beside}"));
    }
}

/// Prints everything that is known of an account.
pub fn print(explained: &Explained, at: Timestamp) {
    output::line(format_args!("account   {}, version {}", explained.account, explained.version));
    if !explained.known {
        output::line("          nothing is known of it: it has what everybody has");
    }
    if let Some(at) = explained.blocked_at {
        output::line(format_args!("blocked   since {}: no gated route passes, whatever is paid", moment(at)));
    }
    print_cache(explained);
    print_held_back(explained);
    output::line(format_args!("at        {}", moment(at)));
    let time = |time: Option<Timestamp>, open: &str| time.map_or(open.to_owned(), moment);
    output::line("  from … until  tier (status)  sources");
    for segment in &explained.segments {
        let mark = if segment.holds { "→" } else { " " };
        let sources = if segment.sources.is_empty() { "no grant".to_owned() } else { segment.sources.join(", ") };
        let (from, until) = (time(segment.from, "ever"), time(segment.until, "open"));
        output::line(format_args!("{mark} {from} … {until}  {} ({})  {sources}", segment.tier, segment.status));
    }
    print_subscriptions(explained);
    for unseen in &explained.unseen {
        let (id, since) = (&unseen.subscription, moment(unseen.since));
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
    print_history(explained);
}

/// Bills, money that went back, events and changes, the newest first.
fn print_history(explained: &Explained) {
    for invoice in &explained.invoices {
        let failed = invoice.failed_at.map(|at| format!(", first failed at {}", moment(at))).unwrap_or_default();
        let (id, paid, attempts) = (&invoice.id, invoice.paid, invoice.attempts);
        output::line(format_args!(
            "invoice {id}  paid {paid}, tried {}{failed}  {}",
            output::count(attempts, "time"),
            invoice.subscription
        ));
    }
    for ReturnedMoney { money, went_back: back } in &explained.returned {
        let payment = &money.payment;
        let word = |state: &dyn std::fmt::Debug| format!("{state:?}").to_lowercase();
        let disputes = money.disputes.iter().map(|it| format!("  dispute {} {}", it.id, word(&it.state)));
        let open = money.refunds.iter().filter(|refund| refund.state != RefundState::Made);
        let open = open.map(|it| format!("  refund {} {}", it.id, word(&it.state)));
        let (open, disputes): (String, String) = (open.collect(), disputes.collect());
        output::line(format_args!("payment {}  {back} of {} went back{open}{disputes}", payment.id, payment.amount));
    }
    if !explained.events.is_empty() {
        output::line(format_args!("event {}", events::HEAD.trim_start()));
    }
    for event in &explained.events {
        output::line(format_args!("event {}", events::one_line(event).trim_start()));
    }
    if !explained.changes.is_empty() {
        output::line("change at  version  cause: detail");
    }
    for change in &explained.changes {
        let billing::AuditLine { at, version, cause, detail, user, .. } = change;
        let user = user.as_ref().map(|user| format!(" (by {user})")).unwrap_or_default();
        output::line(format_args!("change {}  version {version}  {cause}: {detail}{user}", moment(*at)));
    }
}
