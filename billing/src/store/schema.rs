//! The schema, and how a session behaves.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, Executor, PgConnection, Postgres, Transaction};

use super::StoreError;
use super::migration::MigrationError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// SQLSTATE of a table that does not exist.
pub(super) const UNDEFINED_TABLE: &str = "42P01";

/// SQLSTATE of a lock that was not free in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How often migrations try to get their locks: for about a minute.
const LOCK_TRIES: u32 = 30;

/// How often two ids are compared: another process may give the database a new one between the two.
const SAME_TRIES: u32 = 3;

/// Brings the schema to this build's; the connection is closed after.
///
/// # Errors
/// When a migration fails, or the database has one that this build does not know differently.
pub async fn migrate(mut conn: PgConnection) -> Result<(), MigrationError> {
    // A migration of a large table may take its time; the connection is not used for anything else after. But whatever waits behind
    // a lock that is waited for waits as long: so each wait is short, and begun again.
    conn.execute("set statement_timeout = 0; set lock_timeout = '2s'").await?;
    let mut tries = 1;
    loop {
        match MIGRATOR.run(&mut conn).await {
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))
                if tries < LOCK_TRIES && is_code(&error, LOCK_NOT_AVAILABLE) =>
            {
                tracing::warn!(tries, "a migration waits for a lock that another process holds; it is tried again");
                tries += 1;
            }
            done => {
                let last = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
                done.map_err(|error| MigrationError::of(error, last))?;
                break;
            }
        }
    }
    conn.close().await?;
    Ok(())
}

/// Whether two connections lead to the same database: it knows itself by an id.
///
/// # Errors
/// When one of them fails.
pub async fn is_same(conn: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for _ in 0..SAME_TRIES {
        let (one, two) = (id_of(conn).await?, id_of(other).await?);
        if one.is_some() && one == two {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `None` when the database is not migrated.
async fn id_of(conn: &mut PgConnection) -> Result<Option<uuid::Uuid>, sqlx::Error> {
    match sqlx::query_scalar::<_, uuid::Uuid>("select id from database_identity").fetch_optional(conn).await {
        Err(error) if is_code(&error, UNDEFINED_TABLE) => Ok(None),
        id => id,
    }
}

/// Whether every migration of this build has been run.
///
/// # Errors
/// When the database fails.
pub async fn is_migrated(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success");
    let run = match query.fetch_all(conn).await {
        Ok(run) => run,
        Err(error) if is_code(&error, UNDEFINED_TABLE) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(MIGRATOR.iter().all(|migration| run.contains(&migration.version)))
}

/// The newest migration that has been run and that this build does not know; `None` when it knows all of them.
///
/// # Errors
/// When the database fails.
pub async fn newer(conn: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    let last = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let query = sqlx::query_scalar::<_, Option<i64>>("select max(version) from _sqlx_migrations where version > $1");
    match query.bind(last).fetch_one(conn).await {
        Ok(newer) => Ok(newer),
        Err(error) if is_code(&error, UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().is_some_and(|refusal| refusal.code().as_deref() == Some(code))
}

/// Nothing that billing does takes that long: a hung statement must not hold its connection for ever. And each statement
/// is planned once for a connection: they are the same few, and planning one anew took longer than running it.
///
/// # Errors
/// When the database fails.
pub async fn settle(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute("set statement_timeout = '10s'; set idle_in_transaction_session_timeout = '60s'").await?;
    conn.execute("set plan_cache_mode = force_generic_plan").await?;
    Ok(())
}

/// A transaction in which statements are planned for the values that they get: what an operator asks for differs each time.
///
/// # Errors
/// When the database fails.
pub async fn planned_each(conn: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut tx = conn.begin().await?;
    tx.execute("set local plan_cache_mode = force_custom_plan").await?;
    Ok(tx)
}
