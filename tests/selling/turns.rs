//! One checkout at a time for each account, however many ask for it and whatever becomes of it.

use std::time::Duration;

use demo::provider::{CancelAt, Settled, WhileProcessing};
use futures_util::future::join_all;
use serde_json::json;

use super::{Buyer, annual, kept, monthly, provider, shop, text, with_cookie};
use crate::world::{Arrangement, World};

crate::journeys::in_every_arrangement!(fifty_clicks_open_one_checkout);

async fn fifty_clicks_open_one_checkout(arrangement: Arrangement) {
    let world = shop(arrangement).await;
    let (buyer, other) = (Buyer::new(&world), Buyer::new(&world));
    let order = monthly();
    let clicks = (0..50).map(|click| {
        let proxies: Vec<_> = world.proxies().collect();
        let request =
            world.request_to(proxies[click % proxies.len()], "POST", "/api/billing/checkout", Some(&buyer.token));
        crate::world::send(request.json(&order))
    });
    let (answers, of_other) = tokio::join!(join_all(clicks), other.orders(&order));
    let urls: Vec<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{answer:?}");
            text(&answer.json(), "url")
        })
        .collect();
    assert!(urls.iter().all(|url| *url == urls[0]), "one page: {urls:?}");
    assert_ne!(text(&of_other.json(), "url"), urls[0], "somebody else has another one");
    let of_buyer = |object: &&serde_json::Value| object["metadata"]["account"] == buyer.account.as_str();
    assert_eq!(provider(&world).sessions().iter().filter(of_buyer).count(), 1, "one session");
    assert_eq!(provider(&world).customers().iter().filter(of_buyer).count(), 1, "one customer");
}

async fn small() -> World {
    shop(Arrangement::AllPostgres).await
}

#[tokio::test]
async fn a_checkout_names_the_account_everywhere_and_leads_back() {
    let world = small().await;
    let buyer = Buyer::new(&world);
    let session = buyer.opens(&json!({ "cadence": "annual", "next": "/premium/one" })).await;
    let sessions = provider(&world).sessions();
    let session = sessions.iter().find(|shown| shown["id"] == session.as_str()).expect("it is there");
    assert_eq!((&session["mode"], &session["allow_promotion_codes"]), (&json!("subscription"), &json!(true)));
    assert_eq!(session["client_reference_id"], buyer.account.as_str());
    assert_eq!(session["metadata"]["account"], buyer.account.as_str());
    assert_eq!(provider(&world).customers()[0]["metadata"]["account"], buyer.account.as_str());
    assert_eq!(session["cancel_url"], format!("{}/billing/pricing", world.url));
    let back = text(session, "success_url");
    assert!(back.starts_with(&format!("{}/billing/return?session_id=", world.url)), "{back}");
    assert!(back.ends_with("next=%2Fpremium%2Fone"), "{back}");
    provider(&world).complete_checkout(&text(session, "id")).expect("paid");
    assert_eq!(buyer.subscription()["metadata"]["account"], buyer.account.as_str());
}

#[tokio::test]
async fn each_browser_goes_on_to_the_page_of_its_last_click_and_never_to_another_site() {
    let world = small().await;
    let buyer = Buyer::new(&world);
    let click = async |next: &str| {
        let opened = buyer.orders(&json!({ "cadence": "annual", "next": next })).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        (text(&opened.json(), "url"), kept(&opened))
    };
    let (url, one) = click("/premium/one").await;
    let (again, other) = click("/archive/one").await;
    let (_, nowhere) = click("").await;
    let (_, evil) = click("//evil.example/").await;
    let sessions = provider(&world).sessions();
    assert_eq!((sessions.len(), &again), (1, &url), "one checkout for all of them");
    let id = text(&sessions[0], "id");
    provider(&world).complete_checkout(&id).expect("paid");
    buyer.becomes("trialing").await;
    let back = text(&sessions[0], "success_url").replace("{CHECKOUT_SESSION_ID}", &id).replace(&world.url, "");
    let plan = "/billing?upgraded=1";
    let forged = format!("tollgate_next=session={id}&next=https%3A%2F%2Fevil.example%2F");
    let stale = "tollgate_next=session=cs_of_yesterday&next=%2Farchive%2Ftwo".to_owned();
    let cases = [
        ("the window that opened it, on another device", one, "/premium/one"),
        ("a window that came later", other, "/archive/one"),
        ("one that wants to go nowhere", nowhere, plan),
        ("one that wants to leave the site", evil, plan),
        ("what somebody else has written", forged, plan),
        ("a click for another checkout", stale, "/premium/one"),
        ("a browser that remembers nothing", "a=b".to_owned(), "/premium/one"),
    ];
    for (what, cookie, page) in cases {
        let returned = with_cookie(&world, &back, Some(&buyer.token), &cookie).await;
        assert_eq!((returned.status, returned.header("location")), (303, page), "{what}: {returned:?}");
        let forgets = returned.header("set-cookie").contains("tollgate_next=; Path=/billing/return; Max-Age=0");
        assert_eq!(forgets, cookie != "a=b", "{what}: {returned:?}");
    }
}

#[tokio::test]
async fn a_checkout_that_is_over_makes_room_for_another() {
    let world = small().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    let first = buyer.opens(&monthly()).await;
    assert_eq!(buyer.opens(&monthly()).await, first, "it can still be paid");
    provider.expire_checkout(&first).expect("expired");
    let second = buyer.opens(&monthly()).await;
    assert_ne!(second, first);
    provider.advance(Duration::from_secs(25 * 3600)).expect("a day later");
    let third = buyer.opens(&monthly()).await;
    assert_ne!(third, second, "the provider closes them by itself");
    let other = buyer.opens(&annual()).await;
    assert!(provider.complete_checkout(&third).is_err(), "an order for something else closes it");
    provider.complete_checkout(&other).expect("the last one can be paid");
}

#[tokio::test]
async fn what_was_paid_is_known_to_the_next_click_although_nothing_was_told() {
    let world = small().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    provider.hold();
    let session = buyer.opens(&monthly()).await;
    provider.complete_checkout(&session).expect("paid");
    let again = buyer.orders(&monthly()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "already_subscribed"), "{again:?}");
    assert_eq!(again.json()["instead"], "/api/billing/portal");
    assert_eq!(world.get("/premium/one", Some(&buyer.token)).await.status, 200, "it was asked for");
    let portal = world.post("/api/billing/portal", &buyer.token, &json!({})).await;
    assert_eq!(portal.status, 200, "{portal:?}");
    assert_eq!(provider.sessions().len(), 1);
    provider.release();
}

#[tokio::test]
async fn a_payment_that_takes_days_is_not_made_twice() {
    let world = small().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    let session = buyer.opens(&monthly()).await;
    provider.complete_checkout_later(&session, WhileProcessing::Incomplete).expect("ordered");
    let again = buyer.orders(&monthly()).await;
    assert_eq!((again.status, again.code().as_str()), (409, "payment_pending"), "{again:?}");
    provider.settle_checkout(&session, Settled::Paid).expect("it came");
    buyer.becomes("active").await;
    let again = buyer.orders(&monthly()).await;
    assert_eq!(again.code(), "already_subscribed");
}

#[tokio::test]
async fn who_comes_back_buys_again_and_keeps_the_customer() {
    let world = small().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    provider.cancel(&text(&buyer.subscription(), "id"), CancelAt::Now).expect("ended");
    buyer.becomes("none").await;
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    assert_eq!((provider.customers().len(), provider.subscriptions().len()), (1, 2));
}

#[tokio::test]
async fn a_customer_that_the_provider_forgot_is_made_anew_once() {
    let world = small().await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    // Nobody tells that it is gone: as with an id of the other mode.
    provider.hold();
    let session = buyer.opens(&monthly()).await;
    provider.expire_checkout(&session).expect("expired");
    let lost = text(&provider.customers()[0], "id");
    provider.delete_customer(&lost).expect("deleted");
    let calls = |name: &str| provider.calls().get(name).copied().unwrap_or(0);
    provider.forget_calls();
    buyer.opens(&monthly()).await;
    assert_eq!((calls("POST /v1/customers"), calls("POST /v1/checkout/sessions")), (1, 2), "{:?}", provider.calls());
    let customers = provider.customers();
    let made = customers.iter().find(|customer| customer["id"] != lost.as_str()).expect("another one");
    assert_eq!((&made["metadata"]["replaces"], &made["metadata"]["account"]), (&json!(lost), &json!(buyer.account)));
    provider.release();
}
