//! What can go wrong when Stripe is asked, by what the caller does about it.

use stripe::{ApiErrorsCode, StripeError};

/// Longest message of the provider that is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why the provider did not do what it was asked. No variant holds a key or a payment detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The customer was deleted, or belongs to the other mode (test or live): make a new one.
    #[error("the payment provider does not know the customer")]
    UnknownCustomer,
    /// The request is refused, in the provider's words for the buyer.
    #[error("the payment provider refused: {0}")]
    Refused(String),
    /// The key is not accepted, or may not do this: the operator must act.
    #[error("the payment provider does not accept the API key (status {0})")]
    Key(u16),
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

impl ProviderError {
    pub(super) fn too_slow() -> Self {
        Self::Unavailable("no answer in time".into())
    }

    pub(super) fn from_stripe(error: StripeError) -> Self {
        match error {
            StripeError::Stripe(error, status) => {
                let unknown = error.code == Some(ApiErrorsCode::ResourceMissing);
                match status {
                    401 | 403 => Self::Key(status),
                    // 409: an equal call is still in progress, or another one holds the object's lock.
                    409 | 424 | 429 | 500.. => Self::Unavailable(format!("status {status}")),
                    _ if unknown && error.param.as_deref() == Some("customer") => Self::UnknownCustomer,
                    _ => Self::Refused(shortened(error.message.as_deref())),
                }
            }
            // The library reports an error page that is not Stripe's (a proxy's 502) as one that cannot be read.
            StripeError::JSONDeserialize(what) => Self::Unusable(what),
            StripeError::ClientError(what) => Self::Unavailable(what),
            StripeError::ConfigError(what) => Self::Settings(what),
            StripeError::Timeout => Self::too_slow(),
        }
    }

    /// What the buyer is told.
    #[must_use]
    pub fn for_buyer(&self) -> String {
        match self {
            Self::Refused(message) => message.clone(),
            Self::UnknownCustomer => "The payment provider does not know this customer any more.".into(),
            Self::Unavailable(_) => "The payment provider cannot be reached right now. Try again shortly.".into(),
            Self::Key(_) | Self::Unusable(_) | Self::Settings(_) => {
                "The payment provider could not be asked. The operator of this site has to look into it.".into()
            }
        }
    }
}

fn shortened(message: Option<&str>) -> String {
    let message = message.unwrap_or("The payment provider refused without a reason.");
    message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect()
}
