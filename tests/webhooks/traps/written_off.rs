//! A bill that its seller has written off pays for nothing.

use serde_json::{Value, json};

use super::bills::{Scene, Told, paid_by};
use crate::world::stripe::{Event, unique};

fn uncollectible(told: &Told, invoice: &str, lines: &[Value], fields: &Value) -> Event {
    let mut object = told.invoice(invoice, lines, json!({ "status": "uncollectible", "amount_paid": 0 }));
    for (name, value) in fields.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
    Event::new("invoice.marked_uncollectible", object)
}

#[tokio::test]
async fn a3_a_bill_that_was_written_off_gives_no_period_until_it_is_paid() {
    let scene = Scene::start().await;
    let (buyer, told) = scene.buyer().await;
    let items = [told.item("price_monthly", (0, 30))];
    scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
    buyer.reads(&scene.world, 200, "the bill is open").await;
    let (invoice, lines) = (unique("in"), [told.line("price_monthly", (0, 30), 700)]);
    let marked = uncollectible(&told, &invoice, &lines, &json!({}));
    assert_eq!(scene.world.settled(&marked).await.0, "applied");
    buyer.reads(&scene.world, 402, "it was written off").await;
    let own = buyer.standing(&scene.world).await["subscriptions"][0].clone();
    assert_eq!((&own["reason"], &own["way_back"]), (&json!("written_off"), &json!("pay_invoice")), "{own}");
    let page = scene.world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("Pay it below") && !page.body.contains("Update payment"), "{}", page.body);
    let (state, reason) = scene.world.settled(&marked.again()).await;
    assert_eq!((state.as_str(), reason.as_str()), ("ignored", "this, or something newer, is known already"));
    scene.tell("invoice.paid", told.invoice(&invoice, &lines, json!({}))).await;
    buyer.reads(&scene.world, 200, "it was paid after all").await;
    scene.world.settled(&marked.again()).await;
    buyer.reads(&scene.world, 200, "an old word takes nothing").await;
}

#[tokio::test]
async fn a3_a_bill_that_is_voided_after_it_was_written_off_takes_nothing() {
    let scene = Scene::start().await;
    let (buyer, told) = scene.buyer().await;
    let items = [told.item("price_monthly", (0, 30))];
    scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
    let (invoice, lines) = (unique("in"), [told.line("price_monthly", (0, 30), 700)]);
    let marked = uncollectible(&told, &invoice, &lines, &json!({}));
    assert_eq!(scene.world.settled(&marked).await.0, "applied");
    buyer.reads(&scene.world, 402, "it was written off").await;
    let voided = told.invoice(&invoice, &lines, json!({ "status": "void", "amount_paid": 0 }));
    assert_eq!(scene.world.settled(&Event::new("invoice.voided", voided)).await.0, "applied");
    buyer.reads(&scene.world, 200, "nothing is owed").await;
    scene.world.settled(&marked.again()).await;
    buyer.reads(&scene.world, 200, "an old word takes nothing").await;
}

#[tokio::test]
async fn a3_what_is_written_off_beside_the_period_takes_nothing() {
    let scene = Scene::start().await;
    for (what, period, fields, price) in [
        ("the period before", (-30, 0), json!({}), "price_monthly"),
        ("a change within it", (10, 30), json!({}), "price_monthly"),
        ("usage", (0, 30), json!({ "billing_reason": "subscription_threshold" }), "price_monthly"),
        ("an add-on", (0, 30), json!({}), "price_seat"),
        ("free while collection was paused", (0, 30), json!({ "attempt_count": 0 }), "price_monthly"),
    ] {
        let (buyer, told) = scene.buyer().await;
        let items = [told.item("price_monthly", (0, 30)), told.item("price_seat", (0, 30))];
        scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
        let marked = uncollectible(&told, &unique("in"), &[told.line(price, period, 700)], &fields);
        scene.world.settled(&marked).await;
        buyer.reads(&scene.world, 200, what).await;
    }
    let (buyer, told) = scene.buyer().await;
    let items = [told.item("price_monthly", (0, 30))];
    scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
    let lines = [told.line("price_monthly", (0, 30), 700)];
    scene.tell("invoice.paid", told.invoice(&unique("in"), &lines, json!({}))).await;
    scene.world.settled(&uncollectible(&told, &unique("in"), &lines, &json!({}))).await;
    buyer.reads(&scene.world, 200, "another bill of the period is paid").await;
    let sent = json!({ "attempt_count": 0, "collection_method": "send_invoice" });
    let (buyer, told) = scene.buyer().await;
    let items = [told.item("price_monthly", (0, 30))];
    scene.tell("customer.subscription.created", told.subscription(&items, json!({}))).await;
    let (invoice, lines) = (unique("in"), [told.line("price_monthly", (0, 30), 700)]);
    scene.world.settled(&uncollectible(&told, &invoice, &lines, &sent)).await;
    buyer.reads(&scene.world, 402, "one that was sent, and never paid").await;
    scene.tell("invoice_payment.paid", paid_by(&invoice, &unique("pi"))).await;
    scene.tell("invoice.paid", told.invoice(&invoice, &lines, json!({ "paid_out_of_band": true }))).await;
    buyer.reads(&scene.world, 200, "paid at the counter").await;
}

#[tokio::test]
async fn b12_a_pause_says_until_when() {
    let scene = Scene::start().await;
    let (buyer, told) = scene.buyer().await;
    let items = [told.item("price_monthly", (0, 30))];
    let resumes_at = crate::world::in_seconds(9 * crate::world::stripe::DAY);
    let pause = json!({ "pause_collection": { "behavior": "void", "resumes_at": resumes_at } });
    scene.tell("customer.subscription.updated", told.subscription(&items, pause)).await;
    let own = buyer.standing(&scene.world).await["subscriptions"][0].clone();
    let told_at: Option<chrono::DateTime<chrono::Utc>> = own["resumes_at"].as_str().and_then(|at| at.parse().ok());
    assert_eq!(told_at.map(|at| at.timestamp()), Some(resumes_at), "{own}");
    let page = scene.world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("is paused until"), "{}", page.body);
    let explained = scene.world.tollgate(&["explain", "account", &buyer.account]).await.stdout;
    assert!(explained.contains(", collection paused until "), "{explained}");
    assert!(!has_fractions(&explained), "no moment is told by the nanosecond: {explained}");
    assert!(explained.lines().any(|line| line.trim_start().starts_with("from … until")), "{explained}");
}

/// Whether a moment has more than whole seconds.
fn has_fractions(text: &str) -> bool {
    text.as_bytes().windows(4).any(|window| matches!(window, [b':', b'0'..=b'9', b'0'..=b'9', b'.']))
}
