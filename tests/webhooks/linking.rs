//! How an event finds its account, whatever arrives first.

use crate::world::stripe::{Shape, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, World, token};

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
