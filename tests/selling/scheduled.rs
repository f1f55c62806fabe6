//! Subscriptions that a schedule manages at the provider, as after a downgrade in the portal: they end and go on all the same.

use std::time::Duration;

use demo::provider::{Fault, FaultKind};
use serde_json::json;

use super::{Buyer, monthly, provider, shop, text};
use crate::world::wait::DEADLINE;
use crate::world::{Answer, Arrangement};

async fn asks(buyer: &Buyer<'_>, what: &str) -> Answer {
    buyer.world.post(&format!("/api/billing/{what}"), &buyer.token, &json!({})).await
}

/// A buyer of the business tier who goes down to the paid one when the period ends.
async fn downgraded<'a>(world: &'a crate::world::World) -> (Buyer<'a>, String, String) {
    let buyer = Buyer::new(world);
    buyer.buys(&json!({ "tier": "business", "cadence": "monthly" })).await;
    buyer.becomes("active").await;
    let id = text(&buyer.subscription(), "id");
    let schedule = provider(world).schedule_change(&id, "price_monthly").expect("scheduled");
    (buyer, id, schedule)
}

#[tokio::test]
async fn a7_what_a_schedule_manages_is_ended_with_its_period_and_kept() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let (buyer, id, _) = downgraded(&world).await;
    let own = || provider.subscription(&id).expect("it is there");
    let canceled = asks(&buyer, "cancel").await;
    assert_eq!((canceled.status, canceled.json()["status"].as_str()), (200, Some("scheduled")), "{canceled:?}");
    assert!(canceled.json()["ends_at"].is_string(), "{canceled:?}");
    assert_eq!((&own()["cancel_at_period_end"], &own()["schedule"]), (&json!(true), &json!(null)));
    assert_eq!(buyer.standing().await["status"], "canceling", "at once");
    assert_eq!(asks(&buyer, "cancel").await.status, 200, "again");
    let kept = asks(&buyer, "reactivate").await;
    assert_eq!((kept.status, &own()["cancel_at"]), (200, &json!(null)), "{kept:?}");
    assert_eq!(buyer.standing().await["status"], "active");
    assert_eq!(asks(&buyer, "reactivate").await.code(), "not_canceling");
    assert_eq!(asks(&buyer, "cancel").await.status, 200);
    provider.advance(Duration::from_secs(32 * 86_400)).expect("over");
    provider.settled(DEADLINE).await.expect("told");
    assert_eq!(own()["status"], "canceled", "it is not renewed at another price");
}

#[tokio::test]
async fn a7_an_end_that_a_schedule_has_set_is_brought_forward_and_taken_back_there() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let (buyer, id, schedule) = downgraded(&world).await;
    let own = || provider.subscription(&id).expect("it is there");
    provider.set_schedule_cancels(&schedule, true).expect("changed");
    buyer.becomes("canceling").await;
    let kept = asks(&buyer, "reactivate").await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!((&own()["cancel_at"], &own()["schedule"]), (&json!(null), &json!(schedule)), "the downgrade stays");
    assert_eq!(buyer.standing().await["status"], "active");

    provider.set_schedule_cancels(&schedule, true).expect("changed");
    let late = own()["cancel_at"].as_i64().expect("an end");
    let canceled = asks(&buyer, "cancel").await;
    assert_eq!(canceled.status, 200, "{canceled:?}");
    let end = own()["cancel_at"].as_i64().expect("an end");
    assert!(end < late && own()["schedule"].is_null(), "with the period, not with the next phase: {}", own());
}

#[tokio::test]
async fn a7_an_error_between_letting_go_and_ending_can_be_repeated() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let (buyer, id, schedule) = downgraded(&world).await;
    let own = || provider.subscription(&id).expect("it is there");
    let fail = |path: &str, count| {
        let fault = Fault { path: path.into(), kind: FaultKind::Mistaken, count };
        provider.fail_calls(fault).expect("planned");
    };
    // The schedule cannot be asked: nothing has changed.
    fail("/v1/subscription_schedules", 1);
    let refused = asks(&buyer, "cancel").await;
    assert_eq!((refused.status, own()["schedule"].is_string()), (502, true), "{refused:?}");
    // It lets go, and then the subscription cannot be asked, neither here nor for what the event of it says: it goes on, as it did.
    provider.release_schedule(&schedule).expect("released by another hand");
    fail(&format!("/v1/subscriptions/{id}"), 1000);
    let refused = asks(&buyer, "cancel").await;
    assert_eq!((refused.status, &own()["cancel_at_period_end"]), (502, &json!(false)), "{refused:?}");
    provider.heal_calls();
    for repetition in 0..2 {
        let canceled = asks(&buyer, "cancel").await;
        assert_eq!(
            (canceled.status, &own()["cancel_at_period_end"]),
            (200, &json!(true)),
            "{repetition}: {canceled:?}"
        );
    }
    assert_eq!(buyer.standing().await["status"], "canceling");
    // Somebody who buys by the month without a schedule is asked about none.
    let other = Buyer::new(&world);
    other.buys(&monthly()).await;
    other.becomes("active").await;
    provider.forget_calls();
    assert_eq!(asks(&other, "cancel").await.status, 200);
    assert!(!provider.calls().keys().any(|call| call.contains("schedule")), "{:?}", provider.calls());
}
