//! Changes of which a cache that has gone back has to be told again.

use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// The changes of accounts after a mark, the oldest first: the mark of each, and its account.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn changes_after(
    conn: &mut PgConnection,
    mark: u64,
    limit: i64,
) -> Result<Vec<(u64, AccountId)>, StoreError> {
    let query =
        sqlx::query!("select id, account from audit_log where id > $1 order by id limit $2", row_of(mark), limit);
    let rows = query.fetch_all(conn).await?;
    let read = |id: i64, account: &str| {
        let mark = u64::try_from(id).map_err(|e| StoreError::row("audit_log", id, &e))?;
        Ok((mark, account_of("audit_log", account)?))
    };
    rows.iter().map(|row| read(row.id, &row.account)).collect()
}

/// Has all accounts be told once more, when the catalog has changed since a mark, or nobody knows any more when that was.
///
/// # Errors
/// When the database fails.
pub async fn walk_if_changed(conn: &mut PgConnection, mark: u64) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        r#"
        update catalogs set walk = ''
        where id = (select max(id) from catalogs) and walk is null
            and applied_at > coalesce((select at from audit_log where id <= $1 order by id desc limit 1), '-infinity')
        "#,
        row_of(mark)
    );
    Ok(query.execute(conn).await?.rows_affected() > 0)
}

fn row_of(mark: u64) -> i64 {
    i64::try_from(mark).unwrap_or(i64::MAX)
}
