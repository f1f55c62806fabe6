//! What must be so of every event that could be read, whoever sent it: the rows take it, and the decisions that follow
//! have an answer.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use entitlement::decide::{Decision, Evidence, Known, decide};
use entitlement::event::{Claim, Event, Fact};
use entitlement::payment::{Part, Payment, Returned};
use entitlement::record::{self, DatabaseId, Entitlement, Record};
use entitlement::subscription::{Grace, Hold, Loss, Policy, Setback, State, Subscription};
use entitlement::timeline::{Grant, Source, timeline};

use crate::now;

/// The first second of the year 9000: no date that is kept lies beyond.
const SECONDS_MAX: i64 = 221_845_392_000;

/// Longest id that the rows take, in bytes.
const ID_BYTES_MAX: usize = 255;

/// Holds that an event's ids and dates can be kept, and that everything which is computed from them can be.
pub fn check(event: &Event) {
    event.customer.iter().for_each(|id| check_id(id));
    if let Some(Claim::Reference { stated_at, .. }) = &event.claim {
        check_date(*stated_at);
    }
    event.facts.iter().for_each(check_fact);
    event.at.into_iter().for_each(check_date);
}

fn check_id(id: &str) {
    assert!((1..=ID_BYTES_MAX).contains(&id.len()), "an id of {} bytes", id.len());
    assert!(!id.chars().any(char::is_control), "a control character in {id:?}");
}

fn check_date(at: Timestamp) {
    assert!((0..=SECONDS_MAX).contains(&at.timestamp()), "{at} is no date that can be kept");
}

fn check_fact(fact: &Fact) {
    match fact {
        Fact::Linked { subscription } => subscription.iter().for_each(|id| check_id(id)),
        Fact::Subscription(seen) => check_subscription(seen),
        Fact::Running { customer, subscriptions, at } => {
            check_id(customer);
            check_date(*at);
            subscriptions.iter().for_each(check_subscription);
        }
        Fact::Invoice(invoice) => {
            [&invoice.id, &invoice.subscription, &invoice.customer].into_iter().for_each(|id| check_id(id));
            [Some(invoice.covers_from), invoice.failed_at].into_iter().flatten().for_each(check_date);
            assert!(invoice.paid >= 0 && invoice.attempts >= 0);
            assert_eq!(invoice.clone().merged(invoice.clone()), *invoice, "told twice is told once");
        }
        Fact::Payment(payment) => check_payment(payment),
        Fact::Refund(refund) => {
            [&refund.id, &refund.payment].into_iter().for_each(|id| check_id(id));
            check_date(refund.at);
            assert!(refund.amount >= 0);
            assert_eq!(refund.clone().merged(refund.clone()), *refund, "told twice is told once");
        }
        Fact::Dispute(dispute) => {
            [&dispute.id, &dispute.payment].into_iter().for_each(|id| check_id(id));
            [dispute.opened_at, dispute.as_of].into_iter().for_each(check_date);
            assert_eq!(dispute.clone().merged(dispute.clone()), *dispute, "told twice is told once");
        }
        Fact::CustomerGone { customer, at } => {
            check_id(customer);
            check_date(*at);
        }
    }
}

fn check_payment(payment: &Payment) {
    [Some(&payment.id), payment.customer.as_ref(), payment.invoice.as_ref()]
        .into_iter()
        .flatten()
        .for_each(|id| check_id(id));
    [payment.made_at, payment.refunded_at].into_iter().flatten().for_each(check_date);
    assert!(payment.amount >= 0 && payment.refunded >= 0);
    assert_eq!(payment.clone().merged(payment.clone()), *payment, "told twice is told once");
    let parts = [Part { payment, refunds: &[], disputes: &[] }];
    let _ = Returned { parts: &parts, took_in: payment.amount, currency: None, covers_from: now() }.setbacks();
}

fn check_subscription(seen: &Subscription) {
    [&seen.id.id, &seen.customer].into_iter().chain(&seen.prices).for_each(|id| check_id(id));
    let of_state = match seen.state {
        State::Trialing { ends_at: at }
        | State::PastDue { since: at }
        | State::Lapsed { at }
        | State::WrittenOff { at }
        | State::Ended { at } => Some(at),
        State::Active { paid_until } => paid_until,
        State::Incomplete | State::Unpaid | State::Paused | State::Unknown => None,
    };
    let dates = [Some(seen.started_at), of_state, seen.cancel_at, seen.period_start, Some(seen.as_of)];
    dates.into_iter().flatten().for_each(check_date);
    check_told_twice(seen);
    for (hold, loss) in [(Hold::Suspend, Loss::End), (Hold::Keep, Loss::Keep)] {
        check_access(seen, &Policy { refund: loss, dispute: hold, pause: hold, unpaid: hold });
    }
}

/// An event that is delivered again changes nothing.
fn check_told_twice(seen: &Subscription) {
    let Decision::Apply(subscription) = decide(None, seen.clone(), Evidence::Told { arrival: 1 }, |_| None) else {
        panic!("what was not known is taken over");
    };
    let known = Known { subscription, observation: 0 };
    let again = decide(Some(&known), seen.clone(), Evidence::Told { arrival: 2 }, |_| None);
    assert!(!matches!(again, Decision::Apply(_)), "told twice: {again:?}");
}

/// The access that it gives can be computed, and comes out of the cache as it was put there.
fn check_access(seen: &Subscription, policy: &Policy) {
    let (long, short) = (Duration::days(366), Duration::zero());
    let grace = Grace { past_due: long, renewal: long, trial: short, authentication: short };
    let gone = Setback::CustomerGone { at: now() };
    for setbacks in [&[][..], &[gone]] {
        let Some(access) = seen.access(&grace, policy, setbacks) else { continue };
        let catalog: Catalog =
            serde_json::from_str(r#"{"tier":[{"code":"paid","name":"Paid","rank":1}]}"#).expect("a catalog");
        let grant = Grant {
            source: Source::Subscription(seen.id.clone()),
            tier: "paid".into(),
            status: access.status,
            from: access.from,
            until: access.until,
        };
        let timeline = timeline(&catalog, &[grant]).cacheable(now());
        let account = AccountId::parse("user-1").expect("an account");
        let record =
            Record { database: DatabaseId::new(1), entitlement: Entitlement { account, version: 1, timeline } };
        let text = record::encode(&record).expect("it encodes");
        assert_eq!(record::decode(&text).expect("it decodes"), record);
    }
}
