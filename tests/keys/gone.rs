//! What the provider no longer has stays as it is, until a person who was told how many ends it.

use demo::provider::{Fault, FaultKind};

use super::{Subscriber, all_have, execute, full, logged, number, provider, setup, subscribers};
use crate::world::clock::in_seconds;
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

/// An account with a subscription that its provider does not have, and which is marked so.
async fn marked_ghost(world: &World) -> (Subscriber, Subscription) {
    let (account, customer) = (unique("ghost"), unique("cus"));
    let sold = Subscription::of(&customer);
    world.applied(&checkout_completed(Some(&account), &customer, &sold.id)).await;
    world.applied(&sold.event("created")).await;
    mark(world, &account).await;
    (Subscriber { token: token(&account), account, subscription: sold.id.clone() }, sold)
}

/// Notes that the provider has answered that it has no subscription of the account.
async fn mark(world: &World, account: &str) {
    execute(world, &format!("update subscriptions set unseen_since = now() where account = '{account}'")).await;
}

#[tokio::test]
async fn a_person_ends_nothing_that_the_provider_shows_or_about_which_it_says_nothing() {
    let world = World::with(setup()).await;
    let shown = subscribers(&world, 2).await;
    let (ghost, _) = marked_ghost(&world).await;
    mark(&world, &shown[0].account).await;
    let end = ["reconcile", "--end-unseen", "--yes", "--force"];
    let path = format!("/v1/subscriptions/{}", ghost.subscription);
    provider(&world).fail_calls(Fault { kind: FaultKind::ServerError, path, count: 100 }).expect("it fails");
    let failed = world.tollgate(&end).await;
    assert!(failed.failure().contains("nothing is ended"), "{failed:?}");
    all_have(&world, std::slice::from_ref(&ghost), "paid", "nobody knows whether it is there").await;
    provider(&world).heal_calls();
    mark(&world, &shown[0].account).await;
    let ended = world.tollgate(&end).await.success();
    assert!(ended.contains("1 subscription: the providers show it after all"), "{ended}");
    assert!(ended.contains("1 subscription is ended"), "{ended}");
    all_have(&world, &shown, "paid", "the provider shows it").await;
    all_have(&world, &[ghost], "free", "the provider does not have it").await;
    assert_eq!(number(&world, "select count(*) from subscriptions where unseen_since is not null").await, 0);
}

#[tokio::test]
async fn what_a_person_ended_comes_back_when_its_provider_tells_of_it_and_what_the_provider_ended_does_not() {
    let world = World::with(setup()).await;
    let subscribers = subscribers(&world, 2).await;
    let (ghost, sold) = marked_ghost(&world).await;
    world.tollgate(&["reconcile", "--end-unseen", "--yes"]).await.success();
    all_have(&world, std::slice::from_ref(&ghost), "free", "a person ended it").await;
    // Told apart from a lapse, which is what a provider's list says, and stored as one: builds of before know no other word.
    let written_off = "select count(*) from subscriptions where state = 'lapsed' and written_off";
    assert_eq!(number(&world, written_off).await, 1);
    let explained = world.tollgate(&["explain", "account", &ghost.account]).await.success();
    assert!(explained.contains("ended by a person at 20"), "{explained}");
    let report = full(&world.tollgate(&["reconcile", "--json"]).await.success());
    assert_eq!(report["unseen"], 0, "it runs here no more: {report}");
    let later = in_seconds(5);
    world.applied(&sold.event("updated").created_at(later)).await;
    all_have(&world, std::slice::from_ref(&ghost), "paid", "a later event tells of it").await;

    // Ended by a person as well, stored as it was for a while, and its provider says in a comparison that it runs.
    let (account, id) = (&subscribers[0].account, &subscribers[0].subscription);
    let lapse =
        "state = 'written_off', lapsed_at = now(), paid_until = null, trial_ends_at = null, past_due_since = null";
    execute(&world, &format!("update subscriptions set {lapse} where subscription_id = '{id}'")).await;
    execute(&world, &format!("update accounts set version = version + 1 where account = '{account}'")).await;
    world.tollgate(&["reconcile"]).await.success();
    all_have(&world, &subscribers[..1], "paid", "the provider shows it").await;

    world.applied(&sold.ended().event("deleted").created_at(later + 1)).await;
    world.ignored(&sold.event("updated").created_at(later + 2)).await;
    all_have(&world, &[ghost], "free", "an end that the provider told is final").await;
}

#[tokio::test]
async fn what_a_person_ends_counts_for_a_day_like_all_that_takes_access() {
    let world = World::with(setup()).await;
    subscribers(&world, 4).await;
    let mut ghosts = Vec::new();
    for _ in 0..3 {
        ghosts.push(marked_ghost(&world).await.0);
    }
    world.tollgate(&["reconcile", "--end-unseen", "--yes"]).await.success();
    all_have(&world, &ghosts, "free", "three are not many").await;
    let (fourth, _) = marked_ghost(&world).await;
    let many = world.tollgate(&["reconcile", "--end-unseen", "--yes"]).await;
    assert!(many.failure().contains("3 lost it within 24 hours") && many.failure().contains("--force"), "{many:?}");
    all_have(&world, std::slice::from_ref(&fourth), "paid", "the fourth within a day").await;
    world.tollgate(&["reconcile", "--end-unseen", "--yes", "--force"]).await.success();
    all_have(&world, &[fourth], "free", "a person was told how many").await;
}
