//! What takes access without an end has its own words, and its own way back.

use demo::provider::{Card, Fault, FaultKind, NewCustomer, PauseBehavior, Subscribe};
use serde_json::json;

use super::{Buyer, annual, monthly, provider, shop, text};
use crate::world::{Arrangement, World, eventually};

/// The buyer's newest invoice at the provider.
fn last_invoice(world: &World, buyer: &Buyer<'_>) -> String {
    let customer = buyer.subscription()["customer"].clone();
    let invoices = provider(world).invoices();
    let last = invoices.iter().rev().find(|invoice| invoice["customer"] == customer);
    text(last.expect("an invoice"), "id")
}

/// Why the buyer's only subscription that is not over gives nothing, and what brings access back.
async fn told(buyer: &Buyer<'_>, reason: &str, way_back: &str) {
    eventually(&format!("it is {reason}"), async || {
        let standing = buyer.standing().await;
        let own = standing["subscriptions"].as_array()?.iter().find(|own| own["ended_at"].is_null())?.clone();
        (standing["tier"] == "free" && own["reason"] == reason && own["way_back"] == way_back).then_some(())
    })
    .await;
    let explained = buyer.world.tollgate(&["explain", "account", &buyer.account]).await;
    assert!(
        explained.stdout.contains(&format!("gives nothing: {reason}; what brings access back: {way_back}")),
        "{explained:?}"
    );
}

#[tokio::test]
async fn a4_what_was_refunded_is_bought_again_and_never_runs_beside_it() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let first = text(&buyer.subscription(), "id");
    provider.refund(&last_invoice(&world, &buyer), None).expect("refunded");
    told(&buyer, "refunded", "buy_again").await;
    assert_eq!(provider.subscription(&first).expect("it is there")["status"], "active", "it still runs there");
    let page = world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("Your last payment was given back") && page.body.contains("Buy again"), "{}", page.body);
    assert!(!page.body.contains("Next payment"), "{}", page.body);
    assert!(page.body.contains("cancel it") && page.body.contains("Cancel at the end"), "{}", page.body);
    for words in ["has ended", "No subscription"] {
        assert!(!page.body.contains(words), "it goes on at the provider: {words}: {}", page.body);
    }
    let billed = world.get("/api/billing/invoices", Some(&buyer.token)).await.json();
    assert_eq!(billed["invoices"][0]["status"], "refunded", "{billed}");
    assert!(page.body.contains(r#"<span class="soft">Refunded</span>"#), "{}", page.body);
    let pricing = world.browse("/billing/pricing", Some(&buyer.token)).await;
    assert!(pricing.body.contains("/billing/checkout"), "it can be bought: {}", pricing.body);
    // A purchase that is not possible ends nothing.
    assert_eq!(buyer.orders(&json!({ "cadence": "monthly" })).await.status, 400, "without the consent");
    assert_eq!(provider.subscription(&first).expect("it is there")["status"], "active");
    buyer.buys(&json!({ "tier": "business", "cadence": "monthly" })).await;
    assert_eq!(buyer.becomes("active").await["tier"], "business");
    assert_eq!(provider.subscription(&first).expect("it is there")["status"], "canceled", "never two");
    world.everywhere("/premium/one", &buyer.token, 200).await;
}

#[tokio::test]
async fn a4_what_is_bought_again_ends_only_when_its_checkout_is_there() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let first = text(&buyer.subscription(), "id");
    let status = || text(&provider.subscription(&first).expect("it is there"), "status");
    provider.refund(&last_invoice(&world, &buyer), None).expect("refunded");
    told(&buyer, "refunded", "buy_again").await;
    for (kind, code) in [(FaultKind::Mistaken, "provider_error"), (FaultKind::ServerError, "provider_unavailable")] {
        let fault = Fault { kind, path: "POST /v1/checkout/sessions".into(), count: u32::MAX };
        provider.fail_calls(fault).expect("planned");
        let refused = buyer.orders(&annual()).await;
        assert_eq!((refused.status, refused.code().as_str()), (502, code), "{refused:?}");
        assert_eq!(status(), "active", "{code}: nothing was sold, and nothing has ended");
        provider.heal_calls();
    }
    // Nor is anything to be paid while the first one runs.
    let fault = Fault { kind: FaultKind::ServerError, path: "DELETE /v1/subscriptions".into(), count: u32::MAX };
    provider.fail_calls(fault).expect("planned");
    let refused = buyer.orders(&annual()).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "provider_unavailable"), "{refused:?}");
    assert!(refused.json()["url"].is_null(), "{refused:?}");
    assert_eq!(status(), "active");
    provider.heal_calls();
    told(&buyer, "refunded", "buy_again").await;
    buyer.buys(&annual()).await;
    buyer.becomes("active").await;
    assert_eq!(status(), "canceled", "never two");
}

#[tokio::test]
async fn a4_what_is_paused_goes_on_by_a_button() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let id = text(&buyer.subscription(), "id");
    provider.pause_collection(&id, PauseBehavior::Void, None).expect("paused");
    told(&buyer, "paused", "resume").await;
    let page = world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("Your subscription is paused") && page.body.contains("Let it go on"), "{}", page.body);
    assert!(!page.body.contains("Next payment"), "{}", page.body);
    let again = buyer.orders(&annual()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "subscription_paused"), "{again:?}");
    assert_eq!(again.json()["instead"], "/api/billing/reactivate");
    provider.hold();
    let resumed = world.post("/api/billing/reactivate", &buyer.token, &json!({})).await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    // The answer counts at once: the webhook has not come.
    assert_eq!(buyer.standing().await["status"], "active");
    let canceled = world.post("/api/billing/cancel", &buyer.token, &json!({})).await;
    assert_eq!(canceled.status, 200, "{canceled:?}");
    assert_eq!(buyer.standing().await["status"], "canceling");
    let page = world.browse("/billing?done=ending", Some(&buyer.token)).await;
    assert!(page.body.contains("Your subscription ends on") && !page.body.contains("Next payment"), "{}", page.body);
    provider.release();
    provider.pause_collection(&id, PauseBehavior::Void, None).expect("paused");
    told(&buyer, "paused", "resume").await;
    let page = world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("is paused, and ends on") && page.body.contains("Let it go on"), "{}", page.body);
    assert!(!page.body.contains("Keep the subscription") && !page.body.contains("Next payment"), "{}", page.body);
    let page = world.browse("/billing?done=kept", Some(&buyer.token)).await;
    assert!(!page.body.contains("Your subscription goes on"), "the page says what is: {}", page.body);
}

#[tokio::test]
async fn a4_beside_a_first_payment_that_is_open_nothing_is_sold_and_the_portal_is_named() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    let metadata = [("account".to_owned(), buyer.account.clone())];
    let new = NewCustomer { metadata: metadata.clone().into_iter().collect(), ..NewCustomer::default() };
    let customer = provider.create_customer(new).expect("a customer");
    provider.set_card(&customer, Card::Declined).expect("a card");
    let order = Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
    let order = Subscribe { metadata: metadata.into_iter().collect(), ..order };
    let id = provider.subscribe(order).expect("it begins");
    assert_eq!(provider.subscription(&id).expect("it is there")["status"], "incomplete");
    told(&buyer, "incomplete", "update_card").await;
    let again = buyer.orders(&annual()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "payment_missing"), "{again:?}");
    assert_eq!(again.json()["instead"], "/api/billing/portal");
    let portal = world.post("/api/billing/portal", &buyer.token, &json!({})).await;
    assert_eq!(portal.status, 200, "{portal:?}");
}
