//! Whatever was lost on the way is found by comparing.

use chrono::TimeDelta;
use demo::provider::{CancelAt, NewCustomer, Subscribe};
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::shop::{self, subscribe};
use super::{World, active, billing_on, checkout, event};
use crate::reconcile::{Kind, ReconcileError, Report};
use crate::store::reconciliations;

async fn full(world: &World, now: entitlement::Timestamp) -> Report {
    let reports = world.billing.reconcile(Kind::Full, now, |_| {}).await.expect("it is compared");
    reports.into_iter().next().expect("one provider")
}

/// A moment after everything that the provider has done so far.
fn soon(world: &World) -> entitlement::Timestamp {
    world.now + TimeDelta::seconds(60)
}

#[sqlx::test(migrations = "../migrations")]
async fn what_no_webhook_ever_told_is_found_and_then_there_is_no_drift(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let (_, subscription) = subscribe(&provider, &world.account, "price_monthly");
    let report = full(&world, world.now).await;
    assert_eq!((report.drift, report.unlinked, report.is_complete), (1, 0, true), "{report:?}");
    assert_eq!(world.has(&world.account, soon(&world)).await, "paid active");
    let change = world.billing.explain_account(&world.account, world.now).await.expect("explained");
    assert!(change.changes.iter().any(|line| line.cause == "reconciliation"), "{:?}", change.changes);
    assert_eq!(full(&world, world.now).await.drift, 0, "a second look finds nothing");
    provider.cancel(&subscription, CancelAt::Now).expect("canceled");
    assert_eq!(full(&world, world.now).await.drift, 1);
    assert_eq!(world.has(&world.account, soon(&world)).await, "free none", "a canceled one is listed too");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_runs_here_and_is_in_no_list_is_over(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, provider) = shop::world(options, connect).await;
    let ghost = active("cus_ghost", "sub_ghost", "price_monthly", world.now);
    world
        .apply(&[
            checkout("evt_1", "cus_ghost", "sub_ghost", &world.account, world.now),
            event("evt_2", "customer.subscription.created", world.now, &ghost),
        ])
        .await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
    let refused = world.billing.reconcile(Kind::Full, world.now, |_| {}).await;
    assert!(matches!(refused, Err(ReconcileError::OtherAccount(Provider::Stripe))), "{refused:?}");
    assert_eq!(world.has(&world.account, world.now).await, "paid active", "a key of another account ends nothing");
    let other = AccountId::parse("somebody-else").expect("an id");
    subscribe(&provider, &other, "price_monthly");
    assert_eq!(full(&world, world.now).await.drift, 2);
    assert_eq!(world.has(&world.account, soon(&world)).await, "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_the_provider_refuses_to_tell_about_holds_up_nothing(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let other = AccountId::parse("somebody-else").expect("an id");
    subscribe(&provider, &other, "price_monthly");
    for (customer, id) in [("cus_odd", "sub-odd"), ("cus_ghost", "sub_ghost")] {
        let account = AccountId::parse(customer).expect("an id");
        let sold = active(customer, id, "price_monthly", world.now);
        let linked = checkout(&format!("evt_{customer}"), customer, id, &account, world.now);
        let told = event(&format!("evt_{id}"), "customer.subscription.created", world.now, &sold);
        world.apply(&[linked, told]).await;
    }
    let report = full(&world, world.now).await;
    assert_eq!((report.drift, report.refused, report.is_complete), (2, 1, true), "{report:?}");
    let at = soon(&world);
    assert_eq!(world.has(&AccountId::parse("cus_odd").expect("an id"), at).await, "paid active", "nothing is known");
    assert_eq!(world.has(&AccountId::parse("cus_ghost").expect("an id"), at).await, "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_and_a_dispute_that_were_never_told_are_found(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, provider) = shop::world(options, connect).await;
    subscribe(&provider, &world.account, "price_monthly");
    let disputing = AccountId::parse(&format!("{}-disputes", world.account)).expect("an id");
    subscribe(&provider, &disputing, "price_monthly");
    full(&world, world.now).await;
    let invoices: Vec<String> = {
        let rows = sqlx::query_scalar("select invoice_id from invoices order by subscription_id");
        rows.fetch_all(&world.pool).await.expect("invoices")
    };
    let of = async |account: &AccountId| -> String {
        sqlx::query_scalar(
            "select invoice_id from invoices join subscriptions using (provider, subscription_id) where account = $1",
        )
        .bind(account.as_str())
        .fetch_one(&world.pool)
        .await
        .expect("an invoice")
    };
    assert_eq!(invoices.len(), 2);
    provider.refund(&of(&world.account).await, None).expect("refunded");
    provider.dispute(&of(&disputing).await, "needs_response").expect("disputed");
    assert_eq!(full(&world, soon(&world)).await.drift, 2);
    let later = world.now + TimeDelta::minutes(5);
    assert_eq!(world.has(&world.account, later).await, "free none");
    assert_eq!(world.has(&disputing, later).await, "free none");
    assert_eq!(full(&world, soon(&world)).await.drift, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn events_that_were_never_delivered_are_taken_over_and_applied(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    subscribe(&provider, &world.account, "price_monthly");
    let reports = world.billing.reconcile(Kind::Delta, world.now, |_| {}).await.expect("compared");
    assert!(reports[0].drift > 0 && reports[0].drift == reports[0].compared, "{reports:?}");
    world.billing.apply_due(soon(&world)).await.expect("the inbox is worked on");
    assert_eq!(world.has(&world.account, soon(&world)).await, "paid active");
    let again = world.billing.reconcile(Kind::Delta, world.now, |_| {}).await.expect("compared");
    assert_eq!(again[0].drift, 0, "what is in the inbox is no drift");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_whom_nobody_has_named_is_counted_and_found_once_named(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let customer = provider.create_customer(NewCustomer::default()).expect("a customer");
    let new = Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
    let subscription = provider.subscribe(new).expect("a subscription");
    let report = full(&world, world.now).await;
    assert_eq!(report.unlinked, 1, "{report:?}");
    world.apply(&[checkout("evt_1", &customer, &subscription, &world.account, world.now)]).await;
    full(&world, world.now).await;
    assert_eq!(world.has(&world.account, soon(&world)).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_account_can_be_compared_alone(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, provider) = shop::world(options, connect).await;
    let (customer, subscription) = subscribe(&provider, &world.account, "price_monthly");
    let other = AccountId::parse(&format!("{}-other", world.account)).expect("an id");
    let (_, others) = subscribe(&provider, &other, "price_monthly");
    full(&world, world.now).await;
    provider.cancel(&subscription, CancelAt::Now).expect("canceled");
    provider.cancel(&others, CancelAt::Now).expect("canceled");
    let reports = world.billing.reconcile_account(&world.account, world.now).await.expect("compared");
    assert_eq!((reports.len(), reports[0].drift), (1, 1), "{customer}");
    assert_eq!(world.has(&world.account, soon(&world)).await, "free none");
    assert_eq!(world.has(&other, soon(&world)).await, "paid active", "not asked about");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_process_at_a_time_compares_and_another_goes_on_where_it_stopped(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let mut ids = Vec::new();
    for n in 0..150 {
        let account = AccountId::parse(&format!("{}-{n}", world.account)).expect("an id");
        ids.push(subscribe(&provider, &account, "price_monthly").1);
    }
    let run = {
        let mut conn = world.pool.acquire().await.expect("a connection");
        let taken =
            reconciliations::take(&mut conn, (Provider::Stripe, Kind::Full), TimeDelta::zero(), world.now).await;
        taken.expect("no fault").expect("nobody is at it")
    };
    let elsewhere = billing_on(&world.pool, shop::asking(&provider), None);
    let nothing = elsewhere.reconcile(Kind::Full, world.now, |_| {}).await.expect("no fault");
    assert_eq!(nothing, [], "somebody is at it");
    // The first process got through the first page, which has the hundred newest, and died.
    {
        let mut conn = world.pool.acquire().await.expect("a connection");
        let half = reconciliations::Run { compared: 100, drift: 100, ..run };
        let place = format!("subscriptions|{}", ids[50]);
        reconciliations::advance(&mut conn, &half, &place, world.now).await.expect("no fault");
    }
    let later = world.now + TimeDelta::minutes(3);
    let report = elsewhere.reconcile(Kind::Full, later, |_| {}).await.expect("no fault").remove(0);
    assert!(report.is_complete);
    let repaired: i64 =
        sqlx::query_scalar("select count(*) from subscriptions").fetch_one(&world.pool).await.expect("a count");
    assert_eq!(repaired, 50, "the second page, and nothing of the first");
}
