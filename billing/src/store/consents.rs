//! What buyers agreed to: proof, which is only ever added to.

use entitlement::Timestamp;
use entitlement::account::{AccountId, UserId};
use entitlement::catalog::Provider;
use serde::Serialize;
use sqlx::PgConnection;

use super::StoreError;

/// That a buyer agreed.
#[derive(Clone, Copy, Debug)]
pub struct Agreed<'a> {
    pub account: &'a AccountId,
    /// The user who agreed for the account, where that is another.
    pub user: Option<&'a UserId>,
    /// The id of the wording.
    pub text: &'a str,
    /// The wording, and by what it is known; both empty where it is not known here.
    pub wording: &'a str,
    pub digest: &'a str,
    pub provider: Provider,
    pub price: &'a str,
    /// The checkout that it was for: said again by the same user for the same one, it is one consent.
    pub attempt: i64,
    pub at: Timestamp,
}

/// One consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consent {
    /// The greater, the later.
    pub id: i64,
    pub account: String,
    /// The user who agreed for the account, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The id of the wording.
    pub text: String,
    /// The wording itself, where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wording: Option<String>,
    pub provider: String,
    pub price: String,
    pub agreed_at: Timestamp,
}

/// Writes down what a buyer agreed to; the account must have a row.
///
/// # Errors
/// When the database fails.
pub async fn record(conn: &mut PgConnection, agreed: Agreed<'_>) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        with kept as (
            insert into consent_texts (digest, text, wording, recorded_at)
            select $8::text, $2::text, $9::text, $6::timestamptz where $8::text <> ''
            on conflict on constraint consent_texts_pkey do nothing
        )
        insert into consents (account, text, provider, price_id, attempt, agreed_at, acted_by, digest)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict on constraint consents_once do nothing
        "#,
        agreed.account.as_str(),
        agreed.text,
        agreed.provider.as_str(),
        agreed.price,
        agreed.attempt,
        agreed.at,
        agreed.user.map_or("", UserId::as_str),
        agreed.digest,
        agreed.wording
    );
    query.execute(conn).await?;
    Ok(())
}

/// The newest consents, newest first: of one account or of all; with `before` only those with a smaller id.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut PgConnection,
    account: Option<&AccountId>,
    (since, before): (Option<Timestamp>, Option<i64>),
    limit: i64,
) -> Result<Vec<Consent>, StoreError> {
    let query = sqlx::query_as!(
        Consent,
        r#"
        select id, account, nullif(acted_by, '') as "user?", text,
            (select wording from consent_texts t where t.digest = c.digest and t.text = c.text) as wording,
            provider, price_id as price, agreed_at
        from consents c
        where ($1::text is null or account = $1) and ($2::bigint is null or id < $2)
            and ($4::timestamptz is null or agreed_at >= $4)
        order by id desc limit $3
        "#,
        account.map(AccountId::as_str),
        before,
        limit,
        since
    );
    Ok(query.fetch_all(conn).await?)
}
