//! Which database this is, and how far it has come.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::{DatabaseId, Namespace};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, version_of};

/// The database, as it knows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: DatabaseId,
    /// The id that it had before it was found to have gone back, or of the one whose place it takes.
    pub former: Option<DatabaseId>,
    /// Since when what another database had told is held.
    pub held_since: Option<Timestamp>,
    /// When a person last said that it counts.
    pub accepted_at: Option<Timestamp>,
    /// The database that has taken its place while its processes lived on.
    pub replaced_by: Option<DatabaseId>,
    /// Whether another installation was seen alive under the same namespace, so that what it tells is none of this one's.
    pub is_beside: bool,
    /// Grows with every change of an account.
    pub mark: u64,
}

pub(super) const fn id_of(id: Uuid) -> DatabaseId {
    DatabaseId::new(id.as_u128())
}

const fn uuid_of(id: DatabaseId) -> Uuid {
    Uuid::from_u128(id.as_u128())
}

/// Reads it.
///
/// # Errors
/// When the database fails, or is not migrated.
pub async fn read(conn: &mut PgConnection) -> Result<Identity, StoreError> {
    let query = sqlx::query!(
        r#"select id, former, held_since, accepted_at, replaced_by, (select coalesce(max(id), 0) from audit_log) as "mark!" from database_identity"#
    );
    let row = query.fetch_one(conn).await?;
    let mark = u64::try_from(row.mark).map_err(|e| StoreError::row("audit_log", row.mark, &e))?;
    let (id, former, replaced_by) = (id_of(row.id), row.former.map(id_of), row.replaced_by.map(id_of));
    // Its own id there means that it stands beside another one.
    let is_beside = replaced_by == Some(id);
    let replaced_by = replaced_by.filter(|_| !is_beside);
    Ok(Identity { id, former, held_since: row.held_since, accepted_at: row.accepted_at, replaced_by, is_beside, mark })
}

/// The namespace under which its records stand, or those that are held in its place; `None` before one was noted.
///
/// # Errors
/// When the database fails, or is not migrated.
pub async fn namespace(conn: &mut PgConnection) -> Result<Option<Namespace>, StoreError> {
    let text = sqlx::query_scalar!("select namespace from database_identity").fetch_one(conn).await?;
    let namespace = text.map(|text| Namespace::parse(&text)).transpose();
    namespace.map_err(|e| StoreError::row("database_identity", "namespace", &e))
}

/// Notes that its records stand under this namespace from now on, and no others are held elsewhere.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn stand_under(conn: &mut PgConnection, namespace: &Namespace) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "update database_identity set namespace = $1 where namespace is distinct from $1",
        namespace.as_str()
    );
    query.execute(conn).await?;
    Ok(())
}

/// Notes that another installation lives under the same namespace, unless it has taken this one's place. Records of its own, which were
/// held as nobody seemed to speak for them, are held no more.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn stand_beside(conn: &mut PgConnection, held: AreHeld) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update database_identity
        set replaced_by = id, held_since = case when $1 and former is null then null else held_since end
        where replaced_by is null
        "#,
        held == AreHeld::Its
    );
    query.execute(conn).await?;
    Ok(())
}

/// The database whose records were held until another installation was seen alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreHeld {
    /// Its own.
    Its,
    /// The records of no database, or of others as well.
    Others,
}

/// Notes that a database takes the place of another one, of which proxies have told, and that what that one had told is held. Both in
/// one statement: a process that ends in between would leave a database that seems to be settled.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn follow(conn: &mut PgConnection, former: DatabaseId, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "update database_identity set former = $1, held_since = coalesce(held_since, $2) where id <> $1",
        uuid_of(former),
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Why a database gets another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It has gone back, as was found at this moment: it follows the one that it was, whose records are held.
    GoneBack(Timestamp),
    /// This one has taken its place, while its processes live on.
    ReplacedBy(DatabaseId),
}

/// Gives a database another id. Returns the id that it has then: another process may have been faster. One that stands beside another
/// installation does so as well when it has gone back.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn renew(conn: &mut PgConnection, known: DatabaseId, renewal: Renewal) -> Result<DatabaseId, StoreError> {
    let (follows, held_since, replaced_by) = match renewal {
        Renewal::GoneBack(now) => (Some(known), Some(now), None),
        Renewal::ReplacedBy(other) => (None, None, Some(other)),
    };
    let query = sqlx::query_scalar!(
        r#"
        with next as (select gen_random_uuid() as id)
        update database_identity d
        set id = next.id, former = $2, since = now(), held_since = coalesce(d.held_since, $3),
            replaced_by = case when $4::uuid is null and d.replaced_by = d.id then next.id else $4 end
        from next where d.id = $1 returning d.id as "id!"
        "#,
        uuid_of(known),
        follows.map(uuid_of),
        held_since,
        replaced_by.map(uuid_of)
    );
    match query.fetch_optional(&mut *conn).await? {
        Some(id) => Ok(id_of(id)),
        None => Ok(read(conn).await?.id),
    }
}

/// Notes that what another database had told is held, or is no more. Returns since when.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn hold(conn: &mut PgConnection, holds: Hold) -> Result<Option<Timestamp>, StoreError> {
    let since = match holds {
        Hold::Since(since) => Some(since),
        Hold::NoMore => None,
    };
    let query = sqlx::query_scalar!(
        r#"
        update database_identity
        set held_since = case when $1::timestamptz is null then null else coalesce(held_since, $1) end,
            accepted_at = case when $1::timestamptz is null then now() else accepted_at end,
            replaced_by = case when $1::timestamptz is null then null else replaced_by end
        returning held_since
        "#,
        since
    );
    Ok(query.fetch_one(conn).await?)
}

/// Whether what another database had told is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Since(Timestamp),
    NoMore,
}

/// The version of an account; `None` when it has no row.
///
/// # Errors
/// When the database fails.
pub async fn version(conn: &mut PgConnection, account: &AccountId) -> Result<Option<u64>, StoreError> {
    let query = sqlx::query_scalar!("select version from accounts where account = $1", account.as_str());
    let version = query.fetch_optional(conn).await?;
    version.map(|version| version_of("accounts", account, version)).transpose()
}

/// Notes that something new was learnt of accounts since the database has its id, and raises their versions above what others were
/// told of them.
///
/// # Errors
/// When a version is beyond what Postgres counts, or the database fails.
pub async fn raise(conn: &mut PgConnection, above: &[(AccountId, u64)]) -> Result<(), StoreError> {
    let accounts: Vec<&str> = above.iter().map(|(account, _)| account.as_str()).collect();
    let versions = above
        .iter()
        .map(|(account, version)| i64::try_from(*version).map_err(|e| StoreError::row("accounts", account, &e)));
    let versions = versions.collect::<Result<Vec<_>, _>>()?;
    // Locked in the order in which those who change accounts lock them.
    let query = sqlx::query!(
        r#"
        with locked as (
            select a.account, t.version as told from accounts a
            join unnest($1::text[], $2::bigint[]) t (account, version) on t.account = a.account
            order by a.account for no key update of a
        ), raised as (
            update accounts a
            set version = greatest(a.version, l.told + 1), database = (select id from database_identity)
            from locked l where l.account = a.account
            returning a.account, a.version
        )
        update outbox o set version = r.version from raised r where o.account = r.account
        "#,
        &accounts as _,
        &versions
    );
    query.execute(conn).await?;
    Ok(())
}
