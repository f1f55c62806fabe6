//! The first connections: whether Postgres is there, takes us in and accepts writes, and whether a pooler stands in between.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::{ConnectError, Way};
use crate::store::{session, writable};

/// Meets the embedded Postgres, which has one connection: a second one would wait for the first.
pub(super) async fn embedded(options: &PgConnectOptions, patience: Duration) -> Result<Way, ConnectError> {
    let at = at(options);
    let meeting = async { PgConnection::connect_with(options).await?.close().await.map(|()| Way::Direct) };
    let met = tokio::time::timeout(patience, meeting).await.map_err(|_| ConnectError::Silent { at: at.clone() })?;
    met.map_err(|error| refused(options, at, error))
}

/// Meets a server. Connections are made and closed: a pool would try again until its time is up and then say only that.
pub(super) async fn server(options: &PgConnectOptions, patience: Duration) -> Result<Way, ConnectError> {
    let at = at(options);
    let met = tokio::time::timeout(patience, way(options)).await;
    match met.map_err(|_| ConnectError::Silent { at: at.clone() })? {
        Ok(Met { is_writable: false, .. }) => Err(ConnectError::ReadOnly { at }),
        Ok(Met { has_transactions: false, .. }) => Err(ConnectError::NoTransactions),
        Ok(Met { keeps_statements: false, .. }) => Err(ConnectError::Pooler),
        Ok(Met { way, .. }) => Ok(way),
        Err(error) => Err(refused(options, at, error)),
    }
}

/// One connection of its own.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, ConnectError> {
    PgConnection::connect_with(options).await.map_err(|error| refused(options, at(options), error))
}

struct Met {
    way: Way,
    is_writable: bool,
    has_transactions: bool,
    keeps_statements: bool,
}

/// Two connections tell whether a pooler stands in between: of Postgres, each is a session of its own for as long as it is open; a
/// pooler lends a session for one transaction, and the next one who asks gets the session that was used last.
async fn way(options: &PgConnectOptions) -> Result<Met, sqlx::Error> {
    let mut first = PgConnection::connect_with(options).await?;
    let is_writable = writable::accepts_writes(&mut first).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let mut keeps_statements = session::keeps_statement(&mut first).await?;
    let before = session::number(&mut first).await?;
    let has_transactions = session::begin(&mut second).await?;
    if !has_transactions {
        return Ok(Met { way: Way::Pooled, is_writable, has_transactions, keeps_statements });
    }
    let other = session::number(&mut second).await?;
    // The session that `first` had is taken, if it was not `first`'s own.
    let after = session::number(&mut first).await?;
    let way = if other == before || after != before { Way::Pooled } else { Way::Direct };
    if way == Way::Pooled {
        keeps_statements &=
            session::keeps_statement(&mut second).await? && session::keeps_statement(&mut first).await?;
    }
    // The end of a connection ends its transaction.
    second.close().await?;
    first.close().await?;
    Ok(Met { way, is_writable, has_transactions, keeps_statements })
}

fn at(options: &PgConnectOptions) -> String {
    options
        .get_socket()
        .map_or_else(|| format!("{}:{}", options.get_host(), options.get_port()), |socket| socket.display().to_string())
}

fn refused(options: &PgConnectOptions, at: String, source: sqlx::Error) -> ConnectError {
    let code = source.as_database_error().and_then(|refusal| refusal.code().map(Cow::into_owned));
    let user = options.get_username().to_owned();
    let database = options.get_database().unwrap_or(&user).to_owned();
    match (code.as_deref(), &source) {
        (Some("28P01"), _) => ConnectError::Login { at, user },
        (Some("28000"), _) => ConnectError::NotFromHere { at, user, source },
        (Some("42501"), _) => ConnectError::NoConnect { at, user, database },
        (Some("3D000"), _) => ConnectError::NoDatabase { at, database },
        // A certificate that rustls refuses is invalid data, and no server over TCP is a file that is not there.
        (None, sqlx::Error::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            ConnectError::Certificate { at, source }
        }
        (None, sqlx::Error::Io(error)) if is_file(error.kind()) && options.get_socket().is_none() => {
            ConnectError::CertificateFile(source)
        }
        (None, sqlx::Error::Io(_)) => ConnectError::Unreachable { at, source },
        (None, sqlx::Error::Tls(_)) => ConnectError::Tls { at, source },
        _ => ConnectError::Refused { at, source },
    }
}

/// Whether a file could not be read.
const fn is_file(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory)
}
