//! Prices, and the webhook endpoints: what the configuration is held against.

use serde::Serialize;
use serde_json::Value;

use super::setup::{KEPT, REPLACES};
use super::{Client, ProviderError, checked_id};

#[derive(Serialize)]
struct Expanded {
    expand: [&'static str; 1],
}

#[derive(Serialize)]
struct Most {
    limit: u8,
}

/// A webhook endpoint (<https://docs.stripe.com/api/webhook_endpoints/object>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    pub is_enabled: bool,
    /// `*`: all.
    pub events: Vec<String>,
    /// The endpoints in whose place it was made.
    pub replaces: Vec<String>,
    /// Whether its secret was kept.
    pub is_kept: bool,
}

impl Client {
    /// A price with all its currencies.
    ///
    /// # Errors
    /// [`ProviderError::Missing`] when there is none, or any other.
    pub async fn price(&self, id: &str) -> Result<Value, ProviderError> {
        let path = format!("/prices/{}", checked_id(id)?);
        self.get_value(&path, &Expanded { expand: ["currency_options"] }).await
    }

    /// The webhook endpoints for snapshot events; Stripe allows 16.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn webhook_endpoints(&self) -> Result<Vec<Endpoint>, ProviderError> {
        let answer = self.get_value("/webhook_endpoints", &Most { limit: 100 }).await?;
        let rows = answer["data"].as_array().ok_or_else(|| ProviderError::Unusable("a list without rows".into()))?;
        let endpoint = |row: &Value| {
            let events = row["enabled_events"].as_array().into_iter().flatten();
            Endpoint {
                id: row["id"].as_str().unwrap_or_default().to_owned(),
                url: row["url"].as_str().unwrap_or_default().to_owned(),
                is_enabled: row["status"] == "enabled",
                events: events.filter_map(|event| event.as_str().map(str::to_owned)).collect(),
                replaces: row["metadata"][REPLACES]
                    .as_str()
                    .into_iter()
                    .flat_map(|ids| ids.split(','))
                    .map(str::to_owned)
                    .collect(),
                is_kept: row["metadata"][KEPT].is_string(),
            }
        };
        Ok(rows.iter().map(endpoint).collect())
    }
}
