//! Ending a subscription with its period, and taking that back.

use entitlement::Timestamp;
use serde::Serialize;

use super::{Client, ProviderError, Sameness, checked_id};

/// What became of the wish to keep a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It goes on.
    Yes,
    /// No end was scheduled.
    WasNotEnding,
}

/// The fields that say whether, when and why a subscription ends, in old and new shapes.
#[derive(Debug, miniserde::Deserialize)]
struct Subscription {
    status: String,
    cancel_at: Option<i64>,
    cancel_at_period_end: Option<bool>,
    /// Here until the version of 2025-03-31 (basil), on the items since.
    current_period_end: Option<i64>,
    items: Option<Items>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Items {
    data: Vec<Item>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Item {
    current_period_end: Option<i64>,
}

/// Stripe refuses a request that names both fields.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Update {
    CancelAtPeriodEnd(bool),
    /// Empty clears it.
    CancelAt(&'static str),
}

impl Subscription {
    fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    fn ends_with_period(&self) -> bool {
        self.cancel_at_period_end == Some(true)
    }

    /// The scheduled end. With flexible billing the portal sets `cancel_at` alone.
    fn ends_at(&self) -> Option<Timestamp> {
        let by_item = self.items.iter().flat_map(|items| &items.data).filter_map(|item| item.current_period_end).max();
        let period_end = self.current_period_end.or(by_item).filter(|_| self.ends_with_period());
        Timestamp::from_timestamp(self.cancel_at.or(period_end)?, 0)
    }

    fn is_ending(&self) -> bool {
        self.ends_with_period() || self.cancel_at.is_some()
    }
}

impl Client {
    /// Schedules the subscription to end with the paid period, if no end is scheduled yet; answers when it ends, or
    /// nothing when the provider does not say.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn end_with_period(&self, subscription: &str) -> Result<Option<Timestamp>, ProviderError> {
        let now = self.running_subscription(subscription).await?;
        if now.is_ending() {
            return Ok(now.ends_at());
        }
        Ok(self.update(subscription, &Update::CancelAtPeriodEnd(true)).await?.ends_at())
    }

    /// Takes a scheduled end back.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn keep(&self, subscription: &str) -> Result<Kept, ProviderError> {
        let now = self.running_subscription(subscription).await?;
        if !now.is_ending() {
            return Ok(Kept::WasNotEnding);
        }
        // A period's end shows as `cancel_at` too, so it is asked for first.
        let clearing = if now.ends_with_period() { Update::CancelAtPeriodEnd(false) } else { Update::CancelAt("") };
        self.update(subscription, &clearing).await?;
        Ok(Kept::Yes)
    }

    async fn running_subscription(&self, id: &str) -> Result<Subscription, ProviderError> {
        let now: Subscription = self.get(&format!("/subscriptions/{}", checked_id(id)?)).await?;
        if now.is_over() {
            return Err(ProviderError::ToldBuyer("This subscription is already over.".into()));
        }
        Ok(now)
    }

    async fn update(&self, id: &str, form: &Update) -> Result<Subscription, ProviderError> {
        let path = format!("/subscriptions/{}", checked_id(id)?);
        self.post(&path, form, Sameness::OwnRepetitions).await
    }
}

#[cfg(test)]
mod tests {
    use stripe_client_core::{RequestBuilder, StripeMethod};

    use super::*;

    #[test]
    fn a_scheduled_end_is_read_in_old_and_new_shapes() {
        let cases = [
            ("goes on", r#"{"status": "active", "cancel_at": null, "current_period_end": 9}"#, (false, None)),
            (
                "old shape",
                r#"{"status": "active", "cancel_at_period_end": true, "current_period_end": 9, "plan": {}}"#,
                (true, Some(9)),
            ),
            (
                "period on the items",
                r#"{"status": "active", "cancel_at_period_end": true, "items": {"data": [{"current_period_end": 7}, {"current_period_end": 9}]}}"#,
                (true, Some(9)),
            ),
            (
                "flexible billing",
                r#"{"status": "active", "cancel_at_period_end": false, "cancel_at": 8, "items": {"data": [{"current_period_end": 9}]}}"#,
                (true, Some(8)),
            ),
        ];
        for (what, body, expected) in cases {
            let read: Subscription = miniserde::json::from_str(body).expect(what);
            assert_eq!((read.is_ending(), read.ends_at().map(|at| at.timestamp())), expected, "{what}");
        }
    }

    #[test]
    fn an_update_names_one_field_alone() {
        let body = |update: &Update| RequestBuilder::new(StripeMethod::Post, "/").form(update).body;
        assert_eq!(body(&Update::CancelAtPeriodEnd(true)).as_deref(), Some("cancel_at_period_end=true"));
        assert_eq!(body(&Update::CancelAtPeriodEnd(false)).as_deref(), Some("cancel_at_period_end=false"));
        assert_eq!(body(&Update::CancelAt("")).as_deref(), Some("cancel_at="));
    }
}
