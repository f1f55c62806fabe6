//! The schema, and how a session behaves.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{Executor, PgConnection, Postgres};

use super::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// SQLSTATE of a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

/// Brings the schema to this build's; the connection is closed after.
///
/// # Errors
/// When a migration fails, or the database has one that this build does not know differently.
pub async fn migrate(mut conn: PoolConnection<Postgres>) -> Result<(), MigrateError> {
    // A migration of a large table may take its time; the connection is not used for anything else after.
    conn.execute("set statement_timeout = 0").await?;
    MIGRATOR.run(&mut *conn).await?;
    conn.close().await?;
    Ok(())
}

/// Whether every migration of this build has been run.
///
/// # Errors
/// When the database fails.
pub async fn is_migrated(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success");
    let run = match query.fetch_all(conn).await {
        Ok(run) => run,
        Err(error) if is_undefined_table(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(MIGRATOR.iter().all(|migration| run.contains(&migration.version)))
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|refusal| refusal.code().as_deref() == Some(UNDEFINED_TABLE))
}

/// Nothing that billing does takes that long: a hung statement must not hold its connection for ever. And each statement
/// is planned once for a connection: they are the same few, and planning one anew took longer than running it.
///
/// # Errors
/// When the database fails.
pub async fn settle(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute("set statement_timeout = '10s'; set idle_in_transaction_session_timeout = '60s'").await?;
    conn.execute(PLANNED_ONCE).await?;
    Ok(())
}

const PLANNED_ONCE: &str = "set plan_cache_mode = force_generic_plan";

/// From now on statements are planned for the values that they get: what an operator asks for differs each time.
///
/// # Errors
/// When the database fails.
pub async fn plan_each(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute("set plan_cache_mode = force_custom_plan").await?;
    Ok(())
}

/// Ends what [`plan_each`] began.
///
/// # Errors
/// When the database fails.
pub async fn plan_once(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute(PLANNED_ONCE).await?;
    Ok(())
}
