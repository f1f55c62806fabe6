//! Whether what a provider told, or answered, changes what we know of a subscription.
//!
//! Providers deliver late, twice and out of order, and the moments in their events have only seconds. An answer to a
//! question of ours is ordered by when we asked. What an event told is ordered by what it tells; where that proves
//! nothing, it may give access but not take it, until the provider is asked. A subscription that ended never comes back.

use std::cmp::Ordering;

use crate::Timestamp;
use crate::subscription::{Item, Standing, State, Subscription};

/// What is known of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub subscription: Subscription,
    /// The number of the question that was last answered about it; 0 when none was.
    pub observation: i64,
}

/// How we come to see a subscription. The numbers are of one sequence: the smaller was drawn earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// By an event that arrived when this number was drawn: how it stood at some earlier moment.
    Told { arrival: i64 },
    /// By an answer to a question that was asked after this number was drawn: how it stood then, or later.
    Asked { observation: i64 },
}

/// The answer for one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Store this: it differs.
    Apply(Subscription),
    /// Store this: nothing differs, but it was still so at a later moment.
    Confirm(Subscription),
    /// Keep what we have.
    Ignore(Ignored),
}

/// Why an observation changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The subscription is over, and a subscription id never comes back.
    Ended,
    /// We know something newer.
    Older,
    /// We know exactly this.
    Unchanged,
    /// It would take access away, and may be older than what we know.
    Unproven,
    /// The provider's word on it is not understood.
    UnknownStatus,
}

impl Ignored {
    /// The reason as an operator reads it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ended => "the subscription has already ended",
            Self::Older => "something newer is known of the subscription",
            Self::Unchanged => "the subscription is already known like this",
            Self::Unproven => "it would take access away, but cannot be proven newer than what is known",
            Self::UnknownStatus => {
                "the subscription has a status that Tollgate does not know: access stays as it was until a build that knows it compares"
            }
        }
    }
}

/// Decides what becomes of `seen`, given what is known. `rank` is that of the tier which a price buys, if it buys one.
#[must_use]
pub fn decide(
    known: Option<&Known>,
    seen: Subscription,
    evidence: Evidence,
    rank: impl Fn(&str) -> Option<u32>,
) -> Decision {
    let Some(Known { subscription: known, observation: asked }) = known else { return Decision::Apply(seen) };
    if let State::Ended { at } = known.state {
        return match seen.state {
            // Told twice with different dates: the earlier one, whatever came first.
            State::Ended { at: earlier } if earlier < at => settled(known, seen, evidence),
            _ => Decision::Ignore(Ignored::Ended),
        };
    }
    // An end is final, whoever tells of it and whenever.
    if seen.is_ended() {
        return settled(known, seen, evidence);
    }
    // Not understood is no word against what is known, and no reason to keep out what is understood.
    if seen.state == State::Unknown {
        return Decision::Ignore(Ignored::UnknownStatus);
    }
    if known.state == State::Unknown {
        return settled(known, seen, evidence);
    }
    match evidence {
        Evidence::Asked { observation } if observation <= *asked => Decision::Ignore(Ignored::Older),
        Evidence::Asked { .. } => settled(known, seen, evidence),
        Evidence::Told { arrival } if arrival < *asked => earlier_failure(&seen, known),
        Evidence::Told { .. } => match order(&seen, known) {
            Order::Older => earlier_failure(&seen, known),
            Order::Newer => settled(known, seen, evidence),
            Order::Unknown if seen.standing().is_same(&known.standing()) => settled(known, seen, evidence),
            Order::Unknown if worth(&seen, &rank) > worth(known, &rank) => settled(known, seen, evidence),
            Order::Unknown => Decision::Ignore(Ignored::Unproven),
        },
    }
}

/// Takes `seen` over, with what the first observation settles: the start, the first failed payment, and when the first
/// charge was due.
fn settled(known: &Subscription, seen: Subscription, evidence: Evidence) -> Decision {
    let state = match (known.state, seen.state) {
        (State::PastDue { since: first }, State::PastDue { since }) if is_same_failure(known, &seen, evidence) => {
            State::PastDue { since: first.min(since) }
        }
        (_, state) => state,
    };
    let next = Subscription {
        state,
        started_at: known.started_at.min(seen.started_at),
        as_of: known.as_of.max(seen.as_of),
        first_due: first_due(known, &seen),
        ..seen
    };
    let differs = Subscription { as_of: known.as_of, before: known.before.clone(), ..next.clone() } != *known;
    match differs {
        true => Decision::Apply(next),
        false => Decision::Confirm(next),
    }
}

/// Whether a payment is still missing that was missing before. In another period it is another one when it was not missing right
/// before; where that is not told, an answer of the provider goes on from the one before it, and an event, of which one between may
/// be lost, does not.
fn is_same_failure(known: &Subscription, seen: &Subscription, evidence: Evidence) -> bool {
    if known.period_start == seen.period_start {
        return true;
    }
    match &seen.before {
        Some(before) => matches!(before.state, State::PastDue { .. }),
        None => matches!(evidence, Evidence::Asked { .. }),
    }
}

/// When the first charge was due. One that never went through was due from the start, whatever the subscription is called by now.
fn first_due(known: &Subscription, seen: &Subscription) -> Option<Timestamp> {
    let is_missing = matches!(known.state, State::Incomplete | State::PastDue { .. })
        && matches!(seen.state, State::Incomplete | State::PastDue { .. });
    seen.first_due.or(known.first_due.filter(|_| is_missing))
}

/// Of an older word, only that the payment for the same period had failed by then is still worth something.
fn earlier_failure(seen: &Subscription, known: &Subscription) -> Decision {
    match (seen.state, known.state) {
        (State::PastDue { since }, State::PastDue { since: first })
            if since < first && seen.period_start == known.period_start =>
        {
            Decision::Apply(Subscription { state: State::PastDue { since }, ..known.clone() })
        }
        _ => Decision::Ignore(Ignored::Older),
    }
}

/// How the moment that was told lies to the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Older,
    Newer,
    Unknown,
}

impl From<Ordering> for Order {
    fn from(ordering: Ordering) -> Self {
        match ordering {
            Ordering::Less => Self::Older,
            Ordering::Greater => Self::Newer,
            Ordering::Equal => Self::Unknown,
        }
    }
}

/// What proves an order, the strongest first.
fn order(seen: &Subscription, known: &Subscription) -> Order {
    // A payment that went through is never followed by "not yet paid for the first time".
    match (seen.state, known.state) {
        (State::Incomplete, State::Incomplete) => {}
        (State::Incomplete, _) => return Order::Older,
        (_, State::Incomplete) => return Order::Newer,
        // The provider did not show it at that moment, so what it told of earlier ones is over.
        (State::Active { .. } | State::Trialing { .. }, State::Lapsed { at } | State::WrittenOff { at })
            if seen.as_of <= at =>
        {
            return Order::Older;
        }
        _ => {}
    }
    match periods(seen, known) {
        Order::Unknown => {}
        proven => return proven,
    }
    match seen.as_of.cmp(&known.as_of) {
        Ordering::Equal => links(seen, known),
        other => other.into(),
    }
}

/// The periods of what both are for: an item that comes or goes proves nothing by its own.
fn periods(seen: &Subscription, known: &Subscription) -> Order {
    let whole = |one: &Subscription| (one.items.len() <= 1).then_some(one.period_start).flatten();
    if let (Some(seen), Some(known)) = (whole(seen), whole(known)) {
        return seen.cmp(&known).into();
    }
    let is_one = |one: &Item, other: &Item| match (&one.id, &other.id) {
        (Some(one), Some(other)) => one == other,
        _ => one.price == other.price,
    };
    let (items, others) = (seen.all_items(), known.all_items());
    let pairs = items.iter().filter_map(|item| Some((item, others.iter().find(|other| is_one(item, other))?)));
    let orders = pairs.filter_map(|(item, other)| Some(seen.period_of(item)?.cmp(&known.period_of(other)?)));
    let orders: Vec<Ordering> = orders.filter(|order| order.is_ne()).collect();
    match orders.split_first() {
        Some((first, rest)) if rest.iter().all(|order| order == first) => (*first).into(),
        _ => Order::Unknown,
    }
}

/// Of two changes within one second each may say how things stood before it. One that does not say is taken in the order
/// of arrival, but takes no access, nor an item: that the other was the creation proves nothing of it.
fn links(seen: &Subscription, known: &Subscription) -> Order {
    let was = |subscription: &Subscription, standing: &Standing| {
        subscription.before.as_ref().is_some_and(|before| before.is_same(standing))
    };
    let is_first = |subscription: &Subscription| was(subscription, &Standing::nothing());
    let takes =
        |one: &Subscription, other: &Subscription| one.before.is_none() && !gives_access(one) && gives_access(other);
    if takes(seen, known) || takes(known, seen) {
        return Order::Unknown;
    }
    match (is_first(seen), is_first(known)) {
        (true, false) => return Order::Older,
        (false, true) => return Order::Newer,
        _ => {}
    }
    match (was(seen, &known.standing()), was(known, &seen.standing())) {
        (true, false) => Order::Newer,
        (false, true) => Order::Older,
        _ if seen.before.is_none() && seen.prices == known.prices => Order::Newer,
        _ => Order::Unknown,
    }
}

/// How much access a subscription gives, to be compared with another moment of it: first whether it gives any, then to what.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Worth<'a> {
    gives_access: bool,
    state: u8,
    is_collected: bool,
    /// The highest tier, then the number of things.
    tier: Option<u32>,
    things: usize,
    ends_at: Option<Timestamp>,
    paid_until: Option<Timestamp>,
    prices: &'a [String],
}

fn worth<'a>(subscription: &'a Subscription, rank: impl Fn(&str) -> Option<u32>) -> Worth<'a> {
    let far = Some(Timestamp::MAX_UTC);
    let (state, paid_until) = match subscription.state {
        State::Active { paid_until } => (2, paid_until.or(far)),
        State::Trialing { ends_at } => (2, Some(ends_at)),
        State::PastDue { .. } => (1, far),
        State::Incomplete
        | State::Unpaid
        | State::Paused
        | State::Unknown
        | State::Lapsed { .. }
        | State::WrittenOff { .. }
        | State::Ended { .. } => (0, None),
    };
    let is_collected = !subscription.collection_paused;
    Worth {
        gives_access: state > 0 && is_collected,
        state,
        is_collected,
        tier: subscription.prices.iter().filter_map(|price| rank(price)).max(),
        things: subscription.prices.len(),
        ends_at: subscription.cancel_at.or(far),
        paid_until,
        prices: &subscription.prices,
    }
}

fn gives_access(subscription: &Subscription) -> bool {
    worth(subscription, |_| None).gives_access
}

#[cfg(test)]
mod tests;
