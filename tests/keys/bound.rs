//! What a comparison would take from more than a few within a day waits for a person.

use serde_json::{Value, json};

use super::{Subscriber, all_have, execute, full, logged, provider, setup, subscribers};
use crate::world::{World, eventually};
use demo::provider::{CancelAt, Telling};

const HELD_BACK: &str = "tollgate_held_back_total";

#[tokio::test]
async fn the_bound_counts_over_a_day_and_not_over_a_run() {
    let world = World::with(setup()).await;
    let subscribers = subscribers(&world, 20).await;
    let metric = async || world.billing().metric(HELD_BACK, &["what=\"comparison\""]).await;
    assert_eq!(metric().await, 0.0);
    assert!(world.billing().admin("/metrics").await.body.contains(HELD_BACK), "it is there from the start");
    let provider = provider(&world);

    subscribers[..2].iter().for_each(|subscriber| subscriber.ends_unheard(provider));
    let first = full(&world.tollgate(&["reconcile", "--json"]).await.success());
    assert_eq!((&first["drift"], &first["held_back"]), (&json!(2), &json!(0)), "{first}");
    all_have(&world, &subscribers[..2], "free", "two are few").await;

    subscribers[2..4].iter().for_each(|subscriber| subscriber.ends_unheard(provider));
    provider.set_telling(Telling::Silent);
    let late = Subscriber::at(provider);
    provider.set_telling(Telling::Aloud);
    let second = world.tollgate(&["reconcile"]).await;
    assert!(second.failure().contains("2 accounts would lose access"), "{second:?}");
    for subscriber in &subscribers[2..4] {
        assert!(second.stdout.contains(&subscriber.account), "it is listed: {second:?}");
    }
    all_have(&world, &subscribers[2..], "paid", "stopped before the first").await;
    all_have(&world, &[late], "paid", "what gives access is applied anyway").await;
    let listed = world.tollgate(&["reconcile", "--held-back"]).await.success();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let waiting = &subscribers[2];
    let explained = world.tollgate(&["explain", "account", &waiting.account]).await.success();
    let line = format!("held back stripe subscription {} since 20", waiting.subscription);
    assert!(explained.contains(&line) && explained.contains("tollgate reconcile --force"), "{explained}");

    let unasked = world.tollgate(&["reconcile", "--force"]).await;
    assert!(unasked.failure().contains("2 accounts lose access. Go on?"), "{unasked:?}");
    all_have(&world, &subscribers[2..4], "paid", "nobody has said yes").await;
    let forced = world.tollgate(&["reconcile", "--force", "--yes", "--json"]).await;
    assert!(forced.stderr.contains("2 accounts lost access"), "{forced:?}");
    // Of both comparisons, whichever came to them first.
    let both: Vec<Value> = serde_json::from_str(&forced.success()).expect("JSON");
    let sum = |field: &str| both.iter().filter_map(|report| report[field].as_i64()).sum::<i64>();
    assert_eq!((sum("drift"), sum("held_back")), (2, 0), "{both:?}");
    all_have(&world, &subscribers[2..4], "free", "a person has said so").await;
    all_have(&world, &subscribers[4..], "paid", "and nobody else").await;
    assert_eq!(world.tollgate(&["reconcile", "--held-back"]).await.success(), "");
}

#[tokio::test]
async fn a_comparison_by_the_clock_is_held_back_too_with_a_metric_and_an_alert() {
    let mut world = World::with(setup().key("reconcile.full", "\"24h\"")).await;
    let subscribers = subscribers(&world, 20).await;
    let provider = provider(&world);
    eventually("the comparison of the start is over", async || {
        let over = "select count(*) from reconciliations where ended_at is not null and place is null";
        (super::number(&world, over).await == 1).then_some(())
    })
    .await;
    subscribers.iter().for_each(|subscriber| subscriber.ends_unheard(provider));
    execute(&world, "update reconciliations set ended_at = ended_at - interval '1 day'").await;
    world.processes[0].restart();
    world.processes[0].ready().await;
    logged(&world, "too many accounts would lose access", 1).await;
    let held = world.billing().metric(HELD_BACK, &["what=\"comparison\""]).await;
    assert!((held - 20.0).abs() < f64::EPSILON, "{held}");
    all_have(&world, &subscribers, "paid", "all are spared").await;
    assert_eq!(world.tollgate(&["reconcile", "--held-back"]).await.success().lines().count(), 20);
}

#[tokio::test]
async fn accounts_are_counted_once_and_as_they_are_however_many_comparisons_hold_them_back() {
    let world = World::with(setup()).await;
    let subscribers = subscribers(&world, 12).await;
    let provider = provider(&world);
    // Ends that the provider lists, and that were never delivered.
    provider.hold();
    for one in &subscribers[..10] {
        provider.cancel(&one.subscription, CancelAt::Now).expect("canceled");
    }
    let undelivered = provider.waiting();
    let held = world.tollgate(&["reconcile"]).await;
    assert!(held.failure().contains("10 accounts would lose access"), "{held:?}");
    // Of six the word comes after all.
    let events = provider.events();
    let is_of = |id: &str, subscribers: &[Subscriber]| {
        let of = events.iter().find(|event| event["id"] == id).map(|event| &event["data"]["object"]["id"]);
        subscribers.iter().any(|one| of == Some(&json!(one.subscription)))
    };
    for event in undelivered {
        if is_of(&event, &subscribers[..6]) {
            provider.deliver(&event).await.expect("delivered");
        } else {
            provider.discard(&event).expect("it waits");
        }
    }
    all_have(&world, &subscribers[..6], "free", "a verified event counts").await;
    let held = world.tollgate(&["reconcile", "--events"]).await;
    assert!(held.failure().contains("4 accounts would lose access"), "{held:?}");
    assert!(held.stdout.contains("4 accounts that would lose access"), "{held:?}");
    let forced = world.tollgate(&["reconcile", "--force", "--yes"]).await;
    assert!(forced.stdout.contains("4 accounts lost access"), "{forced:?}");
    forced.success();
    all_have(&world, &subscribers[..10], "free", "a person has said so").await;
    all_have(&world, &subscribers[10..], "paid", "and nobody else").await;
}
