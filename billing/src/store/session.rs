//! The session of Postgres behind a connection: a pooler may lend another one for each transaction.

use sqlx::error::DatabaseError;
use sqlx::{Executor, PgConnection, Row};

/// SQLSTATEs of a prepared statement that the session has already, or does not have.
const LOST_STATEMENT: [&str; 2] = ["42P05", "26000"];

/// Which session answers.
///
/// # Errors
/// When the server does not answer.
pub async fn number(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    conn.fetch_one(sqlx::raw_sql("select pg_backend_pid()")).await?.try_get(0)
}

/// Begins a transaction, which ends with the connection. Returns whether it may: a pooler that lends a session for one statement refuses.
///
/// # Errors
/// When the server does not answer.
pub async fn begin(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match conn.execute(sqlx::raw_sql("begin")).await {
        Ok(_) => Ok(true),
        // Postgres itself begins one for everybody who may connect.
        Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a statement that this connection has prepared, or prepares now, is there when it is run.
///
/// # Errors
/// When the server does not answer.
pub async fn keeps_statement(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match sqlx::query_scalar::<_, i32>("select 1").fetch_one(conn).await {
        Ok(_) => Ok(true),
        Err(error) => match error.as_database_error().and_then(DatabaseError::code) {
            Some(code) if LOST_STATEMENT.contains(&&*code) => Ok(false),
            _ => Err(error),
        },
    }
}
