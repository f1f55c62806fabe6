//! A database that has gone back behind what was told of it.

use entitlement::record::{self, DatabaseId, Entitlement, Record};
use entitlement::timeline::timeline;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, shop, shown};
use crate::publish::Why;
use crate::reconcile::{Force, Kind};
use crate::store::identity::{self, Identity, Renewal};

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
    identity::renew(&mut conn, former, Renewal::GoneBack).await.expect("it accepts writes");
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
