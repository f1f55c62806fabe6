//! Orders, refunds and disputes.

use chrono::TimeDelta;
use entitlement::event::{Fact, Object};
use entitlement::payment::{Dispute, DisputeState, Invoice, Part, Payment, Refund, RefundState, Returned};
use entitlement::subscription::{Access, Grace, Policy, Subscription};
use serde_json::{Value, json};

use super::{at, customer, facts, read, subscription, told, try_read, with};

/// 7.00 and 1.40 of taxes, for the period that began 100 seconds ago, paid a second before the event was made.
fn order() -> Value {
    json!({
        "id": "o-1", "customer_id": "c-1", "subscription_id": "s-1", "product_id": "p-paid", "customer": customer(),
        "status": "paid", "paid": true, "billing_reason": "subscription_cycle",
        "created_at": told(-98), "modified_at": told(-1), "next_payment_attempt_at": null,
        "net_amount": 700, "tax_amount": 140, "total_amount": 840, "applied_balance_amount": 0, "due_amount": 840,
        "refunded_amount": 0, "refunded_tax_amount": 0, "subscription": subscription(), "metadata": {},
    })
}

fn invoice(fields: &Value) -> Invoice {
    match facts("order.updated", &with(&order(), fields)).into_iter().next() {
        Some(Fact::Invoice(invoice)) => invoice,
        other => panic!("{other:?}"),
    }
}

fn payment(fields: &Value) -> Option<Payment> {
    facts("order.updated", &with(&order(), fields)).into_iter().find_map(|fact| match fact {
        Fact::Payment(payment) => Some(payment),
        _ => None,
    })
}

#[test]
fn an_order_is_a_bill_and_its_payment() {
    let event = read("order.paid", &order());
    let invoice = Invoice {
        id: "o-1".into(),
        subscription: "s-1".into(),
        customer: "c-1".into(),
        renews: true,
        covers_from: at(-100),
        paid: 840,
        balance: 0,
        currency: None,
        settled: true,
        lines: Vec::new(),
        attempts: 1,
        failed_at: None,
        needs_action: false,
        written_off_at: None,
        voided: false,
    };
    let payment = Payment {
        id: "o-1".into(),
        customer: Some("c-1".into()),
        invoice: Some("o-1".into()),
        amount: 840,
        currency: None,
        made_at: Some(at(-98)),
        refunded: 0,
        refunded_at: None,
    };
    assert_eq!(event.facts, [Fact::Invoice(invoice), Fact::Payment(payment)]);
    assert_eq!(event.objects, [Object::Subscription("s-1".into())]);
    assert!(event.claim.is_some() && event.customer.as_deref() == Some("c-1"));
    for kind in ["order.created", "order.updated", "order.refunded"] {
        assert_eq!(facts(kind, &order()), event.facts, "{kind}: the status decides");
    }
}

#[test]
fn only_what_was_paid_is_a_payment() {
    let pending = json!({ "status": "pending" });
    assert_eq!((invoice(&pending).paid, invoice(&pending).attempts, payment(&pending)), (0, 0, None));
    let failing = invoice(&json!({ "status": "pending", "next_payment_attempt_at": told(9000) }));
    assert_eq!((failing.paid, failing.attempts, failing.failed_at), (0, 1, Some(at(-1))));
    for (balance, paid) in [(-840, 0), (-100, 740), (60, 900), (-9000, 0)] {
        let fields = json!({ "applied_balance_amount": balance });
        assert_eq!((invoice(&fields).paid, payment(&fields).expect("a payment").amount), (paid, paid), "{balance}");
    }
    assert_eq!(invoice(&json!({ "applied_balance_amount": null, "due_amount": 0 })).paid, 840);
    let nothing = [
        (json!({ "subscription_id": null, "billing_reason": "purchase" }), "the order is for no subscription"),
        (json!({ "status": "draft" }), "the order is no bill"),
        (json!({ "status": "void" }), "the order is no bill"),
        (json!({ "status": "hovering" }), "the order has a status that Tollgate does not know"),
    ];
    for (fields, why) in nothing {
        let event = read("order.paid", &with(&order(), &fields));
        assert!(event.is_nothing(), "{event:?}");
        assert_eq!((event.nothing, event.customer.as_deref()), (why, Some("c-1")));
    }
}

#[test]
fn an_order_renews_by_its_items_else_by_its_reason() {
    for (prorations, renews) in [(vec![false], true), (vec![true], false), (vec![true, false], true)] {
        let items: Vec<Value> = prorations.iter().map(|proration| json!({ "proration": proration })).collect();
        let fields = json!({ "billing_reason": "subscription_update", "items": items });
        assert_eq!(invoice(&fields).renews, renews, "{fields}");
    }
    for (reason, renews) in [
        (json!("subscription_cycle_after_trial"), true),
        (json!("subscription_create"), true),
        (json!("subscription_cycle"), true),
        (json!("subscription_update"), false),
        (json!("subscription_meter_cycle"), false),
        (json!("of_tomorrow"), false),
        (json!(null), false),
    ] {
        assert_eq!(invoice(&json!({ "billing_reason": reason })).renews, renews, "{reason}");
    }
}

#[test]
fn an_order_pays_for_the_period_in_which_it_was_made() {
    let began = |second| json!({ "current_period_start": told(second) });
    let cases = [
        ("the period is the order's", json!({ "subscription": began(-100) }), at(-100)),
        ("the order is a little older", json!({ "created_at": told(-103), "subscription": began(-100) }), at(-100)),
        ("a later period has begun", json!({ "created_at": told(-9000), "subscription": began(-100) }), at(-9000)),
        ("no period is told", json!({ "subscription": {} }), at(-98)),
        ("no subscription is told", json!({ "subscription": null }), at(-98)),
        ("it cannot be read", json!({ "subscription": began(0).to_string() }), at(-98)),
    ];
    for (what, fields, expected) in cases {
        assert_eq!(invoice(&fields).covers_from, expected, "{what}");
    }
}

fn known(fields: &Value) -> Subscription {
    match facts("subscription.updated", &with(&subscription(), fields)).pop() {
        Some(Fact::Subscription(subscription)) => *subscription,
        other => panic!("{other:?}"),
    }
}

/// When access ends after everything that was told of one order.
fn until(subscription: &Subscription, told: &[Vec<Fact>]) -> Option<entitlement::Timestamp> {
    let (mut invoices, mut payments, mut refunds) = (Vec::new(), Vec::new(), Vec::new());
    for fact in told.iter().flatten().cloned() {
        match fact {
            Fact::Invoice(invoice) => invoices.push(invoice),
            Fact::Payment(payment) => payments.push(payment),
            Fact::Refund(refund) => refunds.push(refund),
            other => panic!("{other:?}"),
        }
    }
    let invoice = invoices.into_iter().reduce(Invoice::merged).expect("a bill");
    let payment = payments.into_iter().reduce(Payment::merged).expect("a payment");
    let covers_from = invoice.covers_from;
    let parts = [Part { payment: &payment, refunds: &refunds, disputes: &[] }];
    let returned = Returned { parts: &parts, took_in: invoice.took_in(), currency: None, covers_from };
    let (days, zero) = (TimeDelta::days, TimeDelta::zero());
    let grace = Grace { past_due: days(14), renewal: days(3), trial: zero, authentication: zero };
    subscription.access(&grace, &Policy::default(), &returned.setbacks()).and_then(|Access { until, .. }| until)
}

#[test]
fn a_full_refund_ends_the_period_that_was_paid_for_and_no_later_one() {
    let current = known(&json!({}));
    let later = known(&json!({ "current_period_start": told(-50), "current_period_end": told(2000) }));
    let grace = TimeDelta::days(3);
    let (paid, whole) = (
        facts("order.paid", &order()),
        with(&order(), &json!({ "status": "refunded", "refunded_amount": 700, "refunded_tax_amount": 140 })),
    );
    let refunded = facts("order.refunded", &whole);
    assert_eq!(until(&current, std::slice::from_ref(&paid)), Some(at(1000) + grace));
    assert_eq!(until(&current, &[paid.clone(), refunded.clone()]), Some(at(-1)), "as the order tells");
    assert_eq!(until(&current, &[refunded.clone(), paid.clone()]), Some(at(-1)), "in either order");
    let succeeded = facts("refund.updated", &refund(&json!({})));
    assert_eq!(until(&current, &[paid.clone(), succeeded.clone()]), Some(at(-20)), "as the refund tells");
    let partial = json!({ "status": "partially_refunded", "refunded_amount": 699, "refunded_tax_amount": 140 });
    let partial = facts("order.refunded", &with(&order(), &partial));
    assert_eq!(until(&current, &[paid.clone(), partial]), Some(at(1000) + grace));
    let cent = json!({ "status": "refunded", "refunded_amount": 700, "refunded_tax_amount": 139 });
    assert_eq!(
        until(&current, &[facts("order.refunded", &with(&order(), &cent))]),
        Some(at(-1)),
        "a cent of the taxes"
    );
    let failed = facts("refund.updated", &refund(&json!({ "status": "failed" })));
    assert_eq!(until(&current, &[refunded, failed]), Some(at(1000) + grace), "it failed after all");

    let of_later =
        with(&whole, &json!({ "subscription": { "current_period_start": told(-50) }, "created_at": told(-9000) }));
    let late = facts("order.refunded", &of_later);
    assert_eq!(until(&later, &[late]), Some(at(2000) + grace), "the order of an earlier period");
    let older = json!({ "created_at": told(-103) });
    let (paid, whole) = (with(&order(), &older), with(&whole, &older));
    let told = [facts("order.paid", &paid), facts("order.refunded", &whole)];
    assert_eq!(until(&current, &told), Some(at(-1)), "an order that is a little older than its period");
}

fn refund(fields: &Value) -> Value {
    let refund = json!({
        "id": "r-1", "order_id": "o-1", "customer_id": "c-1", "subscription_id": "s-1", "status": "succeeded",
        "amount": 700, "tax_amount": 140, "created_at": told(-20), "modified_at": told(-3), "dispute": null,
        "metadata": { "account": "eve" },
    });
    with(&refund, fields)
}

#[test]
fn what_came_from_a_balance_was_paid_too() {
    let part = json!({ "applied_balance_amount": -540, "due_amount": 300, "currency": "usd" });
    let bill = invoice(&part);
    assert_eq!((bill.paid, bill.took_in(), bill.currency.as_deref()), (300, 840, Some("usd")));
    let owed = json!({ "applied_balance_amount": 60 });
    assert_eq!((invoice(&owed).paid, invoice(&owed).took_in()), (900, 840));
    let current = known(&json!({}));
    let refunded = with(&part, &json!({ "status": "refunded", "refunded_amount": 250, "refunded_tax_amount": 50 }));
    let told = facts("order.refunded", &with(&order(), &refunded));
    assert_eq!(until(&current, &[told]), Some(at(1000) + TimeDelta::days(3)), "the rest of it did not go back");
}

#[test]
fn a_refund_says_where_it_stands() {
    let expected = |state| Refund { id: "r-1".into(), payment: "o-1".into(), amount: 840, state, at: at(-20) };
    for (status, state) in
        [("succeeded", RefundState::Made), ("failed", RefundState::Failed), ("canceled", RefundState::Failed)]
    {
        for kind in ["refund.created", "refund.updated"] {
            let event = read(kind, &refund(&json!({ "status": status })));
            assert_eq!(event.facts, [Fact::Refund(expected(state))], "{kind} {status}");
            assert_eq!((event.claim, event.objects), (None, vec![Object::Invoice("o-1".into())]));
        }
    }
    for (status, why) in [
        ("pending", "the refund has not gone through yet"),
        ("hovering", "the refund has a status that Tollgate does not know"),
    ] {
        let event = read("refund.created", &refund(&json!({ "status": status })));
        assert!(event.is_nothing() && event.customer.as_deref() == Some("c-1"), "{event:?}");
        assert_eq!(event.nothing, why);
    }
    let ahead = facts("refund.created", &refund(&json!({ "created_at": told(90_000), "amount": -3, "tax_amount": 1 })));
    assert!(matches!(ahead.as_slice(), [Fact::Refund(refund)] if refund.at == at(2) && refund.amount == 0));
}

#[test]
fn a_dispute_comes_with_the_refund_that_kept_it_from_being_one() {
    let dispute = |fields: &Value| {
        let dispute = json!({
            "id": "d-1", "status": "prevented", "order_id": "o-1", "created_at": told(-60), "modified_at": told(-4),
        });
        refund(&json!({ "dispute": with(&dispute, fields) }))
    };
    for (status, state) in [
        ("early_warning", DisputeState::Inquiry),
        ("needs_response", DisputeState::Open),
        ("under_review", DisputeState::Open),
        ("lost", DisputeState::Lost),
        ("won", DisputeState::Won),
        ("prevented", DisputeState::Won),
        ("of_tomorrow", DisputeState::Inquiry),
    ] {
        let facts = facts("refund.created", &dispute(&json!({ "status": status, "order_id": null })));
        let expected =
            Dispute { id: "d-1".into(), payment: "o-1".into(), amount: 0, state, opened_at: at(-60), as_of: at(-4) };
        assert_eq!(facts.get(1), Some(&Fact::Dispute(expected)), "{status}");
    }
    assert!(try_read("refund.created", &dispute(&json!({ "id": 7 }))).is_err());
    let early = with(&dispute(&json!({ "status": "early_warning" })), &json!({ "status": "pending" }));
    assert!(matches!(facts("refund.created", &early).as_slice(), [Fact::Dispute(_)]));
}

#[test]
fn an_order_whose_customer_is_missing_is_asked_for() {
    let nobodys = json!({ "customer_id": 7, "customer": null });
    let event = read("order.paid", &with(&order(), &nobodys));
    assert_eq!((event.customer, event.facts), (None, vec![]));
    assert_eq!(event.objects, [Object::Invoice("o-1".into())]);
    let once = with(&nobodys, &json!({ "subscription_id": null }));
    assert!(read("order.paid", &with(&order(), &once)).is_nothing(), "it is for no subscription");
    assert_eq!(invoice(&json!({ "customer_id": 7 })).customer, "c-1", "the customer beside it");
}

#[test]
fn money_that_is_malformed_is_refused() {
    for fields in [
        json!({ "id": null }),
        json!({ "subscription_id": {} }),
        json!({ "status": null }),
        json!({ "created_at": null }),
        json!({ "total_amount": "a lot" }),
        json!({ "total_amount": 8.4 }),
        json!({ "applied_balance_amount": 1e30 }),
        json!({ "refunded_amount": u64::MAX }),
        json!({ "billing_reason": 7 }),
    ] {
        assert!(try_read("order.paid", &with(&order(), &fields)).is_err(), "{fields}");
    }
    for fields in [
        json!({ "id": "" }),
        json!({ "order_id": null }),
        json!({ "amount": null }),
        json!({ "tax_amount": "1.5" }),
        json!({ "status": 7 }),
        json!({ "dispute": [] }),
    ] {
        assert!(try_read("refund.created", &refund(&fields)).is_err(), "{fields}");
    }
    let huge = json!({ "status": "refunded", "refunded_amount": i64::MAX, "refunded_tax_amount": i64::MAX });
    assert_eq!(payment(&huge).expect("a payment").refunded, i64::MAX);
}
