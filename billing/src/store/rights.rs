//! Whether the user of the database has every right that is needed, before the first statement fails for want of one.

use sqlx::PgConnection;

use super::StoreError;
use super::migration::MigrationError;
use super::schema::{self, MIGRATOR};

/// The names of what this build's migrations make.
fn made(start: &str) -> Vec<String> {
    let lines = MIGRATOR.iter().flat_map(|migration| migration.sql.as_str().lines());
    let named = |line: &str| line.strip_prefix(start)?.split([' ', '(', ';']).next().map(str::to_owned);
    lines.filter_map(named).collect()
}

/// Refuses a user that lacks a right. A schema that is not this build's yet has to be changed, unless another user `migrates`.
///
/// # Errors
/// The first right that is lacking, or when the database fails.
pub async fn check(conn: &mut PgConnection, another_migrates: bool) -> Result<(), MigrationError> {
    const CREATE: &str = "select has_schema_privilege(current_schema(), 'create')";
    const TABLE: &str = "select name from unnest($1::text[]) as name \
        where not (has_table_privilege(to_regclass(name), 'select') and has_table_privilege(to_regclass(name), 'insert') \
            and has_table_privilege(to_regclass(name), 'update') and has_table_privilege(to_regclass(name), 'delete')) limit 1";
    const SEQUENCE: &str = "select name from unnest($1::text[]) as name where not has_sequence_privilege(to_regclass(name), 'usage') limit 1";
    if !schema::is_migrated(conn).await? {
        let may_create: bool =
            another_migrates || sqlx::query_scalar(CREATE).fetch_one(conn).await.map_err(StoreError::from)?;
        return if may_create { Ok(()) } else { Err(MigrationError::NoRight(None)) };
    }
    for (query, start) in [(TABLE, "create table "), (SEQUENCE, "create sequence ")] {
        let query = sqlx::query_scalar::<_, String>(query).bind(made(start));
        if let Some(on) = query.fetch_optional(&mut *conn).await.map_err(StoreError::from)? {
            return Err(StoreError::LacksRight(on).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_migrations_make_is_known_by_name() {
        assert_eq!(made("create sequence "), ["observations"]);
        for table in ["accounts", "webhook_events", "outbox", "audit_log", "disputes", "caches"] {
            assert!(made("create table ").iter().any(|name| name == table), "{table}");
        }
    }
}
