//! Invoices, charges, refunds and disputes, in every shape.

use entitlement::event::{Fact, Object};
use entitlement::payment::{Dispute, DisputeState, Invoice, Payment, Refund, RefundState};
use serde_json::{Value, json};

use super::{CREATED, at, read, with};

/// An invoice in the shape of 2020 and in that of basil.
fn invoices() -> [Value; 2] {
    let common = json!({
        "id": "in_1", "customer": "cus_1", "billing_reason": "subscription_cycle", "created": CREATED + 7,
        "amount_paid": 700, "attempt_count": 2, "period_start": CREATED - 3000, "period_end": CREATED - 100,
    });
    let line = |proration: bool| json!({ "period": { "start": CREATED - 100, "end": CREATED + 1000 }, "proration": proration });
    let old = json!({
        "subscription": "sub_1", "charge": "ch_1", "payment_intent": "pi_1",
        "lines": { "data": [with(line(true), json!({ "period": { "start": CREATED + 5 } })), line(false)] },
    });
    let basil_line = with(
        line(false),
        json!({ "proration": null, "parent": { "subscription_item_details": { "proration": false } } }),
    );
    let basil = json!({
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": "sub_1" } },
        "payments": { "data": [{ "id": "inpay_1", "payment": { "type": "payment_intent", "payment_intent": "pi_1" } }] },
        "lines": { "data": [basil_line] },
    });
    [with(common.clone(), old), with(common, basil)]
}

#[test]
fn an_invoice_names_its_subscription_its_period_and_its_payment_in_every_shape() {
    let expected = Invoice {
        id: "in_1".into(),
        subscription: "sub_1".into(),
        customer: "cus_1".into(),
        renews: true,
        covers_from: at(-100),
        paid: 700,
        attempts: 2,
        failed_at: None,
    };
    for invoice in invoices() {
        let told = read("invoice.paid", &invoice);
        let Ok([Fact::Payment(payment), Fact::Invoice(seen)]) = <[Fact; 2]>::try_from(told.facts) else {
            panic!("a payment and an invoice")
        };
        assert_eq!(seen, expected);
        assert_eq!((payment.id.as_str(), payment.invoice.as_deref()), ("pi_1", Some("in_1")));
        assert_eq!(told.objects, [Object::Subscription("sub_1".into())]);
    }
    let [old, _] = invoices();
    let failed = read("invoice.payment_failed", &old);
    let failed_at = failed.facts.iter().find_map(|fact| match fact {
        Fact::Invoice(invoice) => invoice.failed_at,
        _ => None,
    });
    assert_eq!(failed_at, Some(at(0)));
    let change = read("invoice.paid", &with(old.clone(), json!({ "billing_reason": "subscription_update" })));
    assert!(change.facts.iter().any(|fact| matches!(fact, Fact::Invoice(invoice) if !invoice.renews)));
    let one_off =
        read("invoice.paid", &with(old, json!({ "subscription": null, "charge": null, "payment_intent": null })));
    assert!(one_off.is_nothing(), "{one_off:?}");
}

#[test]
fn money_that_goes_back_is_told_of_a_payment_and_never_of_a_customer_alone() {
    let charge = json!({
        "id": "ch_1", "customer": "cus_1", "payment_intent": "pi_1", "invoice": "in_1", "amount": 700,
        "amount_captured": 700, "amount_refunded": 200, "created": CREATED - 50,
        "refunds": { "data": [{ "id": "re_1", "amount": 200, "status": "succeeded", "charge": "ch_1", "created": CREATED }] },
    });
    let refund =
        |state| Fact::Refund(Refund { id: "re_1".into(), payment: "pi_1".into(), amount: 200, state, at: at(0) });
    let payment = Payment {
        id: "pi_1".into(),
        customer: Some("cus_1".into()),
        invoice: Some("in_1".into()),
        amount: 700,
        made_at: Some(at(-50)),
        refunded: 200,
        refunded_at: Some(at(0)),
    };
    let told = read("charge.refunded", &charge);
    assert_eq!(told.facts, [refund(RefundState::Made), Fact::Payment(payment)]);
    for (status, state) in
        [("pending", RefundState::Pending), ("succeeded", RefundState::Made), ("failed", RefundState::Failed)]
    {
        let object = json!({
            "id": "re_1", "amount": 200, "status": status, "charge": "ch_1", "payment_intent": "pi_1", "created": CREATED,
        });
        assert_eq!(read("refund.updated", &object).facts, [refund(state)], "{status}");
    }
    for (status, state) in [
        ("warning_needs_response", DisputeState::Inquiry),
        ("warning_closed", DisputeState::Inquiry),
        ("needs_response", DisputeState::Open),
        ("under_review", DisputeState::Open),
        ("won", DisputeState::Won),
        ("lost", DisputeState::Lost),
        ("a_status_of_tomorrow", DisputeState::Inquiry),
    ] {
        let object =
            json!({ "id": "du_1", "charge": "ch_1", "payment_intent": "pi_1", "status": status, "created": CREATED });
        let dispute = Dispute { id: "du_1".into(), payment: "pi_1".into(), state, opened_at: at(0), as_of: at(0) };
        assert_eq!(read("charge.dispute.updated", &object).facts, [Fact::Dispute(dispute)], "{status}");
    }
    let linking = json!({ "id": "inpay_1", "invoice": "in_1", "payment": { "payment_intent": "pi_1" } });
    let told = read("invoice_payment.paid", &linking);
    assert!(matches!(told.facts.as_slice(), [Fact::Payment(payment)] if payment.invoice.as_deref() == Some("in_1")));
}
