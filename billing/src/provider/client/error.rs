//! What can go wrong when Stripe is asked, by what the caller does about it.

use cache::Sparing;
use http::StatusCode;
use miniserde::Deserialize;

use crate::problem::Problem;
use crate::{caller, metrics};

/// Longest message of the provider that is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why the provider did not do what it was asked. No variant holds a key or a payment detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The customer was deleted, or belongs to the other mode (test or live): make a new one.
    #[error("the payment provider does not know the customer")]
    UnknownCustomer,
    /// There is no such object, in the provider's words for its operator.
    #[error("the payment provider has no such object: {0}")]
    Missing(String),
    /// The request is refused, in the provider's words for its operator.
    #[error("the payment provider refused: {0}")]
    Refused(String),
    /// The request is refused, in a sentence for the buyer, as of a card that was declined.
    #[error("the payment provider refused: {0}")]
    ToldBuyer(String),
    /// The key is not accepted: the operator must act.
    #[error("the payment provider does not accept the API key (status 401)")]
    Key,
    /// The key may not do this, in the provider's words, which name the right: the operator must act.
    #[error("the API key lacks a right: {0}")]
    Right(String),
    /// Not reachable, overloaded or failing: it may work later.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// There was an answer, but not one that can be used.
    #[error("the payment provider's answer cannot be used: {0}")]
    Unusable(String),
    /// The configured key or URL cannot be used at all.
    #[error("the payment provider cannot be called as configured: {0}")]
    Settings(String),
}

/// An answer of Stripe's that is no success, as far as anything is decided by it (<https://docs.stripe.com/api/errors>).
#[derive(Deserialize)]
struct Answer {
    error: Fault,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    message: Option<String>,
}

impl ProviderError {
    pub(crate) fn too_slow() -> Self {
        Self::Unavailable("no answer in time".into())
    }

    /// A right that is missing, in the provider's words, cut to what can be shown.
    pub(in crate::provider) fn right(message: &str) -> Self {
        Self::Right(shortened(Some(message)))
    }

    /// A refusal in the provider's words, cut to what can be shown.
    pub(in crate::provider) fn refused(message: &str) -> Self {
        Self::Refused(shortened(Some(message)))
    }

    /// The meaning of an answer of Stripe that is no success.
    pub(super) fn of_answer(status: u16, body: &[u8]) -> Self {
        let read = std::str::from_utf8(body).ok().and_then(|text| miniserde::json::from_str(text).ok());
        // Another's error page, such as a proxy's 502.
        let Some(Answer { error }) = read else {
            return Self::Unusable(format!("status {status} without an error of Stripe's"));
        };
        let is_missing = error.code.as_deref() == Some("resource_missing");
        match status {
            401 => Self::Key,
            403 => Self::Right(shortened(error.message.as_deref())),
            // 409: an equal call is still in progress, or another one holds the object's lock.
            409 | 424 | 429 | 500.. => Self::Unavailable(format!("status {status}")),
            _ if is_missing && error.param.as_deref() == Some("customer") => Self::UnknownCustomer,
            404 if is_missing => Self::Missing(shortened(error.message.as_deref())),
            // The one type whose message Stripe writes for buyers (https://docs.stripe.com/error-handling).
            _ if error.kind.as_deref() == Some("card_error") => Self::ToldBuyer(shortened(error.message.as_deref())),
            _ => Self::Refused(shortened(error.message.as_deref())),
        }
    }

    /// The stable code of the answer to the buyer.
    const fn code(&self) -> &'static str {
        match self {
            // Nothing has changed, and the same request may work in a moment: an answer that cannot be read is the error
            // page of something in between more often than not.
            Self::Unavailable(_) | Self::Unusable(_) => "provider_unavailable",
            Self::ToldBuyer(_) => "provider_error",
            Self::Refused(_)
            | Self::Missing(_)
            | Self::UnknownCustomer
            | Self::Key
            | Self::Right(_)
            | Self::Settings(_) => "provider_error",
        }
    }

    /// What the buyer is told, and whether the operator has to look for the cause.
    fn for_buyer(&self) -> (&str, Cause) {
        match self {
            Self::ToldBuyer(message) => (message, Cause::Buyer),
            Self::Unavailable(_) | Self::Unusable(_) => {
                ("The payment provider cannot be reached right now. Try again shortly.", Cause::Passing)
            }
            Self::UnknownCustomer
            | Self::Refused(_)
            | Self::Missing(_)
            | Self::Key
            | Self::Right(_)
            | Self::Settings(_) => (
                "The payment provider refused this. The operator of this site can look up why by the reference.",
                Cause::Operator,
            ),
        }
    }
}

/// Whose it is to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Buyer,
    Operator,
    /// It may work in a moment.
    Passing,
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        let (told, cause) = error.for_buyer();
        let problem = Self::new(StatusCode::BAD_GATEWAY, error.code(), told).because(&error);
        let (account, reference) = (caller::account(), format!("{:08x}", rand::random::<u32>()));
        match cause {
            Cause::Buyer => {
                tracing::info!(account, reason = %error, "the payment provider refused a buyer");
                return problem;
            }
            // No buyer asks: an operator, or the application, who read the cause themselves.
            Cause::Passing | Cause::Operator if account.is_empty() => {
                tracing::info!(reference, reason = %error, "the payment provider did not do what was asked for an account");
            }
            Cause::Passing => tell(
                &error,
                &reference,
                "the payment provider did not answer what a buyer asked for: it may work in a moment",
            ),
            Cause::Operator => {
                metrics::count_refused_sale();
                tell(
                    &error,
                    &reference,
                    "the payment provider refuses what a buyer asked for: `reason` is its own word, and until it is mended nobody buys this",
                );
            }
        }
        problem.reference(reference)
    }
}

/// Tells a fault that many buyers may meet: each can be found by the reference that the buyer has, and one a minute is a warning.
fn tell(error: &ProviderError, reference: &str, event: &'static str) {
    static TOLD: Sparing = Sparing::new();
    let account = caller::account();
    match TOLD.tells(error) {
        Some(untold) => tracing::warn!(account, reference, reason = %error, untold, "{event}"),
        None => tracing::info!(account, reference, reason = %error, "{event}"),
    }
}

fn shortened(message: Option<&str>) -> String {
    let message = message.unwrap_or("The payment provider refused without a reason.");
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_answer(status: u16, error: &str) -> ProviderError {
        ProviderError::of_answer(status, format!(r#"{{"error": {error}}}"#).as_bytes())
    }

    #[test]
    fn each_answer_leads_to_what_the_caller_does() {
        let gone = r#"{"type": "invalid_request_error", "code": "resource_missing", "param": "customer", "message": "No such customer: 'cus_1'"}"#;
        let no_price = r#"{"type": "invalid_request_error", "code": "resource_missing", "param": "line_items[0][price]", "message": "No such price"}"#;
        let no_object = r#"{"type": "invalid_request_error", "code": "resource_missing", "param": "id", "message": "No such subscription"}"#;
        let key = r#"{"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_***1234"}"#;
        let right = r#"{"type": "invalid_request_error", "code": "more_permissions_required", "message": "Having the 'rak_plan_read' permission would allow this."}"#;
        let busy = r#"{"type": "api_error", "message": "internal"}"#;
        let new_code = r#"{"type": "card_error", "code": "a_code_of_tomorrow", "message": "Your card was\ndeclined."}"#;
        let cases = [
            (400, gone, ProviderError::UnknownCustomer),
            (404, gone, ProviderError::UnknownCustomer),
            (400, no_price, ProviderError::Refused("No such price".into())),
            (404, no_object, ProviderError::Missing("No such subscription".into())),
            (401, key, ProviderError::Key),
            (403, right, ProviderError::Right("Having the 'rak_plan_read' permission would allow this.".into())),
            (409, busy, ProviderError::Unavailable("status 409".into())),
            (429, busy, ProviderError::Unavailable("status 429".into())),
            (503, busy, ProviderError::Unavailable("status 503".into())),
            (402, new_code, ProviderError::ToldBuyer("Your card was declined.".into())),
        ];
        for (status, answer, expected) in cases {
            assert_eq!(from_answer(status, answer), expected, "{status} {answer}");
        }
        for page in ["", "<html>", "{}", r#"{"error": "no"}"#, "\u{fffd}"] {
            assert!(matches!(ProviderError::of_answer(502, page.as_bytes()), ProviderError::Unusable(_)), "{page}");
        }
    }

    #[test]
    fn b13_only_what_is_written_for_buyers_is_told_in_the_providers_words() {
        let declined = Problem::from(ProviderError::ToldBuyer("Your card was declined.".into()));
        assert_eq!((declined.detail(), declined.told_reference()), ("Your card was declined.", None));
        for hidden in [
            ProviderError::Refused("No such price: secret".into()),
            ProviderError::Missing("secret".into()),
            ProviderError::Right("secret".into()),
            ProviderError::Unavailable("status 503 secret".into()),
            ProviderError::Unusable("secret".into()),
            ProviderError::Settings("secret".into()),
        ] {
            let problem = Problem::from(hidden);
            assert!(!problem.detail().contains("secret"), "{problem:?}");
            assert!(problem.told_reference().is_some(), "{problem:?}");
        }
        let refused = Problem::from(ProviderError::Refused("No such price: price_1".into())).for_operator();
        assert!(refused.starts_with("the payment provider refused: No such price: price_1 (reference "), "{refused}");
        let long = format!(r#"{{"type": "card_error", "message": "{}"}}"#, "x".repeat(5_000));
        assert_eq!(from_answer(402, &long).for_buyer().0.len(), MESSAGE_CHARS_MAX);
    }
}
