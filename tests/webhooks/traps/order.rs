//! Late, repeated, reordered and racing: what is known at the end is what is so at the provider.

use demo::provider::{CancelAt, Echo, EventForm, Fault, FaultKind, PauseBehavior};
use serde_json::json;

use super::{Buyer, calm, number, provider, shop};
use crate::world::stripe::{Bill, DAY, Shape, Subscription, unique};
use crate::world::{Arrangement, World, eventually, in_seconds};

#[tokio::test]
async fn w01_a_stale_update_never_overwrites_newer_state() {
    told_alone().await;
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    calm(&world).await;
    provider.hold();
    let subscription = buyer.subscribes(provider);
    let beginning = provider.waiting();
    for event in beginning.iter().rev() {
        provider.deliver(event).await.expect("delivered");
    }
    buyer.reads(&world, 200, "incomplete, told after active").await;
    provider.cancel(&subscription, CancelAt::Now).expect("canceled");
    for event in provider.waiting() {
        provider.deliver(&event).await.expect("delivered");
    }
    buyer.reads(&world, 402, "over").await;
    for event in beginning {
        provider.redeliver(&event).await.expect("delivered");
    }
    buyer.reads(&world, 402, "told again what was before").await;
}

/// Nobody can be asked: only what the events say is known.
async fn told_alone() {
    let world = World::start(Arrangement::AllPostgres).await;
    for shape in [Shape::Acacia, Shape::Basil] {
        let buyer = Buyer::linked(&world).await;
        let active = Subscription { shape, ..Subscription::of(&buyer.customer) };
        let incomplete = Subscription { status: "incomplete", ..active.clone() };
        // One step of the provider tells both, within one second; they arrive the wrong way round.
        let (created, updated) = (incomplete.event("created"), active.event("updated"));
        world.applied(&updated).await;
        world.ignored(&created).await;
        buyer.reads(&world, 200, "incomplete, told after active").await;

        let unpaid = Subscription { status: "unpaid", ..active.clone() }.event("updated").created_at(in_seconds(-30));
        let renewed = Subscription { period: (active.period.1, active.period.1 + 30 * DAY), ..active.clone() };
        world.applied(&renewed.event("updated")).await;
        world.ignored(&unpaid).await;
        buyer.reads(&world, 200, "the period before, told after the next").await;

        world.applied(&active.ended().event("deleted")).await;
        world.ignored(&active.event("updated")).await;
        // Even when it claims to be newer.
        world.ignored(&renewed.event("updated").created_at(in_seconds(60))).await;
        buyer.reads(&world, 402, "an update, told after the end").await;

        let other = Subscription { shape, ..Subscription::of(&buyer.customer) };
        let created = other.event("created");
        world.applied(&other.ended().event("deleted")).await;
        world.ignored(&created).await;
        buyer.reads(&world, 402, "the beginning, told after the end").await;
    }
}

#[tokio::test]
async fn w02_events_of_one_second_are_not_ordered_by_their_date_or_id() {
    let world = World::start(Arrangement::AllPostgres).await;
    let second = in_seconds(0);
    let buyer = Buyer::linked(&world).await;
    let active = Subscription::of(&buyer.customer);
    let end = active.period.1;
    let canceling = Subscription { cancel_at: Some(end), ..active.clone() };
    // The later one has the smaller id, as it may.
    let (greater, smaller) = (unique("evt_9"), unique("evt_0"));
    let canceled = canceling.event("updated").created_at(second).after(json!({ "cancel_at": null })).called(&greater);
    let kept = active.event("updated").created_at(second).after(json!({ "cancel_at": end })).called(&smaller);
    world.applied(&active.event("created").created_at(second)).await;
    world.applied(&canceled).await;
    assert_eq!(buyer.standing(&world).await["status"], "canceling", "the second event of the second");
    world.applied(&kept).await;
    assert_eq!(buyer.standing(&world).await["status"], "active", "the third event of the second");

    let buyer = Buyer::linked(&world).await;
    let active = Subscription::of(&buyer.customer);
    let unpaid = Subscription { status: "unpaid", ..active.clone() };
    let changed = unpaid.event("updated").created_at(second).after(json!({ "status": "active" }));
    world.applied(&changed).await;
    world.ignored(&active.event("updated").created_at(second)).await;
    buyer.reads(&world, 402, "the later of two is told first").await;
    let buyer = Buyer::linked(&world).await;
    let active = Subscription::of(&buyer.customer);
    world.applied(&active.event("updated").created_at(second)).await;
    let unpaid = Subscription { status: "unpaid", ..active.clone() };
    let of_another_moment = unpaid.event("updated").created_at(second).after(json!({ "status": "trialing" }));
    world.ignored(&of_another_moment).await;
    buyer.reads(&world, 200, "what cannot be put into an order takes nothing").await;
    // Where the provider can be asked, dates decide nothing at all.
    let world = shop().await;
    let provider = provider(&world);
    for backward in [false, true] {
        let buyer = Buyer::at(provider);
        let subscription = buyer.subscribes(provider);
        calm(&world).await;
        provider.hold();
        provider.cancel(&subscription, CancelAt::PeriodEnd).expect("canceled");
        provider.reactivate(&subscription).expect("kept");
        let mut waiting = provider.waiting();
        assert_eq!(waiting.len(), 2, "of one second, but for chance");
        if backward {
            waiting.reverse();
        }
        for event in waiting {
            provider.deliver(&event).await.expect("delivered");
        }
        assert_eq!(buyer.standing(&world).await["status"], "active", "backward: {backward}");
        provider.release();
    }
}

#[tokio::test]
async fn w02_there_and_back_within_one_second_takes_nothing_whatever_is_told_first() {
    let world = World::start(Arrangement::AllPostgres).await;
    let second = in_seconds(0);
    for backward in [false, true] {
        let buyer = Buyer::linked(&world).await;
        let active = Subscription::of(&buyer.customer);
        let unpaid = Subscription { status: "unpaid", ..active.clone() };
        world.applied(&active.event("created").created_at(second)).await;
        let there = unpaid.event("updated").created_at(second).after(json!({ "status": "active" }));
        let back = active.event("updated").created_at(second).after(json!({ "status": "unpaid" }));
        let told = if backward { [back, there] } else { [there, back] };
        for event in &told {
            world.settled(event).await;
        }
        buyer.reads(&world, 200, &format!("backward: {backward}")).await;
    }
}

#[tokio::test]
async fn w03_an_older_answer_of_the_provider_never_overwrites_a_newer_one() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    let subscription = buyer.subscribes(provider);
    buyer.reads(&world, 200, "it runs").await;
    // The answer says that it runs, and takes its time.
    let path = format!("/v1/subscriptions/{subscription}");
    provider.fail_calls(Fault { kind: FaultKind::Hold, path, count: 1 }).expect("there is room");
    provider
        .emit("customer.subscription.updated", provider.subscription(&subscription).expect("it is there"))
        .expect("told");
    eventually("it is asked for", async || (provider.held_calls() == 1).then_some(())).await;
    // Meanwhile it is paused, and another process asks and is answered at once.
    provider.hold();
    provider.pause_collection(&subscription, PauseBehavior::Void, None).expect("paused");
    world.tollgate(&["reconcile", "--account", &buyer.account]).await.success();
    world.everywhere("/premium/one", &buyer.token, 402).await;
    provider.release_calls();
    for event in provider.waiting() {
        provider.discard(&event).expect("it waits");
    }
    buyer.reads(&world, 402, "the older answer came later").await;
    provider.release();
}

#[tokio::test]
async fn w20_one_change_under_two_event_ids_is_one_change() {
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    let created = subscription.event("created");
    world.applied(&created).await;
    world.ignored(&created.again()).await;
    // Half of it, told twice, is not all of it.
    let bill = Bill::of(&subscription);
    world.accepted(&bill.paid()).await;
    let half = bill.refunded(350);
    world.settled(&half).await;
    world.settled(&half.again()).await;
    buyer.reads(&world, 200, "half of it went back").await;
    let all = bill.refunded(700);
    world.settled(&all).await;
    let changes = buyer.changes(&world).await;
    world.ignored(&all.again()).await;
    assert_eq!(buyer.changes(&world).await, changes, "one change");
    buyer.reads(&world, 402, "all of it went back").await;

    let world = shop().await;
    let provider = provider(&world);
    let mut changes = Vec::new();
    for (form, echo) in
        [(EventForm::Snapshot, Echo::Once), (EventForm::Snapshot, Echo::Twice), (EventForm::Both, Echo::Once)]
    {
        provider.set_event_form(form);
        provider.set_echo(echo);
        let buyer = Buyer::at(provider);
        let subscription = buyer.subscribes(provider);
        buyer.reads(&world, 200, "it runs").await;
        provider.cancel(&subscription, CancelAt::PeriodEnd).expect("canceled");
        calm(&world).await;
        let both = number(&world, "select count(*) from webhook_events where customer_id = $1", &buyer.customer).await;
        changes.push((buyer.changes(&world).await, both));
    }
    assert!(changes[1].1 > changes[0].1, "more was told: {changes:?}");
    assert!(changes.iter().all(|(count, _)| *count == changes[0].0), "and it is as many changes: {changes:?}");
}
