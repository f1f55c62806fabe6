//! The texts that a buyer agrees to on the hosted pricing page, by the id that a price in the catalog names.
//!
//! A text never changes under its id: what an account agreed to must stay readable. A new wording gets a new id.

/// Regulation 36 of the Consumer Contracts Regulations 2013: access may begin within the 14 days in which a buyer can
/// withdraw only at the buyer's express request, and with the acknowledgement that the right to withdraw is then lost.
const MONTHLY_WAIVER_1: &str = "I want access to begin at once. I agree that I thereby lose my right to withdraw from \
                                this purchase within 14 days.";

/// The text of that id; one that is not known here cannot be agreed to on the hosted page.
#[must_use]
pub fn text(id: &str) -> Option<&'static str> {
    match id {
        "monthly-waiver-1" => Some(MONTHLY_WAIVER_1),
        _ => None,
    }
}
