//! Polar, as it speaks to us. Pure, but for `api`: bytes and moments in, our words out.

pub mod signature;
mod payload;
mod envelope;
mod interpret;
mod subscription;
mod money;
pub mod api;
#[cfg(test)]
mod tests;

pub use envelope::{Envelope, read_envelope};
pub use interpret::interpret;

/// The types that Tollgate acts on, and those that are counted by name though it does not
/// (<https://polar.sh/docs/integrate/webhooks/events>).
const KNOWN_KINDS: [&str; 23] = [
    "checkout.created",
    "checkout.expired",
    "checkout.updated",
    "customer.created",
    "customer.deleted",
    "customer.state_changed",
    "customer.updated",
    "order.created",
    "order.paid",
    "order.refunded",
    "order.updated",
    "refund.created",
    "refund.updated",
    "subscription.active",
    "subscription.canceled",
    "subscription.created",
    "subscription.cycled",
    "subscription.past_due",
    "subscription.paused",
    "subscription.resumed",
    "subscription.revoked",
    "subscription.uncanceled",
    "subscription.updated",
];

/// An event's type as a metric label: senders do not decide how many labels there are.
#[must_use]
pub fn kind_label(kind: &str) -> &'static str {
    KNOWN_KINDS.into_iter().find(|known| *known == kind).unwrap_or("other")
}

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn labels_are_bounded() {
        assert_eq!(kind_label("subscription.revoked"), "subscription.revoked");
        assert_eq!(kind_label("made.up"), "other");
    }
}
