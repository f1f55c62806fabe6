//! What a subscription goes through, and what is told of it.

use serde_json::{Value, json};

use super::{ANNUAL, MONTHLY, days, started, subscribed, told};
use crate::polar::{NewCustomer, NewRefund, PauseAt, Polar, RefundReason, RefundStatus, Seed, Subscribe};
use crate::provider::{Card, Exhausted, Telling};

const STATE: &str = "customer.state_changed";

fn own(polar: &Polar) -> Value {
    polar.subscriptions()[0].clone()
}

fn active_in_state(polar: &Polar) -> usize {
    let events = polar.events();
    let (_, last) = events.iter().rfind(|(_, body)| body["type"] == STATE).expect("a state");
    last["data"]["active_subscriptions"].as_array().expect("a list").len()
}

#[tokio::test]
async fn a_purchase_is_told_with_the_catch_all_first() {
    let polar = started().await;
    let (customer, id) = subscribed(&polar, 0);
    let expected = [
        "customer.created",
        STATE,
        "subscription.created[incomplete]",
        "order.created[pending]",
        "subscription.updated[active]",
        "subscription.active[active]",
        "order.updated[paid]",
        "order.paid[paid]",
        STATE,
    ];
    assert_eq!(told(&polar, 0), expected);
    assert_eq!(active_in_state(&polar), 1);
    let own = own(&polar);
    assert_eq!((&own["id"], &own["customer_id"], &own["product_id"]), (&json!(id), &json!(customer), &json!(MONTHLY)));
    assert_eq!(own["customer"]["external_id"], "alice");
    for field in ["created_at", "modified_at", "current_period_end"] {
        let text = own[field].as_str().expect("a moment");
        assert!(text.len() == "2026-01-31T12:00:00.123456Z".len() && text.ends_with('Z'), "{field} {text}");
    }
}

#[tokio::test]
async fn every_change_has_a_later_moment_than_the_one_before() {
    let polar = started().await;
    let (_, id) = subscribed(&polar, 0);
    for _ in 0..3 {
        polar.cancel(&id).expect("canceled");
        polar.uncancel(&id).expect("taken back");
    }
    let changes: Vec<String> = polar
        .events()
        .iter()
        .filter(|(_, body)| body["type"] == "subscription.updated")
        .map(|(_, body)| body["data"]["modified_at"].as_str().expect("a moment").to_owned())
        .collect();
    assert!(changes.len() == 7 && changes.windows(2).all(|pair| pair[0] < pair[1]), "{changes:?}");
}

#[tokio::test]
async fn a_cancellation_is_told_taken_back_and_carried_out() {
    let polar = started().await;
    let (_, id) = subscribed(&polar, 0);
    let from = polar.events().len();
    polar.cancel(&id).expect("canceled");
    assert!(polar.cancel(&id).is_err(), "once");
    let ending = own(&polar);
    assert_eq!((&ending["status"], &ending["cancel_at_period_end"]), (&json!("active"), &json!(true)));
    assert_eq!(ending["ends_at"], ending["current_period_end"]);
    assert!(ending["canceled_at"].is_string() && ending["ended_at"].is_null());
    polar.uncancel(&id).expect("taken back");
    assert!(polar.uncancel(&id).is_err(), "once");
    assert!(own(&polar)["ends_at"].is_null() && own(&polar)["canceled_at"].is_null());
    polar.cancel(&id).expect("canceled");
    polar.advance(days(31)).expect("later");
    let expected = [
        "subscription.updated[active]",
        "subscription.canceled[active]",
        STATE,
        "subscription.updated[active]",
        "subscription.uncanceled[active]",
        STATE,
        "subscription.updated[active]",
        "subscription.canceled[active]",
        STATE,
        "subscription.updated[canceled]",
        "subscription.revoked[canceled]",
        STATE,
    ];
    assert_eq!(told(&polar, from), expected);
    assert_eq!((active_in_state(&polar), polar.orders().len()), (0, 1));
    assert!(own(&polar)["ended_at"].is_string() && polar.revoke(&id).is_err());
}

#[tokio::test]
async fn a_revocation_is_a_cancellation_too() {
    let polar = started().await;
    let (_, id) = subscribed(&polar, 0);
    let from = polar.events().len();
    polar.revoke(&id).expect("revoked");
    let expected = [
        "subscription.updated[canceled]",
        "subscription.canceled[canceled]",
        "subscription.updated[canceled]",
        "subscription.revoked[canceled]",
        STATE,
    ];
    assert_eq!(told(&polar, from), expected);
}

#[tokio::test]
async fn a_period_begins_before_it_is_paid_and_whether_or_not_it_is() {
    for card in [Card::Good, Card::Declined] {
        let polar = started().await;
        let (customer, _) = subscribed(&polar, 14);
        assert_eq!((&own(&polar)["status"], &polar.orders()[0]["total_amount"]), (&json!("trialing"), &json!(0)));
        polar.set_card(&customer, card).expect("a card");
        let from = polar.events().len();
        polar.advance(days(14)).expect("later");
        let mut expected =
            vec!["subscription.updated[active]", "subscription.cycled[active]", STATE, "order.created[pending]"];
        expected.extend(match card {
            Card::Good => vec!["order.updated[paid]", "order.paid[paid]"],
            _ => vec![
                "order.updated[pending]",
                "subscription.updated[past_due]",
                "subscription.past_due[past_due]",
                STATE,
            ],
        });
        assert_eq!(told(&polar, from), expected, "{card:?}");
        assert_eq!(polar.orders()[1]["billing_reason"], "subscription_cycle");
        let own = own(&polar);
        assert_eq!(own["current_period_start"], own["trial_end"], "the paid time begins where the trial ended");
    }
}

#[tokio::test]
async fn a_payment_is_tried_four_more_times() {
    for (exhausted, status, revoked) in [
        (Exhausted::Unpaid, "unpaid", true),
        (Exhausted::Cancel, "canceled", true),
        (Exhausted::LeavePastDue, "past_due", false),
    ] {
        let polar = started().await;
        polar.set_exhausted(exhausted);
        let (customer, _) = subscribed(&polar, 1);
        polar.set_card(&customer, Card::Declined).expect("a card");
        polar.advance(days(1)).expect("later");
        assert!(own(&polar)["past_due_at"].is_string());
        let tries = |polar: &Polar| told(polar, 0).iter().filter(|line| *line == "order.updated[pending]").count();
        let (mut last, minute) = (0, std::time::Duration::from_secs(60));
        polar.advance(minute).expect("later");
        for (place, day) in [2, 7, 14, 21].into_iter().enumerate() {
            polar.advance(days(day - last) - 2 * minute).expect("later");
            assert_eq!(
                (tries(&polar), &own(&polar)["status"]),
                (place + 1, &json!("past_due")),
                "not before day {day}"
            );
            polar.advance(2 * minute).expect("later");
            assert_eq!(tries(&polar), place + 2, "on day {day}");
            last = day;
        }
        assert_eq!(own(&polar)["status"], status, "{exhausted:?}");
        let told = told(&polar, 0);
        assert_eq!(told.contains(&format!("subscription.revoked[{status}]")), revoked, "{exhausted:?} {told:?}");
        assert_eq!(active_in_state(&polar), 0);
    }
}

#[tokio::test]
async fn a_card_that_works_again_is_charged_at_the_next_try() {
    let polar = started().await;
    let (customer, _) = subscribed(&polar, 1);
    polar.set_card(&customer, Card::Declined).expect("a card");
    polar.advance(days(1)).expect("later");
    polar.set_card(&customer, Card::Good).expect("a card");
    let from = polar.events().len();
    polar.advance(days(3)).expect("later");
    let expected = [
        "order.updated[paid]",
        "order.paid[paid]",
        "subscription.updated[active]",
        "subscription.active[active]",
        STATE,
    ];
    assert_eq!(told(&polar, from), expected);
    assert!(own(&polar)["past_due_at"].is_null());
}

#[tokio::test]
async fn a_pause_begins_at_once_or_later_and_ends_by_itself() {
    let polar = started().await;
    let (_, id) = subscribed(&polar, 0);
    let from = polar.events().len();
    polar.pause(&id, PauseAt::PeriodEnd, None).expect("to be paused");
    assert_eq!((&own(&polar)["status"], &own(&polar)["pause_at_period_end"]), (&json!("active"), &json!(true)));
    polar.advance(days(31)).expect("later");
    assert_eq!(own(&polar)["status"], "paused");
    assert!(polar.pause(&id, PauseAt::Now, None).is_err() && active_in_state(&polar) == 0);
    polar.resume(&id).expect("resumed");
    let paused =
        ["subscription.updated[active]", STATE, "subscription.updated[paused]", "subscription.paused[paused]", STATE];
    let resumed = [
        "subscription.updated[active]",
        "subscription.resumed[active]",
        STATE,
        "order.created[pending]",
        "order.updated[paid]",
        "order.paid[paid]",
    ];
    assert_eq!(told(&polar, from), [&paused[..], &resumed[..]].concat());

    polar.pause(&id, PauseAt::Now, Some(polar.now() + chrono::Duration::days(5))).expect("paused");
    assert!(own(&polar)["resumes_at"].is_string() && own(&polar)["paused_at"].is_string());
    polar.advance(days(5)).expect("later");
    assert_eq!((&own(&polar)["status"], &own(&polar)["paused_at"]), (&json!("active"), &Value::Null));
    assert!(polar.resume(&id).is_err());
}

#[tokio::test]
async fn money_that_goes_back_ends_nothing() {
    let polar = started().await;
    subscribed(&polar, 0);
    let order = polar.orders()[0]["id"].as_str().expect("an id").to_owned();
    let new = |amount, status| NewRefund { order: order.clone(), amount, status, reason: RefundReason::default() };
    let from = polar.events().len();
    polar.refund(&new(Some(200), RefundStatus::Succeeded)).expect("a part");
    let pending = polar.refund(&new(None, RefundStatus::Pending)).expect("the rest, on its way");
    assert_eq!(polar.orders()[0]["refunded_amount"], 200, "what is on its way does not count");
    polar.set_refund(&pending, RefundStatus::Succeeded).expect("it came");
    assert!(polar.set_refund(&pending, RefundStatus::Failed).is_err(), "it is decided");
    let expected = [
        "refund.created[succeeded]",
        "order.updated[partially_refunded]",
        "order.refunded[partially_refunded]",
        "refund.created[pending]",
        "refund.updated[succeeded]",
        "order.updated[refunded]",
        "order.refunded[refunded]",
    ];
    assert_eq!(told(&polar, from), expected);
    assert!(polar.refund(&new(Some(1), RefundStatus::Succeeded)).is_err(), "nothing is left");
    assert_eq!(own(&polar)["status"], "active");
}

#[tokio::test]
async fn a_refund_that_fails_leaves_the_order_as_it_was() {
    let polar = started().await;
    subscribed(&polar, 0);
    let order = polar.orders()[0]["id"].as_str().expect("an id").to_owned();
    let reason = RefundReason::DisputePrevention;
    let from = polar.events().len();
    polar.refund(&NewRefund { order, amount: None, status: RefundStatus::Failed, reason }).expect("a refund");
    assert_eq!(told(&polar, from), ["refund.created[pending]", "refund.updated[failed]"]);
    assert_eq!(
        (&polar.orders()[0]["status"], &polar.refunds()[0]["reason"]),
        (&json!("paid"), &json!("dispute_prevention"))
    );
}

#[tokio::test]
async fn a_declined_first_payment_starts_nothing() {
    let polar = started().await;
    let customer = polar.create_customer(NewCustomer::default()).expect("a customer");
    polar.set_card(&customer, Card::Declined).expect("a card");
    let new = Subscribe { customer, product: ANNUAL.to_owned(), ..Subscribe::default() };
    let id = polar.subscribe(new).expect("a subscription");
    assert_eq!((&own(&polar)["status"], &own(&polar)["started_at"]), (&json!("incomplete"), &Value::Null));
    polar.advance(days(1)).expect("later");
    assert_eq!(own(&polar)["status"], "incomplete_expired");
    assert!(polar.change_product(&id, MONTHLY).is_err());
}

#[tokio::test]
async fn a_product_can_be_changed_and_a_customer_deleted() {
    let polar = started().await;
    let (customer, id) = subscribed(&polar, 0);
    polar.change_product(&id, ANNUAL).expect("changed");
    assert_eq!((&own(&polar)["product_id"], &own(&polar)["amount"]), (&json!(ANNUAL), &json!(7000)));
    polar.set_customer_metadata(&customer, [("plan".to_owned(), "x".to_owned())].into()).expect("changed");
    let taken = NewCustomer { external_id: Some("alice".to_owned()), ..NewCustomer::default() };
    assert!(polar.create_customer(taken).is_err(), "the site's own id is unique");
    let from = polar.events().len();
    polar.delete_customer(&customer).expect("deleted");
    let told = told(&polar, from);
    assert!(told.contains(&"subscription.revoked[canceled]".to_owned()), "{told:?}");
    assert_eq!(told[told.len() - 2..], ["customer.deleted", STATE]);
}

#[tokio::test]
async fn what_is_seeded_or_done_in_silence_is_not_told() {
    let polar = started().await;
    let seed = Seed { count: 3, product: MONTHLY.to_owned(), external_id: "user-{n}".to_owned() };
    let made = polar.seed(&seed).expect("seeded");
    polar.set_telling(Telling::Silent);
    polar.revoke(&made[0]).expect("revoked");
    assert!(polar.events().is_empty());
    let externals: Vec<_> = polar.customers().iter().map(|customer| customer["external_id"].clone()).collect();
    assert_eq!(externals, [json!("user-0"), json!("user-1"), json!("user-2")]);
    assert_eq!((&own(&polar)["status"], &polar.subscriptions()[1]["status"]), (&json!("canceled"), &json!("active")));
    assert!(polar.seed(&seed).is_err(), "the ids are taken");
}
