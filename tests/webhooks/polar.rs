//! Polar's webhooks, from the outside: what is taken, and what then opens and closes.

use demo::polar::{NewRefund, PauseAt, RefundReason, RefundStatus, StandardSecret};
use serde_json::json;

use crate::world::polar::{Asking, BUSINESS, PAID, WithPolar, headers, signing};
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Setup, World, token};

fn harmless() -> String {
    json!({ "type": "benefit_grant.created", "timestamp": "2026-03-01T00:00:00.000001Z", "data": {} }).to_string()
}

#[tokio::test]
async fn what_is_bought_at_polar_opens_the_gate_of_every_proxy_until_it_ends() {
    let scene = WithPolar::start(Setup::new(Arrangement::Separate), Asking::No).await;
    let (world, polar) = (&scene.world, &scene.polar);
    let account = unique("buyer");
    let token = token(&account);
    world.everywhere("/premium/one", &token, 402).await;
    let reader = scene.subscribe(&account, PAID);
    world.everywhere("/premium/one", &token, 200).await;
    world.everywhere("/business/one", &token, 402).await;
    polar.change_product(&reader.subscription, BUSINESS).expect("another product");
    world.everywhere("/business/one", &token, 200).await;
    polar.pause(&reader.subscription, PauseAt::Now, None).expect("paused");
    world.everywhere("/premium/one", &token, 402).await;
    polar.resume(&reader.subscription).expect("resumed");
    world.everywhere("/premium/one", &token, 200).await;
    polar.cancel(&reader.subscription).expect("canceled");
    scene.settled().await;
    world.everywhere("/premium/one", &token, 200).await;
    polar.revoke(&reader.subscription).expect("revoked");
    world.everywhere("/premium/one", &token, 402).await;
    scene.settled().await;
}

#[tokio::test]
async fn only_what_polar_signed_lately_is_taken() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    let body = harmless();
    let (new, old) = (signing(0), signing(1));
    let other = StandardSecret { secret: "whsec_b3RoZXI=".into(), form: new.form };
    let signed = |seconds: i64, secrets: &[StandardSecret]| headers(&unique("msg"), &body, seconds, secrets);
    let changed = |name: &str, value: &str| {
        let mut headers = signed(0, std::slice::from_ref(&new));
        headers.iter_mut().filter(|(known, _)| *known == name).for_each(|header| header.1 = value.to_owned());
        headers
    };
    let without = |name: &str| {
        let mut headers = signed(0, std::slice::from_ref(&new));
        headers.retain(|(known, _)| *known != name);
        headers
    };
    let cases = [
        ("the new form of a secret", signed(0, std::slice::from_ref(&new)), 200),
        ("the old form of a secret", signed(0, std::slice::from_ref(&old)), 200),
        ("both secrets", signed(0, &[old.clone(), new.clone()]), 200),
        ("one good among bad", signed(0, &[other.clone(), new.clone()]), 200),
        ("another secret", signed(0, &[other]), 401),
        ("ten minutes old", signed(-600, std::slice::from_ref(&new)), 401),
        ("ten minutes ahead", signed(600, std::slice::from_ref(&new)), 401),
        ("another id", changed("webhook-id", "msg_other"), 401),
        ("another moment", changed("webhook-timestamp", "1"), 401),
        ("no signature in it", changed("webhook-signature", "v1a,AAAA"), 401),
        ("no id", without("webhook-id"), 400),
        ("no moment", without("webhook-timestamp"), 400),
        ("no signature", without("webhook-signature"), 400),
    ];
    for (what, headers, status) in cases {
        let answer = scene.world.deliver_to_polar(&body, &headers).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(status == 200 || !answer.code().is_empty(), "{what}");
    }
    let no_event = "tier=paid";
    let answer = scene.world.deliver_to_polar(no_event, &headers("msg_1", no_event, 0, &[new])).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn without_a_usable_secret_nothing_is_taken() {
    let setup = Setup::new(Arrangement::AllPostgres);
    let answer = World::with(setup).await.deliver_to_polar(&harmless(), &[]).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_configured"), "{answer:?}");
}

#[tokio::test]
async fn no_gate_and_no_redirect_stands_before_the_route() {
    let everything_is_sold = "[[route]]\npath = \"/**\"\nrequire = { tier = \"business\" }\n";
    let setup = Setup::new(Arrangement::AllPostgres).routes(everything_is_sold);
    let scene = WithPolar::start(setup, Asking::No).await;
    let account = unique("buyer");
    scene.subscribe(&account, BUSINESS);
    scene.world.everywhere("/anything", &token(&account), 200).await;
    scene.settled().await;
}

#[tokio::test]
async fn a_customers_state_makes_up_for_what_never_came_and_an_old_one_changes_nothing() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgresRedis), Asking::No).await;
    let account = unique("buyer");
    let token = token(&account);
    let reader = scene.subscribe(&account, PAID);
    scene.world.everywhere("/premium/one", &token, 200).await;
    scene.settled().await;
    let is_state = |event: &str| {
        let events = scene.polar.events();
        events.iter().any(|(id, body)| id == event && body["type"] == "customer.state_changed")
    };
    scene.polar.hold();
    scene.polar.revoke(&reader.subscription).expect("revoked");
    scene.subscribe_again(&reader.customer, PAID);
    let waiting = scene.polar.waiting();
    let (states, others): (Vec<String>, Vec<String>) = waiting.into_iter().partition(|event| is_state(event));
    for event in &others {
        scene.polar.discard(event).expect("it waited");
    }
    let (first, last) = (states.first().expect("a state"), states.last().expect("a state"));
    assert_ne!(first, last);
    for (event, status) in [(first, 402), (last, 200)] {
        assert!(scene.polar.deliver(event).await.expect("delivered").is_accepted());
        scene.world.everywhere("/premium/one", &token, status).await;
    }
    let again = scene.polar.redeliver(first).await.expect("delivered");
    assert!(again.body.contains("duplicate"), "{again:?}");
    scene.world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn what_was_paid_for_is_lost_with_its_refund_and_not_with_an_older_one() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgresRedis), Asking::No).await;
    let account = unique("buyer");
    let token = token(&account);
    scene.subscribe(&account, PAID);
    scene.world.everywhere("/premium/one", &token, 200).await;
    let order = scene.polar.orders()[0]["id"].as_str().expect("an id").to_owned();
    let give_back = |amount| {
        let (order, status, reason) = (order.clone(), RefundStatus::Succeeded, RefundReason::default());
        scene.polar.refund(&NewRefund { order, amount, status, reason }).expect("a refund")
    };
    give_back(Some(699));
    scene.settled().await;
    scene.world.everywhere("/premium/one", &token, 200).await;
    give_back(None);
    scene.world.everywhere("/premium/one", &token, 402).await;
}

#[tokio::test]
async fn what_one_provider_ends_the_other_still_gives() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgresRedis), Asking::No).await;
    let world = &scene.world;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let token = token(&account);
    let at_stripe = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &at_stripe.id)).await;
    world.applied(&at_stripe.event("created")).await;
    let at_polar = scene.subscribe(&account, PAID);
    scene.settled().await;
    scene.polar.revoke(&at_polar.subscription).expect("revoked");
    scene.settled().await;
    world.everywhere("/premium/one", &token, 200).await;
    scene.subscribe_again(&at_polar.customer, PAID);
    scene.settled().await;
    world.applied(&at_stripe.ended().event("deleted")).await;
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn with_a_token_what_polar_says_now_counts_and_not_what_the_event_said() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgresRedis), Asking::Yes).await;
    let account = unique("buyer");
    let token = token(&account);
    scene.polar.hold();
    let reader = scene.subscribe(&account, PAID);
    let first = scene.polar.waiting();
    scene.polar.change_product(&reader.subscription, BUSINESS).expect("another product");
    for event in first.iter().rev() {
        assert!(scene.polar.deliver(event).await.expect("delivered").is_accepted());
    }
    scene.world.everywhere("/business/one", &token, 200).await;
}
