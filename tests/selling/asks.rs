//! How often the provider is asked because of one account.

use futures_util::future::join_all;
use serde_json::json;

use super::{Buyer, annual, monthly, provider, setup, shop, text};
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, World, eventually, token};

/// All calls that the provider got since it was told to forget, but for those about prices, which a start makes.
fn calls(world: &World) -> u64 {
    let calls = provider(world).calls();
    calls
        .iter()
        .filter(|(kind, _)| !kind.contains("/v1/prices") && !kind.contains("/v1/products"))
        .map(|(_, count)| count)
        .sum()
}

#[tokio::test]
async fn a11_thirty_checkouts_one_after_the_other_ask_a_few_times() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    let first = buyer.opens(&monthly()).await;
    provider(&world).forget_calls();
    for _ in 0..29 {
        assert_eq!(buyer.opens(&monthly()).await, first, "one page");
    }
    assert!(calls(&world) <= 20, "{:?}", provider(&world).calls());
    // What is over all the same is not handed out for long, and another account has its own.
    let other = Buyer::new(&world);
    let of_other = other.opens(&monthly()).await;
    provider(&world).expire_checkout(&of_other).expect("expired");
    assert_ne!(other.opens(&monthly()).await, of_other);
}

#[tokio::test]
async fn a11_thirty_listings_of_invoices_ask_once() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    eventually("the bill is listed", async || {
        let listed = buyer.get("/api/billing/invoices").await;
        (listed["invoices"][0]["status"] == "paid").then_some(())
    })
    .await;
    provider(&world).forget_calls();
    let listings = (0..30).map(|_| buyer.get("/api/billing/invoices"));
    for listed in join_all(listings).await {
        assert_eq!(listed["invoices"][0]["paid"], 700, "{listed}");
    }
    let page = world.browse("/billing", Some(&buyer.token)).await;
    assert!(page.body.contains("£7"), "{}", page.body);
    let asked = provider(&world).calls().get("GET /v1/invoices").copied().unwrap_or(0);
    assert!(asked <= 2, "{asked} calls");
}

#[tokio::test]
async fn a11_who_opens_and_closes_without_end_is_told_to_wait() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    let mut refused = None;
    for turn in 0..30 {
        let order = if turn % 2 == 0 { monthly() } else { annual() };
        let answer = buyer.orders(&order).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("not without end");
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_requests"), "{refused:?}");
    assert!(
        refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| (1..=10).contains(&seconds)),
        "{refused:?}"
    );
    let portal = world.post("/api/billing/portal", &buyer.token, &json!({})).await;
    assert_eq!(portal.status, 429, "one budget: {portal:?}");
    let form = world.request("POST", "/billing/portal", None).header("cookie", format!("session={}", buyer.token));
    let form = form.header("origin", world.url.clone()).header("content-type", "application/x-www-form-urlencoded");
    let page = crate::world::send(form.body("")).await;
    assert!(page.status == 429 && page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.header("retry-after").parse::<u32>().is_ok(), "a page says it, too: {page:?}");
    let other = Buyer::new(&world);
    assert_eq!(other.orders(&monthly()).await.status, 200, "another account has its own");
}

#[tokio::test]
async fn a11_a_metered_price_is_sold_without_a_quantity() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    provider(&world).set_price("price_business", |price| price.metered = true).expect("there is one");
    // A billing that has looked at the prices before may take it for what it was: prices never change at Stripe.
    let mut world = world;
    world.processes[0].restart();
    world.processes[0].ready().await;
    let buyer = Buyer::new(&world);
    buyer.buys(&json!({ "tier": "business", "cadence": "monthly" })).await;
    assert_eq!(buyer.becomes("active").await["tier"], "business");
    assert!(buyer.subscription()["items"]["data"][0]["quantity"].is_null(), "{}", buyer.subscription());
    assert_eq!(text(&buyer.subscription(), "status"), "active");
}

#[tokio::test]
async fn b17_a_page_of_which_the_provider_cannot_be_asked_warns_once_however_often_it_is_seen() {
    let world = World::start(Arrangement::AllPostgres).await;
    let account = unique("buyer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.applied(&subscription.event("created")).await;
    for _ in 0..6 {
        assert_eq!(world.browse("/billing", Some(&token(&account))).await.status, 200);
    }
    let log = world.proxy().process.log();
    let warned =
        log.lines().filter(|line| line.contains("\"WARN\"") && line.contains("invoices of an account")).count();
    assert!(warned <= 1, "no key is set, which each start says: {log}");
}
