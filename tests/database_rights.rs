//! A user of the database that lacks a right: each command says which, and what grants it.

use crate::bad_input::Try;
use crate::world::servers::{Database, Postgres, execute};

/// Commands that read the database, or write to it as well.
const COMMANDS: [&[&str]; 7] = [
    &["explain", "account", "somebody"],
    &["events", "list"],
    &["catalog", "plan", "catalog.toml"],
    APPLY,
    GRANT,
    &["revoke", "somebody"],
    &["reconcile"],
];

const GRANT: &[&str] = &["grant", "somebody", "paid", "--days", "3", "--reason", "a test"];

const APPLY: &[&str] = &["catalog", "apply", "catalog.toml", "--yes"];

/// A database, and a user of it that does not own it.
struct Office {
    postgres: Postgres,
    database: Database,
}

impl Office {
    async fn start() -> Self {
        let postgres = Postgres::start();
        let database = postgres.database().await;
        let office = Self { postgres, database };
        office.owner("create role clerk login password 'right'; revoke connect on database DATABASE from public").await;
        office
    }

    /// The statements of the database's owner.
    async fn owner(&self, statements: &str) {
        let statements = statements.replace("DATABASE", &self.name());
        execute(&mut self.database.connect().await, statements).await;
    }

    fn name(&self) -> String {
        let url = url::Url::parse(&self.database.url).expect("a URL");
        url.path().trim_start_matches('/').to_owned()
    }

    fn as_clerk(&self) -> Try {
        let mut url = url::Url::parse(&self.database.url).expect("a URL");
        url.set_username("clerk").expect("it has a user");
        url.set_password(Some("right")).expect("it has a password");
        Try::new().environment("DATABASE_URL", url.as_str())
    }

    fn as_owner(&self) -> Try {
        Try::new().environment("DATABASE_URL", &self.database.url)
    }

    /// Each of the commands fails with each of the words.
    async fn clerk_fails(&self, commands: &[&[&str]], words: &[&str]) {
        for command in commands {
            self.as_clerk().fails_with(command, words).await;
        }
    }

    /// `check` refuses nothing, and warns.
    async fn check_warns(&self, words: &str) {
        let checked = self.as_clerk().run(&["check"]).await;
        assert!(checked.code == 0 && checked.stderr.contains(words), "{words}: {checked:?}");
    }
}

#[tokio::test]
async fn each_right_that_is_missing_is_named_with_what_grants_it() {
    let office = Office::start().await;
    let all: Vec<&[&str]> = [&["run"][..], &["migrate"]].into_iter().chain(COMMANDS).collect();
    let connect = format!("grant connect on database \"{}\" to \"clerk\"", office.name());
    office.clerk_fails(&all, &[&connect]).await;
    office.check_warns(&connect).await;

    office.owner("grant connect on database DATABASE to public; revoke usage on schema public from public").await;
    office.clerk_fails(&all, &["grant usage on schema public"]).await;
    office.owner("grant usage on schema public to public").await;
    office.clerk_fails(&[&["run"], &["migrate"]], &["grant create on schema public", "DATABASE_MIGRATION_URL"]).await;

    office.as_owner().run(&["migrate"]).await.success();
    let tables = "grant select, insert, update, delete on all tables in schema public";
    office.clerk_fails(&all, &[tables, "permission denied for table _sqlx_migrations"]).await;
    office.check_warns(tables).await;

    office.owner("grant select on all tables in schema public to clerk").await;
    for command in [&["explain", "account", "somebody"][..], &["events", "list"], &["migrate"]] {
        office.as_clerk().run(command).await.success();
    }
    office.clerk_fails(&[APPLY], &[tables, "permission denied for"]).await;
    office.clerk_fails(&[&["run"]], &[tables, "lacks a right on `"]).await;
    office.check_warns("lacks a right on `").await;
    office.owner("grant insert, update, delete on all tables in schema public to clerk").await;
    office.owner("grant usage on all sequences in schema public to clerk").await;
    for command in [APPLY, GRANT] {
        office.as_clerk().run(command).await.success();
    }
    // One that nothing needs before the first refund.
    office.owner("revoke insert on refunds from clerk").await;
    office.clerk_fails(&[&["run"]], &[tables, "lacks a right on `refunds`"]).await;
    office.check_warns("lacks a right on `refunds`").await;
    office.owner("grant insert on refunds to clerk").await;

    office.owner("alter role clerk set default_transaction_read_only = on").await;
    office.clerk_fails(&[GRANT, &["run"], &["migrate"]], &["accepts no writes", "alter role"]).await;
    drop(office.postgres);
}

#[tokio::test]
async fn migrations_run_as_the_owner_and_all_else_as_another_user() {
    let office = Office::start().await;
    office.owner("grant connect on database DATABASE to public").await;
    let nowhere = office.as_clerk().environment("DATABASE_MIGRATION_URL", "postgres://somebody@127.0.0.1:9/nowhere");
    nowhere.fails_with(&["migrate"], &["DATABASE_MIGRATION_URL cannot be used", "Postgres at 127.0.0.1:9"]).await;
    let migrating = office.as_clerk().environment("DATABASE_MIGRATION_URL", &office.database.url);
    migrating.run(&["migrate"]).await.success();
}
