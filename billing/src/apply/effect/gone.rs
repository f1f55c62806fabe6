//! Accounts that are gone, wherever something learnt names them: those that were moved by their present id, those that were erased not at all.

use std::collections::BTreeSet;

use entitlement::catalog::Provider;
use entitlement::event::{Claim, Event, Fact, Object};

use super::Lesson;
use crate::store::erasure::ERASED;
use crate::store::gone::{Gone, Name};

/// Every name that is spoken of.
pub(crate) fn names(provider: Provider, lessons: &[Lesson], names: &mut BTreeSet<Name>) {
    lessons.iter().for_each(|lesson| names_of(provider, &lesson.event, names));
}

/// Every name that an event speaks of.
pub(crate) fn names_of(provider: Provider, event: &Event, names: &mut BTreeSet<Name>) {
    names.extend(event.claim.as_ref().map(|claim| Name::account(claim.account())));
    names.extend(event.customer.as_ref().map(|customer| Name::customer(provider, customer)));
    names.extend(objects_of(provider, event));
    event.facts.iter().for_each(|fact| names.extend(of_fact(provider, fact)));
}

/// The subscriptions and the bills that an event names, where it does not name the customer: no other account gets one of them.
pub(crate) fn objects_of(provider: Provider, event: &Event) -> Vec<Name> {
    let objects = if event.customer.is_none() { event.objects.as_slice() } else { &[] };
    let name = |object: &Object| match object {
        Object::Subscription(id) => Some(Name::subscription(provider, id)),
        Object::Invoice(id) => Some(Name::invoice(provider, id)),
        _ => None,
    };
    objects.iter().filter_map(name).collect()
}

/// The customer, the subscriptions and the payment that a fact is about.
fn of_fact(provider: Provider, fact: &Fact) -> Vec<Name> {
    let (customer, subscription) = match fact {
        Fact::Linked { subscription } => (None, subscription.as_ref()),
        Fact::Subscription(seen) => (Some(&seen.customer), Some(&seen.id.id)),
        Fact::Invoice(invoice) => (Some(&invoice.customer), Some(&invoice.subscription)),
        Fact::CustomerGone { customer, .. } => (Some(customer), None),
        Fact::Running { customer, subscriptions, .. } => {
            let listed = subscriptions.iter().map(|seen| Name::subscription(provider, &seen.id.id));
            return listed.chain([Name::customer(provider, customer)]).collect();
        }
        Fact::Payment(payment) => {
            let customer = payment.customer.iter().map(|customer| Name::customer(provider, customer));
            return customer.chain([Name::payment(provider, &payment.id)]).collect();
        }
        Fact::Refund(refund) => return vec![Name::payment(provider, &refund.payment)],
        Fact::Dispute(dispute) => return vec![Name::payment(provider, &dispute.payment)],
    };
    let customer = customer.map(|id| Name::customer(provider, id));
    customer.into_iter().chain(subscription.map(|id| Name::subscription(provider, id))).collect()
}

/// Settles what the names mean now. Answers whether something was erased, and nothing is left of the lessons.
///
/// A customer that was erased counts where the account that is named with it was not: a person who comes back may be the same customer
/// to the provider.
pub(crate) fn settle(provider: Provider, lessons: &mut [Lesson], gone: &Gone) -> bool {
    let before: usize = lessons.iter().map(|lesson| lesson.event.facts.len()).sum();
    for Lesson { event, .. } in lessons.iter_mut() {
        settle_one(provider, event, gone);
    }
    let after: usize = lessons.iter().map(|lesson| lesson.event.facts.len()).sum();
    after == 0 && (before > 0 || lessons.iter().any(|lesson| lesson.event.nothing == ERASED))
}

/// As [`settle`], of one event.
pub(crate) fn settle_one(provider: Provider, event: &mut Event, gone: &Gone) {
    let is_named = event.claim.is_some();
    let is_customer_erased = |id: &String| gone.is_erased(&Name::customer(provider, id));
    let is_erased = match &event.claim {
        Some(claim) => gone.is_erased(&Name::account(claim.account())),
        None => event.customer.as_ref().is_some_and(is_customer_erased),
    };
    if is_erased || objects_of(provider, event).iter().any(|name| gone.is_erased(name)) {
        *event = Event { livemode: event.livemode, nothing: ERASED, ..Event::default() };
        return;
    }
    match &mut event.claim {
        Some(Claim::Reference { account, .. } | Claim::Metadata(account)) => {
            if let Some(moved) = gone.moved(account) {
                *account = moved.clone();
            }
        }
        None => {}
    }
    let is_kept = |name: &Name| !gone.is_erased(name) || (is_named && name.is_customer());
    event.facts.retain_mut(|fact| match fact {
        Fact::Running { customer, subscriptions, .. } => {
            subscriptions.retain(|seen| is_kept(&Name::subscription(provider, &seen.id.id)));
            is_kept(&Name::customer(provider, customer))
        }
        fact => of_fact(provider, fact).iter().all(is_kept),
    });
}
