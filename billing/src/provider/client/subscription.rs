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
    /// The schedule that manages it: then the subscription itself may not be asked to end or go on
    /// (<https://docs.stripe.com/billing/subscriptions/subscription-schedules>).
    schedule: Option<String>,
    billing_mode: Option<BillingMode>,
}

#[derive(Debug, miniserde::Deserialize)]
struct BillingMode {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Nothing to say, or to be read.
#[derive(Debug, miniserde::Deserialize)]
struct Unread {}

/// Nothing to say.
#[derive(Serialize)]
struct Nothing {}

#[derive(Debug, miniserde::Deserialize)]
struct Items {
    data: Vec<Item>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Item {
    id: Option<String>,
    price: Option<Price>,
    current_period_end: Option<i64>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Price {
    id: String,
    recurring: Option<Recurring>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Recurring {
    usage_type: Option<String>,
    meter: Option<String>,
}

impl Price {
    /// Whether what was used is kept with the item, and not by a meter.
    fn has_usage_records(&self) -> bool {
        let recurring = self.recurring.as_ref();
        recurring
            .is_some_and(|recurring| recurring.usage_type.as_deref() == Some("metered") && recurring.meter.is_none())
    }
}

/// Items that are taken off.
#[derive(Serialize)]
struct Removal<'a> {
    items: Vec<Removed<'a>>,
    /// `none`: nothing is given back.
    proration_behavior: &'static str,
}

#[derive(Serialize)]
struct Removed<'a> {
    id: &'a str,
    deleted: bool,
    /// Usage that is kept with an item has to go with it, and is billed no more: its money went back. It must not be named where usage
    /// is kept elsewhere, or subscriptions are billed flexibly (`items.clear_usage` of
    /// <https://docs.stripe.com/api/subscriptions/update>, <https://docs.stripe.com/billing/subscriptions/billing-mode/compare>).
    #[serde(skip_serializing_if = "Option::is_none")]
    clear_usage: Option<bool>,
}

/// Stripe refuses a request that names both fields.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Update {
    CancelAtPeriodEnd(bool),
    /// Empty clears it.
    CancelAt(&'static str),
    /// Empty clears it.
    PauseCollection(&'static str),
}

/// What is asked of a schedule.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ScheduleUpdate {
    /// Lets go of the subscription; whether an end that it has set stays.
    PreserveCancelDate(bool),
    /// `release`: after the last phase the subscription goes on.
    EndBehavior(&'static str),
}

impl Subscription {
    fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    fn ends_with_period(&self) -> bool {
        self.cancel_at_period_end == Some(true)
    }

    fn period_end(&self) -> Option<i64> {
        let by_item = self.items.iter().flat_map(|items| &items.data).filter_map(|item| item.current_period_end).max();
        self.current_period_end.or(by_item)
    }

    /// The scheduled end. With flexible billing the portal sets `cancel_at` alone.
    fn ends_at(&self) -> Option<Timestamp> {
        let period_end = self.period_end().filter(|_| self.ends_with_period());
        Timestamp::from_timestamp(self.cancel_at.or(period_end)?, 0)
    }

    /// Whether an end is scheduled for a later moment than that of the period: a schedule's, after another phase.
    fn outlives_period(&self) -> bool {
        let end = self.cancel_at.filter(|_| !self.ends_with_period());
        end.zip(self.period_end()).is_some_and(|(end, period_end)| end > period_end)
    }

    /// The request that takes the items of these prices off; none where there are no such items.
    fn without<'s>(&'s self, prices: &[&str]) -> Option<Removal<'s>> {
        let is_flexible = self.billing_mode.as_ref().is_some_and(|mode| mode.kind.as_deref() == Some("flexible"));
        let removed = |item: &'s Item| {
            let price = item.price.as_ref().filter(|price| prices.contains(&price.id.as_str()))?;
            let clear_usage = (price.has_usage_records() && !is_flexible).then_some(true);
            Some(Removed { id: item.id.as_deref()?, deleted: true, clear_usage })
        };
        let items: Vec<_> = self.items.iter().flat_map(|items| &items.data).filter_map(removed).collect();
        (!items.is_empty()).then_some(Removal { items, proration_behavior: "none" })
    }

    fn is_ending(&self) -> bool {
        self.ends_with_period() || self.cancel_at.is_some()
    }
}

impl Client {
    /// Schedules the subscription to end with the paid period, if no end is scheduled yet; answers when it ends, or
    /// nothing when the provider does not say. A schedule, as of a downgrade, lets go of it first: Stripe refuses this
    /// otherwise. When anything fails between the two, it goes on, and the same call may be repeated.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn end_with_period(&self, subscription: &str) -> Result<Option<Timestamp>, ProviderError> {
        let mut now = self.running_subscription(subscription).await?;
        let mut is_scheduled_elsewhere = false;
        if let Some(schedule) = &now.schedule {
            let path = format!("/subscription_schedules/{}/release", checked_id(schedule)?);
            now = self.ask_schedule(subscription, &path, &ScheduleUpdate::PreserveCancelDate(true)).await?;
            is_scheduled_elsewhere = now.outlives_period();
        }
        if now.is_ending() && !is_scheduled_elsewhere {
            return Ok(now.ends_at());
        }
        Ok(self.update(subscription, &Update::CancelAtPeriodEnd(true)).await?.ends_at())
    }

    /// Takes a scheduled end back. One that a schedule has set is taken back there, so that its other phases stay: a
    /// downgrade still comes.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn keep(&self, subscription: &str) -> Result<Kept, ProviderError> {
        let mut now = self.running_subscription(subscription).await?;
        if !now.is_ending() {
            return Ok(Kept::WasNotEnding);
        }
        if let Some(schedule) = &now.schedule {
            let path = format!("/subscription_schedules/{}", checked_id(schedule)?);
            now = self.ask_schedule(subscription, &path, &ScheduleUpdate::EndBehavior("release")).await?;
            if now.schedule.is_some() || !now.is_ending() {
                return Ok(Kept::Yes);
            }
        }
        // A period's end shows as `cancel_at` too, so it is asked for first.
        let clearing = if now.ends_with_period() { Update::CancelAtPeriodEnd(false) } else { Update::CancelAt("") };
        self.update(subscription, &clearing).await?;
        Ok(Kept::Yes)
    }

    /// Ends the subscription at once, if it is not over.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn end_now(&self, subscription: &str) -> Result<(), ProviderError> {
        let path = format!("/subscriptions/{}", checked_id(subscription)?);
        let now: Subscription = match self.get(&path).await {
            Err(ProviderError::Missing(_)) => return Ok(()),
            now => now?,
        };
        if now.is_over() {
            return Ok(());
        }
        let _: Subscription = self.delete(&path).await?;
        Ok(())
    }

    /// Takes the items of these prices off the subscription, which goes on with the others; nothing is given back
    /// (<https://docs.stripe.com/api/subscriptions/update>).
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn end_prices(&self, subscription: &str, prices: &[&str]) -> Result<(), ProviderError> {
        let now = self.running_subscription(subscription).await?;
        let Some(removal) = now.without(prices) else { return Ok(()) };
        let path = format!("/subscriptions/{}", checked_id(subscription)?);
        let _: Subscription = self.post(&path, &removal, Sameness::OwnRepetitions).await?;
        Ok(())
    }

    /// Lets a subscription go on whose trial ended without a card, or of which nothing is collected for now.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn resume(&self, subscription: &str) -> Result<Kept, ProviderError> {
        let now = self.running_subscription(subscription).await?;
        if now.status == "paused" {
            let path = format!("/subscriptions/{}/resume", checked_id(subscription)?);
            let _: Subscription = self.post(&path, &Nothing {}, Sameness::OwnRepetitions).await?;
        } else {
            self.update(subscription, &Update::PauseCollection("")).await?;
        }
        Ok(Kept::Yes)
    }

    /// Asks something of a subscription's schedule; answers how the subscription stands then. What a schedule refuses that
    /// is gone by now, as another one was quicker, is no error.
    async fn ask_schedule(
        &self,
        subscription: &str,
        path: &str,
        form: &ScheduleUpdate,
    ) -> Result<Subscription, ProviderError> {
        let asked = self.post::<Unread>(path, form, Sameness::OwnRepetitions).await;
        let now = self.running_subscription(subscription).await?;
        match asked {
            Err(error) if now.schedule.is_some() => Err(error),
            _ => Ok(now),
        }
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

    #[test]
    fn the_items_of_a_price_are_taken_off_and_nothing_is_given_back() {
        let body = r#"{"status": "active", "items": {"data": [{"id": "si_1", "price": {"id": "one", "product": "prod"}}, {"id": "si_2", "price": {"id": "two"}}]}}"#;
        let read: Subscription = miniserde::json::from_str(body).expect("a subscription");
        let form = |prices: &[&str]| {
            Some(RequestBuilder::new(StripeMethod::Post, "/").form(&read.without(prices)?).body.expect("a body"))
        };
        let expected = "items[0][id]=si_2&items[0][deleted]=true&proration_behavior=none";
        assert_eq!(form(&["two"]).map(|body| body.replace("%5B", "[").replace("%5D", "]")).as_deref(), Some(expected));
        assert_eq!(form(&["three"]), None, "nothing is left to be done");
    }

    #[test]
    fn usage_that_is_kept_with_an_item_is_cleared_with_it_and_no_other() {
        let cleared = |recurring: &str, mode: &str| {
            let body = format!(
                r#"{{"status": "active", {mode} "items": {{"data": [{{"id": "si_1", "price": {{"id": "one", "recurring": {recurring}}}}}]}}}}"#
            );
            let read: Subscription = miniserde::json::from_str(&body).expect("a subscription");
            let removal = read.without(&["one"]).expect("an item");
            let form = RequestBuilder::new(StripeMethod::Post, "/").form(&removal).body.expect("a body");
            form.contains("clear_usage%5D=true") || form.contains("[clear_usage]=true")
        };
        let metered = r#"{"usage_type": "metered", "meter": null}"#;
        for (what, recurring, mode, expected) in [
            ("usage records", metered, "", true),
            ("usage records, billed in the classic way", metered, r#""billing_mode": {"type": "classic"},"#, true),
            ("usage records, billed flexibly", metered, r#""billing_mode": {"type": "flexible"},"#, false),
            ("a meter", r#"{"usage_type": "metered", "meter": "mtr_1"}"#, "", false),
            ("no usage", r#"{"usage_type": "licensed", "meter": null}"#, "", false),
            ("a price of once", "null", "", false),
        ] {
            assert_eq!(cleared(recurring, mode), expected, "{what}");
        }
    }

    #[test]
    fn a_schedules_end_after_another_phase_is_not_that_of_the_period() {
        for (what, body, expected) in [
            ("no end", r#"{"status": "active", "items": {"data": [{"current_period_end": 9}]}}"#, false),
            ("of the period", r#"{"status": "active", "cancel_at": 9, "current_period_end": 9}"#, false),
            ("of the next phase", r#"{"status": "active", "cancel_at": 10, "current_period_end": 9}"#, true),
            (
                "with the period whatever is named",
                r#"{"status": "active", "cancel_at": 10, "cancel_at_period_end": true, "current_period_end": 9}"#,
                false,
            ),
        ] {
            let read: Subscription = miniserde::json::from_str(body).expect(what);
            assert_eq!(read.outlives_period(), expected, "{what}");
        }
        let body = |update: &ScheduleUpdate| RequestBuilder::new(StripeMethod::Post, "/").form(update).body;
        assert_eq!(body(&ScheduleUpdate::PreserveCancelDate(true)).as_deref(), Some("preserve_cancel_date=true"));
        assert_eq!(body(&ScheduleUpdate::EndBehavior("release")).as_deref(), Some("end_behavior=release"));
    }
}
