//! Accounts that are gone, when their providers go on to tell of them.

use chrono::TimeDelta;
use entitlement::account::AccountId;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{count, erase, fill, relocate, subject};
use crate::Settings;
use crate::ops::{AccountError, Asker, Merge, MoveWish, Rehearsal};
use crate::tests::{World, active, checkout, event, settings, with};

/// A checkout of the account, and the subscription that it begins.
async fn buys(world: &World, account: &AccountId) {
    let subscription = active("cus_1", "sub_1", "price_monthly", world.now);
    let bought = [
        checkout("evt_1", "cus_1", "sub_1", account, world.now),
        event("evt_2", "customer.subscription.created", world.now, &subscription),
    ];
    world.apply(&bought).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_provider_tells_later_brings_nobody_back(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    buys(&world, &world.account).await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
    let running = erase(&world, &world.account, Rehearsal::No).await.expect_err("it is paid for");
    assert!(running.to_string().contains("stripe:sub_1"), "{running}");
    let ended = with(
        &active("cus_1", "sub_1", "price_monthly", world.now),
        &json!({ "status": "canceled", "ended_at": world.now.timestamp() }),
    );
    world.apply(&[event("evt_3", "customer.subscription.deleted", world.at(1), &ended)]).await;
    erase(&world, &world.account, Rehearsal::No).await.expect("it goes");
    let named = with(
        &active("cus_2", "sub_2", "price_monthly", world.now),
        &json!({ "metadata": { "account": world.account } }),
    );
    let by_customer = active("cus_1", "sub_3", "price_monthly", world.now);
    let late: [(&str, Value); 4] = [
        ("by its checkout", checkout("evt_4", "cus_3", "sub_4", &world.account, world.at(2))),
        ("by metadata", event("evt_5", "customer.subscription.created", world.at(3), &named)),
        ("by its customer", event("evt_6", "customer.subscription.created", world.at(4), &by_customer)),
        (
            "by its subscription",
            event(
                "evt_7",
                "customer.subscription.updated",
                world.at(5),
                &active("cus_9", "sub_1", "price_monthly", world.now),
            ),
        ),
    ];
    for (by, event) in late {
        world.apply(std::slice::from_ref(&event)).await;
        let id = event["id"].as_str().expect("an id");
        let (state, reason) = world.fate(id).await;
        assert_eq!(state, "ignored", "{by}: {reason:?}");
        assert!(reason.is_some_and(|reason| reason.starts_with("erased")), "{by}");
        let kept = format!("select count(*) from webhook_events where event_id = '{id}' and octet_length(body) > 0");
        assert_eq!(count(&world.pool, kept).await, 0, "{by}: nothing of it is kept");
    }
    assert_eq!(world.has(&world.account, world.now).await, "free none");
    assert_eq!(count(&world.pool, "select count(*) from subscriptions".into()).await, 0);
    // By itself it comes back, and what it buys then counts, above the version that was told last.
    let told = world.version().await;
    let mut conn = world.pool.acquire().await.expect("a connection");
    crate::store::accounts::ensure(&mut conn, &world.account, world.now).await.expect("it has a row");
    drop(conn);
    assert_eq!(world.version().await, told + 1);
    let again = [
        checkout("evt_8", "cus_1", "sub_5", &world.account, world.at(6)),
        event(
            "evt_9",
            "customer.subscription.created",
            world.at(6),
            &active("cus_1", "sub_5", "price_monthly", world.now),
        ),
    ];
    world.apply(&again).await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
    assert!(world.version().await > told + 1);
    // And goes again: nothing of the first time is in the way.
    world
        .apply(&[event(
            "evt_10",
            "customer.subscription.deleted",
            world.at(7),
            &with(&ended, &json!({ "id": "sub_5" })),
        )])
        .await;
    erase(&world, &world.account, Rehearsal::No).await.expect("it goes");
}

#[sqlx::test(migrations = "../migrations")]
async fn everything_goes_to_the_other_id_and_later_events_of_the_first_are_its(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let (old, new) = (world.account.clone(), world.other(1));
    buys(&world, &old).await;
    let rehearsed = MoveWish {
        from: &old,
        to: &new,
        merge: Merge::Refuse,
        id: Some("m-1"),
        asker: Asker::Operator,
        rehearsal: Rehearsal::Yes,
    };
    let planned = world.billing.move_account(rehearsed).await.expect("it would go");
    assert_eq!(world.has(&old, world.now).await, "paid active", "it was only tried out");
    let moved = world.billing.move_account(MoveWish { rehearsal: Rehearsal::No, ..rehearsed }).await.expect("it goes");
    assert_eq!((moved.moved, moved.changed, moved.published), (planned.moved, true, true));
    assert_eq!((moved.moved.customers, moved.moved.subscriptions, moved.moved.events), (1, 1, 2));
    assert_eq!(
        (world.has(&old, world.now).await, world.has(&new, world.now).await),
        ("free none".into(), "paid active".into())
    );
    for again in [
        MoveWish { rehearsal: Rehearsal::No, ..rehearsed },
        MoveWish { id: None, rehearsal: Rehearsal::No, ..rehearsed },
    ] {
        let again = world.billing.move_account(again).await.expect("it is so already");
        assert!(!again.changed && again.published, "{again:?}");
    }
    // Events that still name the first one are the other's: a renewal by metadata, and another purchase.
    let renewed =
        with(&active("cus_1", "sub_1", "price_team", world.at(10)), &json!({ "metadata": { "account": old } }));
    world
        .apply(&[
            event("evt_3", "customer.subscription.updated", world.at(10), &renewed),
            checkout("evt_4", "cus_2", "sub_2", &old, world.at(11)),
            event(
                "evt_5",
                "customer.subscription.created",
                world.at(11),
                &active("cus_2", "sub_2", "price_monthly", world.at(11)),
            ),
        ])
        .await;
    assert_eq!(
        (world.has(&old, world.now).await, world.has(&new, world.at(12)).await),
        ("free none".into(), "team active".into())
    );
    assert_eq!(count(&world.pool, format!("select count(*) from subscriptions where account = '{new}'")).await, 2);
    // Conflicts, in words.
    let third = world.other(2);
    for (from, to, merge, expected) in [
        (&old, &old, Merge::Refuse, "name two accounts"),
        (&third, &new, Merge::Refuse, "nothing is known of the account"),
        (&old, &third, Merge::Allow, "goes by"),
    ] {
        let refused = relocate(&world, from, to, merge).await.expect_err(expected);
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    world.apply(&[checkout("evt_6", "cus_3", "sub_3", &third, world.now)]).await;
    let refused = relocate(&world, &third, &new, Merge::Refuse).await.expect_err("both have something");
    assert!(matches!(refused, AccountError::NotEmpty(_)), "{refused}");
    assert!(relocate(&world, &third, &new, Merge::Allow).await.expect("they are one").changed);
    let away = relocate(&world, &new, &third, Merge::Refuse).await.expect("and back, under the third id");
    assert!(away.changed);
    assert_eq!(world.has(&third, world.at(12)).await, "team active");
    let aliases =
        format!("select count(*) from account_aliases where account = '{third}' and alias in ('{old}', '{new}')");
    assert_eq!(count(&world.pool, aliases).await, 2, "each earlier id leads there in one step");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_accounts_become_one_with_all_that_is_evidence(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    fill(&world.pool).await;
    let other = AccountId::parse("other").expect("an id");
    for statement in [
        "insert into consents (account, text, provider, price_id, attempt, agreed_at) values ('other', 'waiver', 'stripe', 'price_monthly', 1, now())",
        "insert into trials (account, provider, subscription_id, started_at) values ('other', 'stripe', 'sub_y', now())",
        "insert into referral_codes (code, account, created_at) values ('codeother', 'other', now())",
        "update accounts set blocked_at = now() where account = 'subject-account'",
    ] {
        sqlx::query(statement).execute(&world.pool).await.expect(statement);
    }
    let moved = relocate(&world, &subject(), &other, Merge::Allow).await.expect("they are one").moved;
    assert_eq!((moved.customers, moved.consents, moved.credits), (1, 2, 1));
    for (rows, expected) in [
        ("consents where account = 'other'", 3),
        ("trials where account = 'other' and subscription_id = 'sub_y'", 1),
        ("trials", 1),
        ("referrals where referee = 'other' and referrer = 'subject-account'", 1),
        ("accounts where blocked_at is not null and account in ('other', 'subject-account')", 2),
        ("account_aliases where account = 'other' and alias in ('subject-account', 'subject-former')", 2),
        ("checkouts where session_id is not null", 0),
    ] {
        assert_eq!(count(&world.pool, format!("select count(*) from {rows}")).await, expected, "{rows}");
    }
    let mut conn = world.pool.acquire().await.expect("a connection");
    for code in ["codesubject", "codeother"] {
        let owner = crate::store::referrals::owner(&mut conn, code).await.expect("an answer");
        assert_eq!(owner.as_ref(), Some(&other), "{code} goes on to invite");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn evidence_of_erased_accounts_is_deleted_when_it_is_old(options: PgPoolOptions, connect: PgConnectOptions) {
    let kept = TimeDelta::days(2192);
    let world = World::with(options, connect, Settings { consents_kept: Some(kept), ..settings() }).await;
    fill(&world.pool).await;
    let late = crate::clock::now() + kept + TimeDelta::hours(1);
    assert_eq!(world.billing.prune_consents(late).await.expect("no fault"), 0, "nobody was erased");
    erase(&world, &subject(), Rehearsal::No).await.expect("it goes");
    assert_eq!(world.billing.prune_consents(late - TimeDelta::hours(2)).await.expect("no fault"), 0);
    assert_eq!(world.billing.prune_consents(late).await.expect("no fault"), 2);
}
