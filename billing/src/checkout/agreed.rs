//! The consent of a buyer: the text that was shown, and not another one that has taken its place under the same id.

use http::StatusCode;
use sha2::{Digest, Sha256};

use super::Order;
use super::choose::Choice;
use crate::pages::Pages;
use crate::problem::Problem;

/// By what a wording is known: the first half of its SHA-256.
#[must_use]
pub fn digest(wording: &str) -> String {
    hex::encode(&Sha256::digest(wording.as_bytes())[..16])
}

/// The text that the choice asks for, by its wording; `None` where it asks for none, or the pages do not have it.
#[must_use]
pub fn wording<'a>(pages: &'a Pages, choice: &Choice<'_>) -> Option<&'a str> {
    pages.consent(choice.price.consent.as_deref()?)
}

/// That the text is still the one that the buyer saw, where the order says which.
///
/// # Errors
/// 409 when it is another one by now.
pub fn refuse_changed(pages: &Pages, choice: &Choice<'_>, order: &Order) -> Result<(), Problem> {
    let (Some(wording), Some(seen)) = (wording(pages, choice), &order.consent_digest) else { return Ok(()) };
    if *seen == digest(wording) {
        return Ok(());
    }
    let id = choice.price.consent.as_deref().unwrap_or_default();
    let detail = format!(
        "The text `{id}` is another one than the buyer saw: show it again, and send its `consent_digest` when the buyer has agreed to it."
    );
    Err(Problem::new(StatusCode::CONFLICT, "consent_changed", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_wording_is_another_digest() {
        assert_eq!(digest("I agree."), digest("I agree."));
        assert_ne!(digest("I agree."), digest("I agree"));
        assert_eq!(digest("").len(), 32);
    }
}
