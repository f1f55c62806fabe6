//! Whose it is: found whatever arrives first, and never guessed.

use std::collections::BTreeMap;

use demo::provider::{NewCustomer, Subscribe};
use serde_json::json;

use super::{calm, number, provider, rests, shop};
use crate::world::stripe::{Bill, Event, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, World, eventually, token};

#[tokio::test]
async fn w06_a_subscription_of_an_unknown_customer_waits_for_the_checkout_that_names_its_account() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let buyer = token(&account);
    world.everywhere("/premium/one", &buyer, 402).await;
    let subscription = Subscription::of(&customer);
    let early = subscription.event("created");
    let answer = world.deliver(&early).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &"accepted".into()),
        "durable, not applied: {answer:?}"
    );
    let (state, reason) = world.settled(&early).await;
    assert!(state == "parked" && reason.contains(&customer), "{state} ({reason})");
    assert_eq!(world.get("/premium/one", Some(&buyer)).await.status, 402, "nobody has paid for this account yet");
    eventually("an operator sees that it waits", async || {
        let parked = world.billing().metric("tollgate_inbox", &["state=\"parked\""]).await;
        (parked == 1.0).then_some(())
    })
    .await;
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    world.everywhere("/premium/one", &buyer, 200).await;

    // A checkout of ours leaves nothing to wait for: the customer is stored before the buyer is sent away, and the
    // account is named wherever an event may look.
    let world = shop().await;
    let provider = provider(&world);
    let account = unique("buyer");
    let buyer = token(&account);
    let opened = world.post("/api/billing/checkout", &buyer, &json!({ "cadence": "monthly" })).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let query = "select count(*) from provider_customers where account = $1";
    assert_eq!(number(&world, query, &account).await, 1, "before anything was bought");
    let session = &provider.sessions()[0];
    provider.hold();
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    let subscription = &provider.subscriptions()[0];
    for named in [&provider.customers()[0]["metadata"], &session["metadata"], &subscription["metadata"]] {
        assert_eq!(named["account"], account.as_str(), "{named}");
    }
    assert_eq!(session["client_reference_id"], account.as_str());
    for event in provider.events() {
        let (kind, id) = (event["type"].as_str().expect("a type"), event["id"].as_str().expect("an id"));
        if kind.starts_with("customer.subscription.") {
            provider.deliver(id).await.expect("delivered");
        }
    }
    world.everywhere("/premium/one", &buyer, 200).await;
    provider.release();
}

#[tokio::test]
async fn w28_an_address_never_says_whose_a_purchase_is() {
    let world = shop().await;
    let provider = provider(&world);
    // Accounts whose ids are addresses, and a stranger who writes them into the provider's form.
    let victim = format!("{}@site.test", unique("victim"));
    let metadata = BTreeMap::from([("email".to_owned(), victim.clone())]);
    let new = NewCustomer { email: Some(victim.clone()), name: Some(victim.clone()), metadata };
    let customer = provider.create_customer(new).expect("there is room");
    let order = Subscribe { customer: customer.clone(), price: "price_monthly".to_owned(), ..Subscribe::default() };
    provider.subscribe(order).expect("it begins");
    let session = Event::new(
        "checkout.session.completed",
        json!({
            "id": unique("cs"), "object": "checkout.session", "mode": "subscription", "status": "complete",
            "payment_status": "paid", "customer": customer, "subscription": null, "client_reference_id": null,
            "customer_email": victim, "customer_details": { "email": victim, "name": victim }, "metadata": {},
        }),
    );
    world.ignored(&session).await;
    calm(&world).await;
    assert_eq!(world.get("/premium/one", Some(&token(&victim))).await.status, 402);
    let query =
        "select count(*) from webhook_events where state = 'ignored' and octet_length(body) = 0 and customer_id = $1";
    assert!(number(&world, query, &customer).await > 0, "its provider was asked, and nobody knows whose it is");
    assert_eq!(number(&world, "select count(*) from accounts where account = $1", &victim).await, 0);
}

#[tokio::test]
async fn w39_what_concerns_nobody_here_is_acknowledged_and_kept_with_a_reason() {
    let world = World::start(Arrangement::AllPostgres).await;
    let stranger = Subscription::of(&unique("cus"));
    let bill = Bill::of(&stranger);
    let parked = [stranger.event("created"), stranger.event("updated"), stranger.ended().event("deleted")];
    for event in &parked {
        let (state, reason) = world.settled(event).await;
        assert!(state == "parked" && reason.contains(&stranger.customer), "{}: {state} ({reason})", event.kind);
    }
    let of = |kind: &str, object: &str| {
        Event::new(kind, json!({ "id": unique(object), "object": object, "customer": stranger.customer }))
    };
    let others = [
        bill.paid(),
        bill.refunded(700),
        of("customer.updated", "cus"),
        of("payment_method.attached", "pm"),
        of("checkout.session.completed", "cs"),
        of("checkout.session.expired", "cs"),
        of("invoice.upcoming", "in"),
        Event::new("account.updated", json!({ "id": "acct_1", "object": "account" })),
        Event::new("product.created", json!({ "id": "prod_1", "object": "product" })),
        Event::new("a_type.of_tomorrow", json!({})),
        Event::new("balance.available", json!(null)),
        checkout_completed(None, &stranger.customer, &stranger.id),
    ];
    for event in parked.iter().chain(&others) {
        // A second time too: an endpoint that goes on refusing is switched off.
        for _ in 0..2 {
            let answer = world.deliver(event).await;
            assert_eq!(answer.status, 200, "{}: {answer:?}", event.kind);
        }
    }
    calm(&world).await;
    for event in &others {
        let (state, reason) = rests(&world, &event.id).await;
        let has_word = state == "applied" || !reason.is_empty();
        assert!(
            ["ignored", "applied", "parked"].contains(&state.as_str()) && has_word,
            "{}: {state} ({reason})",
            event.kind
        );
    }
    // Not now and not for ever: each try is further from the one before, and the last one is a month away.
    let query =
        "select count(*) from webhook_events where state = 'parked' and next_attempt_at > now() + interval '30 s'
        and event_id = $1";
    assert_eq!(number(&world, query, &parked[0].id).await, 1, "it is not tried all the time");
    execute_month_later(&world, &parked[0].id).await;
    world.accepted(&parked[0]).await;
    eventually("it is parked again", async || (rests(&world, &parked[0].id).await.0 == "parked").then_some(())).await;
    let query = "select count(*) from webhook_events where event_id = $1 and next_attempt_at is null";
    assert_eq!(number(&world, query, &parked[0].id).await, 1, "after a month only a link wakes it");
}

/// As if the event had come more than a month ago.
async fn execute_month_later(world: &World, event_id: &str) {
    let back = "update webhook_events set received_at = received_at - interval '31 days' where event_id";
    super::execute(world, &format!("{back} = '{event_id}'")).await;
}
