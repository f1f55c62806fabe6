//! Alarms about purchases ring for what is wrong, and for nothing else.

use demo::provider::{NewCustomer, Shape, Subscribe};
use serde_json::json;

use super::provider;
use super::two::alarms;
use crate::world::polar::{Asking, WithPolar};
use crate::world::stripe::{Bill, Subscription, checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, token};

#[tokio::test]
async fn a5_beside_what_was_given_back_nobody_pays_twice() {
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = unique("buyer");
    for (is_refunded, expected) in [(true, 0.0), (false, 1.0)] {
        let (account, customers) = (format!("{buyer}_{is_refunded}"), [unique("cus"), unique("cus")]);
        let [first, second] = customers.each_ref().map(|customer| Subscription::of(customer));
        for subscription in [&first, &second] {
            world.settled(&checkout_completed(Some(&account), &subscription.customer, &unique("sub_of_before"))).await;
        }
        world.applied(&first.event("created")).await;
        let bill = Bill::of(&first);
        world.applied(&bill.paid()).await;
        if is_refunded {
            world.applied(&bill.refunded(bill.amount)).await;
        }
        world.applied(&second.event("created")).await;
        world.everywhere("/premium/one", &token(&account), 200).await;
        assert_eq!(alarms(&world).await, expected, "given back: {is_refunded}");
    }
}

#[tokio::test]
async fn a6_metadata_that_names_the_parent_is_no_proof_that_it_pays_twice() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (parent, child, customer) = (unique("parent"), unique("child"), unique("cus"));
    world.settled(&checkout_completed(Some(&parent), &customer, &unique("sub_of_before"))).await;
    world.applied(&Subscription::of(&customer).event("created")).await;
    let gift = Subscription { metadata: Some(parent.clone()), ..Subscription::of(&customer) };
    world.taken(&gift.event("created")).await;
    world.settled(&checkout_completed(Some(&child), &customer, &gift.id)).await;
    world.worked_off().await;
    world.everywhere("/premium/one", &token(&child), 200).await;
    assert_eq!(alarms(&world).await, 0.0, "each pays for itself");
}

#[tokio::test]
async fn a6_a_comparison_that_sees_a_childs_subscription_first_asks_for_its_checkout() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = provider(&world);
    let (parent, child) = (unique("parent"), unique("child"));
    let metadata = [("account".to_owned(), parent.clone())].into_iter().collect();
    let customer = NewCustomer { metadata, ..NewCustomer::default() };
    let customer = provider.create_customer(customer).expect("a customer");
    let order = || Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
    provider.subscribe(order()).expect("it begins");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/one", &token(&parent), 200).await;
    provider.hold();
    let session = [
        ("mode", "subscription"),
        ("customer", customer.as_str()),
        ("client_reference_id", child.as_str()),
        ("line_items[0][price]", "price_monthly"),
        ("line_items[0][quantity]", "1"),
        ("success_url", "https://read.example/"),
    ];
    let url = format!("{}/v1/checkout/sessions", provider.url());
    let asked = crate::world::http::client().post(&url).bearer_auth(crate::world::provider::API_KEY).form(&session);
    let opened = crate::world::send(asked).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    provider.complete_checkout(opened.json()["id"].as_str().expect("an id")).expect("paid");
    let compared = world.tollgate(&["reconcile"]).await;
    assert!(compared.code == 0 && !compared.stderr.contains("pays twice"), "{compared:?}");
    let shown = async |account: &str| {
        let standing = world.get("/api/billing/subscription", Some(&token(account))).await.json();
        standing["subscriptions"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((shown(&parent).await, shown(&child).await), (1, 1), "the checkout says whose it is");
    provider.release();
    provider.settled(DEADLINE).await.expect("told");
    world.worked_off().await;
    assert_eq!(alarms(&world).await, 0.0, "each pays for itself");
}

#[tokio::test]
async fn b17_an_end_grants_nothing_by_right_whatever_its_price() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    let world = &scene.world;
    let told = || world.billing().process.log().contains("grants nothing");
    let customer = unique("cus");
    world.settled(&checkout_completed(Some(&unique("buyer")), &customer, &unique("sub_of_before"))).await;
    let unnamed = Subscription { price: "price_of_old".into(), ..Subscription::of(&customer) };
    world.settled(&unnamed.ended().event("deleted")).await;
    assert!(!told(), "it is over: {}", world.billing().process.log());
    let unnamed = Subscription { id: unique("sub"), ..unnamed };
    world.settled(&Subscription { status: "incomplete", ..unnamed.clone() }.event("created")).await;
    assert!(!told(), "nothing is paid yet: {}", world.billing().process.log());
    world.settled(&unnamed.event("updated")).await;
    world.billing().logs("grants nothing").await;
    assert!(told(), "this one is paid for: {}", world.billing().process.log());
}

#[tokio::test]
async fn a4_what_no_catalog_names_has_a_reason() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    world.settled(&checkout_completed(Some(&account), &customer, &unique("sub_of_before"))).await;
    let unnamed = Subscription { price: "price_of_old".into(), ..Subscription::of(&customer) };
    world.settled(&unnamed.event("created")).await;
    let standing = world.get("/api/billing/subscription", Some(&token(&account))).await.json();
    let own = &standing["subscriptions"][0];
    assert_eq!((&own["reason"], &own["way_back"]), (&json!("unknown_price"), &json!("wait")), "{standing}");
    let page = world.browse("/billing", Some(&token(&account))).await;
    assert!(page.body.contains("is not offered here any more"), "{}", page.body);
    let explained = world.tollgate(&["explain", "account", &account]).await.stdout;
    assert!(explained.contains("gives nothing: unknown_price"), "{explained}");
}
