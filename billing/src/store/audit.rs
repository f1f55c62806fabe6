//! Why an account has what it has, for an operator. Lines are written with the changes themselves, in `accounts`.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;
use sqlx::PgConnection;

use super::StoreError;

/// One change of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    pub at: Timestamp,
    /// The version that the account got by it.
    pub version: i64,
    /// What brought it about: an event, an operator.
    pub cause: String,
    /// What was different then.
    pub detail: String,
}

/// The newest changes of an account, newest first.
///
/// # Errors
/// When the database fails.
pub async fn recent(conn: &mut PgConnection, account: &AccountId, limit: i64) -> Result<Vec<AuditLine>, StoreError> {
    let query = sqlx::query_as!(
        AuditLine,
        "select at, version, cause, detail from audit_log where account = $1 order by id desc limit $2",
        account.as_str(),
        limit
    );
    Ok(query.fetch_all(conn).await?)
}
