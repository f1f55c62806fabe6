//! Poolers between billing and Postgres: one that lends whole sessions works, one that lends a session for each transaction works
//! where it keeps prepared statements, and where it does not the start is refused with what to do.

use std::time::Duration;

use crate::world::pgbouncer::PgBouncer;
use crate::world::servers::Postgres;
use crate::world::stripe::{Subscription, unique};
use crate::world::tollgate::tollgate;
use crate::world::{Arrangement, Output, Setup, World, token};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);

fn setup(pooler: &PgBouncer) -> Setup {
    Setup::new(Arrangement::AllPostgres).environment("DATABASE_URL", &pooler.url)
}

/// What `tollgate migrate` says with these URLs.
async fn migrate(world: &World, urls: &[(&str, &str)]) -> Output {
    let environment: Vec<_> = urls.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
    tollgate(world.dir(), &environment, LIMIT, &["migrate"]).await
}

/// A purchase is taken, applied and in force.
async fn sells(world: &World) {
    let account = unique("reader");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/pooled", &token(&account), 200).await;
}

#[tokio::test]
async fn a_pooler_that_lends_whole_sessions_is_as_good_as_postgres() {
    let database = Postgres::shared().database().await;
    let pooler = PgBouncer::start(&database.url, "pool_mode = session\ndefault_pool_size = 30").await;
    sells(&World::with(setup(&pooler)).await).await;
}

#[tokio::test]
async fn a_pooler_that_forgets_prepared_statements_is_refused_with_what_to_use_instead() {
    let database = Postgres::shared().database().await;
    let forgets = if PgBouncer::keeps_statements() { "max_prepared_statements = 0" } else { "" };
    let pooler = PgBouncer::start(&database.url, &format!("pool_mode = transaction\n{forgets}")).await;
    let world = World::start(Arrangement::AllPostgres).await;
    let urls = [("DATABASE_URL", pooler.url.as_str()), ("DATABASE_MIGRATION_URL", database.url.as_str())];
    let output = migrate(&world, &urls).await;
    let told = output.failure();
    for words in ["max_prepared_statements = 200", "pool_mode = session", "Postgres itself"] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!told.contains(url::Url::parse(&pooler.url).expect("a URL").password().expect("one")), "{told}");
}

#[tokio::test]
async fn a_pooler_that_lends_statements_is_refused_with_what_to_use_instead() {
    let database = Postgres::shared().database().await;
    let pooler = PgBouncer::start(&database.url, "pool_mode = statement").await;
    let world = World::start(Arrangement::AllPostgres).await;
    let urls = [("DATABASE_URL", pooler.url.as_str()), ("DATABASE_MIGRATION_URL", database.url.as_str())];
    let output = migrate(&world, &urls).await;
    let told = output.failure();
    for words in ["pool_mode = statement", "pool_mode = session", "Postgres itself"] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!told.contains("transaction blocks") && !told.contains("error returned from database"), "{told}");
}

#[tokio::test]
async fn a_pooler_that_lends_transactions_needs_another_way_for_migrations() {
    // Older ones are refused before, as the test above says.
    if !PgBouncer::keeps_statements() {
        return;
    }
    let database = Postgres::shared().database().await;
    let settings = "pool_mode = transaction\nmax_prepared_statements = 200";
    let pooler = PgBouncer::start(&database.url, settings).await;
    let world = World::start(Arrangement::AllPostgres).await;
    let output = migrate(&world, &[("DATABASE_URL", pooler.url.as_str())]).await;
    assert!(output.failure().contains("DATABASE_MIGRATION_URL"), "{output:?}");
    sells(&World::with(setup(&pooler).environment("DATABASE_MIGRATION_URL", &database.url)).await).await;
}

#[tokio::test]
async fn migrations_that_go_to_another_database_are_refused() {
    let (used, other) = (Postgres::shared().database().await, Postgres::shared().database().await);
    let world = World::start(Arrangement::AllPostgres).await;
    for _ in 0..2 {
        // Also when the database that is used was migrated before.
        let urls = [("DATABASE_URL", used.url.as_str()), ("DATABASE_MIGRATION_URL", other.url.as_str())];
        let output = migrate(&world, &urls).await;
        assert!(output.failure().contains("another database than DATABASE_URL"), "{output:?}");
        migrate(&world, &[("DATABASE_URL", used.url.as_str())]).await.success();
    }
    let urls = [("DATABASE_URL", used.url.as_str()), ("DATABASE_MIGRATION_URL", used.url.as_str())];
    migrate(&world, &urls).await.success();
}
