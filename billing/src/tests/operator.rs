//! What an operator does and sees.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, checkout, event};
use crate::ops::OperatorError;
use crate::store::inbox::Filter;

#[sqlx::test(migrations = "../migrations")]
async fn a_credit_gives_access_until_it_ends_or_is_revoked(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let until = world.now + chrono::TimeDelta::days(45);
    let granted = world.billing.grant(&world.account, "paid", " press ", Some(until), None).await.expect("granted");
    assert!(granted.published);
    let soon = world.at(60);
    assert_eq!(world.has(&world.account, soon).await, "paid credit");
    assert_eq!(world.has(&world.account, until).await, "free none");
    let open = world.billing.grant(&world.account, "team", "staff", None, None).await.expect("granted");
    assert_eq!(open.version, granted.version + 1);
    assert_eq!(world.has(&world.account, until).await, "team credit");
    let revoked = world.billing.revoke(&world.account, Some(open.credit), None).await.expect("revoked");
    assert_eq!(revoked.credits, [open.credit]);
    assert_eq!(world.has(&world.account, soon).await, "paid credit", "the other one stays");
    world.billing.revoke(&world.account, None, None).await.expect("revoked");
    assert_eq!(world.has(&world.account, soon).await, "free none");
    let again = world.billing.revoke(&world.account, None, None).await;
    assert!(matches!(again, Err(OperatorError::NothingToRevoke(_))));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wish_that_makes_no_sense_is_answered_with_what_to_do(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let past = Some(world.at(-60));
    let cases = [
        ("gold", "why", None, "the catalog has no tier `gold`: it has free, paid, team"),
        ("free", "why", None, "everybody has the tier `free` already"),
        ("paid", "why", past, "the end must lie in the future"),
        ("paid", "  ", None, "say why, in 1 to 500 characters: somebody will ask"),
    ];
    for (tier, reason, until, expected) in cases {
        let refused = world.billing.grant(&world.account, tier, reason, until, None).await.expect_err(expected);
        assert_eq!(refused.to_string(), expected);
    }
    assert_eq!(world.version().await, 0, "nothing was written");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_is_explained_from_its_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let object = active("cus_1", "sub_1", "price_monthly", world.now);
    world
        .apply(&[
            checkout("evt_1", "cus_1", "sub_1", &world.account, world.now),
            event("evt_2", "customer.subscription.created", world.now, &object),
        ])
        .await;
    world.billing.grant(&world.account, "team", "a gift", Some(world.at(3600)), None).await.expect("granted");
    let explained = world.billing.explain_account(&world.account, world.at(60)).await.expect("rows");
    let holds: Vec<_> = explained.segments.iter().filter(|segment| segment.holds).collect();
    assert_eq!(holds.len(), 1);
    assert_eq!((holds[0].tier.as_str(), holds[0].status.as_str()), ("team", "credit"));
    assert_eq!(holds[0].sources.len(), 2, "{:?}", holds[0].sources);
    assert_eq!(holds[0].sources[0], "stripe:sub_1");
    assert_eq!(explained.cached_version, Some(explained.version));
    assert_eq!(explained.customers[0].customer_id, "cus_1");
    assert_eq!(explained.events.iter().map(|e| e.event_id.as_str()).collect::<Vec<_>>(), ["evt_2", "evt_1"]);
    assert_eq!(explained.changes[0].cause, "operator");
    assert_eq!(explained.changes[1].cause, "stripe evt_2");
    assert!(explained.changes[1].detail.contains("subscription sub_1 is active"));
    let text = serde_json::to_string(&explained).expect("it encodes");
    assert!(text.contains("\"cached_version\""));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_inbox_is_listed_shown_and_replayed(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let object = active("cus_9", "sub_9", "price_monthly", world.now);
    world
        .apply(&[
            checkout("evt_1", "cus_1", "sub_1", &world.account, world.now),
            event("evt_2", "customer.subscription.created", world.now, &object),
        ])
        .await;
    let list = async |filter: Filter| {
        let lines = world.billing.events(&filter, 10).await.expect("the inbox");
        lines.into_iter().map(|line| line.event_id).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter::default()).await, ["evt_2", "evt_1"]);
    assert_eq!(list(Filter { state: Some("parked".into()), ..Filter::default() }).await, ["evt_2"]);
    assert_eq!(list(Filter { kind: Some("checkout.session.completed".into()), ..Filter::default() }).await, ["evt_1"]);
    assert_eq!(list(Filter { account: Some(world.account.to_string()), ..Filter::default() }).await, ["evt_1"]);
    let (line, body) = world.billing.event("evt_1").await.expect("the inbox").expect("the event");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")["id"], "evt_1", "the whole body");
    let version = world.version().await;
    assert_eq!(world.billing.replay(&line.id.to_string()).await.expect("no fault"), Some(line.id));
    world.billing.apply_due(crate::clock::now()).await.expect("no fault");
    assert_eq!(world.fate("evt_1").await.0, "applied");
    assert_eq!(world.version().await, version, "applying it again changes nothing");
    assert_eq!(world.billing.replay("evt_nowhere").await.expect("no fault"), None);
}
