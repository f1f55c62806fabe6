//! Money that goes back, and money that is not for a period.

use std::time::Duration;

use demo::provider::{Proration, Provider, RefundStatus, Subscribe};
use serde_json::{Value, json};

use super::{Buyer, calm, number, provider, shop};
use crate::world::stripe::{Bill, Event, Subscription, unique};
use crate::world::{Arrangement, Setup, World, in_seconds};

/// The ids of the invoices of a customer, oldest first.
fn invoices(provider: &Provider, buyer: &Buyer) -> Vec<String> {
    let invoices = provider.invoices();
    let ours = invoices.iter().filter(|invoice| invoice["customer"] == buyer.customer.as_str());
    ours.map(|invoice| invoice["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn w26_a_refund_ends_what_it_paid_for_and_a_dispute_suspends_it() {
    let world = shop().await;
    let provider = provider(&world);
    let bought = async |what: &str| {
        let buyer = Buyer::at(provider);
        let subscription = buyer.subscribes(provider);
        buyer.reads(&world, 200, what).await;
        let invoice = invoices(provider, &buyer).remove(0);
        (buyer, subscription, invoice)
    };
    let (buyer, subscription, invoice) = bought("before a refund").await;
    provider.refund(&invoice, Some(300)).expect("refunded");
    buyer.reads(&world, 200, "a part of it").await;
    let rest = provider.refund(&invoice, None).expect("refunded");
    buyer.reads(&world, 402, "all of it, in two refunds").await;
    assert_eq!(
        provider.subscription(&subscription).expect("it is there")["status"],
        "active",
        "which ends nothing there"
    );
    provider.set_refund(&rest, RefundStatus::Failed).expect("failed");
    buyer.reads(&world, 200, "the bank sent it back").await;
    let bills = world.get("/api/billing/invoices", Some(&buyer.token)).await.json();
    assert_eq!(bills["invoices"][0]["status"], "partially_refunded", "a part of it went back: {bills}");
    let explained = world.tollgate(&["explain", "account", &buyer.account]).await.stdout;
    let told = format!("  300 of 700 went back  refund {rest} failed");
    assert!(explained.contains(&told), "{told}: {explained}");

    let (buyer, _, invoice) = bought("before a refund that takes days").await;
    let slow = provider.refund_as(&invoice, None, RefundStatus::Pending).expect("on its way");
    buyer.reads(&world, 200, "on its way").await;
    provider.set_refund(&slow, RefundStatus::Succeeded).expect("made");
    buyer.reads(&world, 402, "made").await;

    let (buyer, _, first) = bought("before a renewal").await;
    provider.advance(Duration::from_secs(32 * 86_400)).expect("later");
    buyer.reads(&world, 200, "renewed").await;
    provider.refund(&first, None).expect("refunded");
    buyer.reads(&world, 200, "the period before went back").await;
    let second = invoices(provider, &buyer).remove(1);
    provider.refund(&second, None).expect("refunded");
    buyer.reads(&world, 402, "this period went back").await;

    for (statuses, expected) in [
        (&[("warning_needs_response", 200), ("warning_under_review", 200), ("warning_closed", 200)][..], "an inquiry"),
        (&[("warning_needs_response", 200), ("needs_response", 402), ("under_review", 402), ("won", 200)], "won"),
        (&[("needs_response", 402), ("lost", 402)], "lost"),
    ] {
        let (buyer, _, invoice) = bought("before a dispute").await;
        for (status, answer) in statuses {
            provider.dispute(&invoice, status).expect("told");
            buyer.reads(&world, *answer, &format!("{expected}: {status}")).await;
        }
    }
}

#[tokio::test]
async fn w26_what_a_refund_and_a_dispute_do_is_a_policy() {
    for (refund, dispute, after_refund, in_dispute) in [
        ("\"end\"", "\"suspend\"", 402, 402),
        ("\"keep\"", "\"keep\"", 200, 200),
        ("\"keep\"", "\"suspend\"", 200, 402),
    ] {
        let setup = Setup::new(Arrangement::AllPostgres).key("policy.refund", refund).key("policy.dispute", dispute);
        let world = World::with(setup).await;
        for (what, expected) in [("refund", after_refund), ("dispute", in_dispute)] {
            let buyer = Buyer::linked(&world).await;
            let subscription = Subscription::of(&buyer.customer);
            let bill = Bill::of(&subscription);
            world.applied(&subscription.event("created")).await;
            world.applied(&bill.paid()).await;
            let event = if what == "refund" { bill.refunded(bill.amount) } else { disputed(&bill) };
            world.applied(&event).await;
            buyer.reads(&world, expected, &format!("{what} under {refund}, {dispute}")).await;
        }
    }
}

fn disputed(bill: &Bill) -> Event {
    Event::new(
        "charge.dispute.created",
        json!({
            "id": unique("du"), "object": "dispute", "charge": bill.charge, "payment_intent": bill.payment,
            "status": "needs_response", "amount": bill.amount, "created": in_seconds(0), "livemode": false,
        }),
    )
}

#[tokio::test]
async fn w30_only_the_invoice_of_a_period_stands_for_the_period() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    let subscription = buyer.subscribes(provider);
    buyer.reads(&world, 200, "it runs").await;
    provider.change_price(&subscription, "price_business", Proration::AlwaysInvoice).expect("changed");
    let before = buyer.standing(&world).await;
    assert_eq!(before["tier"], "business", "{before}");
    let manual = provider.bill(&buyer.customer, 500, "A mug").expect("billed");
    assert_eq!(buyer.standing(&world).await, before, "what is bought beside it begins no period");
    let [first, change, _] = &invoices(provider, &buyer)[..] else {
        panic!("three invoices: {:?}", provider.invoices())
    };
    let reasons: Vec<_> = provider.invoices().iter().map(|invoice| invoice["billing_reason"].clone()).collect();
    assert_eq!(reasons, ["subscription_create", "subscription_update", "manual"]);
    for (invoice, what) in [(&manual, "the mug"), (change, "the change within the period")] {
        provider.refund(invoice, None).expect("refunded");
        buyer.reads(&world, 200, what).await;
    }
    provider.refund(first, None).expect("refunded");
    buyer.reads(&world, 402, "the period").await;

    // The same, where nobody can be asked; and an invoice of nothing.
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    world.applied(&subscription.event("created")).await;
    let period = Bill::of(&subscription);
    let others = [
        Bill { reason: "subscription_update", amount: 100, ..Bill::of(&subscription) },
        Bill { reason: "subscription_threshold", amount: 100, ..Bill::of(&subscription) },
        Bill { reason: "manual", amount: 100, subscription: None, ..Bill::of(&subscription) },
        Bill { amount: 0, ..Bill::of(&subscription) },
    ];
    for bill in [&period].into_iter().chain(&others) {
        world.settled(&bill.paid()).await;
    }
    let before = buyer.standing(&world).await;
    for bill in &others {
        world.settled(&bill.refunded(bill.amount)).await;
        assert_eq!(buyer.standing(&world).await, before, "{}, {}", bill.reason, bill.amount);
    }
    world.applied(&period.refunded(period.amount)).await;
    buyer.reads(&world, 402, "the period went back").await;
}

/// What a reward for an invitation hangs on: money that came, and stayed.
#[tokio::test]
async fn w32_a_trial_has_paid_nothing_and_the_first_payment_is_known() {
    const PAID: &str = "select coalesce(sum(paid), 0)::bigint from invoices where customer_id = $1";
    const BACK: &str =
        "select coalesce(sum(refunds.amount), 0)::bigint from refunds join payments using (provider, payment_id)
        join invoices using (provider, invoice_id) where invoices.customer_id = $1 and refunds.state = 'made'";
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    let host = Buyer::at(provider);
    let brought = async || world.get("/api/billing/referral", Some(&host.token)).await.json();
    let invitation = json!({ "code": brought().await["code"] });
    assert_eq!(world.post("/api/billing/referral", &buyer.token, &invitation).await.status, 200, "invited");
    provider.subscribe(Subscribe { trial_days: 7, ..buyer.order("price_monthly") }).expect("it begins");
    buyer.reads(&world, 200, "on trial").await;
    let bills = "select count(*) from invoices where customer_id = $1";
    assert_eq!(number(&world, bills, &buyer.customer).await, 1, "a trial has a bill");
    assert_eq!(number(&world, PAID, &buyer.customer).await, 0, "of nothing");
    assert_eq!(brought().await["credit_days_left"], 0, "which earns nobody anything");
    host.reads(&world, 402, "no money has moved").await;
    provider.advance(Duration::from_secs(8 * 86_400)).expect("later");
    calm(&world).await;
    assert_eq!(number(&world, PAID, &buyer.customer).await, 700, "the first payment");
    assert_eq!((&brought().await["converted"], &brought().await["credit_days_left"]), (&1.into(), &45.into()));
    host.reads(&world, 200, "somebody has paid").await;
    provider.advance(Duration::from_secs(31 * 86_400)).expect("a renewal");
    calm(&world).await;
    assert_eq!(brought().await["credit_days_left"], 45, "once");
    let bills = provider.invoices();
    let first = |bill: &&Value| bill["customer"] == buyer.customer.as_str() && bill["amount_paid"] == 700;
    let first = bills.iter().find(first).and_then(|bill| bill["id"].as_str()).expect("a bill");
    provider.refund(first, None).expect("refunded");
    calm(&world).await;
    assert_eq!((&brought().await["converted"], &brought().await["credit_days_left"]), (&0.into(), &0.into()));
    host.reads(&world, 402, "the money went back").await;
    assert_eq!(number(&world, BACK, &buyer.customer).await, 700, "and that it went back");
}
