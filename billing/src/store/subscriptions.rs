//! Subscriptions as their providers last told them.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::decide::Known;
use entitlement::subscription::{Item, Standing, State, Subscription, SubscriptionId};
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

/// A row of `subscriptions`, without its account.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    provider: String,
    subscription_id: String,
    customer_id: String,
    prices: Vec<String>,
    state: String,
    trial_ends_at: Option<Timestamp>,
    paid_until: Option<Timestamp>,
    past_due_since: Option<Timestamp>,
    lapsed_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    collection_paused: bool,
    cancel_at: Option<Timestamp>,
    started_at: Timestamp,
    period_start: Option<Timestamp>,
    as_of: Timestamp,
    before: Option<Json<Standing>>,
    observation: i64,
    suspended_at: Option<Timestamp>,
    livemode: Option<bool>,
    unseen_since: Option<Timestamp>,
    items: Option<Json<Vec<Item>>>,
    first_due: Option<Timestamp>,
    status_unknown: bool,
    written_off: bool,
    resumes_at: Option<Timestamp>,
}

/// How a word about a subscription came to us.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// Whether real money is behind it; what is known already stays when `None`.
    pub livemode: Option<bool>,
    /// The provider's account that answered; what is known already stays when `None`.
    pub account: Option<&'a str>,
    /// Whether the provider showed it to a question of ours.
    pub is_shown: bool,
}

/// A state as it is stored: its name, and the one date that it carries.
#[derive(Default)]
struct Columns {
    state: &'static str,
    trial_ends_at: Option<Timestamp>,
    paid_until: Option<Timestamp>,
    past_due_since: Option<Timestamp>,
    lapsed_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

/// The name of a state, as it is stored and shown.
#[must_use]
pub const fn state_name(state: State) -> &'static str {
    match state {
        State::Incomplete => "incomplete",
        State::Trialing { .. } => "trialing",
        State::Active { .. } => "active",
        State::PastDue { .. } => "past_due",
        State::Unpaid => "unpaid",
        State::Paused => "paused",
        State::Unknown => "unknown",
        State::Lapsed { .. } => "lapsed",
        State::WrittenOff { .. } => "written_off",
        State::Ended { .. } => "ended",
    }
}

fn columns(state: State) -> Columns {
    let named = Columns { state: state_name(state), ..Columns::default() };
    match state {
        // As builds of before know it; a column of its own says the rest.
        State::Unknown => Columns { state: state_name(State::Paused), ..named },
        State::Incomplete | State::Unpaid | State::Paused => named,
        State::Trialing { ends_at } => Columns { trial_ends_at: Some(ends_at), ..named },
        State::Active { paid_until } => Columns { paid_until, ..named },
        State::PastDue { since } => Columns { past_due_since: Some(since), ..named },
        State::Lapsed { at } => Columns { lapsed_at: Some(at), ..named },
        // As builds of before know it, too.
        State::WrittenOff { at } => columns(State::Lapsed { at }),
        State::Ended { at } => Columns { ended_at: Some(at), ..named },
    }
}

impl Row {
    /// Since when it gives nothing although it still stands, and which it is.
    pub fn suspended(&self) -> Option<(SubscriptionId, Timestamp)> {
        let provider = self.provider.parse().ok()?;
        Some((SubscriptionId { provider, id: self.subscription_id.clone() }, self.suspended_at?))
    }

    /// Whether it is of a provider.
    pub fn is_of(&self, provider: &str) -> bool {
        self.provider == provider
    }

    /// Whether no real money is behind it.
    pub fn is_of_test_mode(&self) -> bool {
        self.livemode == Some(false)
    }

    /// Since when its provider no longer shows it, and which it is.
    pub fn unseen(&self) -> Option<(SubscriptionId, Timestamp)> {
        let provider = self.provider.parse().ok()?;
        Some((SubscriptionId { provider, id: self.subscription_id.clone() }, self.unseen_since?))
    }

    fn state(&self) -> Result<State, String> {
        let dated = |date: Option<Timestamp>| date.ok_or_else(|| format!("`{}` without its date", self.state));
        match self.state.as_str() {
            "incomplete" => Ok(State::Incomplete),
            "unpaid" => Ok(State::Unpaid),
            "paused" if self.status_unknown => Ok(State::Unknown),
            "paused" => Ok(State::Paused),
            "active" => Ok(State::Active { paid_until: self.paid_until }),
            "trialing" => Ok(State::Trialing { ends_at: dated(self.trial_ends_at)? }),
            "past_due" => Ok(State::PastDue { since: dated(self.past_due_since)? }),
            "lapsed" if self.written_off => Ok(State::WrittenOff { at: dated(self.lapsed_at)? }),
            "lapsed" => Ok(State::Lapsed { at: dated(self.lapsed_at)? }),
            // As it was stored for a while.
            "written_off" => Ok(State::WrittenOff { at: dated(self.lapsed_at)? }),
            "ended" => Ok(State::Ended { at: dated(self.ended_at)? }),
            other => Err(format!("`{other}` is not a state")),
        }
    }
}

impl TryFrom<Row> for Subscription {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let refused = |problem: String| StoreError::row("subscriptions", &row.subscription_id, &problem);
        let provider: Provider = row.provider.parse().map_err(|e| refused(format!("{e}")))?;
        let state = row.state().map_err(refused)?;
        Ok(Self {
            id: SubscriptionId { provider, id: row.subscription_id },
            customer: row.customer_id,
            prices: row.prices,
            started_at: row.started_at,
            state,
            collection_paused: row.collection_paused,
            resumes_at: row.resumes_at,
            cancel_at: row.cancel_at,
            items: row.items.map(|Json(items)| items).unwrap_or_default(),
            period_start: row.period_start,
            first_due: row.first_due,
            as_of: row.as_of,
            before: row.before.map(|Json(before)| Box::new(before)),
        })
    }
}

impl TryFrom<Row> for Known {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self { observation: row.observation, subscription: row.try_into()? })
    }
}

/// What is known of a subscription.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn find(conn: &mut PgConnection, id: &SubscriptionId) -> Result<Option<Known>, StoreError> {
    let query = sqlx::query_as!(
        Row,
        r#"
        select provider, subscription_id, customer_id, prices, state, trial_ends_at, paid_until, past_due_since,
            lapsed_at, ended_at, collection_paused, cancel_at, started_at, period_start, as_of,
            before as "before: Json<Standing>", observation, suspended_at, livemode, unseen_since,
            items as "items: Json<Vec<Item>>", first_due, status_unknown, written_off, resumes_at
        from subscriptions where provider = $1 and subscription_id = $2
        "#,
        id.provider.as_str(),
        id.id
    );
    query.fetch_optional(conn).await?.map(Known::try_from).transpose()
}

/// What is known of the subscriptions of a customer.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn of_customer(
    conn: &mut PgConnection,
    provider: Provider,
    customer: &str,
) -> Result<Vec<Known>, StoreError> {
    let query = sqlx::query_as!(
        Row,
        r#"
        select provider, subscription_id, customer_id, prices, state, trial_ends_at, paid_until, past_due_since,
            lapsed_at, ended_at, collection_paused, cancel_at, started_at, period_start, as_of,
            before as "before: Json<Standing>", observation, suspended_at, livemode, unseen_since,
            items as "items: Json<Vec<Item>>", first_due, status_unknown, written_off, resumes_at
        from subscriptions where provider = $1 and customer_id = $2 order by subscription_id
        "#,
        provider.as_str(),
        customer
    );
    query.fetch_all(conn).await?.into_iter().map(Known::try_from).collect()
}

/// Subscriptions of an account beside another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    pub id: SubscriptionId,
    pub customer: String,
    pub prices: Vec<String>,
}

/// The other running subscriptions of an account: the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn running_beside(
    conn: &mut PgConnection,
    account: &AccountId,
    id: &SubscriptionId,
) -> Result<Vec<Beside>, StoreError> {
    let query = sqlx::query!(
        r#"
        select provider, subscription_id, customer_id, prices from subscriptions
        where account = $1 and not (provider = $2 and subscription_id = $3)
            and state in ('trialing', 'active', 'past_due')
            and not (livemode is false and provider in (select provider from live_modes))
        order by started_at, provider, subscription_id limit 20
        "#,
        account.as_str(),
        id.provider.as_str(),
        id.id
    );
    let rows = query.fetch_all(conn).await?.into_iter();
    let read = |provider: &str, id: &str| {
        provider.parse::<Provider>().map_err(|error| StoreError::row("subscriptions", id, &error))
    };
    rows.map(|row| {
        let id = SubscriptionId { provider: read(&row.provider, &row.subscription_id)?, id: row.subscription_id };
        Ok(Beside { id, customer: row.customer_id, prices: row.prices })
    })
    .collect()
}

/// Draws the number of a question that is about to be asked.
///
/// # Errors
/// When the database fails.
pub async fn next_observation(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"select nextval('observations') as "number!""#).fetch_one(conn).await?)
}

/// Whether the provider has answered a question about this subscription that was asked after `number` was drawn.
///
/// # Errors
/// When the database fails.
pub async fn asked_since(conn: &mut PgConnection, id: &SubscriptionId, number: i64) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (
            select from subscriptions where provider = $1 and subscription_id = $2 and observation > $3
        ) as "asked!"
        "#,
        id.provider.as_str(),
        id.id,
        number
    );
    Ok(query.fetch_one(conn).await?)
}

/// Whether it may give nothing although it still stands.
const fn is_suspended(subscription: &Subscription) -> bool {
    subscription.collection_paused || matches!(subscription.state, State::Unpaid | State::Paused | State::Unknown)
}

/// Stores a subscription as it stands now. A new one becomes the account's; a known one stays where it is.
///
/// # Errors
/// When its customer is not linked, or the database fails.
pub async fn put(
    conn: &mut PgConnection,
    account: &AccountId,
    known: &Known,
    origin: Origin<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Known { subscription, observation } = known;
    let stored = columns(subscription.state);
    let query = sqlx::query!(
        r#"
        insert into subscriptions (
            provider, subscription_id, account, customer_id, prices, state, trial_ends_at, paid_until, past_due_since,
            ended_at, cancel_at, started_at, period_start, as_of, updated_at, lapsed_at, collection_paused, before,
            observation, suspended_at, livemode, provider_account, items, first_due, status_unknown,
            written_off, resumes_at
        )
        values (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $24, $25,
            $26, $27, $28
        )
        on conflict (provider, subscription_id) do update set
            prices = excluded.prices, items = excluded.items, first_due = excluded.first_due, state = excluded.state,
            status_unknown = excluded.status_unknown, written_off = excluded.written_off, trial_ends_at = excluded.trial_ends_at,
            paid_until = excluded.paid_until, past_due_since = excluded.past_due_since,
            ended_at = excluded.ended_at, cancel_at = excluded.cancel_at, started_at = excluded.started_at,
            period_start = excluded.period_start, as_of = excluded.as_of, updated_at = excluded.updated_at,
            lapsed_at = excluded.lapsed_at, collection_paused = excluded.collection_paused,
            resumes_at = excluded.resumes_at,
            before = excluded.before, observation = greatest(subscriptions.observation, excluded.observation),
            suspended_at = case when excluded.suspended_at is not null
                then coalesce(subscriptions.suspended_at, excluded.suspended_at) end,
            livemode = coalesce(excluded.livemode, subscriptions.livemode),
            provider_account = coalesce(excluded.provider_account, subscriptions.provider_account),
            unseen_since = case when not $23 then subscriptions.unseen_since end
        "#,
        subscription.id.provider.as_str(),
        subscription.id.id,
        account.as_str(),
        subscription.customer,
        &subscription.prices,
        stored.state,
        stored.trial_ends_at,
        stored.paid_until,
        stored.past_due_since,
        stored.ended_at,
        subscription.cancel_at,
        subscription.started_at,
        subscription.period_start,
        subscription.as_of,
        now,
        stored.lapsed_at,
        subscription.collection_paused,
        subscription.before.as_deref().map(Json) as _,
        observation,
        is_suspended(subscription).then_some(now),
        origin.livemode,
        origin.account,
        origin.is_shown,
        Json(&subscription.items) as _,
        subscription.first_due,
        subscription.state == State::Unknown,
        matches!(subscription.state, State::WrittenOff { .. }),
        subscription.resumes_at
    );
    match query.execute(conn).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::missing("subscriptions", &subscription.id.id)),
    }
}

/// The accounts of subscriptions.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn accounts_of(conn: &mut PgConnection, ids: &[SubscriptionId]) -> Result<Vec<AccountId>, StoreError> {
    let providers: Vec<&str> = ids.iter().map(|id| id.provider.as_str()).collect();
    let ids: Vec<&str> = ids.iter().map(|id| id.id.as_str()).collect();
    let query = sqlx::query_scalar!(
        r#"
        select distinct s.account from unnest($1::text[], $2::text[]) wanted (provider, id)
        join subscriptions s on s.provider = wanted.provider and s.subscription_id = wanted.id
        "#,
        &providers as _,
        &ids as _
    );
    query.fetch_all(conn).await?.iter().map(|account| super::account_of("subscriptions", account)).collect()
}
