//! What events do to subscriptions and accounts.

use entitlement::account::AccountId;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, catalog, checkout, event, settings, with};
use crate::apply::{Applied, Drained, Fate};
use crate::settings::Secret;

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_that_comes_before_its_checkout_waits_for_it(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.receive(&event("evt_1", CREATED, world.now, &active("cus_1", "sub_1", "price_monthly", world.now))).await;
    let drained = world.billing.apply_due(world.now).await.expect("it parks");
    assert_eq!(drained, Drained { parked: 1, ..Drained::default() });
    let (state, reason) = world.fate("evt_1").await;
    assert_eq!((state.as_str(), reason.as_deref()), ("parked", Some("account not known: customer cus_1")));
    assert_eq!(world.billing.apply_due(world.now).await.expect("nothing is due"), Drained::default());

    world.receive(&checkout("evt_2", "cus_1", "sub_1", &world.account, world.now)).await;
    let drained = world.billing.apply_due(world.now).await.expect("both are applied");
    assert_eq!(drained, Drained { applied: 2, ..Drained::default() });
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
    assert_eq!(world.cached().await.expect("it is published").version, world.version().await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_parked_event_is_tried_again_by_itself_at_growing_intervals(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.receive(&event("evt_1", CREATED, world.now, &active("cus_1", "sub_1", "price_monthly", world.now))).await;
    let mut now = world.now;
    let mut waits = Vec::new();
    for _ in 0..5 {
        world.billing.apply_due(now).await.expect("it parks");
        let (line, _) = world.billing.event("evt_1").await.expect("the inbox").expect("the event");
        let next = line.next_attempt_at.expect("it is tried again");
        waits.push((next - now).num_minutes());
        assert_eq!(line.attempts, 0, "waiting is no failure");
        now = next;
    }
    assert_eq!(waits, [1, 1, 2, 4, 8]);
    world.billing.apply_due(world.now + chrono::TimeDelta::days(31)).await.expect("it parks");
    let (line, _) = world.billing.event("evt_1").await.expect("the inbox").expect("the event");
    assert_eq!((line.state.as_str(), line.next_attempt_at), ("parked", None), "then only a link wakes it");
    world.apply(&[checkout("evt_2", "cus_1", "sub_1", &world.account, world.now)]).await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn metadata_links_a_customer_that_nobody_else_has_named(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let named = with(
        &active("cus_1", "sub_1", "price_monthly", world.now),
        &json!({ "metadata": { "account": world.account }, "customer_email": "someone@else.example" }),
    );
    world.apply(&[event("evt_1", CREATED, world.now, &named)]).await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_event_that_two_workers_take_at_once_has_one_effect(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(options, connect, crate::Settings { pool_size: 4, ..settings() }).await;
    world.apply(&[checkout("evt_0", "cus_1", "sub_1", &world.account, world.now)]).await;
    let id =
        world.receive(&event("evt_1", CREATED, world.now, &active("cus_1", "sub_1", "price_monthly", world.now))).await;
    let before = world.version().await;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (billing, now) = (world.billing.clone(), world.now);
            tokio::spawn(async move { billing.apply_event(id, now).await.expect("no fault").fate })
        })
        .collect();
    let mut applied = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Fate::Applied { .. } => applied += 1,
            Fate::Taken => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(applied, 1);
    assert_eq!(world.version().await, before + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_event_objects_about_one_change_have_one_effect(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let object = active("cus_1", "sub_1", "price_monthly", world.now);
    world.apply(&[checkout("evt_0", "cus_1", "sub_1", &world.account, world.now)]).await;
    world.apply(&[event("evt_1", CREATED, world.now, &object)]).await;
    let version = world.version().await;
    world.apply(&[event("evt_2", UPDATED, world.at(1), &object)]).await;
    assert_eq!(world.fate("evt_2").await.0, "ignored");
    assert_eq!(world.version().await, version);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_subscription_never_comes_back(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let object = active("cus_1", "sub_1", "price_monthly", world.at(-60));
    world.apply(&[checkout("evt_0", "cus_1", "sub_1", &world.account, world.at(-60))]).await;
    world.apply(&[event("evt_1", CREATED, world.at(-60), &object)]).await;
    let over = with(&object, &json!({ "status": "canceled", "ended_at": world.at(-5).timestamp() }));
    world.apply(&[event("evt_2", DELETED, world.at(-5), &over), event("evt_3", UPDATED, world.now, &object)]).await;
    let (state, reason) = world.fate("evt_3").await;
    assert_eq!((state.as_str(), reason.as_deref()), ("ignored", Some("the subscription has already ended")));
    assert_eq!(world.has(&world.account, world.now).await, "free none");
    let known = world.billing.explain_account(&world.account, world.now).await.expect("rows").timeline;
    assert_eq!(&*known.at(world.at(-10)).plan.tier, "paid", "the past stays");
}

#[sqlx::test(migrations = "../migrations")]
async fn ending_one_subscription_leaves_what_another_grants(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let (paid, team) = (
        active("cus_1", "sub_1", "price_monthly", world.at(-60)),
        active("cus_2", "sub_2", "price_team", world.at(-60)),
    );
    world
        .apply(&[
            checkout("evt_1", "cus_1", "sub_1", &world.account, world.at(-60)),
            checkout("evt_2", "cus_2", "sub_2", &world.account, world.at(-60)),
            event("evt_3", CREATED, world.at(-60), &paid),
            event("evt_4", CREATED, world.at(-60), &team),
        ])
        .await;
    assert_eq!(world.has(&world.account, world.now).await, "team active");
    world.apply(&[event("evt_5", DELETED, world.now, &team)]).await;
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_price_that_no_catalog_names_grants_nothing_until_one_does(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world
        .apply(&[
            checkout("evt_1", "cus_1", "sub_1", &world.account, world.now),
            event("evt_2", CREATED, world.now, &active("cus_1", "sub_1", "price_new", world.now)),
        ])
        .await;
    let (state, reason) = world.fate("evt_2").await;
    assert_eq!((state.as_str(), reason.as_deref()), ("applied", Some("no catalog names the price price_new")));
    assert_eq!(world.has(&world.account, world.now).await, "free none");
    let text = toml::to_string(&catalog()).expect("it encodes").replace("price_monthly", "price_new");
    let report = super::put_in_force(&world.billing, &toml::from_str(&text).expect("a catalog")).await;
    assert_eq!(report.accounts, 1);
    assert_eq!(world.has(&world.account, world.now).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_of_the_other_mode_waits_for_its_key(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut live = settings();
    live.stripe.api_key = Some(Secret::from("sk_live_x"));
    let world = World::with(options, connect, live).await;
    let mut real = checkout("evt_2", "cus_1", "sub_1", &world.account, world.now);
    real["livemode"] = json!(true);
    // Nobody listens there: what the event tells is all there is.
    world.apply(&[checkout("evt_1", "cus_1", "sub_1", &world.account, world.now), real]).await;
    let (state, reason) = world.fate("evt_1").await;
    assert_eq!(state, "parked", "{reason:?}");
    assert!(reason.is_some_and(|reason| reason.contains("a test event, and it is a live key")));
    let (state, reason) = world.fate("evt_2").await;
    assert_eq!(state, "pending", "to be asked about again");
    assert!(reason.is_some_and(|reason| reason.starts_with("applied as it was told")));
}

/// The same event, of a mode.
fn of_mode(mut event: serde_json::Value, livemode: bool) -> serde_json::Value {
    event["livemode"] = json!(livemode);
    event
}

#[sqlx::test(migrations = "../migrations")]
async fn beside_live_subscriptions_those_of_test_mode_grant_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let tell = async |n: usize, livemode: bool| {
        let (account, customer, id) = (world.other(n), format!("cus_{n}"), format!("sub_{n}"));
        let linked = checkout(&format!("evt_a{n}"), &customer, &id, &account, world.now);
        let sold = event(&format!("evt_b{n}"), CREATED, world.now, &active(&customer, &id, "price_monthly", world.now));
        world.apply(&[of_mode(linked, livemode), of_mode(sold, livemode)]).await;
    };
    tell(1, false).await;
    assert_eq!(world.has(&world.other(1), world.now).await, "paid active", "tests grant while there is nothing else");
    // Of before modes were stored, and no event says which.
    tell(2, false).await;
    sqlx::query("update subscriptions set livemode = null where subscription_id = 'sub_2'")
        .execute(&world.pool)
        .await
        .expect("forgotten");
    let before = world.billing.compute(&world.other(1), world.now).await.expect("rows").record.entitlement.version;
    tell(3, true).await;
    assert_eq!(world.has(&world.other(3), world.now).await, "paid active");
    assert_eq!(world.has(&world.other(1), world.now).await, "free none");
    assert!(
        world.billing.compute(&world.other(1), world.now).await.expect("rows").record.entitlement.version > before,
        "it is told"
    );
    assert_eq!(world.has(&world.other(2), world.now).await, "paid active", "of unknown mode");
    tell(4, false).await;
    assert_eq!(world.has(&world.other(4), world.now).await, "free none");
    assert_eq!(world.fate("evt_b4").await, ("ignored".into(), Some(entitlement::binding::TEST_EVENT.into())));
}

/// Five accounts with subscriptions of test mode, and one with a live one that came after them.
async fn sold_in_test_mode(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let world = World::new(options, connect).await;
    for n in 0..=5 {
        let (account, customer, id) = (world.other(n), format!("cus_{n}"), format!("sub_{n}"));
        let linked = checkout(&format!("evt_a{n}"), &customer, &id, &account, world.now);
        let sold = event(&format!("evt_b{n}"), CREATED, world.now, &active(&customer, &id, "price_monthly", world.now));
        world.apply(&[of_mode(linked, n == 5), of_mode(sold, n == 5)]).await;
    }
    world
}

async fn taken(world: &World) -> u64 {
    let mut conn = world.pool.acquire().await.expect("a connection");
    crate::store::takings::tally(&mut conn, crate::clock::now()).await.expect("counted").taken
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_person_ends_by_going_live_counts_unless_they_were_told_that_it_is_many(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = sold_in_test_mode(options, connect).await;
    let plan = world.billing.plan_use_live().await.expect("planned");
    let tally = crate::store::takings::Tally { taken: 0, holders: 1_000 };
    let few = crate::GoingLive { accounts: crate::Verdict { tally, ..plan.accounts }, ..plan };
    assert_eq!((few.accounts.is_many(), taken(&world).await), (false, 0));
    assert_eq!(world.billing.use_live(&few).await.expect("live").accounts, 5);
    assert_eq!(taken(&world).await, 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_live_subscription_takes_access_from_no_more_than_a_few(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = sold_in_test_mode(options, connect).await;
    assert_eq!(world.has(&world.other(5), world.now).await, "paid active", "what gives is applied");
    assert_eq!(world.has(&world.other(0), world.now).await, "paid active", "five would lose theirs: they are spared");
    let plan = world.billing.plan_use_live().await.expect("planned");
    assert_eq!((plan.subscriptions, plan.accounts.wanted, plan.accounts.is_many()), (5, 5, true));
    let before = crate::GoingLive { accounts: crate::Verdict { wanted: 4, ..plan.accounts }, ..plan };
    let more = world.billing.use_live(&before).await.expect_err("more would lose theirs than a person was told of");
    assert!(
        more.to_string().starts_with("meanwhile 5 accounts would lose something by it, and 4 were agreed to"),
        "{more}"
    );
    assert_eq!(world.billing.use_live(&plan).await.expect("live").accounts, 5);
    assert_eq!((world.has(&world.other(0), world.now).await.as_str(), taken(&world).await), ("free none", 0));
    assert!(world.billing.plan_use_live().await.expect("planned").is_live);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_from_before_takes_the_mode_of_its_last_event(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    for (n, livemode) in [(2, json!(false)), (1, json!(true)), (3, json!(null))] {
        let (account, customer, id) = (world.other(n), format!("cus_{n}"), format!("sub_{n}"));
        let mut linked = checkout(&format!("evt_a{n}"), &customer, &id, &account, world.now);
        let mut sold =
            event(&format!("evt_b{n}"), CREATED, world.now, &active(&customer, &id, "price_monthly", world.now));
        (linked["livemode"], sold["livemode"]) = (livemode.clone(), livemode);
        world.apply(&[linked, sold]).await;
    }
    for statement in [
        "update subscriptions set livemode = null",
        "delete from live_modes",
        "update catch_ups set place = '', done_at = null",
    ] {
        sqlx::query(statement).execute(&world.pool).await.expect("as it was before");
    }
    assert_eq!(world.has(&world.other(2), world.now).await, "paid active");
    world.billing.catch_up().await.expect("caught up");
    let modes: Vec<Option<bool>> = sqlx::query_scalar("select livemode from subscriptions order by subscription_id")
        .fetch_all(&world.pool)
        .await
        .expect("modes");
    assert_eq!(modes, [Some(true), Some(false), None]);
    let has = [world.has(&world.other(1), world.now).await, world.has(&world.other(2), world.now).await];
    assert_eq!(has, ["paid active", "free none"]);
    assert_eq!(world.has(&world.other(3), world.now).await, "paid active", "nothing says its mode");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_tollgate_does_not_act_on_is_ignored_with_a_reason(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let id = world.receive(&event("evt_1", "payout.paid", world.now, &json!({ "customer": "cus_1" }))).await;
    let applied = world.billing.apply_event(id, world.now).await.expect("no fault");
    assert_eq!(applied, Applied { fate: Fate::Ignored, published: true });
    assert_eq!(world.fate("evt_1").await.1.as_deref(), Some("Tollgate does not act on events of this type"));
}

#[sqlx::test(migrations = "../migrations")]
async fn time_alone_ends_a_trial_and_a_grace(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let object = active("cus_1", "sub_1", "price_monthly", world.now);
    let trial = with(&object, &json!({ "status": "trialing", "trial_end": world.at(600).timestamp() }));
    world
        .apply(&[
            checkout("evt_1", "cus_1", "sub_1", &world.account, world.now),
            event("evt_2", CREATED, world.now, &trial),
        ])
        .await;
    let cached = world.cached().await.expect("it is published");
    assert_eq!(super::shown(&cached, world.at(599)), "paid trialing");
    assert_eq!(super::shown(&cached, world.at(600)), "free none");
    world.apply(&[event("evt_3", UPDATED, world.at(1), &with(&object, &json!({ "status": "past_due" })))]).await;
    let cached = world.cached().await.expect("it is published");
    let fortnight = chrono::TimeDelta::days(14);
    assert_eq!(super::shown(&cached, world.now + fortnight - chrono::TimeDelta::seconds(1)), "paid past_due");
    assert_eq!(super::shown(&cached, world.now + fortnight), "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn many_customers_of_one_account_at_once_lose_no_change(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(options, connect, crate::Settings { pool_size: 8, ..settings() }).await;
    for n in 0..10 {
        let (cus, sub) = (format!("cus_{n}"), format!("sub_{n}"));
        let object = active(&cus, &sub, "price_monthly", world.now);
        world.receive(&event(&format!("evt_a{n}"), CREATED, world.now, &object)).await;
        world.receive(&checkout(&format!("evt_b{n}"), &cus, &sub, &world.account, world.now)).await;
        let canceling = with(&object, &json!({ "cancel_at": world.at(60).timestamp() }));
        world.receive(&event(&format!("evt_c{n}"), UPDATED, world.at(1), &canceling)).await;
    }
    let workers = (0..3).map(|_| {
        let (billing, now) = (world.billing.clone(), world.now);
        tokio::spawn(async move { billing.apply_due(now).await.expect("no deadlock") })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("no panic");
    }
    let open = world.billing.events(&crate::Filter::default(), 100).await.expect("the inbox");
    assert!(open.iter().all(|line| matches!(line.state.as_str(), "applied" | "ignored")), "{open:?}");
    assert_eq!(world.has(&world.account, world.now).await, "paid canceling");
    assert_eq!(world.has(&world.account, world.at(60)).await, "free none");
    assert_eq!(world.cached().await.expect("published").version, world.version().await);
}

#[sqlx::test(migrations = "../migrations")]
async fn who_pays_twice_for_the_same_is_told_to_the_operator(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let bought = |sub: &str, price: &str| active("cus_1", sub, price, world.now);
    world
        .apply(&[
            checkout("evt_1", "cus_1", "sub_1", &world.account, world.now),
            event("evt_2", CREATED, world.now, &bought("sub_1", "price_monthly")),
            event("evt_3", CREATED, world.now, &bought("sub_2", "price_team")),
            event("evt_4", CREATED, world.now, &bought("sub_3", "price_monthly")),
        ])
        .await;
    assert_eq!(world.fate("evt_3").await, ("applied".into(), None), "another thing is no second payment");
    assert_eq!(world.fate("evt_4").await.0, "pending", "its checkout may still say that it is for another account");
    world.billing.apply_due(world.at(6)).await.expect("the inbox is worked on");
    let (state, reason) = world.fate("evt_4").await;
    assert_eq!(
        (state.as_str(), reason.as_deref()),
        ("applied", Some("the account already pays for the same by sub_1"))
    );
    let child = AccountId::parse("child").expect("an id");
    let gift = event("evt_5", CREATED, world.now, &bought("sub_4", "price_monthly"));
    world.apply(&[gift, checkout("evt_6", "cus_1", "sub_4", &child, world.now)]).await;
    world.billing.apply_due(world.at(6)).await.expect("the inbox is worked on");
    assert_eq!(world.fate("evt_5").await, ("applied".into(), None), "it was bought for the child");
    assert_eq!(world.has(&child, world.now).await, "paid active");
}
