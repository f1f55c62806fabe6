//! Whether a provider goes on to accept the key: each answer says so, whatever was asked.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client::ProviderError;

/// After how long without an answer it is asked whether the key is still accepted.
const QUIET_MAX: Duration = Duration::from_secs(300);

/// The last word on the key. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    /// When it was heard, or asked without an answer.
    at: Option<Instant>,
    is_refused: bool,
}

impl Heard {
    /// Notes what an answer says of the key. A call without an answer says nothing, and a right that is missing for one call is none of
    /// the key as a whole.
    pub fn note<T>(&self, answer: &Result<T, ProviderError>) {
        let is_refused = match answer {
            Err(ProviderError::Key) => true,
            Ok(_)
            | Err(
                ProviderError::Right(_)
                | ProviderError::UnknownCustomer
                | ProviderError::Missing(_)
                | ProviderError::Refused(_)
                | ProviderError::ToldBuyer(_),
            ) => false,
            Err(ProviderError::Unavailable(_) | ProviderError::Unusable(_) | ProviderError::Settings(_)) => return,
        };
        *self.0.lock() = Last { at: Some(Instant::now()), is_refused };
    }

    /// That the provider refused the key when it last answered.
    pub fn refusal(&self) -> Option<ProviderError> {
        self.0.lock().is_refused.then_some(ProviderError::Key)
    }

    /// Whether nothing was heard for long, so that it is to be asked: true once, until that time is over again.
    pub fn is_due(&self) -> bool {
        let mut last = self.0.lock();
        let is_due = last.at.is_none_or(|at| at.elapsed() > QUIET_MAX);
        if is_due {
            last.at = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn b17_a_key_is_refused_from_the_answer_that_refuses_it_to_the_one_that_does_not() {
        let heard = Heard::default();
        assert!(heard.is_due() && heard.refusal().is_none());
        assert!(!heard.is_due(), "it has been asked");
        let is_refused = |answer: Result<(), ProviderError>| {
            heard.note(&answer);
            heard.refusal().is_some()
        };
        assert!(!is_refused(Ok(())) && !heard.is_due());
        assert!(is_refused(Err(ProviderError::Key)));
        assert!(is_refused(Err(ProviderError::Unavailable("away".into()))), "that says nothing of the key");
        assert!(!is_refused(Err(ProviderError::Right("x".into()))), "a right is missing, and the key is known");
        assert!(is_refused(Err(ProviderError::Key)) && !is_refused(Err(ProviderError::Missing("x".into()))));
        tokio::time::advance(QUIET_MAX + Duration::from_secs(1)).await;
        assert!(heard.is_due());
    }
}
