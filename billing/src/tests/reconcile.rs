//! Whatever was lost on the way is found by comparing.

use chrono::TimeDelta;
use demo::provider::{CancelAt, NewCustomer, Subscribe};
use entitlement::account::AccountId;
use entitlement::binding::Misfit;
use entitlement::catalog::Provider;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::shop::{self, subscribe};
use super::{World, active, billing_on, checkout, event};
use crate::reconcile::{Force, Kind, ReconcileError, Report};
use crate::store::reconciliations;

async fn full(world: &World, now: entitlement::Timestamp) -> Report {
    let reports = world.billing.reconcile(Kind::Full, Force::No, now, |_| {}).await.expect("it is compared");
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

/// A subscription of an account that was told of by events, and that the provider does not have.
async fn told_of(world: &World, id: &str, account: &AccountId) {
    let customer = format!("cus_of_{id}").replace('-', "_");
    let sold = active(&customer, id, "price_monthly", world.now);
    let linked = checkout(&format!("evt_{customer}"), &customer, id, account, world.now);
    world.apply(&[linked, event(&format!("evt_{id}"), "customer.subscription.created", world.now, &sold)]).await;
}

async fn unseen(world: &World) -> i64 {
    world.billing.absent(world.now).await.expect("counted").unseen.subscriptions
}

#[sqlx::test(migrations = "../migrations")]
async fn what_runs_here_and_is_in_no_list_stays_and_is_marked_until_a_person_ends_it(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let (ghost, shown) = (world.other(1), world.other(2));
    let (_, subscription) = subscribe(&provider, &shown, "price_monthly");
    full(&world, world.now).await;
    told_of(&world, "sub_ghost", &ghost).await;
    assert_eq!(world.has(&ghost, world.now).await, "paid active", "the body of its event counts");
    let mark = format!("update subscriptions set unseen_since = now() where subscription_id = '{subscription}'");
    sqlx::query(sqlx::AssertSqlSafe(mark)).execute(&world.pool).await.expect("marked");
    let report = full(&world, soon(&world)).await;
    assert_eq!((report.drift, report.unseen, report.held_back), (0, 1, 0), "{report:?}");
    assert_eq!(world.has(&ghost, soon(&world)).await, "paid active", "that it is gone takes nothing");
    assert_eq!(unseen(&world).await, 1, "what is shown again is no longer marked");
    let explained = world.billing.explain_account(&ghost, world.now).await.expect("explained");
    assert_eq!(explained.unseen.len(), 1);
    assert_eq!(explained.unseen[0].subscription.id, "sub_ghost");
    let absent = world.billing.absent(soon(&world)).await.expect("asked");
    assert_eq!(world.billing.end_unseen(&absent, soon(&world)).await.expect("ended"), 1);
    assert_eq!(world.has(&ghost, soon(&world)).await, "free none");
    assert_eq!(world.has(&shown, soon(&world)).await, "paid active");
    assert_eq!(unseen(&world).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_sees_nothing_of_what_runs_here_compares_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, provider) = shop::world(options, connect).await;
    told_of(&world, "sub_ours", &world.account).await;
    subscribe(&provider, &world.other(1), "price_monthly");
    let with_key = billing_on(&world.pool, shop::asking(&provider), None);
    let refused = with_key.reconcile(Kind::Full, Force::Yes, world.now, |_| {}).await;
    let wrong = ReconcileError::WrongKey { provider: Provider::Stripe, misfit: Misfit::SeesNothing };
    assert_eq!(refused.map_err(|error| error.to_string()), Err(wrong.to_string()));
    assert_eq!(world.has(&world.account, soon(&world)).await, "paid active");
    assert_eq!(unseen(&world).await, 0, "and marks nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_the_provider_refuses_to_tell_about_holds_up_nothing(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    subscribe(&provider, &world.other(0), "price_monthly");
    full(&world, world.now).await;
    let (odd, ghost) = (world.other(1), world.other(2));
    told_of(&world, "sub-odd", &odd).await;
    told_of(&world, "sub_ghost", &ghost).await;
    let report = full(&world, world.now).await;
    assert_eq!((report.refused, report.unseen, report.is_complete), (1, 1, true), "{report:?}");
    assert_eq!(world.has(&odd, soon(&world)).await, "paid active", "nothing is known");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_would_take_access_from_many_within_a_day_is_held_back_and_what_gives_it_is_not(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let subscribed: Vec<(AccountId, String)> = (0..8)
        .map(|n| {
            let subscription = subscribe(&provider, &world.other(n), "price_monthly").1;
            (world.other(n), subscription)
        })
        .collect();
    full(&world, world.now).await;
    let cancel = |n: usize| provider.cancel(&subscribed[n].1, CancelAt::Now).expect("canceled");
    let have = async |at| {
        let mut have = Vec::new();
        for (n, (account, _)) in subscribed.iter().enumerate() {
            if world.has(account, at).await == "paid active" {
                have.push(n);
            }
        }
        have
    };
    (0..2).for_each(cancel);
    let first = full(&world, soon(&world)).await;
    assert_eq!((first.drift, first.held_back), (2, 0), "{first:?}");
    assert_eq!(have(soon(&world)).await, [2, 3, 4, 5, 6, 7]);
    // Two more are four within a day.
    (2..4).for_each(cancel);
    let late = AccountId::parse(&format!("{}-late", world.account)).expect("an id");
    subscribe(&provider, &late, "price_monthly");
    for _ in 0..2 {
        let second = full(&world, world.at(120)).await;
        assert_eq!((second.held_back, second.held.len()), (2, 2), "{second:?}");
        assert_eq!(have(world.at(120)).await, [2, 3, 4, 5, 6, 7]);
        assert_eq!(world.billing.held_back(None, 10).await.expect("listed").len(), 2, "noted once");
    }
    assert_eq!(world.has(&late, world.at(120)).await, "paid active", "what gives access is applied anyway");
    // A verified event is never held back, and a person's command for one account is not.
    let reports = world.billing.reconcile_account(&subscribed[2].0, world.at(120)).await.expect("compared");
    assert_eq!(reports[0].drift, 1);
    assert_eq!(have(world.at(120)).await, [3, 4, 5, 6, 7]);
    let alone = full(&world, world.at(120)).await;
    assert_eq!((alone.drift, alone.held_back), (1, 0), "the one that is left is the third: {alone:?}");
    cancel(4);
    assert_eq!(full(&world, world.at(120)).await.held_back, 1);
    let later = world.now + TimeDelta::hours(25);
    let tomorrow = full(&world, later).await;
    assert_eq!((tomorrow.drift, tomorrow.held_back), (1, 0), "a day later: {tomorrow:?}");
    (5..8).for_each(cancel);
    assert_eq!(full(&world, later).await.held_back, 3);
    let forced = world.billing.reconcile(Kind::Full, Force::Yes, later, |_| {}).await.expect("compared");
    assert_eq!((forced[0].drift, forced[0].held_back), (3, 0), "{forced:?}");
    assert_eq!(have(later).await, Vec::<usize>::new());
    assert_eq!(world.billing.held_back(None, 10).await.expect("listed"), []);
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
    let reports = world.billing.reconcile(Kind::Delta, Force::No, world.now, |_| {}).await.expect("compared");
    assert!((1..reports[0].compared).contains(&reports[0].drift), "what had an effect: {reports:?}");
    assert_eq!(world.has(&world.account, soon(&world)).await, "paid active");
    let again = world.billing.reconcile(Kind::Delta, Force::No, world.now, |_| {}).await.expect("compared");
    assert_eq!(again[0].drift, 0, "what is in the inbox is no drift");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_events_that_were_never_delivered_would_take_is_counted_like_what_a_comparison_takes(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (world, provider) = shop::world(options, connect).await;
    let subscribe = |n: usize| (world.other(n), subscribe(&provider, &world.other(n), "price_monthly").1);
    let subscribed: Vec<(AccountId, String)> = (0..8).map(subscribe).collect();
    let delta = async |force| {
        let mut reports = world.billing.reconcile(Kind::Delta, force, soon(&world), |_| {}).await.expect("compared");
        reports.remove(0)
    };
    let have = async || {
        let mut have = 0;
        for (account, _) in &subscribed {
            have += usize::from(world.has(account, soon(&world)).await == "paid active");
        }
        have
    };
    let cancel = |n: usize| provider.cancel(&subscribed[n].1, CancelAt::Now).expect("canceled");
    assert_eq!(delta(Force::No).await.held_back, 0);
    assert_eq!(have().await, 8, "what gives access is applied");
    (0..2).for_each(cancel);
    assert_eq!((delta(Force::No).await.held_back, have().await), (0, 6));
    (2..7).for_each(cancel);
    for _ in 0..2 {
        assert_eq!((delta(Force::No).await.held_back, have().await), (5, 6), "with the two before");
    }
    assert_eq!(full(&world, soon(&world)).await.held_back, 5, "the same ones");
    assert_eq!((delta(Force::Yes).await.held_back, have().await), (0, 1));
    assert_eq!(world.billing.held_back(None, 10).await.expect("listed"), []);
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
    let nothing = elsewhere.reconcile(Kind::Full, Force::No, world.now, |_| {}).await.expect("no fault");
    assert_eq!(nothing, [], "somebody is at it");
    // The first process got through the first page, which has the hundred newest, and died.
    {
        let mut conn = world.pool.acquire().await.expect("a connection");
        let half = reconciliations::Run { compared: 100, drift: 100, ..run };
        let place = format!("subscriptions|{}", ids[50]);
        reconciliations::advance(&mut conn, &half, &place, world.now).await.expect("no fault");
    }
    let later = world.now + TimeDelta::minutes(3);
    let report = elsewhere.reconcile(Kind::Full, Force::No, later, |_| {}).await.expect("no fault").remove(0);
    assert!(report.is_complete);
    let repaired: i64 =
        sqlx::query_scalar("select count(*) from subscriptions").fetch_one(&world.pool).await.expect("a count");
    assert_eq!(repaired, 50, "the second page, and nothing of the first");
}
