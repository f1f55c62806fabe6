//! Which bills a running period was paid by: also where none of them began with it, or several are for it.

use serde_json::{Value, json};

use super::bills::{Scene, Told, paid_by};
use crate::world::stripe::{DAY, unique};

/// A bill that is told, and its payment; the line's days, and the bill's reason and amount.
struct Billed {
    days: (i64, i64),
    reason: &'static str,
    amount: i64,
}

const fn billed(days: (i64, i64), reason: &'static str, amount: i64) -> Billed {
    Billed { days, reason, amount }
}

impl Billed {
    /// Tells of it; its payment.
    async fn told(&self, scene: &Scene, told: &Told) -> String {
        let (invoice, payment) = (unique("in"), unique("pi"));
        let line = told.line("price_monthly", self.days, self.amount);
        scene.tell("invoice.paid", told.invoice(&invoice, &[line], json!({ "billing_reason": self.reason }))).await;
        scene.tell("invoice_payment.paid", paid_by(&invoice, &payment)).await;
        payment
    }
}

#[tokio::test]
async fn a1_a_bill_that_reaches_into_a_moved_period_paid_for_it() {
    let scene = Scene::start().await;
    let cycle = "subscription_cycle";
    // The bills, which of them goes back, and what the page answers then. The period runs from 5 days ago.
    let cases = [
        ("the bill of before the anchor was moved", vec![billed((-20, 10), cycle, 700)], vec![0], 402),
        ("the bill of the period before", vec![billed((-35, -5), cycle, 700)], vec![0], 200),
        (
            "one that was made anew for the period stays",
            vec![billed((-20, 10), cycle, 700), billed((-5, 25), "subscription_update", 700)],
            vec![0],
            200,
        ),
        (
            "and that one goes back",
            vec![billed((-20, 10), cycle, 700), billed((-5, 25), "subscription_update", 700)],
            vec![1],
            402,
        ),
        (
            "one of two for the same time",
            vec![billed((-5, 25), cycle, 700), billed((-5, 25), "manual", 700)],
            vec![0],
            200,
        ),
        ("both of them", vec![billed((-5, 25), cycle, 700), billed((-5, 25), "manual", 700)], vec![0, 1], 402),
        (
            "usage beside it",
            vec![billed((-5, 25), cycle, 700), billed((-5, 25), "subscription_threshold", 100)],
            vec![1],
            200,
        ),
        (
            "all but the usage",
            vec![billed((-5, 25), cycle, 700), billed((-5, 25), "subscription_threshold", 100)],
            vec![0],
            402,
        ),
        ("usage is all that there is", vec![billed((-5, 25), "subscription_threshold", 100)], vec![0], 402),
    ];
    for (what, bills, back, expected) in cases {
        let (buyer, told) = scene.buyer().await;
        let first: Value = told.subscription(&[told.item("price_monthly", (-20, 10))], json!({}));
        scene.tell("customer.subscription.created", first).await;
        let moved = told.subscription(&[told.item("price_monthly", (-5, 25))], json!({}));
        scene.tell("customer.subscription.updated", moved).await;
        let mut payments = Vec::new();
        for bill in &bills {
            payments.push(bill.told(&scene, &told).await);
        }
        buyer.reads(&scene.world, 200, what).await;
        for place in back {
            let charge = told.charge(&payments[place], bills[place].amount, json!({}));
            scene.tell("charge.refunded", charge).await;
        }
        buyer.reads(&scene.world, expected, what).await;
    }
    // A bill that comes after the refund says that the period was paid again.
    let (buyer, told) = scene.buyer().await;
    let running =
        told.subscription(&[told.item("price_monthly", (-5, 25))], json!({ "start_date": told.now - 5 * DAY }));
    scene.tell("customer.subscription.created", running).await;
    let payment = billed((-5, 25), cycle, 700).told(&scene, &told).await;
    scene.tell("charge.refunded", told.charge(&payment, 700, json!({}))).await;
    buyer.reads(&scene.world, 402, "it went back").await;
    billed((-5, 25), "manual", 700).told(&scene, &told).await;
    buyer.reads(&scene.world, 200, "it was paid again").await;
}
