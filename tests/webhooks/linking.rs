//! How an event finds its account, whatever arrives first.

use crate::world::stripe::{Shape, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, World, eventually, token};

#[tokio::test]
async fn a_subscription_of_an_unknown_customer_waits_for_the_checkout_that_names_its_account() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let token = token(&account);
    world.everywhere("/premium/one", &token, 402).await;
    let subscription = Subscription::of(&customer);
    let early = subscription.event("created");
    let answer = world.deliver(&early).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &"accepted".into()),
        "durable, not applied: {answer:?}"
    );
    let (state, reason) = world.settled(&early).await;
    assert!(state == "parked" && !reason.is_empty(), "{state} ({reason})");
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 402, "nobody has paid for this account yet");
    eventually("an operator sees that it waits", async || {
        let parked = world.billing().metric("tollgate_inbox", &["state=\"parked\""]).await;
        (parked == 1.0).then_some(())
    })
    .await;
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn a_known_customer_needs_no_further_name() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let first = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &first.id)).await;
    world.accepted(&first.event("created")).await;
    world.accepted(&first.ended().event("deleted")).await;
    world.everywhere("/premium/one", &token(&account), 402).await;
    // Bought in the provider's own dashboard: no checkout, no metadata.
    world.accepted(&Subscription::of(&customer).event("created")).await;
    world.everywhere("/premium/one", &token(&account), 200).await;
}

#[tokio::test]
async fn metadata_names_the_account_of_a_customer_that_nobody_knows() {
    let world = World::start(Arrangement::AllPostgres).await;
    for shape in [Shape::Acacia, Shape::Basil] {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), shape, ..Subscription::of(&unique("cus")) };
        world.accepted(&subscription.event("created")).await;
        world.everywhere("/premium/one", &token(&account), 200).await;
    }
}

#[tokio::test]
async fn metadata_never_moves_a_known_customer_to_another_account() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (owner, thief, customer) = (unique("owner"), unique("thief"), unique("cus"));
    let subscription = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&owner), &customer, &subscription.id)).await;
    let claimed = Subscription { metadata: Some(thief.clone()), ..subscription };
    world.settled(&claimed.event("created")).await;
    world.everywhere("/premium/one", &token(&owner), 200).await;
    assert_eq!(world.get("/premium/one", Some(&token(&thief))).await.status, 402);
}

#[tokio::test]
async fn a_price_that_no_catalog_names_grants_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let unknown = Subscription { price: "price_of_another_shop".to_owned(), ..Subscription::of(&customer) };
    world.accepted(&checkout_completed(Some(&account), &customer, &unknown.id)).await;
    // Nothing that the provider should repeat.
    world.settled(&unknown.event("created")).await;
    assert_eq!(world.billing().metric("tollgate_unknown_prices_total", &[]).await, 1.0, "an operator is told");
    assert_eq!(world.get("/premium/one", Some(&token(&account))).await.status, 402);
}
