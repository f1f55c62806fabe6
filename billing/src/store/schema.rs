//! The schema, and how a session behaves.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, Executor, PgConnection, Postgres, Transaction};

use super::StoreError;
use super::migration::{MigrationError, NO_RIGHT};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

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
    match standing(&mut conn).await {
        // Nothing is to be changed, so no right to do so is needed.
        Ok(Standing::Current) => return Ok(conn.close().await?),
        Ok(Standing::Foreign { database, version, description }) => {
            return Err(MigrationError::Another { database, version, description });
        }
        Ok(Standing::Occupied { database, table }) => return Err(MigrationError::Occupied { database, table }),
        Err(error @ (StoreError::NoRight(_) | StoreError::NoSchema)) => return Err(error.into()),
        // The next try tells the fault.
        Ok(Standing::Newer(_) | Standing::Behind { .. }) | Err(_) => {}
    }
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
        let one = match id_of(conn).await {
            // Its rights come after the tables: nothing is known yet.
            Err(error) if is_code(&error, NO_RIGHT) => return Ok(true),
            one => one?,
        };
        let two = id_of(other).await?;
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

/// Where a database stands, by the migrations that have been run on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Some of this build's are left to be run, or all.
    Behind { database: String },
    /// Exactly this build's have been run.
    Current,
    /// A newer build's have been run; the newest of them.
    Newer(i64),
    /// None of them is Tollgate's, of any version; the last of them.
    Foreign { database: String, version: i64, description: String },
    /// None has been run, and there are tables.
    Occupied { database: String, table: String },
}

/// Where a database stands.
///
/// # Errors
/// When the database fails, or its user may not look.
pub async fn standing(conn: &mut PgConnection) -> Result<Standing, StoreError> {
    let mut run = run_so_far(conn).await?;
    if run.is_empty()
        && let Some(table) = first_table(conn).await?
    {
        // Another process may have begun to migrate since: a migration is noted with its tables.
        run = run_so_far(conn).await?;
        if run.is_empty() {
            return Ok(Standing::Occupied { database: name(conn).await?, table });
        }
    }
    let database = name(conn).await?;
    let Some((version, description, ..)) = run.last().cloned() else { return Ok(Standing::Behind { database }) };
    let own = |version: i64| MIGRATOR.iter().find(|migration| migration.version == version);
    let is_own = |(version, _, checksum, _): &(i64, String, Vec<u8>, bool)| {
        own(*version).is_some_and(|migration| *migration.checksum == **checksum)
    };
    if !run.iter().any(is_own) {
        return Ok(Standing::Foreign { database, version, description });
    }
    let is_current = run.len() == MIGRATOR.iter().count() && run.iter().all(|row| is_own(row) && row.3);
    let last = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    Ok(match version {
        newer if newer > last => Standing::Newer(newer),
        _ if is_current => Standing::Current,
        _ => Standing::Behind { database },
    })
}

async fn name(conn: &mut PgConnection) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar("select current_database()::text").fetch_one(conn).await?)
}

/// A migration that was run: its version, its description, the sum of its text, and whether it has ended well.
type Run = (i64, String, Vec<u8>, bool);

/// The migrations that have been run, of whichever application.
async fn run_so_far(conn: &mut PgConnection) -> Result<Vec<Run>, StoreError> {
    const QUERY: &str = "select version, description, checksum, success from _sqlx_migrations order by version";
    match sqlx::query_as::<_, Run>(QUERY).fetch_all(&mut *conn).await {
        Ok(run) => Ok(run),
        // A table in a schema that may not be used is not there either.
        Err(error) if is_code(&error, UNDEFINED_TABLE) => {
            let schema: Option<String> =
                sqlx::query_scalar("select current_schema()::text").fetch_one(&mut *conn).await?;
            if schema.is_some() { Ok(Vec::new()) } else { Err(StoreError::NoSchema) }
        }
        Err(error) => Err(error.into()),
    }
}

/// The first table of a schema by its name. Tables that an extension brought belong to no application.
async fn first_table(conn: &mut PgConnection) -> Result<Option<String>, StoreError> {
    const QUERY: &str = "select relname::text from pg_class \
        where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'f') and relname <> '_sqlx_migrations' \
            and not exists (select from pg_depend where objid = pg_class.oid and classid = 'pg_class'::regclass and deptype = 'e') \
        order by relname limit 1";
    Ok(sqlx::query_scalar::<_, String>(QUERY).fetch_optional(&mut *conn).await?)
}

fn is_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().is_some_and(|refusal| refusal.code().as_deref() == Some(code))
}

/// Nothing that billing does takes that long: a hung statement must not hold its connection for ever. And each statement
/// is planned once for a connection: they are the same few, and planning one anew took longer than running it. Locks are taken before
/// what they guard is read, which is no use in a stricter isolation that the database may have as its default.
///
/// # Errors
/// When the database fails.
pub async fn settle(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute("set statement_timeout = '10s'; set idle_in_transaction_session_timeout = '60s'").await?;
    conn.execute("set plan_cache_mode = force_generic_plan; set default_transaction_isolation = 'read committed'")
        .await?;
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

/// A transaction that reads, all of it as it stood at one moment.
///
/// # Errors
/// When the database fails.
pub async fn at_one_moment(conn: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut tx = planned_each(conn).await?;
    tx.execute("set transaction isolation level repeatable read, read only").await?;
    Ok(tx)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use sqlx::AssertSqlSafe;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;

    /// The last migration that rewrites a table, as each gets a number: what has been run somewhere is not changed.
    const BEFORE: i64 = 9;

    /// The file in which each table stands, which changes when it is rewritten.
    async fn files(conn: &mut PgConnection) -> BTreeMap<String, i64> {
        let query = "select relname::text, relfilenode::bigint from pg_class
            where relkind = 'r' and relnamespace = 'public'::regnamespace";
        sqlx::query_as::<_, (String, i64)>(query).fetch_all(conn).await.expect("tables").into_iter().collect()
    }

    #[sqlx::test(migrations = false)]
    async fn no_migration_rewrites_a_table_that_is_there(_: PgPoolOptions, connect: PgConnectOptions) {
        let mut conn = PgConnection::connect_with(&connect).await.expect("a database");
        for migration in MIGRATOR.iter() {
            let before = files(&mut conn).await;
            conn.execute(sqlx::raw_sql(migration.sql.clone())).await.expect("it is run");
            let after = files(&mut conn).await;
            let rewritten: Vec<_> =
                before.iter().filter(|(table, file)| after.get(*table).is_some_and(|now| now != *file)).collect();
            assert!(
                rewritten.is_empty() || migration.version <= BEFORE,
                "migration {}: {rewritten:?}",
                migration.version
            );
        }
    }

    /// Whether a session of this database waits for a lock.
    async fn somebody_waits(conn: &mut PgConnection) -> bool {
        let query = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        sqlx::query_scalar(query).fetch_one(conn).await.expect("it is known")
    }

    #[sqlx::test(migrations = false)]
    async fn a_migration_that_waits_for_a_lock_holds_nobody_up_for_long(_: PgPoolOptions, connect: PgConnectOptions) {
        let open = async || PgConnection::connect_with(&connect).await.expect("a database");
        let (mut before, mut reader, mut watch) = (open().await, open().await, open().await);
        let all: Vec<_> = MIGRATOR.iter().cloned().collect();
        let alters = |migration: &sqlx::migrate::Migration| migration.sql.as_str().contains("alter table");
        let last = all.iter().rposition(alters).expect("one alters a table");
        Migrator::with_migrations(all[..last].to_vec()).run(&mut before).await.expect("migrated");
        let tables: Vec<String> =
            files(&mut before).await.into_keys().filter(|table| table != "_sqlx_migrations").collect();
        let mut holder = before.begin().await.expect("a transaction");
        for table in &tables {
            let read = format!("lock table {table} in access share mode");
            holder.execute(sqlx::raw_sql(AssertSqlSafe(read))).await.expect("it is read");
        }
        let meanwhile = async {
            while !somebody_waits(&mut watch).await {
                tokio::task::yield_now().await;
            }
            // A reader behind it gets through all the same.
            for table in &tables {
                let read = format!("select count(*) from {table}");
                sqlx::query(AssertSqlSafe(read)).execute(&mut reader).await.expect("it is read");
            }
            holder.rollback().await.expect("it ends");
        };
        let meanwhile = tokio::time::timeout(Duration::from_secs(60), meanwhile);
        let (migrated, meanwhile) = tokio::join!(migrate(open().await), meanwhile);
        meanwhile.expect("it waits for a lock, and nobody waits for it");
        migrated.expect("it is migrated");
        assert!(is_migrated(&mut watch).await.expect("it is known"));
    }
}
