//! What can go wrong below, told by what the caller does about it.

use std::fmt::Display;

use axum::response::{IntoResponse, Response};
use cache::Sparing;

use super::migration::NO_RIGHT;
use super::schema::UNDEFINED_TABLE;
use super::writable;
use crate::chain;
use crate::problem::Problem;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing is wrong with the question: ask again later.
    #[error("the database cannot be used right now")]
    Unavailable(#[source] sqlx::Error),
    /// A standby, or a former primary: connections are made again until one leads to a server that accepts writes. The server's own
    /// words name a statement, which tells an operator nothing.
    #[error(
        "PostgreSQL accepts no writes there, as a standby or a former primary: it is tried again, over new connections, until DATABASE_URL leads to the primary"
    )]
    ReadOnly,
    /// Asking again will not help.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
    /// A table or a column is not there.
    #[error("the database is not migrated to this version: run `tollgate migrate`")]
    NotMigrated(#[source] sqlx::Error),
    /// The user lacks a right; the source names the table, the sequence or the schema.
    #[error(
        "the user of DATABASE_URL lacks a right in the database: as the owner of its tables, run `grant select, insert, update, delete on all tables in schema public` and `grant usage on all sequences in schema public` to that user"
    )]
    NoRight(#[source] sqlx::Error),
    /// A right that is lacking, found out before it is needed.
    #[error(
        "the user of DATABASE_URL lacks a right on `{0}` in the database: as the owner of its tables, run `grant select, insert, update, delete on all tables in schema public` and `grant usage on all sequences in schema public` to that user"
    )]
    LacksRight(String),
    /// The user may not look into the schema, so that nothing in it is there for that user.
    #[error(
        "the user of DATABASE_URL may not use the schema of the database: as the owner of the database, run `grant usage on schema public` to that user"
    )]
    NoSchema,
    /// A row that this build cannot read.
    #[error("table {table}, row {row}: {problem}")]
    Row { table: &'static str, row: String, problem: String },
    /// A row that must be there is not.
    #[error("table {table}, row {row}: it is gone")]
    Missing { table: &'static str, row: String },
}

impl StoreError {
    /// A row that cannot be read, and why.
    pub fn row(table: &'static str, row: impl Display, problem: &dyn Display) -> Self {
        Self::Row { table, row: row.to_string(), problem: problem.to_string() }
    }

    /// A row that must be there is not.
    pub fn missing(table: &'static str, row: impl Display) -> Self {
        Self::Missing { table, row: row.to_string() }
    }

    /// Whether the same question may be answered later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ReadOnly)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() == Some(writable::READ_ONLY) {
            writable::note_refusal();
            return Self::ReadOnly;
        }
        let transient = match &error {
            sqlx::Error::Database(_) => code.is_some_and(|code| is_transient_code(&code)),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        };
        if transient {
            Self::Unavailable(error)
        } else {
            match code_of(&error).as_deref() {
                Some(code) if NOT_MIGRATED.contains(&code) => Self::NotMigrated(error),
                Some(NO_RIGHT) => Self::NoRight(error),
                _ => Self::Refused(error),
            }
        }
    }
}

/// SQLSTATE of a table and of a column that does not exist.
const NOT_MIGRATED: [&str; 2] = [UNDEFINED_TABLE, "42703"];

fn code_of(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

/// SQLSTATE classes that say nothing about the statement (PostgreSQL, appendix A): connection, rollback (deadlock,
/// serialization), resources, operator intervention and timeouts; a lock that was not free; a server that became
/// read-only, as a former primary does, is told apart.
fn is_transient_code(code: &str) -> bool {
    ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        static FAILED: Sparing = Sparing::new();
        if let Some(untold) = FAILED.tells(&error) {
            tracing::error!(
                error = chain::told(&error),
                untold,
                "a request failed on the database, and was answered 503"
            );
        }
        Self::database_unavailable()
    }
}

impl IntoResponse for StoreError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_transient() {
        for code in ["08006", "40P01", "40001", "53300", "57014", "57P01", "55P03"] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["23505", "23514", "22003", "42703", "25P02"] {
            assert!(!is_transient_code(code), "{code}");
        }
        assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_transient());
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_transient());
    }
}
