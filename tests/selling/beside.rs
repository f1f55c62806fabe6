//! Subscriptions beside one that was given back, and of a customer that is another account's: what the page says is what can be done.

use demo::provider::{NewCustomer, Shape, Subscribe};
use serde_json::{Value, json};

use super::{Buyer, annual, monthly, provider, shop, text};
use crate::world::stripe::{checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, token};

/// Begins a subscription of a customer at the provider; its id.
fn subscribed(world: &World, customer: &str, price: &str) -> String {
    let order = Subscribe { customer: customer.to_owned(), price: price.to_owned(), ..Subscribe::default() };
    provider(world).subscribe(order).expect("it begins")
}

fn invoice_of(world: &World, subscription: &str) -> String {
    let invoices = provider(world).invoices();
    let is_own = |invoice: &&Value| invoice.to_string().contains(&format!("\"{subscription}\""));
    text(invoices.iter().find(is_own).expect("an invoice"), "id")
}

/// One subscription, as its account is told of it.
async fn own(buyer: &Buyer<'_>, id: &str) -> Value {
    let standing = buyer.standing().await;
    let own = standing["subscriptions"].as_array().into_iter().flatten().find(|own| own["id"] == id);
    own.unwrap_or_else(|| panic!("{id} is there: {standing}")).clone()
}

#[tokio::test]
async fn a4_beside_what_was_given_back_another_is_ended_and_kept_and_nothing_is_promised_that_checkout_refuses() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let kept = text(&buyer.subscription(), "id");
    let back = subscribed(&world, &text(&buyer.subscription(), "customer"), "price_business");
    eventually("both are told", async || (buyer.standing().await["tier"] == "business").then_some(())).await;
    provider.refund(&invoice_of(&world, &back), None).expect("refunded");
    eventually("it is told", async || {
        (own(&buyer, &back).await["reason"] == "refunded" && buyer.standing().await["tier"] == "paid").then_some(())
    })
    .await;
    let again = buyer.orders(&annual()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "already_subscribed"), "{again:?}");
    let page = world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("was given back") && !page.body.to_lowercase().contains("buy it"), "{}", page.body);
    assert!(!page.body.contains("Buy again") && page.body.contains("Unless you cancel it"), "{}", page.body);
    assert_eq!(own(&buyer, &back).await["way_back"], "wait", "another one stands in its way");
    let explained = world.tollgate(&["explain", "account", &buyer.account]).await.stdout;
    assert!(explained.contains("refunded; what brings access back: wait"), "{explained}");

    let post = async |path: &str| world.post(path, &buyer.token, &json!({})).await;
    let ends = |id: &str| provider.subscription(id).expect("it is there")["cancel_at_period_end"] == true;
    let press = async |id: &str| {
        let form = world.request("POST", "/billing/cancel", None).header("cookie", format!("session={}", buyer.token));
        let form = form.header("origin", world.url.clone()).header("content-type", "application/x-www-form-urlencoded");
        crate::world::send(form.body(format!("subscription=stripe%3A{id}"))).await.status
    };
    assert!(page.body.contains("Cancel subscription: Paid, ") && page.body.contains("Cancel subscription: Business, "));
    assert_eq!(press("sub_of_another").await, 400, "it ends what it names");
    assert_eq!(press(&back).await, 303);
    assert!(!ends(&kept) && ends(&back), "and nothing else");
    assert_eq!(post("/api/billing/cancel").await.status, 200);
    assert!(ends(&kept) && ends(&back), "what names none ends all of them");
    let page = world.browse("/billing?done=ending", Some(&buyer.token)).await;
    assert!(page.body.contains("Your subscription ends on") && page.body.contains("Keep the"), "{}", page.body);
    assert_eq!(post("/api/billing/reactivate").await.status, 200);
    assert!(!ends(&kept) && ends(&back), "what gives access goes on");
    let page = world.browse("/billing?done=kept", Some(&buyer.token)).await;
    assert!(
        page.body.contains("Your subscription goes on") && page.body.contains("Cancel at the end"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("Keep the subscription"), "{}", page.body);
    let page = world.browse("/billing?done=ending", Some(&buyer.token)).await;
    assert!(!page.body.contains("Your subscription will end"), "the banner says what is: {}", page.body);
}

#[tokio::test]
async fn a6_what_another_account_pays_for_has_no_portal_and_no_word_leads_to_one() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let (parent, child) = (unique("parent"), unique("child"));
    let metadata = [("account".to_owned(), parent.clone())].into_iter().collect();
    let customer = NewCustomer { metadata, ..NewCustomer::default() };
    let customer = provider(&world).create_customer(customer).expect("a customer");
    provider(&world).settled(DEADLINE).await.expect("told");
    let gift = subscribed(&world, &customer, "price_monthly");
    world.settled(&checkout_completed(Some(&child), &customer, &gift)).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    let again = world.post("/api/billing/checkout", &token(&child), &annual()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "already_subscribed"), "{again:?}");
    assert_eq!(again.json()["instead"], Value::Null, "{again:?}");
    let portal = world.post("/api/billing/portal", &token(&child), &json!({})).await;
    assert_eq!((portal.status, portal.code().as_str()), (404, "no_customer"), "{portal:?}");
    assert!(portal.body.contains("another account"), "{portal:?}");
    for path in ["/billing", "/billing/pricing"] {
        let page = world.browse(path, Some(&token(&child))).await;
        assert!(page.body.contains("paid for by another account"), "{path}: {}", page.body);
        assert!(!page.body.contains(r#"action="/billing/portal""#), "{path}: {}", page.body);
    }
    let page = world.browse("/billing", Some(&token(&child))).await;
    assert!(page.body.contains("Cancel at the end"), "it is the child's to end: {}", page.body);
    let page = world.browse("/billing", Some(&token(&parent))).await;
    assert!(!page.body.contains("another account"), "{}", page.body);
}

#[tokio::test]
async fn a6_a_checkout_that_comes_first_does_not_take_the_customer_that_metadata_names_for_another_account() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = provider(&world);
    provider.hold();
    let (parent, child) = (unique("parent"), unique("child"));
    let metadata = [("account".to_owned(), parent.clone())].into_iter().collect();
    let customer = NewCustomer { metadata, ..NewCustomer::default() };
    let customer = provider.create_customer(customer).expect("a customer");
    let gift = subscribed(&world, &customer, "price_monthly");
    world.settled(&checkout_completed(Some(&child), &customer, &gift)).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    let portal = async |account: &str| world.post("/api/billing/portal", &token(account), &json!({})).await.status;
    assert_eq!((portal(&parent).await, portal(&child).await), (200, 404), "the customer is the parent's");
    provider.release();
    subscribed(&world, &customer, "price_monthly");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&parent), 200).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
}

#[tokio::test]
async fn a6_of_one_second_the_creation_of_a_customer_is_before_every_checkout() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (parent, child, customer) = (unique("parent"), unique("child"), unique("cus"));
    let now = crate::world::in_seconds(0);
    let gift = crate::world::stripe::Subscription::of(&customer);
    world.settled(&checkout_completed(Some(&child), &customer, &gift.id).created_at(now)).await;
    let created = json!({ "id": customer, "object": "customer", "metadata": { "account": parent }, "created": now });
    world.settled(&crate::world::stripe::Event::new("customer.created", created).created_at(now)).await;
    world.settled(&gift.event("created")).await;
    world.settled(&crate::world::stripe::Subscription::of(&customer).event("created")).await;
    world.everywhere("/premium/one", &token(&parent), 200).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
}
