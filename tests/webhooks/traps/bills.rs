//! What a bill is for and what it took in: money that goes back ends no more, a payment that fails takes no more, and each thing that
//! is subscribed to has a period of its own.

use demo::provider::{Proration, Provider};
use serde_json::{Value, json};

use super::{Buyer, calm, provider, shop};
use crate::world::stripe::{Bill, DAY, Event, SECRETS, Subscription, signature, unique};
use crate::world::{Answer, Arrangement, World, in_seconds};

/// What one tells by hand, without a key: nobody can be asked.
pub struct Scene {
    pub world: World,
}

/// A subscription as it is written by hand, with whatever a test changes.
pub struct Told {
    pub id: String,
    customer: String,
    pub now: i64,
}

impl Scene {
    pub async fn start() -> Self {
        Self { world: World::start(Arrangement::AllPostgres).await }
    }

    pub async fn buyer(&self) -> (Buyer, Told) {
        let buyer = Buyer::linked(&self.world).await;
        let told = Told { id: unique("sub"), customer: buyer.customer.clone(), now: in_seconds(0) };
        (buyer, told)
    }

    pub async fn tell(&self, kind: &str, object: Value) {
        self.world.settled(&Event::new(kind, object)).await;
    }
}

fn with(mut object: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
    object
}

impl Told {
    /// One thing of it, with a period that began and ends so many days from now.
    pub fn item(&self, price: &str, (from, until): (i64, i64)) -> Value {
        json!({
            "id": format!("si_{}_{price}", self.id), "object": "subscription_item", "price": { "id": price },
            "current_period_start": self.now + from * DAY, "current_period_end": self.now + until * DAY,
        })
    }

    pub fn subscription(&self, items: &[Value], fields: Value) -> Value {
        let object = json!({
            "id": self.id, "object": "subscription", "customer": self.customer, "status": "active", "livemode": false,
            "created": self.now - 60 * DAY, "start_date": self.now - 60 * DAY, "metadata": {},
            "items": { "object": "list", "data": items, "has_more": false },
        });
        with(object, fields)
    }

    pub fn line(&self, price: &str, (from, until): (i64, i64), amount: i64) -> Value {
        json!({
            "id": unique("il"), "amount": amount,
            "period": { "start": self.now + from * DAY, "end": self.now + until * DAY },
            "pricing": { "price_details": { "price": price } },
            "parent": { "subscription_item_details": {
                "proration": (until - from) % 30 != 0, "subscription_item": format!("si_{}_{price}", self.id),
            } },
        })
    }

    pub fn invoice(&self, id: &str, lines: &[Value], fields: Value) -> Value {
        let total: i64 = lines.iter().filter_map(|line| line["amount"].as_i64()).sum();
        let object = json!({
            "id": id, "object": "invoice", "customer": self.customer, "livemode": false, "status": "paid",
            "billing_reason": "subscription_cycle", "created": self.now, "amount_paid": total, "total": total,
            "currency": "gbp", "attempt_count": 1, "starting_balance": 0, "ending_balance": 0,
            "parent": { "subscription_details": { "subscription": self.id } },
            "lines": { "object": "list", "data": lines, "has_more": false },
        });
        with(object, fields)
    }

    pub fn charge(&self, payment: &str, amount: i64, fields: Value) -> Value {
        let object = json!({
            "id": format!("ch_{payment}"), "object": "charge", "customer": self.customer, "payment_intent": payment,
            "amount": amount, "amount_captured": amount, "amount_refunded": amount, "refunded": true, "currency": "gbp",
            "created": self.now, "livemode": false, "status": "succeeded",
        });
        with(object, fields)
    }
}

pub fn paid_by(invoice: &str, payment: &str) -> Value {
    let payment = json!({ "type": "payment_intent", "payment_intent": payment });
    json!({ "id": unique("inpay"), "object": "invoice_payment", "invoice": invoice, "payment": payment })
}

async fn deliver(world: &World, body: &str) -> Answer {
    world.deliver_raw(body, Some(&signature(body, in_seconds(0), &SECRETS))).await
}

/// The id of the buyer's newest invoice.
fn last_invoice(provider: &Provider, buyer: &Buyer) -> String {
    let invoices = provider.invoices();
    let last = invoices.iter().rev().find(|invoice| invoice["customer"] == buyer.customer.as_str());
    last.and_then(|invoice| invoice["id"].as_str()).expect("an invoice").to_owned()
}

#[tokio::test]
async fn a1_a_bill_pays_for_the_period_by_its_lines_whatever_its_reason() {
    let world = shop().await;
    let provider = provider(&world);
    for loss in ["refund", "dispute"] {
        let buyer = Buyer::at(provider);
        let subscription = buyer.subscribes(provider);
        buyer.reads(&world, 200, "by the month").await;
        // Of two bills of one second neither is known to be the other's successor.
        provider.advance(std::time::Duration::from_secs(1)).expect("a second later");
        provider.change_price(&subscription, "price_annual", Proration::AlwaysInvoice).expect("changed");
        buyer.reads(&world, 200, "by the year").await;
        let upgrade = last_invoice(provider, &buyer);
        match loss {
            "refund" => provider.refund(&upgrade, None).expect("refunded"),
            _ => provider.dispute(&upgrade, "lost").expect("lost"),
        };
        buyer.reads(&world, 402, &format!("the year went back by a {loss}")).await;
    }
    let scene = Scene::start().await;
    for (reason, whole, expected) in [
        ("subscription_update", true, 402),
        ("manual", true, 402),
        ("subscription_update", false, 200),
        ("subscription_cycle", false, 200),
    ] {
        let (buyer, told) = scene.buyer().await;
        let (invoice, payment) = (unique("in"), unique("pi"));
        let items = [told.item("price_monthly", (0, 30))];
        scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
        let mut line = told.line("price_monthly", (0, 30), 700);
        line["parent"]["subscription_item_details"]["proration"] = json!(!whole);
        scene.tell("invoice.paid", told.invoice(&invoice, &[line], json!({ "billing_reason": reason }))).await;
        scene.tell("invoice_payment.paid", paid_by(&invoice, &payment)).await;
        scene.tell("charge.refunded", told.charge(&payment, 700, json!({}))).await;
        buyer.reads(&scene.world, expected, &format!("{reason}, whole: {whole}")).await;
    }
}

#[tokio::test]
async fn a2_what_went_back_is_held_against_what_the_bill_of_the_period_took_in() {
    let scene = Scene::start().await;
    let part = json!({ "amount_paid": 300, "starting_balance": -400, "ending_balance": 0 });
    let cases = [
        ("all of it", json!({}), vec![(700, true, json!({}))], 402),
        ("a one-off purchase of the same amount", json!({}), vec![(700, false, json!({}))], 200),
        ("one of two payments", json!({}), vec![(300, true, json!({}))], 200),
        ("both payments", json!({}), vec![(300, true, json!({})), (400, true, json!({}))], 402),
        ("the rest came from a balance", part, vec![(300, true, json!({}))], 200),
        ("another currency", json!({}), vec![(700, true, json!({ "currency": "jpy" }))], 200),
    ];
    for (what, fields, payments, expected) in cases {
        let (buyer, told) = scene.buyer().await;
        let invoice = unique("in");
        let items = [told.item("price_monthly", (0, 30))];
        scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
        let lines = [told.line("price_monthly", (0, 30), 700)];
        scene.tell("invoice.paid", told.invoice(&invoice, &lines, fields)).await;
        for (amount, is_for_it, fields) in payments {
            let payment = unique("pi");
            if is_for_it {
                scene.tell("invoice_payment.paid", paid_by(&invoice, &payment)).await;
            }
            scene.tell("charge.refunded", told.charge(&payment, amount, fields)).await;
        }
        buyer.reads(&scene.world, expected, what).await;
    }
}

#[tokio::test]
async fn a2_a_bill_for_something_else_takes_nothing_from_the_tier_when_its_money_goes_back() {
    let scene = Scene::start().await;
    let refund = |told: &Told, payment: &str, amount| told.charge(payment, amount, json!({}));
    for (what, reason, price, period) in [
        ("an add-on that was added later", "subscription_update", "price_seat", (0, 360)),
        ("a fee for the same time", "manual", "price_fee", (0, 30)),
        ("a fee under the item of the tier", "manual", "price_fee_of_tier", (0, 30)),
    ] {
        let (buyer, told) = scene.buyer().await;
        let items = [told.item("price_monthly", (0, 30)), told.item("price_seat", (0, 360))];
        scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
        let mut line = told.line(price, period, 1500);
        if price == "price_fee_of_tier" {
            let item = format!("si_{}_price_monthly", told.id);
            line["parent"]["subscription_item_details"]["subscription_item"] = json!(item);
        }
        let lines = [told.line("price_monthly", (0, 30), 700)];
        for (lines, reason, amount, expected) in
            [(&[line], reason, 1500, 200), (&lines, "subscription_create", 700, 402)]
        {
            let (invoice, payment) = (unique("in"), unique("pi"));
            let paid = told.invoice(&invoice, lines, json!({ "billing_reason": reason }));
            scene.tell("invoice.paid", paid).await;
            scene.tell("invoice_payment.paid", paid_by(&invoice, &payment)).await;
            scene.tell("charge.refunded", refund(&told, &payment, amount)).await;
            buyer.reads(&scene.world, expected, &format!("{what}: {amount} went back")).await;
        }
    }
}

#[tokio::test]
async fn a3_a_subscription_that_is_first_seen_past_due_was_never_paid_when_its_first_bill_is_open() {
    let scene = Scene::start().await;
    for (what, start, kind, expected) in [
        ("the first", 0, "invoice.payment_failed", 402),
        ("the first, and the bank asks", 0, "invoice.payment_action_required", 200),
        ("a later one", -60, "invoice.payment_failed", 200),
    ] {
        let (buyer, told) = scene.buyer().await;
        let begun = json!({ "status": "past_due", "start_date": told.now + start * DAY });
        let object = told.subscription(&[told.item("price_monthly", (0, 30))], begun);
        scene.tell("customer.subscription.updated", object).await;
        let open = json!({ "status": "open", "amount_paid": 0, "billing_reason": "subscription_create" });
        let lines = [told.line("price_monthly", (0, 30), 700)];
        scene.tell(kind, told.invoice(&unique("in"), &lines, open)).await;
        buyer.reads(&scene.world, expected, what).await;
    }
}

#[tokio::test]
async fn a8_of_two_words_of_one_second_the_one_with_access_stands_without_proof() {
    let scene = Scene::start().await;
    for (first, second) in [("active", "unpaid"), ("active", "paused"), ("unpaid", "active"), ("paused", "active")] {
        for kind in ["customer.subscription.created", "customer.subscription.updated"] {
            let (buyer, told) = scene.buyer().await;
            let items = [told.item("price_monthly", (0, 30))];
            for (kind, status) in [(kind, first), ("customer.subscription.updated", second)] {
                let object = told.subscription(&items, json!({ "status": status }));
                scene.world.settled(&Event::new(kind, object).created_at(told.now)).await;
            }
            buyer.reads(&scene.world, 200, &format!("{first}, then {second} ({kind})")).await;
        }
    }
}

#[tokio::test]
async fn a3_grace_counts_from_the_failure_and_an_upgrade_gives_what_was_last_paid_for() {
    let scene = Scene::start().await;
    let day = |standing: &Value| {
        let until: chrono::DateTime<chrono::Utc> = standing["valid_until"].as_str()?.parse().ok()?;
        Some((until.timestamp() - in_seconds(0) + DAY / 2).div_euclid(DAY))
    };
    let finalized = |days: i64| {
        json!({
            "id": unique("in"), "object": "invoice", "created": in_seconds(-days * DAY),
            "status_transitions": { "finalized_at": in_seconds(-days * DAY) },
        })
    };
    for (what, invoice, expected) in [
        ("a bank debit that came back after 12 days", finalized(12), 14),
        (
            "a bill that was to be paid within 30 days",
            with(finalized(31), json!({ "collection_method": "send_invoice", "due_date": in_seconds(-DAY) })),
            13,
        ),
    ] {
        let (buyer, told) = scene.buyer().await;
        let items = [told.item("price_monthly", (-12, 18))];
        let past_due = json!({ "status": "past_due", "latest_invoice": invoice });
        scene.tell("customer.subscription.updated", told.subscription(&items, past_due)).await;
        let standing = buyer.standing(&scene.world).await;
        assert_eq!(day(&standing), Some(expected), "{what}: {standing}");
    }
    let (buyer, told) = scene.buyer().await;
    let upgraded = |status: &str| {
        let item = with(told.item("price_monthly", (-10, 20)), json!({ "price": { "id": "price_business" } }));
        told.subscription(&[item], json!({ "status": status }))
    };
    let before = told.subscription(&[told.item("price_monthly", (-10, 20))], json!({}));
    let first = told.invoice(&unique("in"), &[told.line("price_monthly", (-10, 20), 700)], json!({}));
    scene.tell("customer.subscription.created", before).await;
    scene.tell("invoice.paid", first).await;
    let mut lines = [told.line("price_monthly", (0, 20), -400), told.line("price_monthly", (0, 20), 3000)];
    lines[1]["pricing"]["price_details"]["price"] = json!("price_business");
    let (invoice, open) = (unique("in"), json!({ "status": "open", "amount_paid": 0 }));
    scene.tell("customer.subscription.updated", upgraded("past_due")).await;
    scene.tell("invoice.payment_failed", told.invoice(&invoice, &lines, open)).await;
    let standing = buyer.standing(&scene.world).await;
    assert_eq!((&standing["tier"], day(&standing)), (&json!("paid"), Some(20)), "what was last paid for: {standing}");
    scene.tell("invoice.paid", told.invoice(&invoice, &lines, json!({}))).await;
    scene.tell("customer.subscription.updated", upgraded("active")).await;
    assert_eq!(buyer.standing(&scene.world).await["tier"], "business", "it was paid after all");
}

#[tokio::test]
async fn a3_where_nothing_was_ever_paid_grace_is_short_and_the_reason_is_told() {
    let scene = Scene::start().await;
    for (what, kind, expected) in [
        ("a trial whose first charge failed", Some("invoice.payment_failed"), 402),
        ("a trial whose first charge failed, of which no bill is told", None, 402),
        ("the bank waits for the buyer", Some("invoice.payment_action_required"), 200),
    ] {
        let (buyer, told) = scene.buyer().await;
        let items = [told.item("price_monthly", (0, 30))];
        let trial_end = told.now;
        let object = |status: &str| told.subscription(&items, json!({ "status": status, "trial_end": trial_end }));
        scene.tell("customer.subscription.updated", object("active")).await;
        buyer.reads(&scene.world, 200, "the bill is made").await;
        if let Some(kind) = kind {
            let lines = [told.line("price_monthly", (0, 30), 700)];
            let open = json!({ "status": "open", "amount_paid": 0 });
            scene.tell(kind, told.invoice(&unique("in"), &lines, open)).await;
        }
        scene.tell("customer.subscription.updated", object("past_due")).await;
        buyer.reads(&scene.world, expected, what).await;
        if expected == 402 {
            let own = &buyer.standing(&scene.world).await["subscriptions"][0];
            assert_eq!(
                (&own["reason"], &own["way_back"]),
                (&json!("past_due"), &json!("update_card")),
                "{what}: {own}"
            );
        }
    }
    let (buyer, told) = scene.buyer().await;
    let items = [told.item("price_monthly", (0, 30))];
    for status in ["incomplete", "past_due"] {
        let object = told.subscription(&items, json!({ "status": status }));
        scene.tell("customer.subscription.updated", object).await;
        buyer.reads(&scene.world, 402, &format!("nothing was ever paid: {status}")).await;
    }
}

#[tokio::test]
async fn a8_each_item_has_its_period_and_an_end_that_was_told_is_final() {
    let scene = Scene::start().await;
    let (buyer, told) = scene.buyer().await;
    let (tier, addon) = (told.item("price_monthly", (-40, -10)), told.item("price_seat", (-20, 345)));
    let both = told.subscription(&[tier.clone(), addon], json!({}));
    scene.tell("customer.subscription.updated", both).await;
    buyer.reads(&scene.world, 402, "the month is over, whatever the year is").await;

    let (buyer, told) = scene.buyer().await;
    let (tier, addon) = (told.item("price_monthly", (-20, 10)), told.item("price_business", (-5, 360)));
    let event = |items: &[Value], at| {
        let object = told.subscription(items, json!({}));
        Event::new("customer.subscription.updated", object).created_at(in_seconds(at))
    };
    scene.world.settled(&event(&[tier.clone(), addon], -60)).await;
    assert_eq!(buyer.standing(&scene.world).await["tier"], "business");
    scene.world.settled(&event(&[tier], -30)).await;
    assert_eq!(buyer.standing(&scene.world).await["tier"], "paid", "the later item was taken away");

    let (buyer, told) = scene.buyer().await;
    let object =
        |period, status: &str| told.subscription(&[told.item("price_monthly", period)], json!({ "status": status }));
    let at = |object, days: i64| Event::new("customer.subscription.updated", object).created_at(in_seconds(days * DAY));
    scene.world.settled(&at(object((-40, -10), "past_due"), -39)).await;
    scene.world.settled(&at(object((-10, 20), "past_due"), -9)).await;
    buyer.reads(&scene.world, 200, "the second failure is not the first, whose recovery was lost").await;
    let ended =
        Event::new("customer.subscription.deleted", object((-40, -10), "past_due")).created_at(in_seconds(-50 * DAY));
    scene.world.settled(&ended).await;
    buyer.reads(&scene.world, 402, "an end is an end, however old its date").await;
    scene.world.settled(&at(object((-10, 20), "active"), 0)).await;
    buyer.reads(&scene.world, 402, "and final").await;
}

#[tokio::test]
async fn b15_half_a_character_and_a_number_as_a_text_keep_nothing_from_being_read() {
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    let cut = |event: &Event, name: &str| {
        event.body().replacen(&format!("\"{name}\":"), &format!("\"comment\":\"so long \\ud83d\",\"{name}\":"), 1)
    };
    let begun = cut(&subscription.event("created"), "collection_method");
    let created = format!("\"created\":\"{}\"", subscription.created);
    let begun = begun.replace(&format!("\"created\":{}", subscription.created), &created);
    assert!(begun.contains(&created) && begun.contains("\\ud83d"), "{begun}");
    assert_eq!(deliver(&world, &begun).await.status, 200);
    buyer.reads(&world, 200, "it began").await;
    let bill = Bill::of(&subscription);
    let (paid, refunded) = (bill.paid(), bill.refunded(bill.amount));
    for (event, name) in [(&paid, "amount_paid"), (&refunded, "amount_refunded")] {
        let body = cut(event, "attempt_count").replace(&format!("\"{name}\":700"), &format!("\"{name}\":\"700\""));
        assert!(body.contains(&format!("\"{name}\":\"700\"")), "{body}");
        assert_eq!(deliver(&world, &body).await.status, 200);
    }
    buyer.reads(&world, 402, "and its money went back").await;
    let buyer = Buyer::linked(&world).await;
    let subscription = Subscription::of(&buyer.customer);
    world.applied(&subscription.event("created")).await;
    let ended = cut(&subscription.ended().event("deleted"), "ended_at");
    assert_eq!(deliver(&world, &ended).await.status, 200);
    calm(&world).await;
    buyer.reads(&world, 402, "its end was told").await;
}
