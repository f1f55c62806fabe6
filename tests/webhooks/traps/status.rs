//! What a subscription's state gives: what was paid for, and nothing else, whatever the event is called.

use std::time::Duration;

use demo::provider::{CancelAt, Card, Exhausted, PauseBehavior, Shape as ProviderShape, Subscribe, TrialEnd};
use serde_json::json;

use super::{Buyer, provider, shop};
use crate::world::stripe::{DAY, Event, Subscription, unique};
use crate::world::{Arrangement, Setup, World, in_seconds};

/// Each status, and what a page for those who paid answers; the names are Stripe's.
const STATUSES: [(&str, u16); 9] = [
    ("active", 200),
    ("trialing", 200),
    ("past_due", 200),
    ("incomplete", 402),
    ("incomplete_expired", 402),
    ("unpaid", 402),
    ("paused", 402),
    ("canceled", 402),
    ("a_status_of_the_future", 402),
];

fn in_status(subscription: &Subscription, status: &'static str) -> Subscription {
    let now = in_seconds(0);
    Subscription {
        status,
        trial_end: (status == "trialing").then_some(now + DAY),
        ended_at: (status == "canceled").then_some(now),
        ..subscription.clone()
    }
}

#[tokio::test]
async fn w11_a_new_subscription_gives_what_its_status_gives() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (status, expected) in STATUSES {
        let buyer = Buyer::linked(&world).await;
        let subscription = in_status(&Subscription::of(&buyer.customer), status);
        world.settled(&subscription.event("created")).await;
        buyer.reads(&world, expected, status).await;
    }
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    provider.set_card(&buyer.customer, Card::Declined).expect("a card");
    buyer.subscribes(provider);
    buyer.reads(&world, 402, "the first payment was declined").await;
    provider.advance(Duration::from_secs(2 * 86_400)).expect("later");
    buyer.reads(&world, 402, "and nobody tried again").await;
}

#[tokio::test]
async fn w12_an_update_takes_access_as_well_as_it_gives_it() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (status, expected) in STATUSES {
        let buyer = Buyer::linked(&world).await;
        let before = in_seconds(-60);
        let active = Subscription { created: before, ..Subscription::of(&buyer.customer) };
        world.applied(&active.event("updated").created_at(before)).await;
        buyer.reads(&world, 200, "active").await;
        world.settled(&in_status(&active, status).event("updated")).await;
        // What was paid for once does not become unpaid for the first time, and what is not understood changes nothing.
        let expected = if matches!(status, "incomplete" | "a_status_of_the_future") { 200 } else { expected };
        buyer.reads(&world, expected, status).await;
    }
}

#[tokio::test]
async fn w13_who_does_not_pay_loses_access_though_nothing_is_deleted() {
    // The grace runs from the first payment that failed, and no event is needed for its end.
    let world = World::start(Arrangement::AllPostgres).await;
    for (days, expected) in [(13, 200), (15, 402)] {
        let buyer = Buyer::linked(&world).await;
        let first = in_seconds(-days * DAY);
        let subscription =
            Subscription { created: first - 40 * DAY, status: "past_due", ..Subscription::of(&buyer.customer) };
        let subscription = Subscription { period: (first, first + 30 * DAY), ..subscription };
        world.applied(&subscription.event("updated").created_at(first)).await;
        buyer.reads(&world, expected, "after the first failure").await;
        world.settled(&subscription.event("updated")).await;
        buyer.reads(&world, expected, "another failure begins no new grace").await;
    }
    // An account of the provider that is set to keep what nobody pays.
    let world = shop().await;
    let provider = provider(&world);
    let (unpaid, trying) = (Buyer::at(provider), Buyer::at(provider));
    provider.set_exhausted(Exhausted::Unpaid);
    unpaid.subscribes(provider);
    let trial = Subscribe { trial_days: 7, trial_end: TrialEnd::Pause, ..trying.order("price_monthly") };
    let trial = provider.subscribe(trial).expect("it begins");
    unpaid.reads(&world, 200, "paid").await;
    trying.reads(&world, 200, "trying").await;
    provider.set_card(&unpaid.customer, Card::Declined).expect("a card");
    provider.set_card(&trying.customer, Card::Missing).expect("a card");
    provider.advance(Duration::from_secs(60 * 86_400)).expect("later");
    let statuses: Vec<_> = provider.subscriptions().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(statuses, ["unpaid", "paused"], "at the provider");
    let kinds: Vec<_> = provider.events().iter().map(|event| event["type"].clone()).collect();
    assert!(!kinds.contains(&"customer.subscription.deleted".into()), "and nothing was deleted: {kinds:?}");
    unpaid.reads(&world, 402, "nobody paid").await;
    trying.reads(&world, 402, "the trial ended without a card").await;
    provider.set_card(&trying.customer, Card::Good).expect("a card");
    provider.resume(&trial).expect("it goes on");
    trying.reads(&world, 200, "it goes on").await;
}

#[tokio::test]
async fn w14_paused_collection_suspends_though_the_status_says_active() {
    let world = shop().await;
    let provider = provider(&world);
    for behavior in [PauseBehavior::Void, PauseBehavior::KeepAsDraft, PauseBehavior::MarkUncollectible] {
        let buyer = Buyer::at(provider);
        let subscription = buyer.subscribes(provider);
        buyer.reads(&world, 200, "collected").await;
        provider.pause_collection(&subscription, behavior, None).expect("paused");
        assert_eq!(provider.subscription(&subscription).expect("it is there")["status"], "active");
        buyer.reads(&world, 402, "paused").await;
        provider.unpause_collection(&subscription).expect("resumed");
        buyer.reads(&world, 200, "resumed").await;
    }
    for (policy, expected) in [("\"suspend\"", 402), ("\"keep\"", 200)] {
        let world = World::with(Setup::new(Arrangement::AllPostgres).key("policy.pause", policy)).await;
        let buyer = Buyer::linked(&world).await;
        let subscription = Subscription::of(&buyer.customer);
        world.applied(&subscription.event("created")).await;
        let paused = Subscription { pause_collection: Some("void"), ..subscription };
        world.applied(&paused.event("updated").created_at(in_seconds(1))).await;
        buyer.reads(&world, expected, policy).await;
    }
}

#[tokio::test]
async fn w15_a_scheduled_end_is_seen_in_either_field_and_taken_back_in_both() {
    for shape in [ProviderShape::Acacia, ProviderShape::Endive] {
        let world = World::with(Setup::new(Arrangement::AllPostgres).provider(shape)).await;
        let provider = provider(&world);
        let buyer = Buyer::at(provider);
        let subscription = buyer.subscribes(provider);
        let later = provider.now() + chrono::Duration::days(9);
        for at in [CancelAt::PeriodEnd, CancelAt::Flag, CancelAt::Moment(later)] {
            provider.cancel(&subscription, at).expect("canceled");
            let seen = provider.subscription(&subscription).expect("it is there");
            let standing = buyer.standing(&world).await;
            assert_eq!(standing["status"], "canceling", "{at:?}: {seen}");
            let end = &standing["subscriptions"][0]["cancel_at"];
            assert!(end.is_string(), "it says when: {standing}");
            assert_eq!(standing["valid_until"], *end, "and not later");
            world.everywhere("/premium/one", &buyer.token, 200).await;
            provider.reactivate(&subscription).expect("kept");
            let standing = buyer.standing(&world).await;
            assert_eq!(standing["status"], "active", "{at:?}");
            assert!(standing["subscriptions"][0]["cancel_at"].is_null(), "{standing}");
        }
    }
    // The date alone ends it, with no further event.
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let before = in_seconds(-DAY);
    let subscription =
        Subscription { created: before, period: (before, before + 30 * DAY), ..Subscription::of(&buyer.customer) };
    let over = Subscription { cancel_at: Some(in_seconds(-60)), cancel_at_period_end: false, ..subscription };
    world.applied(&over.event("updated").created_at(before)).await;
    buyer.reads(&world, 402, "its date has passed").await;
}

#[tokio::test]
async fn w17_a_summary_of_entitlements_changes_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let summary = |customer: &str, lookup: &[&str]| {
        let data: Vec<_> = lookup.iter().map(|key| json!({ "id": unique("ent"), "lookup_key": key })).collect();
        let entitlements = json!({ "object": "list", "data": data, "has_more": true });
        Event::new(
            "entitlements.active_entitlement_summary.updated",
            json!({ "object": "entitlements.active_entitlement_summary", "customer": customer, "entitlements": entitlements }),
        )
    };
    let paying = Buyer::linked(&world).await;
    world.applied(&Subscription::of(&paying.customer).event("created")).await;
    world.ignored(&summary(&paying.customer, &[])).await;
    paying.reads(&world, 200, "an empty summary takes nothing").await;
    let other = Buyer::linked(&world).await;
    world.ignored(&summary(&other.customer, &["archive", "paid", "price_monthly"])).await;
    other.reads(&world, 402, "a full one gives nothing").await;
}

#[tokio::test]
async fn w40_another_quantity_is_no_new_period_and_takes_nothing() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    let subscription = buyer.subscribes(provider);
    let before = buyer.standing(&world).await;
    let changes = buyer.changes(&world).await;
    for quantity in [5, 2] {
        provider.set_quantity(&subscription, "price_monthly", quantity).expect("changed");
        let standing = buyer.standing(&world).await;
        assert_eq!(standing, before, "{quantity}");
        buyer.reads(&world, 200, "it is still paid for").await;
    }
    assert_eq!(buyer.changes(&world).await, changes, "for the gate nothing changed");

    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    world.applied(&subscription.event("created")).await;
    let before = buyer.standing(&world).await;
    let more = Subscription { quantity: 5, ..subscription };
    world.ignored(&more.event("updated").created_at(in_seconds(1)).after(json!({ "quantity": 1 }))).await;
    assert_eq!(buyer.standing(&world).await, before);
}

#[tokio::test]
async fn w12_a_status_of_tomorrow_changes_nothing_and_somebody_is_told() {
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    world.applied(&subscription.event("created")).await;
    buyer.reads(&world, 200, "it runs").await;
    let unknown = Subscription { status: "hibernating", ..subscription }.event("updated");
    world.settled(&unknown).await;
    buyer.reads(&world, 200, "what nobody understands takes nothing").await;
    let (state, reason) = super::rests(&world, &unknown.id).await;
    assert!(state == "ignored" && reason.contains("a status that Tollgate does not know"), "{state}: {reason}");
    let counted = world.billing().metric("tollgate_unknown_statuses_total", &["provider=\"stripe\""]).await;
    assert_eq!(counted, 1.0, "an operator is told");
    world.billing().logs("a status that this build does not know").await;
    let log = world.billing().process.log();
    let line = log.lines().find(|line| line.contains("a status that this build does not know")).expect("a line");
    for named in [unknown.id.as_str(), "hibernating", "update Tollgate"] {
        assert!(line.contains(named), "{named}: {line}");
    }
}

#[tokio::test]
async fn a5_a_subscription_first_seen_with_a_status_of_tomorrow_is_not_sold_beside() {
    let world = shop().await;
    world.has_a_subscriber_at_the_provider().await;
    let buyer = Buyer::linked(&world).await;
    let unknown = Subscription { status: "hibernating", ..Subscription::of(&buyer.customer) };
    world.applied(&unknown.event("created")).await;
    buyer.reads(&world, 402, "it gives nothing").await;
    let own = buyer.standing(&world).await["subscriptions"][0].clone();
    assert_eq!(
        (&own["state"], &own["reason"], &own["way_back"]),
        (&json!("unknown"), &json!("unknown_status"), &json!("wait")),
        "{own}"
    );
    let order = json!({ "cadence": "monthly" });
    let again = world.post("/api/billing/checkout", &buyer.token, &order).await;
    assert_eq!((again.status, again.code().as_str()), (409, "already_subscribed"), "it may run: {again:?}");
    let counted = world.billing().metric("tollgate_unknown_statuses_total", &["provider=\"stripe\""]).await;
    assert!(counted >= 1.0, "an operator is told");
    world.billing().logs("hibernating").await;
    assert!(world.billing().process.log().contains("hibernating"), "and of which status");
    let page = world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("that is being looked into"), "{}", page.body);
    let explained = world.tollgate(&["explain", "account", &buyer.account]).await.success();
    assert!(explained.contains("of a status that this build does not know"), "{explained}");
    world.applied(&Subscription { status: "active", ..unknown.clone() }.event("updated")).await;
    buyer.reads(&world, 200, "what is understood counts").await;
    world.applied(&unknown.ended().event("deleted")).await;
    buyer.reads(&world, 402, "and its end").await;
}
