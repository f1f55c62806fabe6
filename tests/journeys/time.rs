//! Time alone moves the gate: no event, no job and no restart stands between an end and its effect.

use crate::world::stripe::{DAY, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, World, in_seconds, now, token};

/// Far enough ahead for a busy machine to see the gate open first.
const SOON: i64 = 5;

super::in_every_arrangement!(a_trial_ends_by_itself, a_scheduled_end_takes_effect_by_itself);

async fn a_trial_ends_by_itself(arrangement: Arrangement) {
    let world = World::start(arrangement).await;
    let end = in_seconds(SOON);
    let trial = Subscription {
        status: "trialing",
        price: "price_annual".to_owned(),
        trial_end: Some(end),
        period: (in_seconds(-14 * DAY), end),
        ..Subscription::of(&unique("cus"))
    };
    opens_until(&world, &trial, end).await;
}

async fn a_scheduled_end_takes_effect_by_itself(arrangement: Arrangement) {
    let world = World::start(arrangement).await;
    let end = in_seconds(SOON);
    let ending = Subscription { cancel_at: Some(end), ..Subscription::of(&unique("cus")) };
    opens_until(&world, &ending, end).await;
}

/// The subscription opens every proxy, and each closes at `end`, neither before nor much later.
async fn opens_until(world: &World, subscription: &Subscription, end: i64) {
    let account = unique("visitor");
    let token = token(&account);
    world.accepted(&checkout_completed(Some(&account), &subscription.customer, &subscription.id)).await;
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/one", &token, 200).await;
    world.everywhere("/premium/one", &token, 402).await;
    assert!(now().timestamp() >= end, "it closed before its end");
}
