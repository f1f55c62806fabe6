//! A Postgres with the settings of a host, or of a careful administrator: none of them is relied on, and none stands in the way.

use crate::bad_input::Try;
use crate::world::servers::{Postgres, execute};
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, Setup, World, token};

/// Settings that are usual, or at least allowed.
const SETTINGS: [&str; 14] = [
    "statement_timeout = '2s'",
    "lock_timeout = '1s'",
    "idle_in_transaction_session_timeout = '1s'",
    "idle_session_timeout = '1s'",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "timezone = 'Asia/Kolkata'",
    "datestyle = 'SQL, DMY'",
    "intervalstyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = 0",
    "client_min_messages = 'error'",
    "plan_cache_mode = 'force_custom_plan'",
    "row_security = off",
];

#[tokio::test]
async fn the_settings_of_a_host_change_nothing() {
    let database = Postgres::shared().database().await;
    let url = url::Url::parse(&database.url).expect("a URL");
    let name = url.path().trim_start_matches('/');
    let mut connection = database.connect().await;
    for setting in SETTINGS {
        execute(&mut connection, format!("alter database {name} set {setting}")).await;
    }
    drop(connection);
    let world = World::with(Setup::new(Arrangement::AllPostgresRedis).environment("DATABASE_URL", &database.url)).await;
    // Many at once, several of one account.
    let accounts: Vec<String> = (0..6).map(|_| unique("reader")).collect();
    let events = accounts.iter().flat_map(|account| {
        let sold = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        [sold.event("created"), sold.event("updated"), sold.event("updated")]
    });
    let events: Vec<_> = events.collect();
    futures_util::future::join_all(events.iter().map(|event| world.accepted(event))).await;
    for account in &accounts {
        world.everywhere("/premium/hosted", &token(account), 200).await;
    }
    let catalog = std::fs::read_to_string(world.dir().join("catalog.toml")).expect("it was written");
    std::fs::write(world.dir().join("more.toml"), catalog.replace("\"alerts\"]", "\"alerts\", \"more\"]"))
        .expect("it is written");
    for arguments in [
        &["catalog", "apply", "more.toml", "--yes"][..],
        &["grant", &accounts[0], "business", "--days", "3", "--reason", "a test"],
        &["explain", "account", &accounts[0]],
        &["events", "list"],
        &["migrate"],
    ] {
        world.tollgate_with(("DATABASE_URL", &database.url), arguments).await.success();
    }
    world.everywhere("/business/hosted", &token(&accounts[0]), 200).await;
    let log = world.billing().process.log();
    let wrong: Vec<&str> = log.lines().filter(|line| line.contains("\"ERROR\"")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn a_server_that_accepts_no_writes_is_told_for_migrations_too() {
    let database = Postgres::shared().database().await;
    let standby = format!("{}?options=-c%20default_transaction_read_only%3Don", database.url);
    let migrating =
        Try::new().environment("DATABASE_URL", &database.url).environment("DATABASE_MIGRATION_URL", &standby);
    migrating.fails_with(&["migrate"], &["accepts no writes", "DATABASE_MIGRATION_URL", "at the primary"]).await;
    Try::new().environment("DATABASE_URL", &standby).fails_with(&["migrate"], &["accepts no writes", "primary"]).await;
}
