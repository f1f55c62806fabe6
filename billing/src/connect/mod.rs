//! From a URL to a component that has reached its database, or one line that says why not.

mod meet;
mod pool;
mod url;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use entitlement::record::Record;
use secrecy::ExposeSecret;
use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::broadcast;

use crate::component::Billing;
use crate::ops::OperatorError;
use crate::provider::client::Client;
use crate::provider::polar;
use crate::publish::Outlets;
use crate::settings::Settings;
use crate::store::migration::MigrationError;
use crate::store::schema::Standing;
use crate::store::{StoreError, rights, schema};

/// How long the first connection may take: when all processes start at once, beside a server that starts, it is slow.
const FIRST_CONTACT: Duration = Duration::from_secs(15);

/// The same for the embedded Postgres, which is still getting up, and for each wait for its one connection: a busy
/// machine may need that long.
const EMBEDDED_PATIENCE: Duration = Duration::from_secs(30);

/// Why billing cannot work with what it was given.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{name} is not the URL of a Postgres database: use postgres://user:password@host:5432/database")]
    DatabaseUrl { name: &'static str },
    #[error(
        "{name}: the password has a character that must be percent-encoded in a URL: write %23 for #, %2F for /, %3F for ?, %25 for %, %40 for @"
    )]
    Encoding { name: &'static str },
    #[error(
        "Postgres at {at} accepts no writes: where it is a standby, point DATABASE_URL at the primary; else default_transaction_read_only is on for the server, the database or the user, such as by `alter role`: switch it off there"
    )]
    ReadOnly { at: String },
    #[error(
        "DATABASE_URL leads to a pooler that gives each transaction another connection (PgBouncer with pool_mode = transaction), and forgets prepared statements: set max_prepared_statements = 200 there (PgBouncer 1.21 or newer), or pool_mode = session, or point DATABASE_URL at Postgres itself"
    )]
    Pooler,
    #[error(
        "DATABASE_URL leads to a pooler that allows no transactions (PgBouncer with pool_mode = statement), and Tollgate needs them: set pool_mode = session there, or pool_mode = transaction with max_prepared_statements = 200 (PgBouncer 1.21 or newer), or point DATABASE_URL at Postgres itself"
    )]
    NoTransactions,
    #[error(
        "DATABASE_URL leads to a pooler that gives each transaction another connection, and migrations need one of their own: set DATABASE_MIGRATION_URL to the URL of Postgres itself"
    )]
    NoMigrationUrl,
    #[error(
        "the certificate of Postgres at {at} is not accepted: name the file with its authority in the URL of the database (sslrootcert=/path/ca.pem, beside sslmode=verify-full), and the host as it stands in the certificate"
    )]
    Certificate {
        at: String,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "a file that the URL of the database names cannot be read: check sslrootcert, sslcert and sslkey (without sslrootcert the public authorities count)"
    )]
    CertificateFile(#[source] sqlx::Error),
    #[error(
        "Postgres at {at} cannot be reached over TLS, which sslmode in the URL of the database asks for: switch ssl on in the server, and check sslrootcert, sslcert and sslkey"
    )]
    Tls {
        at: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("Postgres at {at} cannot be reached")]
    Unreachable {
        at: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("Postgres at {at} does not answer")]
    Silent { at: String },
    #[error("Postgres at {at} refuses the user `{user}`: check the user name and the password")]
    Login { at: String, user: String },
    #[error(
        "Postgres at {at} takes no connection of the user `{user}` from here: check the user name, and pg_hba.conf of the server"
    )]
    NotFromHere {
        at: String,
        user: String,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "Postgres at {at} does not let the user `{user}` into the database `{database}`: as its owner, run `grant connect on database \"{database}\" to \"{user}\"`"
    )]
    NoConnect { at: String, user: String, database: String },
    #[error("Postgres at {at} has no database `{database}`: create it first")]
    NoDatabase { at: String, database: String },
    #[error("Postgres at {at} cannot be used")]
    Refused {
        at: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("REDIS_URL cannot be used")]
    RedisUrl(#[source] cache::PlaceError),
    #[error("the Stripe API cannot be called as configured: check STRIPE_API_KEY and the URL of the API")]
    Stripe,
    #[error("POLAR_WEBHOOK_SECRET has a secret that is only a prefix: copy the whole of it")]
    PolarSecret,
    #[error("the Polar API cannot be called as configured: check POLAR_ACCESS_TOKEN and the URL of the API")]
    Polar,
}

/// The codes of a server that starts or stops, and of one without a connection left
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const PASSING: [&str; 2] = ["57P03", "53300"];

impl ConnectError {
    /// Whether the server may take connections a moment later, without anything being corrected.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Refused { source, .. } => source
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .is_some_and(|code| PASSING.contains(&&*code)),
            _ => false,
        }
    }
}

/// Whether the providers can be called, and recognised, as configured. Nothing is contacted.
///
/// # Errors
/// When a key, a secret or the URL of an API cannot be used.
pub fn check_providers(settings: &Settings) -> Result<(), ConnectError> {
    Client::configured(&settings.stripe).map_err(|_| ConnectError::Stripe)?;
    polar::api::Client::configured(&settings.polar).map_err(|_| ConnectError::Polar)?;
    if settings.polar.webhook_secrets.iter().all(polar::signature::is_usable) {
        Ok(())
    } else {
        Err(ConnectError::PolarSecret)
    }
}

impl Billing {
    /// Connects to Postgres, and prepares to reach Redis whenever it is there. Changes are also sent to `local`, for a
    /// proxy in this process.
    ///
    /// # Errors
    /// When a URL cannot be read, or Postgres cannot be reached or refuses us. Redis being down is no error.
    pub async fn connect(
        database_url: &str,
        settings: Settings,
        local: Option<broadcast::Sender<Arc<Record>>>,
    ) -> Result<Self, ConnectError> {
        let options = options("DATABASE_URL", database_url)?;
        let migrating = settings.migration_url.as_ref();
        let migrating =
            migrating.map(|url| self::options("DATABASE_MIGRATION_URL", url.expose_secret())).transpose()?;
        let outlets =
            Outlets::new(settings.redis_url.as_ref(), &settings.namespace, local).map_err(ConnectError::RedisUrl)?;
        check_providers(&settings)?;
        let embedded = settings.pool_size <= 1;
        let way = if embedded {
            meet::embedded(&options, EMBEDDED_PATIENCE).await?
        } else {
            meet::server(&options, FIRST_CONTACT).await?
        };
        if way == Way::Pooled && migrating.is_none() {
            return Err(ConnectError::NoMigrationUrl);
        }
        let pool = if embedded { pool::embedded(options) } else { pool::of(options, settings.pool_size, way) };
        Ok(Self::new(pool, settings, outlets))
    }

    /// Refuses a database whose schema is a newer build's, as what this one wrote there would lack what that one relies on, and one
    /// that belongs to another application. One that is still to be migrated is given by its name.
    ///
    /// # Errors
    /// When it is so, or the database fails.
    pub async fn refuse_foreign_schema(&self) -> Result<Option<String>, OperatorError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        Err(OperatorError::Schema(match schema::standing(&mut conn).await? {
            Standing::Newer(newer) => MigrationError::Newer(newer),
            Standing::Foreign { database, version, description } => {
                MigrationError::Another { database, version, description }
            }
            Standing::Occupied { database, table } => MigrationError::Occupied { database, table },
            Standing::Behind { database } => return Ok(Some(database)),
            Standing::Current => return Ok(None),
        }))
    }

    /// Refuses a database that is not migrated to this build's schema, as commands do: what they need may not be there.
    ///
    /// # Errors
    /// As [`Billing::refuse_foreign_schema`], and when it is so.
    pub async fn refuse_other_schema(&self) -> Result<(), OperatorError> {
        match self.refuse_foreign_schema().await? {
            Some(database) => Err(OperatorError::Schema(MigrationError::Behind { database })),
            None => Ok(()),
        }
    }

    /// Refuses a user of the database that lacks a right.
    ///
    /// # Errors
    /// When it is so, or the database fails.
    pub async fn check_rights(&self) -> Result<(), OperatorError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let another_migrates = self.settings().migration_url.is_some();
        rights::check(&mut conn, another_migrates).await.map_err(|error| match error {
            MigrationError::Store(error) => OperatorError::Store(error),
            lacking => OperatorError::Schema(lacking),
        })
    }

    /// Brings the schema of the database to this build's. Safe to run from several processes at once.
    ///
    /// # Errors
    /// When a migration fails, the database has one that this build does not know differently, or what was migrated is another database.
    pub async fn migrate(&self) -> Result<(), MigrationError> {
        // A pooler may give each statement another session, and migrations hold a lock of theirs.
        match &self.settings().migration_url {
            Some(url) => {
                let refused = |error: ConnectError| MigrationError::Connect(Box::new(error));
                let options = options("DATABASE_MIGRATION_URL", url.expose_secret()).map_err(refused)?;
                schema::migrate(meet::connect(&options).await.map_err(refused)?).await?;
                let mut migrated = meet::connect(&options).await.map_err(refused)?;
                let is_same = schema::is_same(&mut *self.pool().acquire().await?, &mut migrated).await?;
                migrated.close().await?;
                if is_same { Ok(()) } else { Err(MigrationError::Elsewhere) }
            }
            None => schema::migrate(self.pool().acquire().await?.detach()).await,
        }
    }
}

/// Checks the URL of a database without using it; `name` is the variable that holds it.
///
/// # Errors
/// When it cannot be read; no piece of it is shown.
pub fn check_database_url(name: &'static str, url: &str) -> Result<(), ConnectError> {
    options(name, url).map(drop)
}

/// What a URL says, or why it says nothing. The parser's own error could show the password.
fn options(name: &'static str, url: &str) -> Result<PgConnectOptions, ConnectError> {
    url::check(name, url)?;
    let options = PgConnectOptions::from_str(url).map_err(|_| ConnectError::DatabaseUrl { name })?;
    // Poolers refuse settings that they do not know, and values come in binary.
    Ok(options.application_name("tollgate").extra_float_digits(None))
}

/// How statements get to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each of our connections is a session of Postgres.
    Direct,
    /// A pooler lends each transaction a session that others use as well: nothing may be set or kept in it.
    Pooled,
}
