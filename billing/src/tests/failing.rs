//! What goes wrong: it is retried, told, and never lost.

use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor};

use super::{World, active, billing_on, checkout, event, settings};
use crate::apply::ask::Asked;
use crate::apply::{Drained, Fate};
use crate::publish::Published;
use crate::settings::Secret;
use crate::store::events;

const CREATED: &str = "customer.subscription.created";

/// From now on no subscription can be stored.
const BREAK: &str = "alter table subscriptions add constraint broken check (false) not valid";
const REPAIR: &str = "alter table subscriptions drop constraint broken";

#[sqlx::test(migrations = "../migrations")]
async fn an_event_that_fails_is_put_off_then_dead_then_replayed(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.apply(&[checkout("evt_0", "cus_1", "sub_1", &world.account, world.now)]).await;
    world.pool.execute(BREAK).await.expect("broken");
    world.receive(&event("evt_1", CREATED, world.now, &active("cus_1", "sub_1", "price_monthly", world.now))).await;
    let mut now = world.now;
    let mut waited = chrono::TimeDelta::zero();
    for attempt in 1..12 {
        let drained = world.billing.apply_due(now).await.expect("the database is there");
        assert_eq!(drained, Drained { failed: 1, ..Drained::default() }, "attempt {attempt}");
        let (line, _) = world.billing.event("evt_1").await.expect("the inbox").expect("the event");
        assert_eq!((line.state.as_str(), line.attempts), ("pending", attempt));
        assert!(line.reason.is_some_and(|reason| reason.contains("broken")), "the reason names the constraint");
        let next = line.next_attempt_at.expect("it is tried again");
        assert!(next - now > waited / 2, "the delays grow");
        (waited, now) = (next - now, next);
    }
    assert_eq!(world.billing.apply_due(now).await.expect("no fault"), Drained { dead: 1, ..Drained::default() });
    assert_eq!(world.fate("evt_1").await.0, "dead");
    let far = now + chrono::TimeDelta::days(365);
    assert_eq!(world.billing.apply_due(far).await.expect("no fault"), Drained::default(), "nobody tries it again");
    assert_eq!(world.has(&world.account, world.now).await, "free none", "nothing of it was written");

    world.pool.execute(REPAIR).await.expect("repaired");
    assert!(world.billing.replay("evt_1").await.expect("no fault").is_some());
    let drained = world.billing.apply_due(crate::clock::now()).await.expect("no fault");
    assert_eq!(drained, Drained { applied: 1, ..Drained::default() });
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_read_is_dead_at_once_with_its_reason(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let odd = json!({ "id": "sub_1", "customer": "cus_1", "status": 7 });
    world.receive(&event("evt_1", CREATED, world.now, &odd)).await;
    let drained = world.billing.apply_due(world.now).await.expect("no fault");
    assert_eq!(drained, Drained { dead: 1, ..Drained::default() });
    assert!(world.fate("evt_1").await.1.is_some_and(|reason| reason.starts_with("the event cannot be read: status: ")));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_killed_while_it_applies_leaves_the_event_due(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut killed = sqlx::PgConnection::connect_with(&connect).await.expect("another process");
    let world = World::new(options, connect).await;
    let id = world.receive(&checkout("evt_1", "cus_1", "sub_1", &world.account, world.now)).await;
    let mut tx = killed.begin().await.expect("a transaction");
    assert!(!events::claim(&mut tx, &[id]).await.expect("no fault").is_empty());
    assert_eq!(world.billing.apply_event(id, world.now).await.expect("no fault").fate, Fate::Taken);
    drop(tx);
    killed.close_hard().await.expect("killed");
    // The server notices by itself; a worker that comes too early leaves the event as it is.
    let applied = loop {
        let applied = world.billing.apply_event(id, world.now).await.expect("no fault").fate;
        if applied != Fate::Taken {
            break applied;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(applied, Fate::Applied { changed: vec![], has_effect: true });
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_killed_between_commit_and_publish_is_made_up_for(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.apply(&[checkout("evt_0", "cus_1", "sub_1", &world.account, world.now)]).await;
    let id =
        world.receive(&event("evt_1", CREATED, world.now, &active("cus_1", "sub_1", "price_monthly", world.now))).await;
    world.billing.transact(&[id], Asked::default(), world.now).await.expect("it commits");
    assert_eq!(world.cached().await, None, "nobody has published it");
    assert_eq!(
        world.billing.publish_due(world.now).await.expect("no fault"),
        Published::default(),
        "who commits has a head start"
    );
    let published = world.billing.publish_due(world.at(1)).await.expect("no fault");
    assert_eq!(published, Published { told: 1, put_off: 0 });
    assert_eq!(super::shown(&world.cached().await.expect("published"), world.now), "paid active");
    assert_eq!(
        world.billing.publish_due(world.at(9)).await.expect("no fault"),
        Published::default(),
        "nothing is left"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn with_redis_down_events_are_applied_and_published_later(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let nowhere = crate::Settings { redis_url: Some(Secret::from("redis://127.0.0.1:9")), ..settings() };
    let cut_off = billing_on(&world.pool, nowhere, None);
    world.receive(&checkout("evt_1", "cus_1", "sub_1", &world.account, world.now)).await;
    world.receive(&event("evt_2", CREATED, world.now, &active("cus_1", "sub_1", "price_monthly", world.now))).await;
    let drained = cut_off.apply_due(world.now).await.expect("the database is there");
    assert_eq!(drained, Drained { applied: 2, ..Drained::default() });
    assert!(cut_off.publish_due(world.at(1)).await.is_err(), "Redis is still down");
    assert_eq!(
        super::shown(&cut_off.resolve(&world.account).await.expect("Postgres says").entitlement, world.now),
        "paid active"
    );
    assert!(!cut_off.readiness().await.redis);
    assert_eq!(world.cached().await, None);
    assert_eq!(world.billing.publish_due(world.at(1)).await.expect("Redis is back"), Published { told: 1, put_off: 0 });
    assert_eq!(world.cached().await.expect("published").version, world.version().await);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_that_cannot_be_read_does_not_hold_up_the_others(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let broken = entitlement::account::AccountId::parse("broken").expect("an id");
    for (id, cus, sub, account) in [("evt_1", "cus_1", "sub_1", &broken), ("evt_3", "cus_2", "sub_2", &world.account)] {
        let subscription = active(cus, sub, "price_monthly", world.now);
        world.receive(&checkout(id, cus, sub, account, world.now)).await;
        let id = world.receive(&event(&format!("{id}_sub"), CREATED, world.now, &subscription)).await;
        world.billing.transact(&[id - 1], Asked::default(), world.now).await.expect("it is linked");
        world.billing.transact(&[id], Asked::default(), world.now).await.expect("it commits");
    }
    let spoil = "alter table subscriptions drop constraint subscriptions_state_known;
        update subscriptions set state = 'hibernating', paid_until = null where subscription_id = 'sub_1'";
    world.pool.execute(spoil).await.expect("spoilt");
    let published = world.billing.publish_due(world.at(1)).await.expect("no fault of the database");
    assert_eq!(published, Published { told: 1, put_off: 1 });
    assert!(world.cached().await.is_some());
    let error = world.billing.resolve(&broken).await.expect_err("the row cannot be read");
    assert_eq!(error.to_string(), "table subscriptions, row sub_1: `hibernating` is not a state");
}
