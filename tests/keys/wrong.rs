//! A key of another mode or account compares, sells and asks nothing.

use demo::provider::{Key, Telling};
use serde_json::json;

use super::{Subscriber, all_have, number, provider, setup, subscribers};
use crate::world::provider::{API_KEY, LIVE_KEY, OTHER_KEYS, OTHER_RESTRICTED_KEYS, RESTRICTED_KEYS};
use crate::world::{World, eventually};

const TOUCHED: &str = "select count(*) from subscriptions where state = 'ended' or unseen_since is not null";

#[tokio::test]
async fn a_comparison_with_a_wrong_key_takes_nothing_and_the_right_one_is_fine() {
    let world = World::with(setup().live()).await;
    let subscribers = subscribers(&world, 20).await;
    for (what, key, words) in [
        ("a test key", API_KEY, "it is a test key"),
        ("a restricted test key", RESTRICTED_KEYS[1], "it is a test key"),
        ("another account's", OTHER_KEYS[0], "it belongs to another account, acct_other"),
        ("another account's test key", OTHER_KEYS[1], "it is a test key"),
        ("another account's restricted key", OTHER_RESTRICTED_KEYS[0], "it sees none of the subscriptions"),
    ] {
        for arguments in [&["reconcile"][..], &["reconcile", "--force"], &["reconcile", "--events"]] {
            let refused = world.tollgate_with(("STRIPE_API_KEY", key), arguments).await;
            let line = refused.failure();
            assert!(line.contains("STRIPE_API_KEY is not used") && line.contains(words), "{what}: {line}");
        }
        let account = &subscribers[0].account;
        let alone = world.tollgate_with(("STRIPE_API_KEY", key), &["reconcile", "--account", account]).await;
        assert!(alone.failure().contains(words), "{what}: {alone:?}");
        assert_eq!(number(&world, TOUCHED).await, 0, "{what}");
        all_have(&world, &subscribers, "paid", what).await;
    }
    for key in [LIVE_KEY, RESTRICTED_KEYS[0]] {
        let report = world.tollgate_with(("STRIPE_API_KEY", key), &["reconcile", "--json"]).await.success();
        let report = super::full(&report);
        assert_eq!((&report["drift"], &report["unseen"]), (&json!(0), &json!(0)), "{key}: {report}");
    }
    all_have(&world, &subscribers, "paid", "the right key").await;
    assert_eq!(number(&world, "select count(*) from subscriptions where livemode").await, 20);
    let ours = "select count(*) from subscriptions where provider_account = 'acct_simulated'";
    assert_eq!(number(&world, ours).await, 20);
}

#[tokio::test]
async fn a_first_key_that_turns_out_to_be_wrong_sells_nothing_more() {
    let mut world = World::with(setup()).await;
    world.processes[0].set("STRIPE_API_KEY", OTHER_KEYS[1]);
    world.processes[0].restart();
    world.processes[0].ready().await;
    let orders = async |buyer: &str| {
        let order = json!({ "cadence": "monthly" });
        world.post("/api/billing/checkout", &crate::world::token(buyer), &order).await
    };
    // Nothing is stored, so that it is bound to nothing.
    let first = orders("an-early-buyer").await;
    assert!(!first.body.contains("wrong_key"), "{first:?}");
    // A command with the right key finds what was never told.
    let provider = provider(&world);
    provider.set_telling(Telling::Silent);
    Subscriber::at(provider);
    provider.set_telling(Telling::Aloud);
    world.tollgate_with(("STRIPE_API_KEY", API_KEY), &["reconcile"]).await.success();
    let refused = orders("a-later-buyer").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "wrong_key"), "{refused:?}");
}

#[tokio::test]
async fn a_process_with_a_wrong_key_stays_ready_says_so_and_sells_nothing() {
    let mut world = World::with(setup().live()).await;
    let subscribers = subscribers(&world, 5).await;
    for (before, key) in [API_KEY, OTHER_KEYS[0], OTHER_RESTRICTED_KEYS[0]].into_iter().enumerate() {
        world.processes[0].set("STRIPE_API_KEY", key);
        world.processes[0].restart();
        world.processes[0].ready().await;
        super::logged(&world, "the API key does not belong to what is stored", before + 1).await;
        let refused = async || world.billing().metric("tollgate_provider_key_refused", &["stripe"]).await;
        eventually("the metric says so", async || (refused().await == 1.0).then_some(())).await;
        let ready = world.billing().admin("/readyz").await;
        assert_eq!(ready.status, 200);
        assert!(ready.warnings().iter().any(|told| told.contains("STRIPE_API_KEY is not used")), "{ready:?}");
        let buyer = crate::world::token("somebody-new");
        for (path, token) in [
            ("/api/billing/checkout", &buyer),
            ("/api/billing/portal", &subscribers[0].token),
            ("/api/billing/cancel", &subscribers[0].token),
        ] {
            let answer = world.post(path, token, &json!({ "cadence": "monthly" })).await;
            assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("wrong_key")), "{path}: {answer:?}");
            let reference = answer.json()["reference"].as_str().expect("a reference").to_owned();
            super::logged(&world, &reference, 1).await;
        }
        assert_eq!(world.billing().metric("tollgate_refused_sales_total", &[]).await, 3.0, "each is counted");
        all_have(&world, &subscribers, "paid", key).await;
    }
    world.processes[0].set("STRIPE_API_KEY", LIVE_KEY);
    world.processes[0].restart();
    world.processes[0].ready().await;
    let buyer = crate::world::token("somebody-new");
    let answer = world.post("/api/billing/checkout", &buyer, &json!({ "cadence": "monthly" })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.billing().metric("tollgate_provider_key_refused", &["stripe"]).await, 0.0);
}

#[tokio::test]
async fn a_key_that_the_provider_does_not_accept_is_named_and_buyers_have_a_reference() {
    let mut world = World::with(setup().live()).await;
    let subscribers = subscribers(&world, 1).await;
    world.processes[0].set("STRIPE_API_KEY", "sk_live_of_nobody");
    world.processes[0].restart();
    world.processes[0].ready().await;
    eventually("readiness names it", async || {
        let ready = world.billing().admin("/readyz").await;
        let is_named = |told: &String| told.starts_with("STRIPE_API_KEY is refused") && told.contains("status 401");
        (ready.status == 200 && ready.warnings().iter().any(is_named)).then_some(())
    })
    .await;
    let refused = async || world.billing().metric("tollgate_provider_key_refused", &["stripe"]).await;
    eventually("the metric says so", async || (refused().await == 1.0).then_some(())).await;
    super::logged(&world, "the API key is refused: set one that the provider accepts", 1).await;
    let answer = world.post("/api/billing/portal", &subscribers[0].token, &json!({})).await;
    assert_eq!((answer.status, &answer.json()["code"]), (502, &json!("provider_error")), "{answer:?}");
    let reference = answer.json()["reference"].as_str().expect("a reference").to_owned();
    super::logged(&world, &reference, 1).await;
    assert!(!answer.body.contains("API key"), "that is the operator's: {answer:?}");
    assert!(world.billing().metric("tollgate_refused_sales_total", &[]).await >= 1.0);
    let refused = world.tollgate_with(("STRIPE_API_KEY", "sk_live_of_nobody"), &["reconcile", "--end-unseen"]).await;
    assert!(refused.failure().contains("does not accept the API key"), "{refused:?}");
}

#[tokio::test]
async fn a_right_that_a_key_lacks_is_told_in_the_providers_words() {
    let world = World::with(setup().live()).await;
    subscribers(&world, 1).await;
    let (key, lacks) = ("rk_live_that_lacks_rights", vec!["GET subscriptions", "GET prices"]);
    super::provider(&world).accept_key(Key { lacks, ..Key::restricted(key) });
    let words = "the API key lacks a right: The provided key does not have the required permissions";
    let compared = world.tollgate_with(("STRIPE_API_KEY", key), &["reconcile"]).await;
    assert!(compared.failure().contains(words), "{compared:?}");
    let checked = world.tollgate_with(("STRIPE_API_KEY", key), &["check", "--online"]).await;
    assert!(checked.code == 1 && checked.stdout.contains(words), "{checked:?}");
}

#[tokio::test]
async fn b17_a_key_that_expires_while_it_is_used_is_in_readiness_until_another_one_is_accepted() {
    let world = World::with(setup().live()).await;
    let subscribers = subscribers(&world, 1).await;
    let provider = super::provider(&world);
    let portal = async || world.post("/api/billing/portal", &subscribers[0].token, &json!({})).await.status;
    assert_eq!(portal().await, 200);
    let is_told = async || {
        let ready = world.billing().admin("/readyz").await;
        assert_eq!(ready.status, 200, "webhooks go on: {ready:?}");
        ready.warnings().iter().any(|told| told.starts_with("STRIPE_API_KEY is refused"))
    };
    assert!(!is_told().await);
    provider.refuse_key(LIVE_KEY);
    assert_eq!(portal().await, 502);
    assert!(is_told().await, "at once: the provider has just said so");
    super::logged(&world, "the API key is refused: set one that the provider accepts", 1).await;
    let refused = async || world.billing().metric("tollgate_provider_key_refused", &["stripe"]).await;
    eventually("the metric says so", async || (refused().await == 1.0).then_some(())).await;
    provider.accept_key(Key::own(LIVE_KEY));
    assert_eq!(portal().await, 200);
    assert!(!is_told().await);
}

#[tokio::test]
async fn the_check_says_that_a_key_belongs_elsewhere_and_a_link_that_its_customer_does_not_exist() {
    let world = World::with(setup().live()).await;
    subscribers(&world, 2).await;
    for (key, words) in [(API_KEY, "it is a test key"), (OTHER_KEYS[0], "it belongs to another account")] {
        let checked = world.tollgate_with(("STRIPE_API_KEY", key), &["check", "--online"]).await;
        let told = format!("differs   STRIPE_API_KEY is not used: {words}");
        assert!(checked.code == 1 && checked.stdout.contains(&told), "{checked:?}");
    }
    let checked = world.tollgate_with(("STRIPE_API_KEY", LIVE_KEY), &["check", "--online"]).await;
    assert!(!checked.stdout.contains("is not used"), "{checked:?}");
    let linked = world.tollgate(&["link", "somebody", "stripe:cus_of_nobody", "--yes"]).await;
    assert!(linked.stderr.contains("stripe has no customer cus_of_nobody"), "{linked:?}");
    linked.success();
}
