//! A database that has gone back behind what was told of it.

use std::pin::pin;
use std::task::Poll;

use entitlement::record::{self, DatabaseId, Entitlement, HighWater, Record};
use entitlement::timeline::timeline;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, shop, shown};
use crate::publish::Why;
use crate::reconcile::{Force, Kind};
use crate::store::identity::{self, AreHeld, Identity, Renewal};

async fn identity(world: &World) -> Identity {
    let mut conn = world.pool.acquire().await.expect("a connection");
    identity::read(&mut conn).await.expect("it is migrated")
}

async fn computed(world: &World) -> Record {
    world.billing.compute(&world.account, world.now).await.expect("rows").record
}

/// As when it was told of another version.
async fn told(world: &World, version: u64) {
    let Record { database, entitlement } = computed(world).await;
    let record = Record { database, entitlement: Entitlement { version, ..entitlement } };
    world.billing.shared().outlets.tell(record).await.expect("Redis");
}

async fn grants(world: &World, tier: &str) {
    world.billing.grant(&world.account, tier, "a gift", None, None).await.expect("granted");
}

/// As when a dump is put in the place of the database.
async fn goes_back(world: &World) -> DatabaseId {
    let former = identity(world).await.id;
    let mut conn = world.pool.acquire().await.expect("a connection");
    identity::renew(&mut conn, former, Renewal::GoneBack(world.now)).await.expect("it accepts writes");
    former
}

#[sqlx::test(migrations = "../migrations")]
async fn a_higher_version_alone_proves_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    grants(&world, "paid").await;
    let read = world.billing.compute(&world.account, world.now).await.expect("rows");
    let before = identity(&world).await.id;
    // Another process has told of more since.
    grants(&world, "team").await;
    world.billing.fill(&read, world.now).await.expect("Redis");
    world.billing.shared().outlets.tell(read.record.clone()).await.expect("Redis");
    world.billing.publish(std::slice::from_ref(&world.account), Why::New, world.now).await.expect("no fault");
    assert_eq!(identity(&world).await.id, before);
    assert!(world.billing.look().await.expect("Redis").is_settled());
    assert_eq!(world.cached().await.expect("a record").version, read.record.entitlement.version + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_new_is_told_above_what_was_told_before(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    grants(&world, "paid").await;
    told(&world, 90).await;
    let before = identity(&world).await.id;
    grants(&world, "team").await;
    let after = identity(&world).await;
    assert!(after.id != before && after.former == Some(before), "{after:?}");
    let cached = world.cached().await.expect("under its new id");
    // Above that, and above what nobody but a proxy may have heard.
    assert_eq!((cached.version > 1_000_000, shown(&cached, crate::clock::now())), (true, "team credit".to_owned()));
    let lineage = world.billing.look().await.expect("Redis");
    assert_eq!((lineage.is_settled(), lineage.held()), (false, &[before][..]));
    assert!(world.billing.warnings().await.iter().any(|warning| warning.contains("tollgate database accept")));
    // It counts from now on, whatever the former one says.
    let resolved = world.billing.resolve(&world.account).await.expect("rows");
    assert_eq!((resolved.entitlement.version, resolved.from), (cached.version, after.id));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_told_before_serves_until_something_new_is_learnt(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    grants(&world, "paid").await;
    let former = goes_back(&world).await;
    // As the former database had told of it: more than this one knows.
    let Record { entitlement, .. } = computed(&world).await;
    let nothing = timeline(&super::catalog(), &[]);
    let more = Entitlement { version: 50, timeline: nothing.clone(), ..entitlement.clone() };
    let held = Record { database: former, entitlement: more };
    world.billing.shared().outlets.fill(&held).await.expect("Redis");
    let account = std::slice::from_ref(&world.account);
    for _ in 0..2 {
        let resolved = world.billing.resolve(&world.account).await.expect("rows");
        assert_eq!((resolved.entitlement.version, resolved.from), (50, former));
        // A change that only waits to be told since before is nothing new.
        world.billing.publish(account, Why::Due, world.now).await.expect("no fault");
        assert_eq!(world.cached().await, None);
    }
    grants(&world, "team").await;
    let version = world.billing.resolve(&world.account).await.expect("rows").entitlement.version;
    assert!(version > 50, "{version}");
    assert_eq!(world.cached().await.expect("it is told").version, version);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_provider_affirms_is_new_although_no_row_changes(options: PgPoolOptions, connect: PgConnectOptions) {
    let (world, provider) = shop::world(options, connect).await;
    shop::subscribe(&provider, &world.account, "price_monthly");
    let full = async || world.billing.reconcile(Kind::Full, Force::No, world.now, |_| {}).await.expect("compared");
    assert_eq!(full().await[0].drift, 1);
    let paid = computed(&world).await;
    let former = goes_back(&world).await;
    // The former one had told, at last, that it was not paid for.
    let entitlement =
        Entitlement { version: 50, timeline: timeline(&super::catalog(), &[]), ..paid.entitlement.clone() };
    let text = record::encode(&Record { database: former, entitlement: entitlement.clone() }).expect("it encodes");
    assert!(text.starts_with("2:50:"), "{text}");
    world.billing.shared().outlets.fill(&Record { database: former, entitlement }).await.expect("Redis");
    let resolved = async || world.billing.resolve(&world.account).await.expect("rows").entitlement;
    assert_eq!(shown(&resolved().await, world.at(60)), "free none");
    assert_eq!(full().await[0].drift, 0, "the rows are as the provider says");
    assert_eq!(shown(&resolved().await, world.at(60)), "paid active");
    assert!(resolved().await.version > 50);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_is_accepted_for_as_many_as_a_person_was_told_of(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    grants(&world, "paid").await;
    let former = goes_back(&world).await;
    let Record { entitlement: paid, .. } = computed(&world).await;
    let holds = async |number: usize| {
        let entitlement = Entitlement { account: world.other(number), version: 50, ..paid.clone() };
        world.billing.shared().outlets.fill(&Record { database: former, entitlement }).await.expect("Redis");
    };
    holds(1).await;
    let told = world.billing.plan_accept().await.expect("planned");
    assert_eq!((told.accounts.wanted, told.is_settled), (1, false));
    // Meanwhile a proxy has told of another one, or somebody has lost more.
    holds(2).await;
    let more = world.billing.accept_database(&told, true).await.expect_err("a person was told of one");
    assert!(
        more.to_string().starts_with("meanwhile 2 accounts would lose something by it, and 1 were agreed to"),
        "{more}"
    );
    assert!(!world.billing.look().await.expect("Redis").is_settled(), "nothing is done");
    let told = world.billing.plan_accept().await.expect("planned");
    assert_eq!(world.billing.accept_database(&told, true).await.expect("accepted"), 2);
    assert!(world.billing.look().await.expect("Redis").is_settled());
}

/// The memory of a proxy of another database that it followed until now.
const HEARD: HighWater = HighWater { database: DatabaseId::new(77), mark: 9, age_ms: 0 };

#[sqlx::test(migrations = "../migrations")]
async fn a_hold_that_another_process_has_noted_is_known_before_a_proxy_is_answered(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    grants(&world, "paid").await;
    assert!(world.billing.line().expect("it is known").settled);
    let mut conn = world.pool.acquire().await.expect("a connection");
    identity::follow(&mut conn, HEARD.database, world.now).await.expect("it accepts writes");
    drop(conn);
    world.billing.hear(HEARD).await.expect("no fault");
    assert!(!world.billing.line().expect("it is known").settled, "the proxy would forget what it holds");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_proxy_remembers_is_taken_in_although_it_waits_no_more(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect.clone()).await;
    grants(&world, "paid").await;
    let mut beside = connect.connect().await.expect("a connection");
    for statement in ["begin", "select id from database_identity for update"] {
        sqlx::query(statement).execute(&mut beside).await.expect("it is locked");
    }
    {
        let mut hearing = pin!(world.billing.hear(HEARD));
        // The proxy waits until its word is looked into, and then goes away.
        std::future::poll_fn(|context| {
            assert!(hearing.as_mut().poll(context).is_pending(), "the row is locked");
            let is_begun = world.billing.shared().looking.try_lock().is_err();
            context.waker().wake_by_ref();
            if is_begun { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    sqlx::query("rollback").execute(&mut beside).await.expect("it is let go");
    drop(world.billing.shared().looking.lock().await);
    assert!(!world.billing.line().expect("it is known").settled, "it is held");
    assert_eq!(identity(&world).await.former, Some(HEARD.database));
}

#[sqlx::test(migrations = "../migrations")]
async fn records_that_are_handed_over_to_a_process_that_knows_of_no_hold_yet_are_kept(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    grants(&world, "paid").await;
    let Record { entitlement, .. } = computed(&world).await;
    let entitlement = Entitlement { account: world.other(1), version: 50, ..entitlement };
    let mut conn = world.pool.acquire().await.expect("a connection");
    identity::follow(&mut conn, HEARD.database, world.now).await.expect("it accepts writes");
    drop(conn);
    let text = record::encode(&Record { database: HEARD.database, entitlement }).expect("it encodes");
    world.billing.put_back(&[text]).await.expect("no fault");
    let resolved = world.billing.resolve(&world.other(1)).await.expect("rows");
    assert_eq!((resolved.from, resolved.entitlement.version), (HEARD.database, 50));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_goes_back_goes_on_to_stand_beside_another_one(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    for is_noted_first in [true, false] {
        let beside = async || {
            let mut conn = world.pool.acquire().await.expect("a connection");
            identity::stand_beside(&mut conn, AreHeld::Others).await.expect("it accepts writes");
        };
        if is_noted_first {
            beside().await;
        }
        let former = goes_back(&world).await;
        if !is_noted_first {
            beside().await;
        }
        let known = identity(&world).await;
        assert!(known.is_beside && known.replaced_by.is_none(), "{is_noted_first}: {known:?}");
        assert!(known.former == Some(former) && known.held_since.is_some(), "its own records are held: {known:?}");
        world.billing.own().await.expect("a person's word");
        assert!(!identity(&world).await.is_beside);
    }
}
