//! Money that goes back takes the access that it paid for, whatever is told first.

use chrono::TimeDelta;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::subscription::{Hold, Loss, Policy};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::order::outcomes;
use super::{World, active, catalog, checkout, event, proposal, settings, with};
use crate::Settings;
use crate::ops::Proposal;
use crate::store::money;

/// The bill for the first period of `sub_RUN`, which `pi_RUN` paid.
fn invoice(world: &World) -> Value {
    json!({
        "id": "in_RUN", "object": "invoice", "customer": "cus_RUN", "billing_reason": "subscription_create",
        "created": world.now.timestamp(), "amount_paid": 700, "attempt_count": 1,
        "parent": { "subscription_details": { "subscription": "sub_RUN" } },
        "lines": { "data": [{ "period": { "start": world.now.timestamp() } }] },
    })
}

fn paid_by() -> Value {
    json!({ "id": "inpay_RUN", "invoice": "in_RUN", "payment": { "type": "payment_intent", "payment_intent": "pi_RUN" } })
}

/// The charge, of which so much went back.
fn charge(world: &World, refunded: i64) -> Value {
    json!({
        "id": "ch_RUN", "object": "charge", "customer": "cus_RUN", "payment_intent": "pi_RUN", "amount": 700,
        "amount_captured": 700, "amount_refunded": refunded, "created": world.now.timestamp(),
    })
}

fn dispute(world: &World, status: &str) -> Value {
    json!({
        "id": "du_RUN", "object": "dispute", "charge": "ch_RUN", "payment_intent": "pi_RUN", "status": status,
        "created": world.at(5).timestamp(),
    })
}

/// The account buys, and its payment and the invoice become known.
fn bought(world: &World) -> Vec<Value> {
    let ann = AccountId::parse("ann-RUN").expect("an id");
    vec![
        checkout("evt_1_RUN", "cus_RUN", "sub_RUN", &ann, world.now),
        event(
            "evt_2_RUN",
            "customer.subscription.created",
            world.now,
            &active("cus_RUN", "sub_RUN", "price_monthly", world.now),
        ),
        event("evt_3_RUN", "invoice.paid", world.now, &invoice(world)),
        event("evt_4_RUN", "invoice_payment.paid", world.now, &paid_by()),
    ]
}

/// What all orders leave; they must all leave the same.
async fn left(world: &World, events: Vec<Value>) -> Vec<String> {
    let outcomes = outcomes(world, &events, &["ann"]).await;
    assert!(outcomes.iter().all(|left| *left == outcomes[0]), "{outcomes:#?}");
    outcomes.into_iter().next().expect("there is an order")
}

const ACCESS: [&str; 4] = ["ann 0: paid active", "ann 20: paid active", "ann 40: free none", "ann 100: free none"];
/// A moment ahead of the clock is taken for now.
const NO_LATER_ACCESS: [&str; 4] = ["ann 0: free none", "ann 20: free none", "ann 40: free none", "ann 100: free none"];

#[sqlx::test(migrations = "../migrations")]
async fn a_full_refund_of_the_current_period_ends_it_in_every_order(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.push(event("evt_5_RUN", "charge.refunded", world.at(9), &charge(&world, 700)));
    assert_eq!(left(&world, events).await, NO_LATER_ACCESS);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_part_that_goes_back_changes_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.push(event("evt_5_RUN", "charge.refunded", world.at(9), &charge(&world, 300)));
    assert_eq!(left(&world, events).await, ACCESS);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_that_failed_takes_nothing_and_is_none_of_its_bill(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let failed = json!({
        "id": "re_RUN", "object": "refund", "charge": "ch_RUN", "payment_intent": "pi_RUN", "amount": 700,
        "status": "failed", "created": world.at(8).timestamp(),
    });
    let refunded = event("evt_5_RUN", "charge.refunded", world.at(9), &charge(&world, 700));
    let failed = event("evt_6_RUN", "refund.failed", world.at(12), &failed);
    for (name, then) in [("a", [&refunded, &failed]), ("b", [&failed, &refunded])] {
        let events: Vec<Value> = bought(&world).into_iter().chain(then.into_iter().cloned()).collect();
        let text = serde_json::to_string(&events).expect("it encodes").replace("RUN", name);
        world.apply(&serde_json::from_str::<Vec<Value>>(&text).expect("it decodes")).await;
        let ann = AccountId::parse(&format!("ann-{name}")).expect("an id");
        assert_eq!(world.has(&ann, world.at(13)).await, "paid active", "{name}");
        let mut conn = world.pool.acquire().await.expect("a connection");
        let bills = [format!("in_{name}")];
        let bills = money::returned_of_bills(&mut conn, Provider::Stripe, &bills).await.expect("the bills");
        let back: Vec<i64> = bills.iter().map(|bill| bill.amount).collect();
        assert_eq!(back, [0], "{name}: nothing is shown as given back");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dispute_suspends_and_a_won_one_restores_in_every_order(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.push(event("evt_5_RUN", "charge.dispute.created", world.at(5), &dispute(&world, "needs_response")));
    world
        .apply(
            &serde_json::from_str::<Vec<Value>>(
                &serde_json::to_string(&events).expect("it encodes").replace("RUN", "x"),
            )
            .expect("it decodes"),
        )
        .await;
    let ann = AccountId::parse("ann-x").expect("an id");
    assert_eq!(world.has(&ann, world.at(6)).await, "free none", "suspended");
    events.push(event("evt_6_RUN", "charge.dispute.closed", world.at(9), &dispute(&world, "won")));
    // Six events have 720 orders: the first four stay together in two of theirs.
    let (bought, after) = events.split_at(4);
    for first in [bought.to_vec(), bought.iter().rev().cloned().collect()] {
        for then in [vec![0, 1], vec![1, 0]] {
            let name = format!("{}-{}", first[0]["id"], then[0]).replace('"', "");
            let events: Vec<Value> = first.iter().cloned().chain(then.iter().map(|n| after[*n].clone())).collect();
            let text = serde_json::to_string(&events).expect("it encodes").replace("RUN", &name);
            world.apply(&serde_json::from_str::<Vec<Value>>(&text).expect("it decodes")).await;
            let ann = AccountId::parse(&format!("ann-{name}")).expect("an id");
            assert_eq!(world.has(&ann, world.at(10)).await, "paid active", "{name}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_dispute_ends_the_period_and_an_inquiry_does_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.push(event("evt_5_RUN", "charge.dispute.closed", world.at(9), &dispute(&world, "lost")));
    assert_eq!(left(&world, events.clone()).await, NO_LATER_ACCESS);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_inquiry_takes_no_money_and_no_access(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.push(event("evt_5_RUN", "charge.dispute.created", world.at(5), &dispute(&world, "warning_needs_response")));
    assert_eq!(left(&world, events).await, ACCESS);
}

#[sqlx::test(migrations = "../migrations")]
async fn policy_decides_what_refunds_and_disputes_do(options: PgPoolOptions, connect: PgConnectOptions) {
    let policy = Policy { refund: Loss::Keep, dispute: Hold::Keep, ..Policy::default() };
    let world = World::with(options, connect, Settings { policy, ..settings() }).await;
    let mut events = bought(&world);
    events.push(event("evt_5_RUN", "charge.refunded", world.at(9), &charge(&world, 700)));
    events.push(event("evt_6_RUN", "charge.dispute.created", world.at(5), &dispute(&world, "needs_response")));
    world.apply(&events).await;
    let ann = AccountId::parse("ann-RUN").expect("an id");
    assert_eq!(world.has(&ann, world.at(60)).await, "paid active");
    // A stricter policy takes that, and is counted before it does.
    for (refund, dispute) in [(Policy::default().refund, Hold::Keep), (Loss::Keep, Policy::default().dispute)] {
        let stricter =
            Proposal { policy: Policy { refund, dispute, ..policy }, ..proposal(&world.billing, &catalog()) };
        let plan = world.billing.plan_catalog(&stricter).await.expect("planned");
        let by_policy = plan.losses.by.get("accounts lose access by [grace] or [policy]").copied();
        assert_eq!((plan.losses.accounts, by_policy), (1, Some(1)), "{plan:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_of_the_very_price_that_no_invoice_names_ends_nothing(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.truncate(3);
    events.push(event("evt_5_RUN", "charge.refunded", world.at(9), &charge(&world, 700)));
    assert_eq!(left(&world, events).await, ACCESS, "somebody returned a book of that price");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_that_is_gone_has_nothing_whatever_is_told_later(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut events = bought(&world);
    events.truncate(2);
    let customer = json!({ "id": "cus_RUN", "object": "customer", "metadata": {} });
    events.push(event("evt_5_RUN", "customer.deleted", world.at(9), &customer));
    let running = active("cus_RUN", "sub_RUN", "price_monthly", world.now);
    events.push(event(
        "evt_6_RUN",
        "customer.subscription.updated",
        world.at(12),
        &with(&running, &json!({ "metadata": { "a": "b" } })),
    ));
    assert_eq!(left(&world, events).await, NO_LATER_ACCESS);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_that_is_heard_of_first_when_it_is_gone_has_nothing(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let customer = json!({ "id": "cus_1", "object": "customer", "metadata": { "account": world.account } });
    world.apply(&[event("evt_1", "customer.deleted", world.now, &customer)]).await;
    assert_eq!(world.fate("evt_1").await.0, "applied");
    let running = active("cus_1", "sub_1", "price_monthly", world.now);
    world.apply(&[event("evt_2", "customer.subscription.updated", world.at(1), &running)]).await;
    assert_eq!(world.fate("evt_2").await.0, "applied", "its account is known");
    assert_eq!(world.has(&world.account, world.at(2)).await, "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn dunning_is_counted_and_access_lasts_for_the_grace(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let bought = bought(&world);
    let object = active("cus_RUN", "sub_RUN", "price_monthly", world.now);
    let past_due = with(&object, &json!({ "status": "past_due" }));
    let failed = |attempt: i64| with(&invoice(&world), &json!({ "attempt_count": attempt, "amount_paid": 0 }));
    world.apply(&bought[..2]).await;
    world
        .apply(&[
            event("evt_5", "customer.subscription.updated", world.at(10), &past_due),
            event("evt_6", "invoice.payment_failed", world.at(10), &failed(1)),
            event("evt_7", "invoice.payment_failed", world.at(200_000), &failed(2)),
            event("evt_8", "customer.subscription.updated", world.at(200_000), &past_due),
        ])
        .await;
    let row: (i32, entitlement::Timestamp) =
        sqlx::query_as("select attempts, failed_at from invoices where invoice_id = 'in_RUN'")
            .fetch_one(&world.pool)
            .await
            .expect("an invoice");
    assert_eq!(row.0, 2);
    let ann = AccountId::parse("ann-RUN").expect("an id");
    let end = world.at(10).min(world.now) + TimeDelta::days(14);
    assert_eq!(world.has(&ann, end - TimeDelta::seconds(1)).await, "paid past_due");
    assert_eq!(
        world.has(&ann, world.at(10) + TimeDelta::days(14)).await,
        "free none",
        "counted from the first failure"
    );
}
