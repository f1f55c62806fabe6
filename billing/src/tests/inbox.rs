//! The inbox as an operator looks through it, and puts many events back to work.

use entitlement::catalog::Provider;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::World;
use crate::store::inbox::{Filter, Stuck, StuckState};

/// Five events of two providers, in all but one state.
async fn some_events(world: &World) {
    let insert = r"
        insert into accounts values ('alice', 1, now());
        insert into webhook_events (provider, event_id, type, received_at, state, attempts, next_attempt_at, reason,
            account, customer_id, body, finished_at)
        values ('stripe', 'a', 'invoice.paid', now(), 'applied', 0, null, null, 'alice', 'cus_1', '{}', now()),
            ('polar', 'b', 'order.paid', now(), 'dead', 12, null, 'broken', 'alice', null, '{}', null),
            ('stripe', 'c', 'invoice.paid', now(), 'dead', 12, null, 'broken', null, null, '{}', null),
            ('stripe', 'd', 'refund.created', now(), 'dead', 12, null, 'broken', 'alice', null, '{}', null),
            ('stripe', 'e', 'invoice.paid', now(), 'parked', 0, null, 'waits', null, 'cus_9', '{}', null)
    ";
    sqlx::raw_sql(insert).execute(&world.pool).await.expect("they are stored");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_inbox_is_looked_through_by_what_events_are_about(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    some_events(&world).await;
    let list = async |filter: Filter, limit: u32| {
        let lines = world.billing.events(&filter, limit).await.expect("the inbox");
        let ids = lines.iter().map(|line| line.event_id.as_str()).collect::<String>();
        (ids, lines.last().map(|line| line.id))
    };
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        ("all", Filter::default(), "edcba"),
        ("a state", Filter { state: some("dead"), ..Filter::default() }, "dcb"),
        ("a type", Filter { kind: some("invoice.paid"), ..Filter::default() }, "eca"),
        ("an account", Filter { account: some("alice"), ..Filter::default() }, "dba"),
        ("a provider", Filter { provider: some("polar"), ..Filter::default() }, "b"),
        ("several", Filter { state: some("dead"), account: some("alice"), ..Filter::default() }, "db"),
        ("nothing", Filter { account: some("bob"), ..Filter::default() }, ""),
    ];
    for (what, filter, expected) in cases {
        assert_eq!(list(filter, 10).await.0, expected, "{what}");
    }
    let (first, last) = list(Filter::default(), 2).await;
    let (second, last) = (first, list(Filter { before: last, ..Filter::default() }, 2).await);
    let third = list(Filter { before: last.1, ..Filter::default() }, 2).await.0;
    assert_eq!((second.as_str(), last.0.as_str(), third.as_str()), ("ed", "cb", "a"), "page by page");
}

#[sqlx::test(migrations = "../migrations")]
async fn stuck_events_are_replayed_by_what_they_are_about(options: PgPoolOptions, connect: PgConnectOptions) {
    let all = |state| Stuck { state, kind: None, account: None, provider: None };
    let dead = || all(StuckState::Dead);
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        ("all that are dead", dead(), "bcd"),
        ("all that are parked", all(StuckState::Parked), "e"),
        ("a type", Stuck { kind: some("invoice.paid"), ..dead() }, "c"),
        ("an account", Stuck { account: some("alice"), ..dead() }, "bd"),
        ("a provider", Stuck { provider: Some(Provider::Stripe), ..dead() }, "cd"),
        ("none", Stuck { account: some("bob"), ..dead() }, ""),
    ];
    let world = World::new(options, connect).await;
    for (what, stuck, expected) in cases {
        some_events(&world).await;
        let replayed = world.billing.replay_stuck(&stuck, 0).await.expect("no fault");
        assert_eq!((replayed.events, replayed.next), (expected.len(), None), "{what}");
        let pending = Filter { state: some("pending"), ..Filter::default() };
        let mut pending = world.billing.events(&pending, 10).await.expect("the inbox");
        pending.reverse();
        assert_eq!(pending.iter().map(|line| line.event_id.as_str()).collect::<String>(), expected, "{what}");
        for line in pending {
            assert_eq!(line.attempts, 0, "{what}");
            assert!(line.next_attempt_at.is_some(), "{what}: it is due");
        }
        sqlx::raw_sql("delete from webhook_events; delete from accounts").execute(&world.pool).await.expect("emptied");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn very_many_are_replayed_in_batches_that_end(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let insert = r"
        insert into webhook_events (provider, event_id, type, received_at, state, attempts, reason, body)
        select 'stripe', 'dead_' || n, 'invoice.paid', now(), 'dead', 12, 'broken', '{}' from generate_series(1, 2500) n
    ";
    sqlx::query(insert).execute(&world.pool).await.expect("they are stored");
    let stuck = Stuck { state: StuckState::Dead, kind: None, account: None, provider: None };
    let (mut batches, mut after) = (Vec::new(), Some(0));
    while let Some(last) = after {
        assert!(batches.len() < 5, "it goes on for ever");
        let replayed = world.billing.replay_stuck(&stuck, last).await.expect("no fault");
        // What fails again at once is not met again.
        let fail = "update webhook_events set state = 'dead', next_attempt_at = null where state = 'pending'";
        sqlx::query(fail).execute(&world.pool).await.expect("they die again");
        (after, _) = (replayed.next, batches.push(replayed.events));
    }
    assert_eq!(batches, [1000, 1000, 500]);
}
