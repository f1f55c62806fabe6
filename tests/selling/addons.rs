//! What is sold beside the tiers: shown, bought with what it requires, held, and ended. It gives no tier.

use demo::provider::{CancelAt, NewCustomer, Subscribe};
use serde_json::{Value, json};

use super::{Buyer, annual, provider, setup, text};
use crate::world::stripe::{Event, Subscription, checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually};

const DOMAIN: &str = r#"
[[addon]]
code = "domain"
name = "Custom domain"
requires = ["domain_name"]

[[addon.price]]
provider = "stripe"
id = "price_domain"
cadence = "annual"
amount = 1500
currency = "gbp"
"#;

async fn shop() -> World {
    let usual = setup(Arrangement::AllPostgresRedis);
    let catalog = format!("{}{DOMAIN}", usual.catalog);
    World::with(Setup { catalog, ..usual }).await
}

fn domain(name: &str) -> Value {
    json!({ "addon": "domain", "details": { "domain_name": name, "account": "somebody else" }, "next": "/signed-in/one" })
}

#[tokio::test]
async fn an_order_for_an_add_on_that_cannot_be_filled_says_why() {
    let world = shop().await;
    let buyer = Buyer::new(&world);
    let cases = [
        (json!({ "addon": "domain" }), 400, "detail_required"),
        (domain(" "), 400, "detail_required"),
        (domain("https://shop.example"), 400, "detail_invalid"),
        (json!({ "addon": "domain", "details": "shop.example" }), 400, "not_json"),
        (json!({ "addon": "domain", "tier": "paid", "cadence": "annual" }), 400, "one_at_a_time"),
        (json!({ "addon": "domain", "cadence": "monthly" }), 400, "no_price"),
        (json!({ "addon": "domain", "cadence": "weekly" }), 400, "unknown_cadence"),
        (json!({ "addon": "none" }), 404, "addon_not_found"),
        (json!({ "addon": "paid" }), 404, "addon_not_found"),
    ];
    for (order, status, code) in cases {
        let refused = buyer.orders(&order).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{order}");
    }
    assert!(provider(&world).customers().is_empty(), "nobody was made for nothing");
}

#[tokio::test]
async fn an_add_on_is_bought_with_what_it_requires_held_and_ended() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    let mine = async || buyer.get("/api/billing/my-addons").await["addons"].clone();
    let first = buyer.opens(&domain("first.example")).await;
    assert_eq!(buyer.opens(&domain(" First.Example")).await, first, "the same, in other letters");
    let second = buyer.opens(&domain("second.example")).await;
    assert!(provider.complete_checkout(&first).is_err(), "it would be another domain");
    assert_eq!(mine().await, json!([]), "nothing is paid for");

    // Whoever is faster than the webhook has it, too.
    provider.hold();
    provider.complete_checkout(&second).expect("paid");
    let paid = buyer.subscription();
    for name in [("addon", "domain"), ("domain_name", "second.example"), ("account", buyer.account.as_str())] {
        assert_eq!(paid["metadata"][name.0], name.1, "{paid}");
    }
    let sessions = provider.sessions();
    let session = sessions.iter().find(|session| session["id"] == second.as_str()).expect("it is there");
    let back = text(session, "success_url").replace("{CHECKOUT_SESSION_ID}", &second).replace(&world.url, "");
    let returned = world.browse(&back, Some(&buyer.token)).await;
    assert_eq!((returned.status, returned.header("location")), (303, "/signed-in/one"), "{returned:?}");
    let held = mine().await;
    assert_eq!(
        (&held[0]["code"], &held[0]["details"], &held[0]["subscription"]),
        (&json!("domain"), &json!({ "domain_name": "second.example" }), &paid["id"])
    );
    provider.release();
    provider.settled(DEADLINE).await.expect("told");
    assert_eq!(buyer.standing().await["tier"], "free", "it is no tier");
    let again = buyer.orders(&domain("third.example")).await;
    assert_eq!((again.status, again.code().as_str()), (409, "already_held"), "{again:?}");
    assert_eq!(again.json()["instead"], "/api/billing/portal");

    // It stands in nobody's way: a tier is bought beside it, with its trial.
    buyer.buys(&annual()).await;
    buyer.becomes("trialing").await;
    assert_eq!(mine().await, held);
    provider.cancel(&text(&paid, "id"), CancelAt::Now).expect("ended");
    eventually("it is over", async || (mine().await == json!([])).then_some(())).await;
    assert_eq!(buyer.standing().await["status"], "trialing", "the tier stays");
    buyer.buys(&domain("fourth.example")).await;
    eventually("another one is held", async || {
        (mine().await[0]["details"]["domain_name"] == "fourth.example").then_some(())
    })
    .await;
}

#[tokio::test]
async fn add_ons_are_listed_and_those_that_are_paid_for_are_ones_own() {
    let usual = setup(Arrangement::AllPostgres);
    let catalog = format!("{}{DOMAIN}", usual.catalog);
    let world = World::with(Setup { catalog, provider: None, ..usual }).await;
    let buyer = Buyer::new(&world);
    let sold = buyer.get("/api/billing/addons").await;
    assert_eq!(
        (&sold["addons"][0]["code"], &sold["addons"][0]["requires"]),
        (&json!("domain"), &json!(["domain_name"]))
    );
    assert_eq!(sold["addons"][0]["prices"][0]["amount"], 1500);
    assert_eq!(buyer.get("/api/billing/my-addons").await["addons"], json!([]));
    let subscription = Subscription { price: "price_domain".to_owned(), ..Subscription::of(&unique("cus")) };
    world.applied(&checkout_completed(Some(&buyer.account), &subscription.customer, &subscription.id)).await;
    world.applied(&subscription.event("created")).await;
    let own = buyer.get("/api/billing/my-addons").await;
    assert_eq!(
        (&own["addons"][0]["code"], &own["addons"][0]["subscription"]),
        (&json!("domain"), &json!(subscription.id))
    );
    assert_eq!(buyer.standing().await["tier"], "free", "it is no tier");
    world.settled(&subscription.ended().event("deleted")).await;
    assert_eq!(buyer.get("/api/billing/my-addons").await["addons"], json!([]));
}

#[tokio::test]
async fn a2_an_add_on_ends_with_its_own_money_and_nothing_else_does() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    let codes = async || {
        let mine = buyer.get("/api/billing/my-addons").await["addons"].clone();
        let codes = mine.as_array().into_iter().flatten().filter_map(|held| held["code"].as_str().map(str::to_owned));
        codes.collect::<Vec<_>>()
    };
    buyer.buys(&json!({ "tier": "business", "cadence": "monthly" })).await;
    assert_eq!(buyer.becomes("active").await["tier"], "business");
    buyer.buys(&domain("first.example")).await;
    eventually("it is held", async || (codes().await == ["domain"]).then_some(())).await;
    let addon = text(&buyer.subscription(), "id");
    let bill = |subscription: &str| {
        let invoices = provider.invoices().into_iter();
        let of = |invoice: &Value| invoice.to_string().contains(subscription);
        text(&invoices.rev().find(of).expect("an invoice"), "id")
    };
    provider.refund(&bill(&addon), None).expect("refunded");
    eventually("its money is back, and it is gone", async || codes().await.is_empty().then_some(())).await;
    let standing = buyer.standing().await;
    assert_eq!((&standing["tier"], &standing["status"]), (&json!("business"), &json!("active")), "the tier stays");
    world.everywhere("/premium/one", &buyer.token, 200).await;
    let own = standing["subscriptions"].as_array().expect("a list").clone();
    let own = own.iter().find(|own| own["id"] == addon.as_str()).expect("it is shown");
    assert_eq!((&own["reason"], &own["way_back"]), (&json!("refunded"), &json!("buy_again")), "{own}");
    // It is bought again, and the first one ends at the provider.
    buyer.buys(&domain("second.example")).await;
    eventually("it is held again", async || (codes().await == ["domain"]).then_some(())).await;
    assert_eq!(provider.subscription(&addon).expect("it is there")["status"], "canceled", "never two");
    assert_eq!(buyer.standing().await["tier"], "business");
}

/// A bill for one thing of a subscription alone, for its running period.
fn bill_of(subscription: &Value, price: &str) -> Value {
    let items = subscription["items"]["data"].as_array().expect("a list");
    let item = items.iter().find(|item| item["price"]["id"] == price).expect("it is one of them");
    let line = json!({
        "id": unique("il"), "amount": 1500, "pricing": { "price_details": { "price": price } },
        "period": { "start": item["current_period_start"], "end": item["current_period_end"] },
        "parent": { "subscription_item_details": { "proration": false, "subscription_item": item["id"] } },
    });
    json!({
        "id": unique("in"), "object": "invoice", "customer": subscription["customer"], "livemode": false,
        "status": "paid", "billing_reason": "subscription_cycle", "created": item["current_period_start"],
        "amount_paid": 1500, "total": 1500, "currency": "gbp", "attempt_count": 1,
        "parent": { "subscription_details": { "subscription": subscription["id"] } },
        "lines": { "object": "list", "data": [line], "has_more": false },
    })
}

#[tokio::test]
async fn a2_of_one_subscription_only_that_is_bought_again_whose_money_went_back() {
    let world = shop().await;
    let of_addon = ("price_domain", "price_annual", domain("second.example"));
    for (back, rest, order) in [("price_annual", "price_domain", annual()), of_addon] {
        is_bought_again(&world, (back, rest), &order).await;
    }
}

/// Of a subscription for two things only that is bought again whose money went back.
async fn is_bought_again(world: &World, (back, rest): (&str, &str), order: &Value) {
    let provider = provider(world);
    {
        let buyer = Buyer::new(world);
        let metadata = [("account".to_owned(), buyer.account.clone())];
        let customer = NewCustomer { metadata: metadata.into_iter().collect(), ..NewCustomer::default() };
        let customer = provider.create_customer(customer).expect("a customer");
        let new = Subscribe {
            customer,
            price: "price_annual".into(),
            also: vec!["price_domain".into()],
            ..Subscribe::default()
        };
        let both = provider.subscribe(new).expect("it begins");
        buyer.becomes("active").await;
        let invoices = provider.invoices();
        let invoice = invoices.iter().find(|invoice| invoice.to_string().contains(&both)).expect("an invoice");
        provider.refund(&text(invoice, "id"), None).expect("refunded");
        buyer.becomes("none").await;
        let paid = bill_of(&provider.subscription(&both).expect("it is there"), rest);
        world.settled(&Event::new("invoice.paid", paid)).await;
        let of_tier = back == "price_annual";
        let own = buyer.becomes(if of_tier { "none" } else { "active" }).await["subscriptions"][0].clone();
        let mine = buyer.get("/api/billing/my-addons").await["addons"].as_array().expect("a list").len();
        let page = world.browse("/billing", Some(&buyer.token)).await;
        assert!(page.body.contains("was given back") && page.body.contains("Custom domain"), "{}", page.body);
        assert_eq!(page.body.contains("Buy again</a>"), of_tier, "{}", page.body);
        let (reason, way_back) = if of_tier { (json!("refunded"), json!("buy_again")) } else { Default::default() };
        assert_eq!((&own["reason"], &own["way_back"], mine), (&reason, &way_back, usize::from(of_tier)), "{own}");
        let explained = world.tollgate(&["explain", "account", &buyer.account]).await.stdout;
        assert_eq!(explained.contains("\n  gives nothing: refunded"), of_tier, "{explained}");
        let items = [("tier paid", "price_annual"), ("addon domain", "price_domain")];
        for (item, price) in items {
            let is_back = price == back;
            let told = if is_back { "gives nothing: refunded; what brings it back: buy_again" } else { "gives access" };
            assert!(explained.contains(&format!("  {item} ({price}): {told}")), "{item}: {explained}");
        }
        let explained = world.tollgate(&["explain", "account", &buyer.account, "--json"]).await.success();
        let explained: Value = serde_json::from_str(&explained).expect("JSON");
        let told = explained["items"].as_array().expect("a list").clone();
        let mut told: Vec<_> = told.iter().map(|item| (item["price"].as_str(), item["reason"].as_str())).collect();
        told.sort_unstable();
        let expected: Vec<_> =
            items.iter().map(|(_, price)| (Some(*price), (*price == back).then_some("refunded"))).collect();
        assert_eq!(told, expected, "{explained}");

        buyer.buys(order).await;
        buyer.becomes("active").await;
        eventually("both are had", async || {
            let mine = buyer.get("/api/billing/my-addons").await["addons"].clone();
            (mine.as_array().is_some_and(|mine| mine.len() == 1)).then_some(())
        })
        .await;
        let left = provider.subscription(&both).expect("it is there");
        let items = left["items"]["data"].as_array().expect("a list").clone();
        assert_eq!((&left["status"], items.len()), (&json!("active"), 1), "the rest goes on: {left}");
        assert_eq!(items[0]["price"]["id"], rest, "{left}");
    }
}
