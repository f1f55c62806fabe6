//! How far each comparison with a provider has come.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::decide::Known;
use entitlement::subscription::SubscriptionId;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::subscriptions::{Origin, Row};

/// How long one who works on a run may be silent before another takes over.
const LEASE: Duration = Duration::minutes(2);

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What the provider's list of events has that the inbox has not.
    Delta,
    /// Everything.
    Full,
}

impl Kind {
    /// Its name as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Full => "full",
        }
    }
}

/// A run that is ours for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub provider: Provider,
    pub kind: Kind,
    pub started_at: Timestamp,
    /// What was asked about after this number was drawn has been compared in this run.
    pub observation: i64,
    /// Where an earlier, interrupted part of it stopped.
    pub place: Option<String>,
    /// When the run before it began, if one came to its end.
    pub last_started_at: Option<Timestamp>,
    pub compared: i64,
    pub drift: i64,
}

/// Begins a run, or goes on with one that was left; `None` while somebody else works on it, or when the last one ended
/// less than `every` ago.
///
/// # Errors
/// When the database fails.
pub async fn take(
    conn: &mut PgConnection,
    (provider, kind): (Provider, Kind),
    every: Duration,
    now: Timestamp,
) -> Result<Option<Run>, StoreError> {
    let query = sqlx::query!(
        r#"
        with before as (
            select started_at, ended_at from reconciliations where provider = $1 and kind = $2
        )
        insert into reconciliations as r (
            provider, kind, started_at, observation, place, leased_until, ended_at, compared, drift
        )
        values ($1, $2, $3, nextval('observations'), '', $4, null, 0, 0)
        on conflict (provider, kind) do update set
            started_at = case when r.place is null then excluded.started_at else r.started_at end,
            observation = case when r.place is null then excluded.observation else r.observation end,
            place = coalesce(r.place, ''),
            compared = case when r.place is null then 0 else r.compared end,
            drift = case when r.place is null then 0 else r.drift end,
            leased_until = excluded.leased_until
        where r.leased_until <= $3 and (r.place is not null or r.ended_at is null or r.ended_at <= $5)
        returning started_at, observation, place, compared, drift,
            (select before.started_at from before where before.ended_at is not null) as last_started_at
        "#,
        provider.as_str(),
        kind.as_str(),
        now,
        now + LEASE,
        now - every
    );
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    Ok(Some(Run {
        provider,
        kind,
        started_at: row.started_at,
        observation: row.observation,
        place: row.place.filter(|place| !place.is_empty()),
        last_started_at: row.last_started_at,
        compared: row.compared,
        drift: row.drift,
    }))
}

/// Notes how far a run has come, and keeps it ours.
///
/// # Errors
/// When the database fails.
pub async fn advance(conn: &mut PgConnection, run: &Run, place: &str, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update reconciliations set place = $3, compared = $4, drift = $5, leased_until = $6
        where provider = $1 and kind = $2
        "#,
        run.provider.as_str(),
        run.kind.as_str(),
        place,
        run.compared,
        run.drift,
        now + LEASE
    );
    query.execute(conn).await?;
    Ok(())
}

/// Ends a run.
///
/// # Errors
/// When the database fails.
pub async fn end(conn: &mut PgConnection, run: &Run, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update reconciliations
        set place = null, compared = $3, drift = $4, leased_until = '-infinity', ended_at = $5
        where provider = $1 and kind = $2
        "#,
        run.provider.as_str(),
        run.kind.as_str(),
        run.compared,
        run.drift,
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Lets a run go, to be gone on with where it stopped.
///
/// # Errors
/// When the database fails.
pub async fn release(conn: &mut PgConnection, run: &Run) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update reconciliations set leased_until = '-infinity' where provider = $1 and kind = $2
        "#,
        run.provider.as_str(),
        run.kind.as_str()
    );
    query.execute(conn).await?;
    Ok(())
}

/// A subscription as it was read, to be confirmed only as long as nobody has written it since.
#[derive(Clone, Debug)]
pub struct Compared {
    pub known: Known,
    pub updated_at: Timestamp,
}

/// What is known of several subscriptions.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn known(conn: &mut PgConnection, provider: Provider, ids: &[String]) -> Result<Vec<Compared>, StoreError> {
    let query = sqlx::query!(
        r#"
        select to_jsonb(s) as "row!: Json<Row>", updated_at from subscriptions s
        where provider = $1 and subscription_id = any($2)
        "#,
        provider.as_str(),
        ids
    );
    let rows = query.fetch_all(conn).await?;
    rows.into_iter().map(|row| Ok(Compared { known: row.row.0.try_into()?, updated_at: row.updated_at })).collect()
}

/// Notes that subscriptions are as their provider answered to a question, and who answered, unless somebody has written
/// them since they were read.
///
/// # Errors
/// When the database fails.
pub async fn confirm(
    conn: &mut PgConnection,
    confirmed: &[Compared],
    observation: i64,
    origin: Origin<'_>,
) -> Result<(), StoreError> {
    let Some(provider) = confirmed.first().map(|compared| compared.known.subscription.id.provider) else {
        return Ok(());
    };
    let ids: Vec<String> = confirmed.iter().map(|compared| compared.known.subscription.id.id.clone()).collect();
    let moments: Vec<Timestamp> = confirmed.iter().map(|compared| compared.updated_at).collect();
    let query = sqlx::query!(
        r#"
        update subscriptions s set observation = greatest(observation, $4), unseen_since = null,
            livemode = coalesce($5, livemode), provider_account = coalesce($6, provider_account)
        from unnest($2::text[], $3::timestamptz[]) as seen (id, updated_at)
        where s.provider = $1 and s.subscription_id = seen.id and s.updated_at = seen.updated_at
        "#,
        provider.as_str(),
        &ids,
        &moments,
        observation,
        origin.livemode,
        origin.account
    );
    query.execute(conn).await?;
    Ok(())
}

/// Subscriptions that are not over, but have not been asked about since a number was drawn; in the order of their ids,
/// after a given one.
///
/// # Errors
/// When the database fails.
pub async fn unlisted(
    conn: &mut PgConnection,
    provider: Provider,
    observation: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<SubscriptionId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select subscription_id from subscriptions
        where provider = $1 and state <> 'ended' and observation < $2 and subscription_id > $3
        order by subscription_id limit $4
        "#,
        provider.as_str(),
        observation,
        after,
        limit
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(|id| SubscriptionId { provider, id }).collect())
}

/// Which of these events the inbox has.
///
/// # Errors
/// When the database fails.
pub async fn received(
    conn: &mut PgConnection,
    provider: Provider,
    event_ids: &[String],
) -> Result<Vec<String>, StoreError> {
    let query = sqlx::query_scalar!(
        "select event_id from webhook_events where provider = $1 and event_id = any($2)",
        provider.as_str(),
        event_ids
    );
    Ok(query.fetch_all(conn).await?)
}
