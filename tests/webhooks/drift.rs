//! The alarm of comparisons: it rings for what was missing, and not for what an endpoint need not be told of.

use std::time::Duration;

use demo::provider::{CancelAt, NewCustomer, Provider, Shape, Subscribe};
use serde_json::Value;

use crate::world::stripe::unique;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, token};

/// What the README tells Stripe to send.
fn events_of_the_readme() -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("there is a README");
    let (_, rest) = readme.split_once("<!-- stripe events -->").expect("it names Stripe's events");
    let (list, _) = rest.split_once("<!-- end -->").expect("the list ends");
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

async fn drift(world: &World, arguments: &[&str]) -> i64 {
    let told = world.tollgate(&[&["reconcile", "--json"], arguments].concat()).await.success();
    let reports: Value = serde_json::from_str(&told).expect("reports");
    reports[0]["drift"].as_i64().unwrap_or_else(|| panic!("a number: {reports}"))
}

fn buys(provider: &Provider) -> (String, String) {
    let account = unique("buyer");
    let metadata = [("account".to_owned(), account.clone())].into();
    let customer = provider.create_customer(NewCustomer { metadata, ..NewCustomer::default() }).expect("room");
    let order = Subscribe { customer, price: "price_monthly".into(), ..Subscribe::default() };
    (account, provider.subscribe(order).expect("it begins"))
}

#[tokio::test]
async fn b14_healthy_payments_ring_no_alarm_and_what_was_missing_does() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("this world has one");
    provider.set_enabled_events(Some(events_of_the_readme()));
    let (account, subscription) = buys(provider);
    provider.advance(Duration::from_secs(40 * 86_400)).expect("it is renewed");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&account), 200).await;
    assert_eq!(drift(&world, &["--events"]).await, 0, "all that matters was delivered");

    // What was not delivered, and became known by other means.
    provider.set_enabled_events(Some(vec!["customer.created".to_owned()]));
    let (other, _) = buys(provider);
    provider.settled(DEADLINE).await.expect("told");
    assert!(drift(&world, &[]).await > 0, "compared");
    world.everywhere("/premium/one", &token(&other), 200).await;
    let first = drift(&world, &["--events"]).await;
    assert_eq!(drift(&world, &["--events"]).await, 0, "it is in the inbox");
    // The payment's own events say what no list of subscriptions does.
    assert!(first < 8, "what was known is no drift: {first}");

    // What was not delivered, and was not known.
    provider.cancel(&subscription, CancelAt::Now).expect("canceled");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&account), 200).await;
    assert_eq!(drift(&world, &["--events"]).await, 1, "the end was missing");
    eventually("it ends", async || {
        (world.get("/premium/one", Some(&token(&account))).await.status == 402).then_some(())
    })
    .await;
}
