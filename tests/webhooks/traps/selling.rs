//! From a checkout to what it gave: paid late or not at all, twice, or after a trial.

use std::time::Duration;

use demo::provider::{CancelAt, Provider, Settled, WhileProcessing};
use serde_json::{Value, json};

use super::{Buyer, calm, provider, shop};
use crate::world::stripe::{Event, Subscription, unique};
use crate::world::{Arrangement, World, token};

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

/// Opens a checkout of ours; the session's id at the provider.
async fn opened(world: &World, token: &str, order: &Value) -> String {
    let opened = world.post("/api/billing/checkout", token, order).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    id(provider(world).sessions().last().expect("a session"))
}

fn somebody() -> Buyer {
    let account = unique("buyer");
    Buyer { token: token(&account), account, customer: String::new() }
}

#[tokio::test]
async fn w10_a_checkout_that_is_not_paid_yet_gives_nothing_yet() {
    let world = shop().await;
    let provider = provider(&world);
    for (settled, expected) in [(Settled::Paid, 200), (Settled::Failed, 402)] {
        let buyer = somebody();
        let session = opened(&world, &buyer.token, &json!({ "cadence": "monthly" })).await;
        provider.complete_checkout_later(&session, WhileProcessing::Incomplete).expect("ordered");
        let told = provider.events();
        let completed = told.iter().rev().find(|event| event["type"] == "checkout.session.completed").expect("told");
        assert_eq!(completed["data"]["object"]["payment_status"], "unpaid");
        buyer.reads(&world, 402, "the payment takes days").await;
        provider.settle_checkout(&session, settled).expect("settled");
        buyer.reads(&world, expected, &format!("{settled:?}")).await;
    }
    // The same where nobody can be asked, and what failed was told last.
    let world = World::start(Arrangement::AllPostgres).await;
    for (kind, status, expected) in
        [("async_payment_succeeded", "active", 200), ("async_payment_failed", "incomplete_expired", 402)]
    {
        let buyer = Buyer { customer: unique("cus"), ..somebody() };
        let first = Subscription { status: "incomplete", ..Subscription::of(&buyer.customer) };
        let session = |kind: &str, payment_status: &str| {
            let session = json!({
                "id": format!("cs_{}", first.id), "object": "checkout.session", "mode": "subscription",
                "status": "complete", "payment_status": payment_status, "customer": buyer.customer,
                "subscription": first.id, "client_reference_id": buyer.account, "metadata": {},
            });
            Event::new(&format!("checkout.session.{kind}"), session)
        };
        world.applied(&session("completed", "unpaid")).await;
        world.applied(&first.event("created")).await;
        buyer.reads(&world, 402, "the payment takes days").await;
        world.applied(&Subscription { status, ..first.clone() }.event("updated")).await;
        world.settled(&session(kind, "unpaid")).await;
        buyer.reads(&world, expected, kind).await;
    }
}

#[tokio::test]
async fn w31_who_comes_back_gets_no_second_trial() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = somebody();
    // Each goes on to another page: equal calls within a minute are answered like the first of them.
    let annual = |next: &str| json!({ "cadence": "annual", "next": next });
    let last = |provider: &Provider| provider.subscriptions().last().expect("a subscription").clone();
    let session = opened(&world, &buyer.token, &annual("/one")).await;
    provider.complete_checkout(&session).expect("paid");
    assert_eq!(last(provider)["status"], "trialing", "the first time");
    buyer.reads(&world, 200, "on trial").await;
    provider.advance(Duration::from_secs(86_400)).expect("later");
    provider.cancel(&id(&last(provider)), CancelAt::Now).expect("canceled");
    buyer.reads(&world, 402, "given up").await;
    let session = opened(&world, &buyer.token, &annual("/two")).await;
    provider.complete_checkout(&session).expect("paid");
    let second = last(provider);
    assert_eq!((&second["status"], &second["trial_end"]), (&json!("active"), &Value::Null), "charged at once");
    assert_eq!(buyer.standing(&world).await["status"], "active");
    // Even when all that is left of the first customer is what is known here.
    provider.cancel(&id(&second), CancelAt::Now).expect("canceled");
    provider.delete_customer(second["customer"].as_str().expect("an id")).expect("deleted");
    calm(&world).await;
    let session = opened(&world, &buyer.token, &annual("/three")).await;
    provider.complete_checkout(&session).expect("paid");
    assert_eq!(last(provider)["status"], "active", "another customer, the same account");
}

#[tokio::test]
async fn w33_two_clicks_open_one_checkout_and_two_tabs_do_not_charge_for_ever() {
    let world = shop().await;
    let provider = provider(&world);
    let order = json!({ "cadence": "monthly" });
    let buyer = somebody();
    let clicks = || world.post("/api/billing/checkout", &buyer.token, &order);
    let (one, other) = tokio::join!(clicks(), clicks());
    let later = clicks().await;
    for click in [&other, &later] {
        assert_eq!((click.status, &click.json()["url"]), (200, &one.json()["url"]), "one page: {click:?}");
    }
    assert_eq!((provider.sessions().len(), provider.customers().len()), (1, 1), "one session");
    // A second tab with another order closes the first one: both could be paid.
    let monthly = id(&provider.sessions()[0]);
    let business = opened(&world, &buyer.token, &json!({ "tier": "business", "cadence": "monthly" })).await;
    assert!(provider.complete_checkout(&monthly).is_err(), "it is closed");
    provider.complete_checkout(&business).expect("paid");
    buyer.reads(&world, 200, "once").await;
    // Who still pays twice, at the provider itself, is told so, and ends both at once.
    let customer = provider.customers()[0]["id"].as_str().expect("an id").to_owned();
    provider.subscribe(Buyer { customer, ..somebody() }.order("price_monthly")).expect("it begins");
    let third = world.post("/api/billing/checkout", &buyer.token, &order).await;
    assert_eq!((third.status, third.code().as_str()), (409, "already_subscribed"), "no third one");
    let shown = buyer.standing(&world).await;
    assert_eq!(shown["subscriptions"].as_array().map(Vec::len), Some(2), "both are shown: {shown}");
    let canceled = world.post("/api/billing/cancel", &buyer.token, &json!({})).await;
    assert_eq!(canceled.status, 200, "{canceled:?}");
    let ends = |it: &&Value| !it["cancel_at"].is_null() || it["cancel_at_period_end"] == true;
    assert_eq!(provider.subscriptions().iter().filter(ends).count(), 2, "and neither goes on");
}
