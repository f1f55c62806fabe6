//! Events that are applied together: what is wrong with one harms no other, and one account gets one new version.

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, checkout, event};
use crate::apply::Drained;

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";

/// Ten buyers, each with a checkout and a subscription, all due.
async fn ten_purchases(world: &World) {
    for n in 0..10 {
        let (customer, subscription) = (format!("cus_{n}"), format!("sub_{n}"));
        let account = world.other(n);
        let object = active(&customer, &subscription, "price_monthly", world.now);
        world.receive(&checkout(&format!("evt_a{n}"), &customer, &subscription, &account, world.now)).await;
        world.receive(&event(&format!("evt_b{n}"), CREATED, world.now, &object)).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_fails_is_put_off_alone(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    ten_purchases(&world).await;
    let spoil = "alter table subscriptions add constraint broken check (subscription_id <> 'sub_5') not valid";
    world.pool.execute(spoil).await.expect("broken");
    let drained = world.billing.apply_due(world.now).await.expect("the database is there");
    assert_eq!(drained, Drained { applied: 19, failed: 1, ..Drained::default() });
    for n in 0..10 {
        let has = world.has(&world.other(n), world.now).await;
        assert_eq!(has, if n == 5 { "free none" } else { "paid active" }, "{n}");
    }
    let (line, _) = world.billing.event("evt_b5").await.expect("the inbox").expect("the event");
    assert_eq!((line.state.as_str(), line.attempts), ("pending", 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn several_events_of_one_account_make_one_version_and_one_line_each(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    for n in 0..3 {
        let (customer, subscription) = (format!("cus_{n}"), format!("sub_{n}"));
        world.apply(&[checkout(&format!("evt_a{n}"), &customer, &subscription, &world.account, world.now)]).await;
    }
    let before = world.version().await;
    for n in 0..3 {
        let object = active(&format!("cus_{n}"), &format!("sub_{n}"), "price_monthly", world.now);
        world.receive(&event(&format!("evt_b{n}"), CREATED, world.now, &object)).await;
    }
    let again = active("cus_0", "sub_0", "price_team", world.now);
    world.receive(&event("evt_c", UPDATED, world.at(1), &again)).await;
    let drained = world.billing.apply_due(world.now).await.expect("no fault");
    assert_eq!(drained, Drained { applied: 4, ..Drained::default() });
    assert_eq!(world.version().await, before + 1);
    assert_eq!(world.cached().await.expect("published").version, before + 1);
    let explained = world.billing.explain_account(&world.account, world.now).await.expect("explained");
    let causes = ["stripe evt_b0", "stripe evt_b1", "stripe evt_b2", "stripe evt_c"];
    for cause in causes {
        let lines = explained.changes.iter().filter(|line| line.cause == cause).count();
        assert_eq!(lines, 1, "{cause}: {:?}", explained.changes);
    }
}
