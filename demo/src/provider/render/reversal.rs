//! Money that goes back: refunds and disputes. Neither names a customer, but for refunds in the newest shape.

use chrono::Duration;
use serde_json::{Value, json};

use super::View;
use crate::provider::books::model::{Dispute, DisputeStatus, Refund, RefundStatus};
use crate::provider::settings::Shape;

/// Days that a seller has to answer a dispute.
const EVIDENCE_DAYS: i64 = 7;

pub fn refund(refund: &Refund, view: &View) -> Value {
    let mut object = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created.timestamp(),
        "currency": refund.currency,
        "metadata": {},
        "payment_intent": refund.payment_intent,
        "reason": "requested_by_customer",
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": refund.status.name(),
        "transfer_reversal": null,
    });
    if view.shape >= Shape::Endive {
        object["customer"] = json!(refund.customer);
        object["customer_account"] = Value::Null;
        object["payment_method"] = Value::Null;
    }
    if refund.status == RefundStatus::Failed {
        object["failure_reason"] = json!("expired_or_canceled_card");
    }
    object
}

/// A dispute names only a charge and a payment intent (<https://docs.stripe.com/api/disputes/object>).
pub fn dispute(dispute: &Dispute, view: &View) -> Value {
    let due_by = dispute.created + Duration::days(EVIDENCE_DAYS);
    let needs_answer = matches!(dispute.status, DisputeStatus::NeedsResponse | DisputeStatus::WarningNeedsResponse);
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [],
        "charge": dispute.charge,
        "created": dispute.created.timestamp(),
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": { "enhanced_evidence": {} },
        "evidence_details": {
            "due_by": needs_answer.then(|| due_by.timestamp()),
            "enhanced_eligibility": {},
            "has_evidence": !needs_answer,
            "past_due": false,
            "submission_count": u32::from(!needs_answer),
        },
        "is_charge_refundable": dispute.status.is_warning() && !dispute.status.is_closed(),
        "livemode": view.livemode,
        "metadata": {},
        "payment_intent": dispute.payment_intent,
        "reason": if dispute.status.is_warning() { "general" } else { "fraudulent" },
        "status": dispute.status.name(),
    })
}
