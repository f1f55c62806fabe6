//! A comparison links by the words of customers and checkouts, and lists subscriptions without a link.

use demo::provider::CancelAt;
use serde_json::Value;

use super::{checkout, customer, first, naming, payer, provider, subscribed, table, world};

#[tokio::test]
async fn a_comparison_reads_customers_and_checkouts_and_lists_the_rest() {
    let world = world().await;
    payer(&world, naming("account", "by-customer"), [].into());
    checkout(&world, &customer(&world, [].into()), "by-checkout").await;
    let nobody = payer(&world, [].into(), [].into());
    let over = customer(&world, [].into());
    let ended = subscribed(&world, &over, "price_monthly", [].into());
    provider(&world).cancel(&ended, CancelAt::Now).expect("it ends");
    let gone = payer(&world, naming("account", "gone"), [].into());
    provider(&world).delete_customer(&gone).expect("it goes");
    let split = payer(&world, naming("account", "one"), naming("account", "other"));

    let compared = world.tollgate(&["reconcile", "--json"]).await.success();
    let compared: Value = serde_json::from_str(&compared).expect("JSON");
    let full = compared.as_array().expect("reports").iter().find(|report| report["kind"] == "full").expect("one");
    assert_eq!(full["unlinked"], 1, "{full}");
    assert_eq!(full["unlinked_subscriptions"][0]["customer"], nobody.as_str());
    assert_eq!((first(&world, "by-customer").await, first(&world, "by-checkout").await), (200, 200));
    assert_eq!(first(&world, "gone").await, 402);
    assert_eq!(full["contradictions"].as_array().map(Vec::len), Some(1), "{full}");
    let two = &full["contradictions"][0];
    assert_eq!((&two["customer"], &two["account"], &two["named"]), (&split.into(), &"one".into(), &"other".into()));
    let told = world.tollgate(&["reconcile"]).await.success();
    assert!(told.contains(&format!("`tollgate link ACCOUNT stripe:{nobody}`")), "{told}");
    assert!(told.contains("is of one, and its subscription sub_") && told.contains(" names other"), "{told}");
}

#[tokio::test]
async fn accounts_that_begin_to_pay_for_a_tier_with_limits_are_not_held_back_as_if_they_lost_something() {
    let world = world().await;
    let mut text = "account,stripe_customer\n".to_owned();
    for n in 0..8 {
        text.push_str(&format!("known-{n},{}\n", payer(&world, [].into(), [].into())));
    }
    table(&world, text, &["--apply"]).await.success();
    let compared = world.tollgate(&["reconcile", "--json"]).await.success();
    let compared: Value = serde_json::from_str(&compared).expect("JSON");
    let full = compared.as_array().expect("reports").iter().find(|report| report["kind"] == "full").expect("one");
    assert_eq!((&full["held_back"], &full["unlinked"]), (&Value::from(0), &Value::from(0)), "{full}");
    assert_eq!((first(&world, "known-0").await, first(&world, "known-7").await), (200, 200));
}
