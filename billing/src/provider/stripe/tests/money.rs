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
        balance: 0,
        currency: None,
        settled: false,
        lines: Vec::new(),
        attempts: 2,
        failed_at: None,
        needs_action: false,
        written_off_at: None,
        voided: false,
    };
    for invoice in invoices() {
        let told = read("invoice.paid", &invoice);
        let Ok([Fact::Payment(payment), Fact::Invoice(seen)]) = <[Fact; 2]>::try_from(told.facts) else {
            panic!("a payment and an invoice")
        };
        let whole: Vec<_> = seen.lines.iter().filter(|line| line.whole).map(|line| (line.from, line.until)).collect();
        assert_eq!(whole, [(at(-100), Some(at(1000)))]);
        assert_eq!(Invoice { lines: Vec::new(), ..seen }, expected);
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
    let proration = json!({ "period": { "start": CREATED - 100, "end": CREATED + 1000 }, "proration": true });
    for (reason, lines, renews) in [
        ("subscription_update", old["lines"]["data"].clone(), true),
        ("manual", old["lines"]["data"].clone(), true),
        ("subscription_cycle", json!([proration]), false),
        ("subscription_threshold", old["lines"]["data"].clone(), false),
        ("subscription_update", json!([]), false),
        ("subscription_cycle", json!([]), true),
    ] {
        let change = with(old.clone(), json!({ "billing_reason": reason, "lines": { "data": lines } }));
        let told = read("invoice.paid", &change).facts;
        assert!(told.iter().any(|fact| matches!(fact, Fact::Invoice(invoice) if invoice.renews == renews)), "{change}");
    }
    let one_off =
        read("invoice.paid", &with(old, json!({ "subscription": null, "charge": null, "payment_intent": null })));
    assert!(one_off.is_nothing(), "{one_off:?}");
}

#[test]
fn a_payment_that_waits_for_the_buyer_says_so_wherever_its_invoice_shows_it_whole() {
    let intent = |more: Value| with(json!({ "id": "pi_1" }), more);
    let error = |code: &str, decline: &str| json!({ "last_payment_error": { "code": code, "decline_code": decline } });
    let waits = [
        intent(error("authentication_required", "")),
        intent(error("card_declined", "authentication_required")),
        intent(json!({ "status": "requires_action" })),
    ];
    let [old, basil] = invoices();
    let told = |invoice: Value| {
        let facts = read("invoice.payment_failed", &invoice).facts;
        let Ok([Fact::Payment(payment), Fact::Invoice(seen)]) = <[Fact; 2]>::try_from(facts) else {
            panic!("a payment and an invoice")
        };
        (payment.id, seen.needs_action)
    };
    let listed = |intent: &Value| json!({ "payments": { "data": [{ "payment": { "payment_intent": intent } }] } });
    for intent in &waits {
        let own = with(old.clone(), json!({ "payment_intent": intent }));
        assert_eq!(told(own), ("pi_1".to_owned(), true), "{intent}");
        assert_eq!(told(with(basil.clone(), listed(intent))), ("pi_1".to_owned(), true), "{intent}");
    }
    let charge = json!({ "id": "ch_1", "failure_code": "authentication_required" });
    let charged = with(old.clone(), json!({ "payment_intent": null, "charge": charge }));
    assert_eq!(told(charged), ("ch_1".to_owned(), true));
    for intent in [json!("pi_1"), intent(error("card_declined", "insufficient_funds")), intent(json!({}))] {
        assert_eq!(
            told(with(old.clone(), json!({ "payment_intent": intent }))),
            ("pi_1".to_owned(), false),
            "{intent}"
        );
        assert_eq!(told(with(basil.clone(), listed(&intent))), ("pi_1".to_owned(), false), "{intent}");
    }
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
        currency: None,
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
        let (id, payment) = ("du_1".into(), "pi_1".into());
        let dispute = Dispute { id, payment, amount: 0, state, opened_at: at(0), as_of: at(0) };
        assert_eq!(read("charge.dispute.updated", &object).facts, [Fact::Dispute(dispute)], "{status}");
    }
    let linking = json!({ "id": "inpay_1", "invoice": "in_1", "payment": { "payment_intent": "pi_1" } });
    let told = read("invoice_payment.paid", &linking);
    assert!(matches!(told.facts.as_slice(), [Fact::Payment(payment)] if payment.invoice.as_deref() == Some("in_1")));
}

#[test]
fn an_invoice_tells_what_it_is_for_and_what_it_took_in() {
    let [old, basil] = invoices();
    let bill = |fields: Value| {
        let told = read("invoice.paid", &fields);
        told.facts.into_iter().find_map(|fact| match fact {
            Fact::Invoice(invoice) => Some(invoice),
            _ => None,
        })
    };
    let line = json!({
        "id": "il_1", "amount": 700, "type": "subscription", "subscription_item": "si_1", "price": { "id": "price_1" },
        "period": { "start": CREATED, "end": CREATED + 1000 }, "proration": false,
    });
    let since_basil = json!({
        "id": "il_1", "amount": 700, "period": { "start": CREATED, "end": CREATED + 1000 },
        "pricing": { "price_details": { "price": "price_1" } },
        "parent": { "subscription_item_details": { "subscription_item": "si_1", "proration": false } },
    });
    let of = |lines: &[&Value]| json!({ "lines": { "data": lines } });
    let [one, other] =
        [with(old.clone(), of(&[&line])), with(basil, of(&[&since_basil]))].map(|fields| bill(fields).expect("a bill"));
    assert_eq!(one.lines, other.lines);
    let [read] = one.lines.as_slice() else { panic!("one line") };
    assert_eq!((read.item.as_deref(), read.price.as_deref(), read.whole), (Some("si_1"), Some("price_1"), true));
    let mug = with(line.clone(), json!({ "id": "il_2", "type": "invoiceitem" }));
    let of_basil =
        with(since_basil, json!({ "id": "il_2", "parent": { "invoice_item_details": { "proration": false } } }));
    for single in [mug, of_basil] {
        let both = bill(with(old.clone(), of(&[&line, &single]))).expect("a bill");
        let whole: Vec<bool> = both.lines.iter().map(|line| line.whole).collect();
        assert_eq!(whole, [true, false], "what is put on an invoice by itself is no period: {single}");
    }
    for (before, after, took_in) in [(0, 0, 700), (-400, 0, 1100), (50, 0, 650), (-400, -100, 1000), (0, -300, 400)] {
        let balance =
            json!({ "starting_balance": before, "ending_balance": after, "currency": "GBP", "status": "paid" });
        let read = bill(with(old.clone(), balance)).expect("a bill");
        assert_eq!((read.took_in(), read.currency.as_deref(), read.settled), (took_in, Some("gbp"), true));
    }
    assert_eq!(bill(with(old, json!({ "status": "draft" }))), None, "a draft is no bill yet");
}
