//! The calls that set an account up: prices by their lookup keys, products, webhook endpoints, and configurations of the portal.

use entitlement::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Client, ProviderError, Sameness};

/// The key of metadata by which an object is known as made by Tollgate, and for what.
pub const MARK: &str = "tollgate";

/// The key of metadata that names the endpoints in whose place one was made: Stripe allows 16, whose ids fit into one value.
pub(super) const REPLACES: &str = "replaces";

/// The key of metadata that says that the secret of an endpoint was kept.
pub(super) const KEPT: &str = "secret_kept";

/// Where configurations of the portal are.
pub const PORTALS: &str = "billing_portal/configurations";

/// How many lookup keys one call may name (<https://docs.stripe.com/api/prices/list>).
const KEYS_MAX: usize = 10;

/// Rows of one page, and pages that are read: 10 000 rows.
const PAGE_MAX: u8 = 100;
const PAGES_MAX: usize = 100;

#[derive(Serialize)]
struct ByKeys<'a> {
    lookup_keys: &'a [&'a str],
    limit: u8,
    expand: [&'static str; 1],
}

#[derive(Serialize)]
struct Listing<'a> {
    limit: u8,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
    expand: &'a [&'static str],
}

#[derive(Serialize)]
struct Nothing {}

impl Client {
    /// The prices that have these lookup keys, archived ones too.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn prices_by_key(&self, keys: &[&str]) -> Result<Vec<Value>, ProviderError> {
        let mut prices = Vec::new();
        for keys in keys.chunks(KEYS_MAX) {
            let query = ByKeys { lookup_keys: keys, limit: PAGE_MAX, expand: ["data.currency_options"] };
            prices.extend(rows(self.get_value("/prices", &query).await?)?);
        }
        Ok(prices)
    }

    /// An object by its id; `None` when there is none.
    ///
    /// # Errors
    /// Any other [`ProviderError`].
    pub async fn find(&self, collection: &str, id: &str) -> Result<Option<Value>, ProviderError> {
        match self.get_value(&format!("/{collection}/{}", plain_id(id)?), &Nothing {}).await {
            Ok(object) => Ok(Some(object)),
            Err(ProviderError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everything of a collection that is active.
    ///
    /// # Errors
    /// Any [`ProviderError`]; [`ProviderError::Unusable`] when there is more than can be read.
    pub async fn all_active(&self, collection: &str, expand: &[&'static str]) -> Result<Vec<Value>, ProviderError> {
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = all.last().and_then(|row| row["id"].as_str()).map(str::to_owned);
            let query = Listing { limit: PAGE_MAX, active: true, starting_after: after.as_deref(), expand };
            let page = self.get_value(&format!("/{collection}"), &query).await?;
            let has_more = page["has_more"] == true;
            let rows = rows(page)?;
            let is_over = !has_more || rows.is_empty();
            all.extend(rows);
            if is_over {
                return Ok(all);
            }
        }
        Err(ProviderError::Unusable(format!("more than {} {collection}", all.len())))
    }

    /// Makes an object. Equal calls within a minute make one.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn make(&self, collection: &str, form: &Value, now: Timestamp) -> Result<Value, ProviderError> {
        self.post_value(&format!("/{collection}"), form, Sameness::WithinMinute(now, 0)).await
    }

    /// Changes an object.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn change(&self, collection: &str, id: &str, form: &Value) -> Result<Value, ProviderError> {
        let path = format!("/{collection}/{}", plain_id(id)?);
        self.post_value(&path, form, Sameness::OwnRepetitions).await
    }

    /// Whether sessions of the portal can be opened: there is the account's own configuration, or one of Tollgate's.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn has_portal(&self) -> Result<bool, ProviderError> {
        let configurations = self.all_active(PORTALS, &[]).await?;
        Ok(configurations.iter().any(|one| one["is_default"] == true || is_ours(one)))
    }

    /// The configuration of the portal that Tollgate has made, if it has.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn own_portal(&self) -> Result<Option<String>, ProviderError> {
        let configurations = self.all_active(PORTALS, &[]).await?;
        let own = configurations.iter().find(|one| is_ours(one));
        Ok(own.and_then(|one| one["id"].as_str()).map(str::to_owned))
    }

    /// Makes a webhook endpoint in the place of others. Answers its id, and the secret that signs its deliveries: it can be read this once.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn make_endpoint(
        &self,
        url: &str,
        events: &[&str],
        replaces: &[String],
    ) -> Result<(String, SecretString), ProviderError> {
        let mut form = json!({ "url": url, "enabled_events": events, "description": "Tollgate" });
        if !replaces.is_empty() {
            form["metadata"] = json!({ REPLACES: replaces.join(",") });
        }
        let made = self.post_value("/webhook_endpoints", &form, Sameness::OwnRepetitions).await?;
        let (id, secret) = (made["id"].as_str().map(str::to_owned), made["secret"].as_str().map(SecretString::from));
        id.zip(secret).ok_or_else(|| ProviderError::Unusable("a webhook endpoint without its secret".into()))
    }

    /// Notes that the secret of an endpoint was kept: from then on it stands for those in whose place it was made.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn note_kept(&self, endpoint: &str) -> Result<(), ProviderError> {
        let form = json!({ "metadata": { KEPT: "yes" } });
        self.change("webhook_endpoints", endpoint, &form).await.map(drop)
    }

    /// Deletes a webhook endpoint; one that is gone is as good as deleted.
    ///
    /// # Errors
    /// Any other [`ProviderError`].
    pub async fn delete_endpoint(&self, id: &str) -> Result<(), ProviderError> {
        let deleted: Result<miniserde::json::Value, _> =
            self.delete(&format!("/webhook_endpoints/{}", plain_id(id)?)).await;
        match deleted {
            Ok(_) | Err(ProviderError::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// An id that leads to no other path. Those of products may be a seller's own words.
fn plain_id(id: &str) -> Result<&str, ProviderError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.is_empty() || id.len() > 255 || !id.bytes().all(is_plain) {
        return Err(ProviderError::Refused(format!("{} is no id that can be asked for", id.escape_default())));
    }
    Ok(id)
}

fn is_ours(configuration: &Value) -> bool {
    configuration["metadata"][MARK].is_string()
}

fn rows(mut page: Value) -> Result<Vec<Value>, ProviderError> {
    match page.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(ProviderError::Unusable("a list without rows".into())),
    }
}
