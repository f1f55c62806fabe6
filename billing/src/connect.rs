//! From a URL to a component that has reached its database, or one line that says why not.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use entitlement::record::Entitlement;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::broadcast;

use crate::component::Billing;
use crate::provider::client::Client;
use crate::provider::polar;
use crate::publish::Outlets;
use crate::settings::Settings;
use crate::store::schema;

/// How long the first connection may take.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

/// The same for the embedded Postgres, which is still getting up, and for each wait for its one connection: a busy
/// machine may need that long.
const EMBEDDED_PATIENCE: Duration = Duration::from_secs(30);

/// What the URL of a Postgres database begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// How long a request waits for a connection before it is told that the database is not there.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How long a connection must have been idle to be tested before it is used.
const PING_AFTER: Duration = Duration::from_secs(1);

/// Why billing cannot work with what it was given.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("DATABASE_URL is not the URL of a Postgres database: use postgres://user:password@host:5432/database")]
    DatabaseUrl,
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

impl Billing {
    /// Connects to Postgres, and prepares to reach Redis whenever it is there. Changes are also sent to `local`, for a
    /// proxy in this process.
    ///
    /// # Errors
    /// When a URL cannot be read, or Postgres cannot be reached or refuses us. Redis being down is no error.
    pub async fn connect(
        database_url: &str,
        settings: Settings,
        local: Option<broadcast::Sender<Arc<Entitlement>>>,
    ) -> Result<Self, ConnectError> {
        // The parser takes any scheme, and its own error could show the password.
        if !SCHEMES.iter().any(|scheme| database_url.starts_with(scheme)) {
            return Err(ConnectError::DatabaseUrl);
        }
        let options = PgConnectOptions::from_str(database_url).map_err(|_| ConnectError::DatabaseUrl)?;
        let options = options.application_name("tollgate");
        let outlets = Outlets::new(settings.redis_url.as_ref(), local).map_err(ConnectError::RedisUrl)?;
        Client::configured(&settings.stripe).map_err(|_| ConnectError::Stripe)?;
        polar::api::Client::configured(&settings.polar).map_err(|_| ConnectError::Polar)?;
        if !settings.polar.webhook_secrets.iter().all(polar::signature::is_usable) {
            return Err(ConnectError::PolarSecret);
        }
        let embedded = settings.pool_size <= 1;
        meet(&options, if embedded { EMBEDDED_PATIENCE } else { FIRST_CONTACT }).await?;
        let pool = pool(options, settings.pool_size);
        Ok(Self::new(pool, settings, outlets))
    }

    /// Brings the schema of the database to this build's. Safe to run from several processes at once.
    ///
    /// # Errors
    /// When a migration fails, or the database has one that this build does not know differently.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        schema::migrate(self.pool().acquire().await?).await
    }
}

/// One connection, made and closed: a pool would try again until its time is up and then say only that.
async fn meet(options: &PgConnectOptions, patience: Duration) -> Result<(), ConnectError> {
    let at = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| socket.display().to_string(),
    );
    let refused = |source: sqlx::Error| {
        let code = source.as_database_error().and_then(|refusal| refusal.code().map(Cow::into_owned));
        match (code.as_deref(), &source) {
            (Some("28P01" | "28000"), _) => {
                ConnectError::Login { at: at.clone(), user: options.get_username().to_owned() }
            }
            (Some("3D000"), _) => {
                let database = options.get_database().unwrap_or(options.get_username()).to_owned();
                ConnectError::NoDatabase { at: at.clone(), database }
            }
            (None, sqlx::Error::Io(_)) => ConnectError::Unreachable { at: at.clone(), source },
            _ => ConnectError::Refused { at: at.clone(), source },
        }
    };
    let meeting = async { PgConnection::connect_with(options).await?.close().await };
    match tokio::time::timeout(patience, meeting).await {
        Ok(met) => met.map_err(refused),
        Err(_) => Err(ConnectError::Silent { at: at.clone() }),
    }
}

fn pool(options: PgConnectOptions, size: u32) -> PgPool {
    let embedded = size <= 1;
    let patience = if embedded { EMBEDDED_PATIENCE } else { ACQUIRE };
    let pool = PgPoolOptions::new().max_connections(size.max(1)).acquire_timeout(patience);
    // A connection that was in use a moment ago is there: asking each time would double the work of the database.
    let pool = pool.test_before_acquire(false).before_acquire(|conn, meta| {
        Box::pin(async move {
            if meta.idle_for >= PING_AFTER {
                conn.ping().await?;
            }
            Ok(true)
        })
    });
    if embedded {
        // The embedded Postgres has no timers.
        return pool.connect_lazy_with(options);
    }
    pool.after_connect(|conn, _| Box::pin(schema::settle(conn))).connect_lazy_with(options)
}
