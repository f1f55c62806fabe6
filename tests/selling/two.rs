//! Two providers sell the same: never can both be paid, and who does pay twice is told.

use demo::provider::{NewCustomer, Shape, Subscribe};
use serde_json::json;

use crate::world::polar::{Asking, PAID, WithPolar};
use crate::world::stripe::{DAY, Subscription, checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, token};

/// How often an operator was told that an account pays twice.
pub async fn alarms(world: &World) -> f64 {
    let url = format!("http://{}/metrics", world.billing().listen.admin);
    let metrics = crate::world::send(crate::world::http::client().get(&url)).await.body;
    let line = metrics.lines().find(|line| line.starts_with("tollgate_double_payments_total"));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|count| count.parse::<f64>().ok()).expect("a counter")
}

#[tokio::test]
async fn a5_an_open_checkout_that_cannot_be_closed_leads_on() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive), Asking::Yes).await;
    let world = &scene.world;
    let stripe = world.provider.as_ref().expect("this world has one");
    let token = token(&unique("buyer"));
    let order = async |tier: &str, provider: &str| {
        let order = json!({ "tier": tier, "cadence": "monthly", "provider": provider });
        world.post("/api/billing/checkout", &token, &order).await
    };
    let at_polar = order("paid", "polar").await;
    assert_eq!(at_polar.status, 200, "{at_polar:?}");
    let elsewhere = order("paid", "stripe").await;
    assert_eq!(
        (elsewhere.status, &elsewhere.json()["url"]),
        (200, &at_polar.json()["url"]),
        "it leads on: {elsewhere:?}"
    );
    let another = order("business", "stripe").await;
    assert_eq!((another.status, another.code().as_str()), (409, "checkout_open"), "{another:?}");
    assert!(stripe.sessions().is_empty(), "none that could be paid beside it");
    // The other way round the open one is closed.
    let token = crate::world::token(&unique("buyer"));
    let order = |provider: &str| json!({ "tier": "paid", "cadence": "monthly", "provider": provider });
    assert_eq!(world.post("/api/billing/checkout", &token, &order("stripe")).await.status, 200);
    assert_eq!(world.post("/api/billing/checkout", &token, &order("polar")).await.status, 200);
    let session = stripe.sessions()[0]["id"].as_str().expect("an id").to_owned();
    assert!(stripe.complete_checkout(&session).is_err(), "it is closed");
}

#[tokio::test]
async fn a5_the_alarm_rings_for_what_was_bought_and_not_for_its_price() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    let world = &scene.world;
    let alarms = async || alarms(world).await;
    let buys = async |account: &str, price: &str| {
        let customer = unique("cus");
        world.applied(&checkout_completed(Some(account), &customer, &unique("sub_of_another"))).await;
        let end = crate::world::in_seconds(365 * DAY);
        let own = Subscription { price: price.into(), ..Subscription::of(&customer) };
        world.applied(&Subscription { period: (own.period.0, end), ..own }.event("created")).await;
    };
    let account = unique("buyer");
    buys(&account, "price_monthly").await;
    buys(&account, "price_business").await;
    assert_eq!(alarms().await, 0.0, "another tier is another thing");
    buys(&account, "price_annual").await;
    assert_eq!(alarms().await, 1.0, "the same tier in another cadence");
    let account = unique("buyer");
    buys(&account, "price_monthly").await;
    scene.subscribe(&account, PAID);
    scene.settled().await;
    world.everywhere("/premium/one", &token(&account), 200).await;
    crate::world::eventually("the alarm rings", async || (alarms().await == 2.0).then_some(())).await;
}

#[tokio::test]
async fn a5_an_open_checkout_is_closed_when_its_tier_is_got_elsewhere() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive), Asking::Yes).await;
    let (world, polar) = (&scene.world, &scene.polar);
    let stripe = world.provider.as_ref().expect("this world has one");
    let orders = async |account: &str, provider: &str| {
        let order = json!({ "tier": "paid", "cadence": "monthly", "provider": provider });
        world.post("/api/billing/checkout", &token(account), &order).await
    };
    // Only the webhook of the other provider tells of the purchase.
    let account = unique("buyer");
    assert_eq!(orders(&account, "stripe").await.status, 200);
    let session = stripe.sessions()[0]["id"].as_str().expect("an id").to_owned();
    scene.subscribe(&account, PAID);
    scene.settled().await;
    eventually("it is closed", async || (stripe.sessions()[0]["status"] == "expired").then_some(())).await;
    assert!(stripe.complete_checkout(&session).is_err(), "nobody can pay it");
    world.everywhere("/premium/one", &token(&account), 200).await;

    // Polar has no way to close one: nothing leads to it any more, and an operator is told when it is paid all the same.
    let account = unique("buyer");
    assert_eq!(orders(&account, "polar").await.status, 200);
    let checkout = polar.checkouts()[0]["id"].as_str().expect("an id").to_owned();
    let metadata = [("account".to_owned(), account.clone())].into_iter().collect();
    let customer = stripe.create_customer(NewCustomer { metadata, ..NewCustomer::default() }).expect("a customer");
    stripe.subscribe(Subscribe { customer, price: "price_monthly".into(), ..Subscribe::default() }).expect("it begins");
    stripe.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&account), 200).await;
    for provider in ["polar", "stripe"] {
        let again = orders(&account, provider).await;
        assert_eq!((again.status, again.code().as_str()), (409, "already_subscribed"), "{provider}: {again:?}");
    }
    eventually("an operator is told", async || {
        world.billing().process.log().contains("stays open until it expires").then_some(())
    })
    .await;
    let before = alarms(world).await;
    polar.complete_checkout(&checkout).expect("paid");
    scene.settled().await;
    eventually("the alarm rings", async || (alarms(world).await > before).then_some(())).await;
}

#[tokio::test]
async fn a6_an_account_that_metadata_alone_names_keeps_its_customer_and_is_not_said_to_pay_twice() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("this world has one");
    let mut compared = world.database.as_ref().expect("a database").connect().await;
    eventually("the comparisons of the start are over", async || {
        let over = "select count(*) from reconciliations where provider = 'stripe' and ended_at is not null";
        let over: i64 = sqlx::query_scalar(over).fetch_one(&mut compared).await.expect("they can be read");
        (over == 2).then_some(())
    })
    .await;
    let (parent, child) = (unique("parent"), unique("child"));
    let metadata = [("account".to_owned(), parent.clone())].into_iter().collect();
    let customer = provider.create_customer(NewCustomer { metadata, ..NewCustomer::default() }).expect("a customer");
    let buy = || {
        let order = Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
        provider.subscribe(order).expect("it begins")
    };
    buy();
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&parent), 200).await;
    // A purchase of the same tier by the child is told before its checkout.
    let gift = buy();
    provider.settled(DEADLINE).await.expect("told");
    world.settled(&checkout_completed(Some(&child), &customer, &gift)).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    world.everywhere("/premium/one", &token(&parent), 200).await;
    let portal = async |account: &str| world.post("/api/billing/portal", &token(account), &json!({})).await.status;
    assert_eq!((portal(&parent).await, portal(&child).await), (200, 404));
    world.worked_off().await;
    assert_eq!(alarms(&world).await, 0.0, "each pays for itself");
    assert!(!world.billing().process.log().contains("pays twice"), "{}", world.billing().process.log());
    // No checkout says that this one is for another account.
    buy();
    eventually("the alarm rings", async || (alarms(&world).await == 1.0).then_some(())).await;
}

#[tokio::test]
async fn a6_a_checkout_for_another_account_moves_only_what_it_bought() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (parent, child, customer) = (unique("parent"), unique("child"), unique("cus"));
    let (own, gift, later) = (Subscription::of(&customer), Subscription::of(&customer), Subscription::of(&customer));
    world.applied(&checkout_completed(Some(&parent), &customer, &unique("sub_of_before"))).await;
    world.applied(&own.event("created")).await;
    world.everywhere("/premium/one", &token(&parent), 200).await;
    world.settled(&checkout_completed(Some(&child), &customer, &gift.id)).await;
    world.applied(&gift.event("created")).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    let shown = async |account: &str| {
        let standing = world.get("/api/billing/subscription", Some(&token(account))).await.json();
        let ids = standing["subscriptions"].as_array().into_iter().flatten();
        ids.filter_map(|own| own["id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!((shown(&parent).await, shown(&child).await), (vec![own.id.clone()], vec![gift.id.clone()]));
    world.applied(&later.event("created")).await;
    assert_eq!(shown(&child).await, std::slice::from_ref(&gift.id), "what the customer buys later is the parent's");
    // A person's word moves the customer, and what a checkout bought for another account stays there.
    let heir = unique("heir");
    let named = format!("stripe:{customer}");
    let asked = world.tollgate(&["link", &heir, &named]).await;
    assert!(asked.code != 0 && asked.stderr.contains(&parent) && asked.stderr.contains("--yes"), "{asked:?}");
    let linked = world.tollgate(&["link", &heir, &named, "--yes"]).await.success();
    assert!(linked.contains(&heir) && linked.contains(&parent), "{linked}");
    world.everywhere("/premium/one", &token(&heir), 200).await;
    world.everywhere("/premium/one", &token(&parent), 402).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    world.settled(&checkout_completed(Some(&parent), &customer, &unique("sub_of_later"))).await;
    assert_eq!(shown(&heir).await.len(), 2, "no checkout overrules it");
}

#[tokio::test]
async fn a6_portal_and_invoices_stay_with_the_account_whose_customer_it_is() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("this world has one");
    let (parent, child) = (unique("parent"), unique("child"));
    let metadata = [("account".to_owned(), parent.clone())].into_iter().collect();
    let customer = provider.create_customer(NewCustomer { metadata, ..NewCustomer::default() }).expect("a customer");
    let buy = || {
        let order = Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
        provider.subscribe(order).expect("it begins")
    };
    provider.settled(DEADLINE).await.expect("told");
    world.settled(&checkout_completed(Some(&parent), &customer, &unique("sub_of_before"))).await;
    buy();
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&parent), 200).await;
    let gift = buy();
    provider.settled(DEADLINE).await.expect("told");
    world.settled(&checkout_completed(Some(&child), &customer, &gift)).await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    let asked = async |path: &str, account: &str| world.get(path, Some(&token(account))).await;
    let portal = async |account: &str| world.post("/api/billing/portal", &token(account), &json!({})).await;
    let invoices = asked("/api/billing/invoices", &parent).await.json();
    assert_eq!(invoices["invoices"].as_array().map(Vec::len), Some(2), "{invoices}");
    assert_eq!(portal(&parent).await.status, 200);
    let invoices = asked("/api/billing/invoices", &child).await.json();
    assert_eq!(invoices["invoices"].as_array().map(Vec::len), Some(0), "{invoices}");
    let refused = portal(&child).await;
    assert_eq!((refused.status, refused.code().as_str()), (404, "no_customer"), "{refused:?}");
    world.everywhere("/premium/one", &token(&parent), 200).await;
}
