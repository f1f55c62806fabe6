//! An event beside what its provider answers about it.

use entitlement::event::{Event, Fact};
use entitlement::subscription::{State, Subscription};

/// The answers, with what the event alone tells of them: when a payment failed, which its provider does not answer, and what the
/// change that it answers with was made of.
pub fn dated(answers: Vec<Event>, event: &Event) -> Vec<Event> {
    let failed_at = |id: &str| {
        let moments = event.facts.iter().filter_map(|fact| match fact {
            Fact::Subscription(told) if told.id.id == id => match told.state {
                State::PastDue { since } => Some(since),
                _ => None,
            },
            Fact::Invoice(invoice) if invoice.subscription == id => invoice.failed_at,
            _ => None,
        });
        moments.min()
    };
    let before = |answered: &Subscription| {
        event.facts.iter().find_map(|fact| match fact {
            Fact::Subscription(told) if told.id == answered.id && told.standing().is_same(&answered.standing()) => {
                told.before.clone()
            }
            _ => None,
        })
    };
    let completed = |fact: Fact| match fact {
        Fact::Subscription(mut answered) => {
            if let State::PastDue { since } = answered.state {
                let since = failed_at(&answered.id.id).map_or(since, |failed_at| failed_at.min(since));
                answered.state = State::PastDue { since };
                answered.before = answered.before.take().or_else(|| before(&answered));
            }
            Fact::Subscription(answered)
        }
        fact => fact,
    };
    let complete = |answer: Event| Event { facts: answer.facts.into_iter().map(completed).collect(), ..answer };
    answers.into_iter().map(complete).collect()
}

/// The event without the subscriptions that the provider has just been asked about: its answer is newer.
pub fn without_answered(event: Event, answers: &[Event]) -> Event {
    let is_answered = |fact: &Fact| {
        let Fact::Subscription(told) = fact else { return false };
        let facts = answers.iter().flat_map(|answer| &answer.facts);
        facts.into_iter().any(|fact| {
            matches!(fact, Fact::Subscription(answered) if answered.id == told.id && answered.state != State::Unknown)
        })
    };
    let facts = event.facts.into_iter().filter(|fact| !is_answered(fact)).collect();
    Event { facts, ..event }
}
