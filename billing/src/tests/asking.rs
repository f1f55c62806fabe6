//! With an API key an event is a hint: what the provider says now is what counts.

use chrono::TimeDelta;
use demo::provider::Provider;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, event, settings, shop, with};
use crate::ops::{Asker, Cancel, EraseWish, Rehearsal};

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";

/// A world whose provider can be asked, and a customer of it with a subscription of the world's account.
async fn with_provider(options: PgPoolOptions, connect: PgConnectOptions) -> (World, Provider, String, String) {
    let (world, provider) = shop::world(options, connect).await;
    let (customer, subscription) = shop::subscribe(&provider, &world.account, "price_monthly");
    (world, provider, customer, subscription)
}

/// What an event says of the subscription; the provider may say otherwise.
fn told(world: &World, customer: &str, subscription: &str, fields: &Value) -> Value {
    with(&active(customer, subscription, "price_monthly", world.now), fields)
}

#[sqlx::test(migrations = "../migrations")]
async fn what_the_provider_says_now_counts_and_not_what_the_event_said(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider, customer, subscription) = with_provider(options, connect).await;
    let stale = told(&world, &customer, &subscription, &json!({ "status": "unpaid" }));
    world.apply(&[event("evt_1", UPDATED, world.now, &stale)]).await;
    assert_eq!(world.has(&world.account, world.now + TimeDelta::seconds(2)).await, "paid active");
    provider.cancel(&subscription, demo::provider::CancelAt::Now).expect("canceled");
    let stale = told(&world, &customer, &subscription, &json!({}));
    world.apply(&[event("evt_2", UPDATED, world.at(9), &stale)]).await;
    assert_eq!(world.has(&world.account, world.at(60)).await, "free none");
    world.apply(&[event("evt_3", CREATED, world.at(99), &stale)]).await;
    assert_eq!(world.has(&world.account, world.at(160)).await, "free none", "it never comes back");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_answer_does_for_every_event_that_had_arrived_before(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, _provider, customer, subscription) = with_provider(options, connect).await;
    for number in 0..5 {
        let object = told(&world, &customer, &subscription, &json!({ "status": "past_due" }));
        world.receive(&event(&format!("evt_{number}"), UPDATED, world.at(number), &object)).await;
    }
    world.billing.apply_due(world.now).await.expect("the inbox is worked on");
    let observed: i64 =
        sqlx::query_scalar("select observation from subscriptions").fetch_one(&world.pool).await.expect("one");
    let drawn: i64 =
        sqlx::query_scalar("select last_value from observations").fetch_one(&world.pool).await.expect("one");
    assert_eq!(observed, drawn, "nothing was asked after the first answer");
    assert_eq!(world.has(&world.account, world.now + TimeDelta::seconds(2)).await, "paid active");
}

/// An event that only names a subscription.
fn thin(id: &str, subscription: &str) -> Value {
    json!({
        "id": id, "object": "v2.core.event", "type": "v1.customer.subscription.created",
        "created": "2026-01-02T03:04:05.678Z", "livemode": false,
        "related_object": { "id": subscription, "type": "subscription", "url": format!("/v1/subscriptions/{subscription}") },
    })
}

#[sqlx::test(migrations = "../migrations")]
async fn a_thin_event_is_asked_about_and_one_answer_does_for_all(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, _provider, _customer, subscription) = with_provider(options, connect).await;
    for event in [thin("evt_1", &subscription), thin("evt_2", &subscription), thin("evt_3", "sub_of_nobody")] {
        world.receive(&event).await;
    }
    world.billing.apply_due(world.now).await.expect("the inbox is worked on");
    assert_eq!(world.fate("evt_1").await.0, "applied");
    assert_eq!(world.has(&world.account, world.now + TimeDelta::seconds(2)).await, "paid active");
    for (event, expected) in [
        ("evt_2", "its provider has been asked about it since it arrived"),
        ("evt_3", "its provider has no such object"),
    ] {
        let (state, reason) = world.fate(event).await;
        assert_eq!((state.as_str(), reason.as_deref()), ("ignored", Some(expected)));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_thin_event_waits_when_nobody_can_be_asked(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.customer.subscription.created",
        "created": "2026-01-02T03:04:05.678Z",
        "related_object": { "id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1" },
    });
    world.apply(&[thin]).await;
    let (state, reason) = world.fate("evt_thin").await;
    assert_eq!(state, "parked");
    assert!(reason.is_some_and(|reason| reason.contains("API key")));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_while_the_provider_is_away_is_in_the_copy_of_its_account_and_goes_with_it(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider, customer, subscription) = with_provider(options, connect).await;
    provider.shutdown().await;
    let fields = json!({ "metadata": { "account": world.account.as_str() }, "status": "canceled", "ended_at": world.now.timestamp() });
    let object = told(&world, &customer, &subscription, &fields);
    world.apply(&[event("evt_1", "customer.subscription.deleted", world.now, &object)]).await;
    assert_eq!(world.fate("evt_1").await.0, "pending");
    let exported = world.billing.export_account(&world.account).await.expect("a copy");
    let events = &exported.tables["webhook_events"];
    assert_eq!((events.len(), exported.unassigned_events), (1, 0));
    assert_eq!(events[0]["body"]["id"], "evt_1");
    world.receive(&event("evt_2", UPDATED, world.at(1), &object)).await;
    let exported = world.billing.export_account(&world.account).await.expect("a copy");
    assert_eq!(
        (exported.tables["webhook_events"].len(), exported.unassigned_events),
        (1, 1),
        "what is missing is told"
    );
    let wish = EraseWish {
        account: &world.account,
        cancel: Cancel::Refuse,
        id: None,
        asker: Asker::Operator,
        rehearsal: Rehearsal::No,
    };
    let erased = world.billing.erase_account(wish).await.expect("it goes");
    assert_eq!(erased.erasure.events, 1);
    assert_eq!(world.fate("evt_1").await.0, "ignored");
    let (_, body) = world.billing.event("evt_1").await.expect("the inbox").expect("the event");
    assert!(body.is_empty(), "nothing of it is kept");
}

#[sqlx::test(migrations = "../migrations")]
async fn with_the_provider_away_the_event_is_believed_and_asked_about_later(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider, customer, subscription) = with_provider(options, connect).await;
    let url = provider.url().to_owned();
    provider.shutdown().await;
    let object = told(&world, &customer, &subscription, &json!({ "metadata": { "account": world.account.as_str() } }));
    world.apply(&[event("evt_1", CREATED, world.now, &object)]).await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active", "nobody waits for {url}");
    let (state, reason) = world.fate("evt_1").await;
    assert_eq!(state, "pending", "{reason:?}");
    let mut now = world.now;
    for _ in 0..12 {
        let Some(next) = world.billing.event("evt_1").await.expect("the inbox").expect("the event").0.next_attempt_at
        else {
            break;
        };
        now = now.max(next);
        // Each try gives up at once: nobody listens there any more.
        world.billing.apply_due(now).await.expect("the inbox is worked on");
    }
    assert!(matches!(world.fate("evt_1").await.0.as_str(), "applied" | "ignored"), "it does not wait for ever");
}

/// A provider whose subscriptions all have a status that nobody knows yet; its URL.
async fn of_tomorrow(subscription: Value) -> String {
    let answer = move |uri: http::Uri| {
        let is_subscription = uri.path().starts_with("/v1/subscriptions/");
        let object =
            if is_subscription { subscription.clone() } else { json!({ "id": "acct_1", "object": "account" }) };
        async move { axum::Json(object) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    url
}

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_with_a_status_of_tomorrow_gives_nothing_and_is_the_reason(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let now = crate::clock::now();
    let unknown = with(&active("cus_1", "sub_1", "price_monthly", now), &json!({ "status": "hibernating" }));
    let mut asking = settings();
    asking.stripe.api_key = Some("sk_test_of_tomorrow".into());
    asking.stripe.api_base = of_tomorrow(unknown).await;
    let world = World::with(options, connect, asking).await;
    let customer = json!({ "id": "cus_1", "metadata": { "account": world.account } });
    world.apply(&[event("evt_0", "customer.created", now, &customer), thin("evt_1", "sub_1")]).await;
    assert_eq!(world.fate("evt_1").await.0, "applied", "it is known, and stands in the way of another one");
    assert_eq!(world.has(&world.account, now).await, "free none");
    world.apply(&[thin("evt_2", "sub_1")]).await;
    let (state, reason) = world.fate("evt_2").await;
    assert!(state == "ignored" && reason.as_deref() == Some(crate::provider::UNKNOWN_STATUS), "{state}: {reason:?}");
}
