//! Accounts that are moved beside other transactions about the same accounts.

use entitlement::account::AccountId;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{count, fill, relocate, subject};
use crate::Settings;
use crate::ops::Merge;
use crate::store::accounts;
use crate::tests::{World, settings};

/// The account that comes before [`subject`] in the order of accounts.
fn other() -> AccountId {
    AccountId::parse("other").expect("an id")
}

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let world = World::with(options, connect, Settings { pool_size: 4, ..settings() }).await;
    fill(&world.pool).await;
    world
}

async fn lock(conn: &mut PgConnection, account: &AccountId) {
    let query = format!("select account from accounts where account = '{account}' for no key update");
    sqlx::query(AssertSqlSafe(query)).fetch_one(conn).await.expect("no deadlock ends this transaction");
}

/// Waits until a transaction waits for a row that another one holds.
async fn until_one_waits(pool: &PgPool) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while count(pool, waiting.to_owned()).await == 0 {
        tokio::task::yield_now().await;
    }
}

/// Moves an account while another transaction locks one account and then the other. Of a deadlock the one with less patience is the victim.
async fn moves_beside(world: &World, locks: [&AccountId; 2], patience: &'static str) {
    let mut tx = world.pool.begin().await.expect("a transaction");
    sqlx::query(patience).execute(&mut *tx).await.expect("its own patience");
    lock(&mut tx, locks[0]).await;
    let (from, to) = (other(), subject());
    let beside = async {
        until_one_waits(&world.pool).await;
        lock(&mut tx, locks[1]).await;
        tx.commit().await.expect("it goes through");
    };
    let (moved, ()) = tokio::join!(relocate(world, &from, &to, Merge::Allow), beside);
    assert!(moved.expect("it goes").changed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_move_locks_both_accounts_in_their_order(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    moves_beside(&world, [&other(), &subject()], "set local deadlock_timeout = '1ms'").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_move_that_is_ended_for_the_sake_of_another_transaction_is_tried_again(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = world(options, connect).await;
    moves_beside(&world, [&subject(), &other()], "set local deadlock_timeout = '10min'").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_that_is_there_is_not_locked_by_making_sure_of_it(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = world(options, connect).await;
    let mut tx = world.pool.begin().await.expect("a transaction");
    lock(&mut tx, &subject()).await;
    let mut beside = world.pool.begin().await.expect("a transaction");
    sqlx::query("set local lock_timeout = '1s'").execute(&mut *beside).await.expect("its patience");
    accounts::ensure(&mut beside, &subject(), world.now).await.expect("it waits for nothing");
    accounts::ensure(&mut beside, &world.account, world.now).await.expect("it is made");
    assert!(accounts::is_known(&mut beside, &world.account).await.expect("an answer"));
}
