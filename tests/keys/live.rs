//! From tests to real money: a live key takes over by the word of a person.

use demo::provider::Mode;

use super::{Subscriber, all_have, calm, logged, number, provider, setup, subscribers};
use crate::world::provider::{API_KEY, LIVE_KEY};
use crate::world::stripe::{Event, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, World, token};
use serde_json::json;

#[tokio::test]
async fn a_live_key_takes_over_from_tests_when_a_person_says_so() {
    for (count, force) in [(2, false), (5, true)] {
        let mut world = World::with(setup()).await;
        let tests = subscribers(&world, count).await;
        let live = ("STRIPE_API_KEY", LIVE_KEY);
        let refused = world.tollgate_with(live, &["reconcile"]).await;
        assert!(refused.failure().contains("tollgate provider use-live"), "{refused:?}");
        let with_test_key = world.tollgate(&["provider", "use-live", "--yes", "--force"]).await;
        assert!(with_test_key.failure().contains("test key"), "{with_test_key:?}");
        let unasked = world.tollgate_with(live, &["provider", "use-live"]).await;
        let said = format!("{count} test subscriptions of {count} accounts stop granting");
        assert!(unasked.failure().contains(&said), "{unasked:?}");
        if force {
            let many = world.tollgate_with(live, &["provider", "use-live", "--yes"]).await;
            assert!(many.failure().contains(&said) && many.failure().contains("--force"), "{many:?}");
        }
        all_have(&world, &tests, "paid", "nobody has said yes").await;

        // The live key is configured first: what it is told of waits.
        provider(&world).set_mode(Mode::Live);
        world.processes[0].set("STRIPE_API_KEY", LIVE_KEY);
        world.processes[0].restart();
        world.processes[0].ready().await;
        let buyer = Subscriber::at(provider(&world));
        calm(&world).await;
        assert!(number(&world, "select count(*) from webhook_events where state = 'parked'").await > 0);
        all_have(&world, &tests, "paid", "a live event alone takes nothing").await;
        let mut yes = vec!["provider", "use-live", "--yes"];
        yes.extend(force.then_some("--force"));
        let went = world.tollgate_with(live, &yes).await.success();
        assert!(went.contains(&said), "{went}");
        world.everywhere("/premium/one", &buyer.token, 200).await;
        all_have(&world, &tests, "free", "tests grant nothing any more").await;
        world.tollgate_with(live, &["reconcile"]).await.success();
        let back = world.tollgate_with(("STRIPE_API_KEY", API_KEY), &["reconcile"]).await;
        assert!(back.failure().contains("it is a test key"), "{back:?}");
        let again = world.tollgate_with(live, &["provider", "use-live"]).await.success();
        assert!(again.contains("nothing changes"), "{again}");
    }
}

/// A subscriber of whom webhooks alone tell, with how the last of them was settled.
async fn told(world: &World, livemode: bool) -> (Subscriber, (String, String)) {
    let (account, customer) = (unique("told"), unique("cus"));
    let sold = Subscription::of(&customer);
    let of_mode = |event: Event| event.saying("livemode", json!(livemode));
    world.settled(&of_mode(checkout_completed(Some(&account), &customer, &sold.id))).await;
    let settled = world.settled(&of_mode(sold.event("created"))).await;
    (Subscriber { token: token(&account), account, subscription: sold.id }, settled)
}

#[tokio::test]
async fn beside_one_live_subscription_test_rows_and_events_grant_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (test, _) = told(&world, false).await;
    all_have(&world, std::slice::from_ref(&test), "paid", "nothing else is stored").await;
    let (live, _) = told(&world, true).await;
    all_have(&world, &[live], "paid", "a live one").await;
    all_have(&world, std::slice::from_ref(&test), "free", "beside a live one").await;
    let (late, (state, reason)) = told(&world, false).await;
    assert!(state == "ignored" && reason.contains("test event"), "{state} ({reason})");
    all_have(&world, &[late], "free", "a test event").await;
    let explained = world.tollgate(&["explain", "account", &test.account]).await.success();
    assert!(explained.contains("test mode") && explained.contains("grants nothing"), "{explained}");
}

#[tokio::test]
async fn a_live_subscription_beside_many_of_test_mode_is_told_with_the_command_that_goes_live() {
    let world = World::start(Arrangement::AllPostgres).await;
    let mut tests = Vec::new();
    for _ in 0..5 {
        tests.push(told(&world, false).await.0);
    }
    let (live, _) = told(&world, true).await;
    logged(&world, "`tollgate provider use-live --force`", 1).await;
    tests.push(live);
    all_have(&world, &tests, "paid", "nobody has said yes").await;
}
