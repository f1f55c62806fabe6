//! What was acknowledged is kept whole, worked off to its end or not at all, and only what is done is a duplicate.

use demo::provider::{Fault, FaultKind};
use serde_json::{Value, json};

use super::{Buyer, calm, execute, number, provider, rests, shop};
use crate::world::stripe::{Event, SECRETS, Subscription, checkout_completed, signature, unique};
use crate::world::{Arrangement, World, eventually, in_seconds, send, token};

#[tokio::test]
async fn w04_a_failure_is_tried_again_and_no_repetition_is_a_duplicate_before_it_is_done() {
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    let event = subscription.event("created");
    // Not durable, so not acknowledged.
    refuse(&world, "webhook_events", &format!("event_id <> '{}'", event.id)).await;
    let refused = world.deliver(&event).await;
    assert!(refused.status >= 500, "{refused:?}");
    allow(&world, "webhook_events").await;
    // Durable, but it cannot be applied.
    refuse(&world, "subscriptions", &format!("subscription_id <> '{}'", subscription.id)).await;
    let taken = world.deliver(&event).await;
    assert_eq!((taken.status, &taken.json()["status"]), (200, &json!("accepted")), "{taken:?}");
    eventually("the failure is counted", async || {
        let attempts = "select attempts::bigint from webhook_events where event_id = $1";
        (number(&world, attempts, &event.id).await > 0).then_some(())
    })
    .await;
    let (state, reason) = rests(&world, &event.id).await;
    assert!(state == "pending" && !reason.is_empty(), "it is kept, with a reason: {state} ({reason})");
    let again = world.deliver(&event).await;
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("accepted")), "no duplicate: {again:?}");
    assert_eq!(world.get("/premium/one", Some(&buyer.token)).await.status, 402, "nothing is known of it");
    allow(&world, "subscriptions").await;
    buyer.reads(&world, 200, "it was tried again").await;
    assert_eq!(world.deliver(&event).await.json()["status"], "duplicate", "now it is one");
}

#[tokio::test]
async fn w05_what_fails_at_its_last_step_leaves_nothing_behind() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (table, column) in [("audit_log", "account"), ("outbox", "account")] {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        let event = subscription.event("created");
        refuse(&world, table, &format!("{column} <> '{account}'")).await;
        world.accepted(&event).await;
        eventually("it fails", async || {
            let attempts = "select attempts::bigint from webhook_events where event_id = $1";
            (number(&world, attempts, &event.id).await > 0).then_some(())
        })
        .await;
        for query in [
            "select count(*) from subscriptions where account = $1",
            "select count(*) from provider_customers where account = $1",
            "select count(*) from accounts where account = $1",
        ] {
            assert_eq!(number(&world, query, &account).await, 0, "{table}: {query}");
        }
        allow(&world, table).await;
        world.accepted(&event).await;
        calm(&world).await;
        world.everywhere("/premium/one", &token(&account), 200).await;
        for query in [
            "select count(*) from subscriptions where account = $1",
            "select count(*) from audit_log where account = $1 and detail like 'subscription%'",
        ] {
            assert_eq!(number(&world, query, &account).await, 1, "{table}: {query}");
        }
    }
}

/// The database refuses every new row that is not so.
async fn refuse(world: &World, table: &str, condition: &str) {
    execute(world, &format!("alter table {table} add constraint of_the_test check ({condition}) not valid")).await;
}

async fn allow(world: &World, table: &str) {
    execute(world, &format!("alter table {table} drop constraint of_the_test")).await;
}

#[tokio::test]
async fn w18_a_long_body_is_kept_whole_and_can_be_applied_again() {
    let world = World::start(Arrangement::AllPostgres).await;
    for kilobytes in [17, 200, 900] {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        // What decides stands behind what is long.
        let event = subscription.event("created").saying("a_note", json!("ü".repeat(kilobytes * 512)));
        world.applied(&event).await;
        world.everywhere("/premium/one", &token(&account), 200).await;
        let shown = world.tollgate(&["events", "show", &event.id]).await.success();
        assert!(shown.contains(&event.body()), "{kilobytes} KiB are shown as they were sent");
        let kept: Vec<u8> = {
            let mut connection = world.database.as_ref().expect("a database").connect().await;
            let body = sqlx::query_scalar("select body from webhook_events where event_id = $1").bind(&event.id);
            body.fetch_one(&mut connection).await.expect("it is kept")
        };
        assert_eq!(kept, event.body().into_bytes(), "{kilobytes} KiB, byte for byte");
        // From what was kept alone.
        execute(&world, &format!("delete from subscriptions where account = '{account}'")).await;
        world.tollgate(&["events", "replay", &event.id]).await.success();
        eventually("it is applied again", async || {
            let query = "select count(*) from subscriptions where account = $1";
            (number(&world, query, &account).await == 1).then_some(())
        })
        .await;
    }
    let over = Event::new("product.updated", json!({ "id": "prod_1", "description": "x".repeat(1024 * 1024) }));
    let answer = world.deliver(&over).await;
    assert_eq!(answer.status, 413, "over 1 MiB: {answer:?}");
    let query = "select count(*) from webhook_events where event_id = $1";
    assert_eq!(number(&world, query, &over.id).await, 0, "and nothing of it is kept");
}

#[tokio::test]
async fn w34_one_event_delivered_many_times_at_once_is_applied_once() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let subscription = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    let event = subscription.event("created");
    let body = event.body();
    let signature = signature(&body, in_seconds(0), &SECRETS[..1]);
    let mut deliveries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request = world.request("POST", "/api/stripe/webhook", None).header("stripe-signature", &signature);
        deliveries.spawn(send(request.body(body.clone())));
    }
    for answer in deliveries.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    world.everywhere("/premium/one", &token(&account), 200).await;
    calm(&world).await;
    for (query, about) in [
        ("select count(*) from webhook_events where event_id = $1", &event.id),
        ("select count(*) from subscriptions where account = $1", &account),
        ("select count(*) from audit_log where account = $1 and detail like 'subscription%'", &account),
    ] {
        assert_eq!(number(&world, query, about).await, 1, "{query}");
    }
}

#[tokio::test]
async fn w35_a_delivery_is_answered_while_the_provider_hangs() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    calm(&world).await;
    // Answers are held as long as the test wants: no answer of ours may wait for one.
    provider.fail_calls(Fault { kind: FaultKind::Hold, path: String::new(), count: 100 }).expect("there is room");
    provider.hold();
    buyer.subscribes(provider);
    let waiting = provider.waiting();
    for (number, event) in waiting.iter().enumerate() {
        let attempt = provider.deliver(event).await.expect("delivered");
        assert_eq!(attempt.status, Some(200), "{attempt:?}");
        let answer: Value = serde_json::from_str(&attempt.body).expect("JSON");
        assert!(answer["status"] == "accepted" || answer["status"] == "ignored", "{number}: {answer}");
    }
    assert!(provider.held_calls() > 0, "and somebody is still asking");
    let durable = number(&world, "select count(*) from webhook_events where state = $1", "pending").await;
    assert!(durable > 0, "what was acknowledged is kept");
    provider.heal_calls();
    provider.release();
    buyer.reads(&world, 200, "the provider answers again").await;
}
