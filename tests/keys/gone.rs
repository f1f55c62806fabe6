//! What the provider no longer has stays as it is, until a person who was told how many ends it.

use super::{Subscriber, all_have, execute, full, logged, number, setup, subscribers};
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::{World, token};

/// An account with a subscription of which only its events tell.
async fn ghost(world: &World) -> Subscriber {
    let (account, customer) = (unique("ghost"), unique("cus"));
    let sold = Subscription::of(&customer);
    world.applied(&checkout_completed(Some(&account), &customer, &sold.id)).await;
    world.applied(&sold.event("created")).await;
    Subscriber { token: token(&account), account, subscription: sold.id }
}

#[tokio::test]
async fn absence_takes_nothing_and_a_person_ends_what_is_gone() {
    let world = World::with(setup()).await;
    let subscribers = subscribers(&world, 20).await;
    let mut ghosts = vec![ghost(&world).await];
    all_have(&world, &ghosts, "paid", "the body of a verified event counts").await;
    execute(
        &world,
        &format!("update subscriptions set unseen_since = now() where account = '{}'", subscribers[0].account),
    )
    .await;
    let report = full(&world.tollgate(&["reconcile", "--json"]).await.success());
    assert_eq!((&report["unseen"], &report["drift"]), (&1.into(), &0.into()), "{report}");
    all_have(&world, &ghosts, "paid", "compared").await;
    assert_eq!(number(&world, "select count(*) from subscriptions where unseen_since is not null").await, 1);
    let explained = world.tollgate(&["explain", "account", &ghosts[0].account]).await.success();
    assert!(explained.contains("the provider no longer shows it"), "{explained}");
    logged(&world, "the provider no longer shows subscriptions that run here", 1).await;
    let gauge = world.billing().metric("tollgate_unseen_subscriptions", &["stripe"]).await;
    assert!((gauge - 1.0).abs() < f64::EPSILON, "{gauge}");

    let unasked = world.tollgate(&["reconcile", "--end-unseen"]).await;
    assert!(unasked.failure().contains("1 subscription of 1 account"), "{unasked:?}");
    assert!(unasked.failure().contains("--yes"), "{unasked:?}");
    all_have(&world, &ghosts, "paid", "nobody said yes").await;
    world.tollgate(&["reconcile", "--end-unseen", "--yes"]).await.success();
    all_have(&world, &ghosts, "free", "a person ended it").await;

    ghosts.clear();
    for _ in 0..4 {
        ghosts.push(ghost(&world).await);
    }
    world.tollgate(&["reconcile"]).await.success();
    let many = world.tollgate(&["reconcile", "--end-unseen", "--yes"]).await;
    assert!(many.failure().contains("4 subscriptions of 4 accounts") && many.failure().contains("--force"), "{many:?}");
    all_have(&world, &ghosts, "paid", "too many").await;
    world.tollgate(&["reconcile", "--end-unseen", "--yes", "--force"]).await.success();
    all_have(&world, &ghosts, "free", "a person ended them").await;
    all_have(&world, &subscribers, "paid", "and nobody else").await;
    let nothing = world.tollgate(&["reconcile", "--end-unseen"]).await.success();
    assert!(nothing.contains("nothing is ended"), "{nothing}");
}
