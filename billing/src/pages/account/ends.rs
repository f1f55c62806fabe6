//! The buttons that end subscriptions: each says which one it ends, and when.

use entitlement::Timestamp;
use entitlement::subscription::{State, Subscription};

use super::plan::priced;
use crate::api::standing::{Live, Standing};
use crate::api::subscription::name_of;
use crate::pages::look::{Texts, fill};

/// A subscription that a button ends.
#[derive(Clone, Debug)]
pub struct End {
    /// Its name in the form.
    pub subscription: String,
    /// Its purpose and its price, where there is another one.
    pub name: Option<String>,
    /// Its effect, with the day of its end.
    pub text: String,
}

impl End {
    /// The running subscriptions that go on.
    pub fn of(texts: &Texts, standing: &Standing, now: Timestamp) -> Vec<Self> {
        let (live, unnamed) = (standing.live(now), standing.unnamed(now).collect::<Vec<_>>());
        let is_one_of_many = live.len() + unnamed.len() > 1;
        let goes_on = |own: &Subscription| own.cancel_at.is_none();
        let of_live = live.iter().filter(|live| goes_on(live.subscription)).map(|live| Self {
            subscription: name_of(&live.subscription.id),
            name: is_one_of_many.then(|| format!("{}, {}", live.tier.name, priced(texts, live.price))),
            text: text(texts, paid_until(live)),
        });
        let of_unnamed = unnamed.iter().filter(|own| goes_on(own)).map(|own| Self {
            subscription: name_of(&own.id),
            name: is_one_of_many.then(|| texts.account.unnamed.trim_end_matches('.').to_owned()),
            text: text(texts, None),
        });
        of_live.chain(of_unnamed).collect()
    }
}

fn text(texts: &Texts, end: Option<Timestamp>) -> String {
    match end {
        Some(end) => fill(&texts.account.cancel_on, &[("date", &texts.day(end))]),
        None => texts.account.cancel_text.clone(),
    }
}

/// The last day of what is paid for; none where its provider has not said it.
fn paid_until(live: &Live<'_>) -> Option<Timestamp> {
    match live.subscription.state {
        State::Trialing { ends_at } => Some(ends_at),
        State::Active { paid_until } => Some(live.subscription.price_paid_until(&live.price.id, paid_until?)),
        _ => None,
    }
}
