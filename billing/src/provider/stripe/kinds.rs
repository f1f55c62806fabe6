//! The types of events that Tollgate reads: the one list from which the README, `check --online`, the comparison with Stripe's own
//! list, and the labels of metrics come.

/// What the endpoint has to be told of. Everything that Tollgate knows of a subscription and its money comes with these.
pub const NEEDED: [&str; 28] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "invoice_payment.paid",
    "refund.created",
    "refund.failed",
    "refund.updated",
];

/// What is read when an endpoint is told of it, and tells nothing that [`NEEDED`] does not.
pub const ALSO_READ: [&str; 6] = [
    "charge.captured",
    "charge.refund.updated",
    "charge.updated",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.payment_succeeded",
];

/// The label of every type that has none of its own.
const OTHER: &str = "other";

/// An event's type as a metric label: senders do not decide how many labels there are.
#[must_use]
pub fn kind_label(kind: &str) -> &'static str {
    NEEDED.into_iter().chain(ALSO_READ).find(|known| *known == kind).unwrap_or(OTHER)
}

/// Whether Tollgate reads events of this type.
#[must_use]
pub fn is_read(kind: &str) -> bool {
    kind_label(kind) != OTHER
}

/// Whether something would be missing without events of this type.
#[must_use]
pub fn is_needed(kind: &str) -> bool {
    NEEDED.contains(&kind)
}

#[cfg(test)]
mod tests {
    use entitlement::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::stripe::{Reader, interpret};

    fn object(kind: &str) -> Value {
        match kind.split('.').next().unwrap_or_default() {
            "checkout" => {
                json!({ "id": "cs_1", "customer": "cus_1", "subscription": "sub_1", "client_reference_id": "a" })
            }
            "invoice" => json!({
                "id": "in_1", "customer": "cus_1", "created": 1, "amount_paid": 700, "attempt_count": 1,
                "billing_reason": "subscription_cycle", "parent": { "subscription_details": { "subscription": "sub_1" } },
                "lines": { "data": [{ "period": { "start": 1 } }] },
            }),
            "invoice_payment" => json!({
                "id": "inpay_1", "invoice": "in_1", "status": "paid", "amount_paid": 700,
                "payment": { "type": "payment_intent", "payment_intent": "pi_1" },
            }),
            "customer" if kind.starts_with("customer.subscription.") => json!({
                "id": "sub_1", "customer": "cus_1", "status": "active", "created": 1, "start_date": 1,
                "items": { "data": [{ "id": "si_1", "price": { "id": "price_1" }, "current_period_end": 99 }] },
            }),
            "customer" => json!({ "id": "cus_1", "metadata": { "account": "a" } }),
            "charge" if kind.starts_with("charge.dispute.") => json!({
                "id": "dp_1", "charge": "ch_1", "payment_intent": "pi_1", "status": "lost", "amount": 700, "created": 1,
            }),
            "charge" if kind != "charge.refund.updated" => json!({
                "id": "ch_1", "customer": "cus_1", "payment_intent": "pi_1", "amount": 700, "amount_captured": 700,
                "amount_refunded": 700, "created": 1, "paid": true, "captured": true, "status": "succeeded",
            }),
            _ => {
                json!({ "id": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 1, "status": "succeeded", "created": 1 })
            }
        }
    }

    fn is_acted_on(kind: &str, object: &Value) -> bool {
        let event = json!({ "id": "evt_1", "type": kind, "created": 5, "data": { "object": object } });
        let reader = Reader { metadata_key: "account", account: None };
        let read = interpret(event.to_string().as_bytes(), Timestamp::UNIX_EPOCH, reader);
        read.is_ok_and(|event| !event.is_nothing())
    }

    #[test]
    fn what_is_listed_is_acted_on_and_nothing_else() {
        for kind in NEEDED.into_iter().chain(ALSO_READ) {
            assert!(is_acted_on(kind, &object(kind)), "{kind}");
        }
        // Of each family, what is not listed.
        for kind in
            ["checkout.session.expired", "invoice.created", "customer.source.created", "charge.failed", "made.up"]
        {
            assert!(!is_acted_on(kind, &object(kind)), "{kind}");
            assert_eq!(kind_label(kind), "other");
        }
        assert_eq!(kind_label("customer.subscription.updated"), "customer.subscription.updated");
    }

    #[test]
    fn each_is_listed_once() {
        let mut all: Vec<&str> = NEEDED.into_iter().chain(ALSO_READ).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), NEEDED.len() + ALSO_READ.len());
    }
}
