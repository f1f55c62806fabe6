//! Late, repeated and reordered events never bring back what ended, nor end what goes on.

use crate::world::stripe::{DAY, Shape, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, World, in_seconds, token};

/// An account whose customer is linked.
async fn linked(world: &World) -> (String, String) {
    let (account, customer) = (unique("buyer"), unique("cus"));
    world.applied(&checkout_completed(Some(&account), &customer, &unique("sub"))).await;
    (token(&account), customer)
}

#[tokio::test]
async fn the_end_of_one_subscription_leaves_what_another_grants() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let (token, customer) = linked(&world).await;
    let (old, new) = (Subscription::of(&customer), Subscription::of(&customer));
    world.accepted(&old.event("created")).await;
    world.accepted(&new.event("created")).await;
    world.accepted(&old.ended().event("deleted")).await;
    world.everywhere("/premium/one", &token, 200).await;
    world.accepted(&new.ended().event("deleted")).await;
    world.everywhere("/premium/one", &token, 402).await;
}

#[tokio::test]
async fn a_subscription_that_ended_never_comes_back() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    for shape in [Shape::Acacia, Shape::Basil] {
        let (token, customer) = linked(&world).await;
        let subscription = Subscription { shape, ..Subscription::of(&customer) };
        // Made before the end, delivered after it.
        let late = subscription.event("updated");
        world.accepted(&subscription.event("created")).await;
        world.everywhere("/premium/one", &token, 200).await;
        world.accepted(&subscription.ended().event("deleted")).await;
        world.everywhere("/premium/one", &token, 402).await;
        world.ignored(&late).await;
        // Even when it claims to be newer.
        world.ignored(&subscription.event("updated").created_at(in_seconds(60))).await;
        world.everywhere("/premium/one", &token, 402).await;
    }
}

#[tokio::test]
async fn an_end_that_arrives_first_wins_over_the_beginning() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (token, customer) = linked(&world).await;
    let subscription = Subscription::of(&customer);
    let created = subscription.event("created");
    world.applied(&subscription.ended().event("deleted")).await;
    world.ignored(&created).await;
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 402);
}

#[tokio::test]
async fn an_older_state_never_overwrites_a_newer_one() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (token, customer) = linked(&world).await;
    let active = Subscription::of(&customer);
    let incomplete = Subscription { status: "incomplete", ..active.clone() };
    // One step of the provider tells both, within one second; they arrive the wrong way round.
    let (created, updated) = (incomplete.event("created"), active.event("updated"));
    world.applied(&updated).await;
    world.ignored(&created).await;
    world.everywhere("/premium/one", &token, 200).await;

    let renewed = Subscription { period: (active.period.1, active.period.1 + 30 * DAY), ..active.clone() };
    let unpaid = Subscription { status: "unpaid", ..active };
    let before = unpaid.event("updated").created_at(in_seconds(-30));
    world.applied(&renewed.event("updated")).await;
    world.ignored(&before).await;
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn the_same_change_under_two_event_ids_is_one_change() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (token, customer) = linked(&world).await;
    let event = Subscription::of(&customer).event("created");
    world.applied(&event).await;
    world.ignored(&event.again()).await;
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn each_state_of_a_subscription_opens_or_closes_as_it_should() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (status, expected) in [
        ("active", 200),
        ("trialing", 200),
        ("past_due", 200),
        ("incomplete", 402),
        ("incomplete_expired", 402),
        ("unpaid", 402),
        ("paused", 402),
        ("canceled", 402),
        ("a_status_of_the_future", 402),
    ] {
        let (token, customer) = linked(&world).await;
        let now = in_seconds(0);
        let subscription = Subscription {
            status,
            trial_end: (status == "trialing").then_some(now + DAY),
            ended_at: (status == "canceled").then_some(now),
            ..Subscription::of(&customer)
        };
        world.settled(&subscription.event("updated")).await;
        assert_eq!(world.get("/premium/one", Some(&token)).await.status, expected, "{status}");
    }
}
