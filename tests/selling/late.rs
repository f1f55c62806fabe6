//! Money that goes back long after the period that it paid for: what is paid for since stays, and what is over stays over.

use std::time::Duration;

use demo::provider::{CancelAt, Card, Exhausted, PauseBehavior};
use serde_json::Value;

use super::{Buyer, annual, monthly, provider, shop, text};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, World, eventually};

/// The ids of the buyer's invoices at the provider, oldest first.
fn invoices(world: &World, customer: &Value) -> Vec<String> {
    let invoices = provider(world).invoices();
    invoices.iter().filter(|invoice| invoice["customer"] == *customer).map(|invoice| text(invoice, "id")).collect()
}

async fn days_pass(world: &World, days: u64) {
    provider(world).advance(Duration::from_secs(days * 86_400)).expect("later");
    provider(world).settled(DEADLINE).await.expect("told");
}

/// As [`told`], with the way back that the API names.
async fn told_with(buyer: &Buyer<'_>, (reason, way_back): (&str, &str), on_page: &str) {
    told(buyer, reason, on_page).await;
    let standing = buyer.standing().await;
    let own = standing["subscriptions"].as_array().and_then(|all| all.last()).expect("a subscription");
    assert_eq!(own["way_back"], way_back, "{reason}: {own}");
}

/// Waits until the API, the page and `explain` agree on why the buyer's subscription gives nothing; empty where it gives all.
async fn told(buyer: &Buyer<'_>, reason: &str, on_page: &str) {
    provider(buyer.world).settled(DEADLINE).await.expect("told");
    eventually(&format!("the reason is \"{reason}\""), async || {
        let standing = buyer.standing().await;
        let own = standing["subscriptions"].as_array()?.iter().next_back()?.clone();
        (own["reason"].as_str().unwrap_or_default() == reason).then_some(())
    })
    .await;
    let page = buyer.world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains(on_page), "{reason}: {}", page.body);
    let explained = buyer.world.tollgate(&["explain", "account", &buyer.account]).await.success();
    match reason {
        "" => assert!(!explained.contains("gives nothing"), "{explained}"),
        reason => assert!(explained.contains(&format!("gives nothing: {reason}; ")), "{explained}"),
    }
}

#[tokio::test]
async fn a4_a_dispute_that_is_lost_after_its_period_takes_nothing_of_a_later_one() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let customer = buyer.subscription()["customer"].clone();
    for _ in 0..3 {
        days_pass(&world, 31).await;
    }
    let [first, .., last] = &invoices(&world, &customer)[..] else { panic!("{:?}", provider(&world).invoices()) };
    provider(&world).dispute(first, "needs_response").expect("disputed");
    told(&buyer, "disputed", "Your bank asks about a payment").await;
    provider(&world).dispute(first, "lost").expect("decided");
    told(&buyer, "", "Next payment").await;
    world.everywhere("/premium/one", &buyer.token, 200).await;
    let explained = world.tollgate(&["explain", "account", &buyer.account]).await.success();
    assert!(explained.contains("lost"), "the dispute is shown all the same: {explained}");

    provider(&world).dispute(last, "lost").expect("decided");
    told(&buyer, "dispute_lost", "Buy again").await;
    world.everywhere("/premium/one", &buyer.token, 402).await;
    for words in ["a payment is disputed", "a dispute is lost"] {
        let line = eventually("it is told", async || {
            let log = world.billing().process.log();
            log.lines().find(|line| line.contains(words)).map(str::to_owned)
        })
        .await;
        for part in [buyer.account.as_str(), "\"provider\":\"stripe\"", "\"dispute\":", "\"payment\":"] {
            assert!(line.contains(part), "b17: {part} in {line}");
        }
    }
}

#[tokio::test]
async fn a4_a_refund_after_its_period_takes_nothing_of_a_later_one_and_says_nothing_of_what_is_over() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let own = buyer.subscription();
    days_pass(&world, 62).await;
    let [first, .., last] = &invoices(&world, &own["customer"])[..] else { panic!("{own}") };
    provider(&world).refund(first, None).expect("refunded");
    told(&buyer, "", "Next payment").await;
    world.everywhere("/premium/one", &buyer.token, 200).await;

    provider(&world).cancel(&text(&own, "id"), CancelAt::Now).expect("ended");
    buyer.becomes("none").await;
    for invoice in [first, last] {
        provider(&world).dispute(invoice, "lost").expect("decided");
    }
    told(&buyer, "", "").await;
    world.everywhere("/premium/one", &buyer.token, 402).await;
}

#[tokio::test]
async fn a4_what_is_unpaid_asks_for_a_card_everywhere() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let customer = text(&buyer.subscription(), "customer");
    provider(&world).set_exhausted(Exhausted::Unpaid);
    provider(&world).set_card(&customer, Card::Declined).expect("a card");
    days_pass(&world, 62).await;
    told_with(&buyer, ("unpaid", "update_card"), "Your subscription is not paid").await;
    let again = buyer.orders(&annual()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "payment_missing"), "{again:?}");
    assert_eq!(again.json()["instead"], "/api/billing/portal");
    world.everywhere("/premium/one", &buyer.token, 402).await;
}

#[tokio::test]
async fn a4_a_refund_while_paused_is_told_as_a_refund() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let own = buyer.subscription();
    provider(&world).pause_collection(&text(&own, "id"), PauseBehavior::Void, None).expect("paused");
    told_with(&buyer, ("paused", "resume"), "Let it go on").await;
    let invoice = invoices(&world, &own["customer"]).pop().expect("an invoice");
    provider(&world).refund(&invoice, None).expect("refunded");
    told_with(&buyer, ("refunded", "buy_again"), "Buy again").await;
    // A subscription that runs there no longer stands in the way.
    buyer.opens(&monthly()).await;
}
