//! How long bodies are kept, and what is left of an event without one.

use chrono::TimeDelta;
use entitlement::catalog::Provider;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, checkout, event, settings};
use crate::Settings;
use crate::ops::OperatorError;
use crate::store::events::{self, Arrival, Arrived};
use crate::store::inbox::Filter;
use crate::store::retention::{self, Open};

fn keeping(kept: TimeDelta) -> Settings {
    Settings { bodies_kept: Some(kept), ..settings() }
}

/// Puts that many events into the inbox that were applied a hundred days ago.
async fn fill(pool: &PgPool, count: i32) {
    let query = r"
        insert into webhook_events (provider, event_id, type, received_at, state, attempts, body, finished_at)
        select 'stripe', 'old_' || n, 'invoice.paid', now() - interval '100 days', 'applied', 0, 'a body',
            now() - interval '100 days' + n * interval '1 second'
        from generate_series(1, $1) n
    ";
    sqlx::query(query).bind(count).execute(pool).await.expect("they are stored");
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

const WITH_BODY: &str = "select count(*) from webhook_events where octet_length(body) > 0";

#[sqlx::test(migrations = "../migrations")]
async fn a_body_is_kept_for_its_time_and_the_row_for_ever(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(options, connect, keeping(TimeDelta::days(90))).await;
    let bought = checkout("evt_1", "cus_1", "sub_1", &world.account, world.now);
    let ignored = event("evt_2", "invoice.upcoming", world.now, &json!({}));
    world.apply(&[bought.clone(), ignored]).await;
    let almost = world.now + TimeDelta::days(90) - TimeDelta::minutes(1);
    assert_eq!(world.billing.prune_bodies(almost).await.expect("no fault"), 0);
    let later = almost + TimeDelta::days(1);
    assert_eq!(world.billing.prune_bodies(later).await.expect("no fault"), 2);
    assert_eq!(world.billing.prune_bodies(later).await.expect("no fault"), 0, "once");
    let (line, body) = world.billing.event("evt_1").await.expect("the inbox").expect("the event");
    assert_eq!((line.state.as_str(), line.body_pruned_at, body), ("applied", Some(later), vec![]));
    assert_eq!(line.account.as_deref(), Some(world.account.as_str()), "what happened can still be told");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_repetition_after_pruning_is_a_duplicate(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(options, connect, keeping(TimeDelta::days(1))).await;
    let bought = checkout("evt_1", "cus_1", "sub_1", &world.account, world.now);
    world.apply(std::slice::from_ref(&bought)).await;
    let later = world.now + TimeDelta::days(2);
    assert_eq!(world.billing.prune_bodies(later).await.expect("no fault"), 1);
    let again = Arrival {
        provider: Provider::Stripe,
        event_id: "evt_1",
        kind: "checkout.session.completed",
        api_version: None,
        livemode: None,
        body: &serde_json::to_vec(&bought).expect("it encodes"),
        received_at: later,
        due_at: later,
    };
    let mut conn = world.pool.acquire().await.expect("a connection");
    assert_eq!(events::insert(&mut conn, again).await.expect("no fault"), Arrived::Done);
    drop(conn);
    assert_eq!(count(&world.pool, WITH_BODY).await, 0, "its body is not stored again");
    assert_eq!(count(&world.pool, "select count(*) from webhook_events").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_done_keeps_its_body(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(options, connect, keeping(TimeDelta::days(1))).await;
    let insert = r"
        insert into webhook_events
            (provider, event_id, type, received_at, state, attempts, next_attempt_at, reason, customer_id, body)
        values ('stripe', 'a', 't', '2020-01-01Z', 'pending', 0, '2030-01-01Z', null, null, 'a body'),
            ('stripe', 'b', 't', '2020-01-01Z', 'parked', 0, '2030-01-01Z', 'waits', 'cus_1', 'a body'),
            ('stripe', 'c', 't', '2020-01-01Z', 'parked', 0, '2020-01-01Z', 'waits', 'cus_1', 'a body'),
            ('stripe', 'd', 't', '2020-01-01Z', 'dead', 0, null, 'broken', null, 'a body'),
            ('stripe', 'e', 't', '2020-01-01Z', 'dead', 0, null, 'broken', null, 'a body')
    ";
    sqlx::query(insert).execute(&world.pool).await.expect("they are stored");
    assert_eq!(world.billing.prune_bodies(world.now + TimeDelta::days(999)).await.expect("no fault"), 0);
    assert_eq!(count(&world.pool, WITH_BODY).await, 5);
    let mut conn = world.pool.acquire().await.expect("a connection");
    let open = retention::open(&mut conn, 10_000, world.now).await.expect("no fault");
    assert_eq!(open, Open { pending: 1, parked: 2, parked_due: 1, dead: 2 });
    assert_eq!(open.waiting(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_pruned_event_is_not_replayed_and_a_replayed_one_is_not_pruned(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::with(options, connect, keeping(TimeDelta::days(1))).await;
    fill(&world.pool, 2).await;
    world.billing.replay("old_2").await.expect("no fault").expect("the event");
    assert_eq!(world.billing.prune_bodies(world.now).await.expect("no fault"), 1, "the other one");
    assert_eq!(world.fate("old_2").await.0, "pending");
    let refused = world.billing.replay("old_1").await.expect_err("nothing is left to apply");
    assert!(matches!(refused, OperatorError::BodyPruned(_)), "{refused}");
    assert_eq!(world.fate("old_1").await.0, "applied", "it stays done");
}

#[sqlx::test(migrations = "../migrations")]
async fn batches_are_bounded_and_others_have_their_turn(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(options, connect, keeping(TimeDelta::days(1))).await;
    fill(&world.pool, 2500).await;
    let (billing, now) = (world.billing.clone(), world.now);
    let pruning = tokio::spawn(async move { billing.prune_bodies(now).await });
    // There is one connection only: this one waits for its turn.
    world.billing.events(&Filter::default(), 1).await.expect("the inbox");
    assert!(count(&world.pool, WITH_BODY).await > 0, "somebody else had the connection before all was done");
    assert_eq!(pruning.await.expect("no panic").expect("no fault"), 2500);
    let largest = "select max(n) from (select count(*) as n from webhook_events group by xmin::text) transactions";
    assert_eq!(count(&world.pool, largest).await, 1000);
    let oldest_first = "select count(*) from webhook_events e join webhook_events f
        on e.finished_at < f.finished_at and e.xmin::text::bigint > f.xmin::text::bigint";
    assert_eq!(count(&world.pool, oldest_first).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_processes_prune_side_by_side(options: PgPoolOptions, connect: PgConnectOptions) {
    let two = Settings { pool_size: 4, ..keeping(TimeDelta::days(1)) };
    let world = World::with(options, connect, two.clone()).await;
    let other = super::billing_on(&world.pool, two, None);
    fill(&world.pool, 3500).await;
    let (one, two) = tokio::join!(world.billing.prune_bodies(world.now), other.prune_bodies(world.now));
    assert_eq!(one.expect("no fault") + two.expect("no fault"), 3500, "each body is thrown away once");
    assert_eq!(count(&world.pool, WITH_BODY).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn for_ever_is_for_ever(options: PgPoolOptions, connect: PgConnectOptions) {
    for kept in [None, Some(TimeDelta::MAX)] {
        let world = World::with(options.clone(), connect.clone(), Settings { bodies_kept: kept, ..settings() }).await;
        fill(&world.pool, 1).await;
        assert_eq!(world.billing.prune_bodies(world.now).await.expect("no fault"), 0, "{kept:?}");
        sqlx::query("delete from webhook_events").execute(&world.pool).await.expect("emptied");
    }
}
