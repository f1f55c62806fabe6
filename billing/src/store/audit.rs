//! Why an account has what it has, for an operator. Lines are written with the changes themselves, in `accounts`.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;
use sqlx::PgConnection;

use super::StoreError;

/// One change of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// The id of the row; the greater, the later.
    pub id: i64,
    pub at: Timestamp,
    /// The version that the account got by it.
    pub version: i64,
    /// What brought it about: an event, an operator.
    pub cause: String,
    /// What was different then.
    pub detail: String,
    /// The user who acted for the account, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// The newest changes of an account, newest first; with `before` only those of rows with a smaller id.
///
/// # Errors
/// When the database fails.
pub async fn recent(
    conn: &mut PgConnection,
    account: &AccountId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditLine>, StoreError> {
    let query = sqlx::query_as!(
        AuditLine,
        r#"
        select id, at, version, cause, detail, acted_by as "user" from audit_log
        where account = $1 and ($2::bigint is null or id < $2)
        order by id desc limit $3
        "#,
        account.as_str(),
        before,
        limit
    );
    Ok(query.fetch_all(conn).await?)
}
