//! The types of events that Tollgate reads (<https://polar.sh/docs/integrate/webhooks/events>): the one list from which the README
//! and the labels of metrics come.

/// What the endpoint has to be told of.
pub const NEEDED: [&str; 20] = [
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
    NEEDED.into_iter().find(|known| *known == kind).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded() {
        assert_eq!(kind_label("subscription.revoked"), "subscription.revoked");
        assert_eq!(kind_label("made.up"), "other");
    }
}
