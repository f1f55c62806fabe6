//! Why a database cannot be brought to this build's schema, told by what an operator does about it.

use sqlx::migrate::MigrateError;

use super::StoreError;
use super::writable::READ_ONLY;

/// SQLSTATE of something that exists already: a table, a constraint or an index, a schema.
const EXISTS: [&str; 3] = ["42P07", "42710", "42P06"];

/// SQLSTATE of a right that the user lacks.
pub(super) const NO_RIGHT: &str = "42501";

/// SQLSTATE of a table that is created where no schema may be used.
const NO_SCHEMA: &str = "3F000";

/// Why a database cannot be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "the database was migrated by a newer build, whose migration {0} is not known here: run that build, or restore the backup from before the upgrade"
    )]
    Newer(i64),
    #[error(
        "the database was migrated by something else, as its migration {0} is not Tollgate's: give Tollgate a database of its own"
    )]
    Foreign(i64),
    #[error(
        "the database `{database}` belongs to another application, whose migrations it has (the last one is {version}, \"{description}\"): give Tollgate a database of its own, and name it in DATABASE_URL"
    )]
    Another { database: String, version: i64, description: String },
    #[error(
        "the database `{database}` has tables of another application, such as `{table}`, and none of Tollgate's: give Tollgate a database of its own, and name it in DATABASE_URL"
    )]
    Occupied { database: String, table: String },
    #[error(
        "the database has something of another application under a name of Tollgate's: give Tollgate a database of its own"
    )]
    Taken(#[source] sqlx::Error),
    #[error(
        "the database `{database}` is not migrated to this version: run `tollgate migrate`, as each start of `tollgate run` does"
    )]
    Behind { database: String },
    #[error(
        "the user that migrates may not change the schema: run `grant create on schema public` to it, or migrate as the owner of the tables: `tollgate migrate` with the owner in DATABASE_URL, or DATABASE_MIGRATION_URL for every start"
    )]
    NoRight(#[source] Option<sqlx::Error>),
    #[error("DATABASE_MIGRATION_URL cannot be used")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "DATABASE_MIGRATION_URL leads to another database than DATABASE_URL: the one was migrated, and the other is to be used. Let both lead to the same database"
    )]
    Elsewhere,
    #[error(
        "the server on which migrations run accepts no writes: point DATABASE_MIGRATION_URL, or DATABASE_URL where it is not set, at the primary"
    )]
    ReadOnly(#[source] sqlx::Error),
    #[error("the database cannot be migrated")]
    Failed(#[source] MigrateError),
}

impl MigrationError {
    /// What an error means to a build whose last migration is `last`.
    pub(super) fn of(error: MigrateError, last: i64) -> Self {
        match error {
            MigrateError::VersionMissing(version) if version > last => Self::Newer(version),
            MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => Self::Foreign(version),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
                match code.as_deref() {
                    Some(code) if EXISTS.contains(&code) => Self::Taken(error),
                    Some(READ_ONLY) => Self::ReadOnly(error),
                    Some(NO_RIGHT | NO_SCHEMA) => Self::NoRight(Some(error)),
                    _ => Self::Failed(MigrateError::Execute(error)),
                }
            }
            other => Self::Failed(other),
        }
    }
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(MigrateError::Execute(error))
    }
}
