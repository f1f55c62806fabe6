//! Stripe, as it speaks to us. Pure: bytes and moments in, our words out.

pub mod signature;
mod payload;
mod envelope;
mod interpret;
mod money;
pub mod object;
mod subscription;
#[cfg(test)]
mod tests;

pub use envelope::{Envelope, read_envelope};
pub use interpret::{Reader, interpret};

/// The types that Tollgate acts on, and those that are counted by name though it does not.
const KNOWN_KINDS: [&str; 35] = [
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.voided",
    "invoice_payment.paid",
    "refund.created",
    "refund.failed",
    "refund.updated",
];

/// The label of every type that has none of its own.
pub const OTHER: &str = "other";

/// An event's type as a metric label: senders do not decide how many labels there are.
#[must_use]
pub fn kind_label(kind: &str) -> &'static str {
    KNOWN_KINDS.into_iter().find(|known| *known == kind).unwrap_or(OTHER)
}

/// Whether a key belongs to live mode (`sk_live_…`, `rk_live_…`) or to test mode; `None` when it does not say.
#[must_use]
pub fn livemode_of_key(key: &str) -> Option<bool> {
    let (_, mode) = key.split_once('_')?;
    match mode {
        mode if mode.starts_with("live_") => Some(true),
        mode if mode.starts_with("test_") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn labels_are_bounded_and_keys_tell_their_mode() {
        assert_eq!(kind_label("customer.subscription.updated"), "customer.subscription.updated");
        assert_eq!(kind_label("made.up"), "other");
        for (key, expected) in [
            ("sk_live_x", Some(true)),
            ("rk_live_x", Some(true)),
            ("sk_test_x", Some(false)),
            ("rk_test_x", Some(false)),
            ("simulated", None),
            ("sk_other", None),
        ] {
            assert_eq!(livemode_of_key(key), expected, "{key}");
        }
    }
}
