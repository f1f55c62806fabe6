//! Ending a subscription of Polar with its period, taking that back, and letting one go on that is paused
//! (<https://polar.sh/docs/api-reference/subscriptions/update>).
//!
//! Polar refuses what is so already. A call whose answer was lost is refused when it is repeated, so a refusal is
//! followed by a look.

use entitlement::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Client, checked_id};
use crate::provider::client::{Kept, ProviderError};

/// What of a subscription says whether and when it ends.
#[derive(Debug, Deserialize)]
struct Subscription {
    status: String,
    #[serde(default)]
    cancel_at_period_end: bool,
    current_period_end: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

/// That a paused subscription goes on, with a new period that is charged at once.
#[derive(Serialize)]
struct Resuming {
    resume: bool,
}

/// The one field that is changed.
#[derive(Serialize)]
struct Ending {
    cancel_at_period_end: bool,
}

impl Subscription {
    fn is_over(&self) -> bool {
        self.ended_at.is_some() || matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    fn is_ending(&self) -> bool {
        self.cancel_at_period_end || self.ends_at.is_some()
    }

    /// The scheduled end.
    fn scheduled_end(&self) -> Option<Timestamp> {
        self.ends_at.or(self.current_period_end.filter(|_| self.cancel_at_period_end))
    }
}

impl Client {
    /// Schedules the subscription to end with the paid period, if no end is scheduled yet; answers when it ends, or
    /// nothing when Polar does not say.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn end_with_period(&self, subscription: &str) -> Result<Option<Timestamp>, ProviderError> {
        let now = self.running_subscription(subscription).await?;
        if now.is_ending() {
            return Ok(now.scheduled_end());
        }
        match self.change(subscription, Ending { cancel_at_period_end: true }).await {
            Err(ProviderError::Refused(why)) => {
                let now = self.running_subscription(subscription).await?;
                if now.is_ending() { Ok(now.scheduled_end()) } else { Err(ProviderError::Refused(why)) }
            }
            ending => Ok(ending?.scheduled_end()),
        }
    }

    /// Takes a scheduled end back.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when it is already over, or any other.
    pub async fn keep(&self, subscription: &str) -> Result<Kept, ProviderError> {
        if !self.running_subscription(subscription).await?.is_ending() {
            return Ok(Kept::WasNotEnding);
        }
        match self.change(subscription, Ending { cancel_at_period_end: false }).await {
            Err(ProviderError::Refused(why)) => {
                let is_ending = self.running_subscription(subscription).await?.is_ending();
                if is_ending { Err(ProviderError::Refused(why)) } else { Ok(Kept::Yes) }
            }
            kept => kept.map(|_| Kept::Yes),
        }
    }

    /// Lets a paused subscription go on; one that has gone on meanwhile is left as it is.
    ///
    /// # Errors
    /// [`ProviderError::ToldBuyer`] when it is already over, or the payment fails, or any other.
    pub async fn resume(&self, subscription: &str) -> Result<Kept, ProviderError> {
        let is_paused = async || Ok(self.running_subscription(subscription).await?.status == "paused");
        if !is_paused().await? {
            return Ok(Kept::Yes);
        }
        match self.change(subscription, Resuming { resume: true }).await {
            Err(ProviderError::Refused(why)) => {
                if is_paused().await? {
                    Err(ProviderError::Refused(why))
                } else {
                    Ok(Kept::Yes)
                }
            }
            resumed => resumed.map(|_| Kept::Yes),
        }
    }

    /// Ends the subscription at once, if it is not over (<https://polar.sh/docs/api-reference/subscriptions/revoke>).
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn end_now(&self, subscription: &str) -> Result<(), ProviderError> {
        let path = format!("v1/subscriptions/{}", checked_id(subscription)?);
        let is_over = async || match self.get(&path, &[]).await {
            Err(ProviderError::Missing(_)) => Ok(true),
            now => read(now?).map(|now| now.is_over()),
        };
        if is_over().await? {
            return Ok(());
        }
        match self.delete(&path).await {
            Err(ProviderError::Refused(why)) => {
                if is_over().await? {
                    Ok(())
                } else {
                    Err(ProviderError::Refused(why))
                }
            }
            ended => ended.map(drop),
        }
    }

    async fn running_subscription(&self, id: &str) -> Result<Subscription, ProviderError> {
        let now = read(self.get(&format!("v1/subscriptions/{}", checked_id(id)?), &[]).await?)?;
        if now.is_over() {
            return Err(ProviderError::ToldBuyer("This subscription is already over.".into()));
        }
        Ok(now)
    }

    async fn change(&self, id: &str, to: impl Serialize) -> Result<Subscription, ProviderError> {
        let path = format!("v1/subscriptions/{}", checked_id(id)?);
        read(self.patch(&path, &to).await?)
    }
}

fn read(answer: Value) -> Result<Subscription, ProviderError> {
    serde_json::from_value(answer).map_err(|error| ProviderError::Unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Answer, Played};
    use super::*;

    const END: &str = "2026-03-20T00:00:00Z";

    fn goes_on() -> Answer {
        Answer::Is(200, json!({ "status": "active", "cancel_at_period_end": false, "current_period_end": END }))
    }

    fn ends() -> Answer {
        let own =
            json!({ "status": "trialing", "cancel_at_period_end": true, "current_period_end": END, "ends_at": END });
        Answer::Is(200, own)
    }

    fn over() -> Answer {
        Answer::Is(200, json!({ "status": "canceled", "cancel_at_period_end": true, "ended_at": END, "ends_at": END }))
    }

    fn refuses(status: u16, error: &str) -> Answer {
        Answer::Is(status, json!({ "error": error, "detail": "Not this time" }))
    }

    fn lost() -> Answer {
        Answer::Of(502, "server", "proxy")
    }

    fn refused() -> ProviderError {
        ProviderError::Refused("Not this time".into())
    }

    #[tokio::test]
    async fn an_end_is_asked_for_once_and_found_if_the_answer_was_lost() {
        let end: Timestamp = END.parse().expect("a moment");
        let already = || refuses(403, "AlreadyCanceledSubscription");
        let cases = [
            ("it goes on", vec![goes_on(), ends()], Ok(Some(end)), 1),
            ("it ends already", vec![ends()], Ok(Some(end)), 0),
            ("another was faster", vec![goes_on(), already(), ends()], Ok(Some(end)), 1),
            ("the answer was lost", vec![goes_on(), lost(), already(), ends()], Ok(Some(end)), 2),
            ("refused", vec![goes_on(), already(), goes_on()], Err(refused()), 1),
            ("inactive", vec![goes_on(), refuses(403, "InactiveSubscription"), goes_on()], Err(refused()), 1),
            ("over", vec![over()], Err(ProviderError::ToldBuyer("This subscription is already over.".into())), 0),
            ("failing", vec![goes_on(), lost()], Err(ProviderError::Unavailable("status 502 Bad Gateway".into())), 3),
            (
                "the token may not",
                vec![goes_on(), refuses(403, "NotPermitted")],
                Err(ProviderError::Right("Not this time".into())),
                1,
            ),
        ];
        for (what, answers, expected, count) in cases {
            let (played, client) = Played::with(answers).await;
            assert_eq!(client.end_with_period("s-1").await, expected, "{what}");
            let change = r#"PATCH /v1/subscriptions/s-1 {"cancel_at_period_end":true}"#.to_owned();
            assert_eq!(played.sent(), vec![change; count], "{what}");
        }
    }

    #[tokio::test]
    async fn an_end_is_taken_back_once_and_found_if_the_answer_was_lost() {
        let nothing = || refuses(400, "BadRequest");
        let cases = [
            ("it ends", vec![ends(), goes_on()], Ok(Kept::Yes), 1),
            ("it goes on already", vec![goes_on()], Ok(Kept::WasNotEnding), 0),
            ("the answer was lost", vec![ends(), lost(), nothing(), goes_on()], Ok(Kept::Yes), 2),
            ("refused", vec![ends(), nothing(), ends()], Err(refused()), 1),
            (
                "it has ended meanwhile",
                vec![ends(), refuses(410, "ResourceUnavailable"), over()],
                Err(ProviderError::ToldBuyer("This subscription is already over.".into())),
                1,
            ),
        ];
        for (what, answers, expected, count) in cases {
            let (played, client) = Played::with(answers).await;
            assert_eq!(client.keep("s-1").await, expected, "{what}");
            let change = r#"PATCH /v1/subscriptions/s-1 {"cancel_at_period_end":false}"#.to_owned();
            assert_eq!(played.sent(), vec![change; count], "{what}");
        }
    }

    #[tokio::test]
    async fn a_pause_ends_once_and_is_found_to_be_over_if_the_answer_was_lost() {
        let paused = || Answer::Is(200, json!({ "status": "paused", "current_period_end": END }));
        let unpaid = ProviderError::ToldBuyer("The payment failed. Update how it is paid, and try again.".into());
        let over = ProviderError::ToldBuyer("This subscription is already over.".into());
        let cases = [
            ("it is paused", vec![paused(), goes_on()], Ok(Kept::Yes), 1),
            ("it goes on already", vec![goes_on()], Ok(Kept::Yes), 0),
            ("the answer was lost", vec![paused(), lost(), refuses(400, "BadRequest"), goes_on()], Ok(Kept::Yes), 2),
            ("refused", vec![paused(), refuses(400, "BadRequest"), paused()], Err(refused()), 1),
            ("the card is declined", vec![paused(), refuses(402, "PaymentFailed")], Err(unpaid), 1),
            ("over", vec![self::over()], Err(over), 0),
        ];
        for (what, answers, expected, count) in cases {
            let (played, client) = Played::with(answers).await;
            assert_eq!(client.resume("s-1").await, expected, "{what}");
            let change = r#"PATCH /v1/subscriptions/s-1 {"resume":true}"#.to_owned();
            assert_eq!(played.sent(), vec![change; count], "{what}");
        }
    }

    #[tokio::test]
    async fn an_id_cannot_lead_to_another_path_and_what_is_missing_is_said() {
        let (played, client) = Played::with(vec![refuses(404, "ResourceNotFound")]).await;
        assert!(matches!(client.end_with_period("../customers/c-1").await, Err(ProviderError::Refused(_))));
        assert!(matches!(client.keep("s-1").await, Err(ProviderError::Missing(_))));
        let (_, odd) = Played::with(vec![Answer::Is(200, json!({ "status": 7 }))]).await;
        assert!(matches!(odd.end_with_period("s-1").await, Err(ProviderError::Unusable(_))));
        assert!(played.sent().is_empty());
    }
}
