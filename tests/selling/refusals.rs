//! What is wrong with a request, and what is wrong at the provider: a clear answer, nothing half done, and the same
//! request works when the cause is gone.

use demo::provider::{Fault, FaultKind};
use serde_json::json;

use super::{Buyer, annual, monthly, provider, setup, shop};
use crate::world::http::client;
use crate::world::{Arrangement, Setup, World, eventually, send};

/// A fault that goes on, whatever else asks the provider meanwhile.
fn lasting(kind: FaultKind, path: &str) -> Fault {
    Fault { kind, path: path.into(), count: u32::MAX }
}

#[tokio::test]
async fn what_the_provider_answers_badly_is_told_and_can_be_tried_again() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let cases = [
        ("too many requests", FaultKind::TooManyRequests { retry_after_secs: 1 }, "provider_unavailable"),
        ("a declined card", FaultKind::Declined, "provider_error"),
        ("an error of its own", FaultKind::ServerError, "provider_unavailable"),
        ("a page in HTML", FaultKind::BadGateway, "provider_unavailable"),
    ];
    for path in ["/v1/customers", "/v1/checkout/sessions"] {
        for (what, kind, code) in &cases {
            let buyer = Buyer::new(&world);
            provider.fail_calls(lasting(kind.clone(), path)).expect("planned");
            let failed = buyer.orders(&monthly()).await;
            assert_eq!((failed.status, failed.code().as_str()), (502, *code), "{path}, {what}: {failed:?}");
            assert!(!failed.body.contains("sk_test") && !failed.json()["detail"].is_null(), "{failed:?}");
            provider.heal_calls();
            let session = buyer.opens(&monthly()).await;
            provider.complete_checkout(&session).expect("paid");
            buyer.becomes("active").await;
            let of_buyer = |object: &&serde_json::Value| object["metadata"]["account"] == buyer.account.as_str();
            assert_eq!(provider.customers().iter().filter(of_buyer).count(), 1, "{path}, {what}: one customer");
            assert_eq!(provider.subscriptions().iter().filter(of_buyer).count(), 1, "{path}, {what}");
        }
    }
    let declined = Buyer::new(&world);
    provider.fail_calls(lasting(FaultKind::Declined, "/v1/customers")).expect("planned");
    assert_eq!(declined.orders(&monthly()).await.json()["detail"], "Your card was declined.", "in its own words");
}

#[tokio::test]
async fn what_is_bought_already_is_managed_again_when_the_provider_has_recovered() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let cases = [
        (FaultKind::TooManyRequests { retry_after_secs: 1 }, "provider_unavailable"),
        (FaultKind::Declined, "provider_error"),
        (FaultKind::ServerError, "provider_unavailable"),
        (FaultKind::BadGateway, "provider_unavailable"),
    ];
    let is_ending = || !buyer.subscription()["cancel_at"].is_null();
    for (path, ends) in [("portal", false), ("cancel", true), ("reactivate", false)] {
        let before = is_ending();
        let ask = async || world.post(&format!("/api/billing/{path}"), &buyer.token, &json!({})).await;
        for (kind, code) in &cases {
            provider.fail_calls(lasting(kind.clone(), "")).expect("planned");
            let failed = ask().await;
            assert_eq!((failed.status, failed.code().as_str()), (502, *code), "{path}, {kind:?}: {failed:?}");
            assert!(!failed.body.contains("sk_test") && failed.json()["detail"].is_string(), "{failed:?}");
            provider.heal_calls();
            assert_eq!(is_ending(), before, "{path}, {kind:?}: nothing has happened");
        }
        let done = ask().await;
        assert_eq!((done.status, is_ending()), (200, ends), "{path}: {done:?}");
    }
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    provider.fail_calls(lasting(FaultKind::Hang, "")).expect("planned");
    let failed = buyer.orders(&monthly()).await;
    assert_eq!((failed.status, failed.code().as_str()), (502, "provider_unavailable"), "{failed:?}");
    provider.heal_calls();
    buyer.opens(&monthly()).await;
    assert_eq!(provider.sessions().len(), 1);
}

#[tokio::test]
async fn every_refusal_has_its_code() {
    let setup = setup(Arrangement::AllPostgres).environment("TOLLGATE_ADMIN_TOKEN", "the operator's own token");
    let world = World::with(setup).await;
    let buyer = Buyer::new(&world);
    let cases = [
        (json!({}), 400, "unknown_cadence"),
        (json!({ "cadence": "weekly" }), 400, "unknown_cadence"),
        (json!({ "cadence": "monthly" }), 400, "consent_required"),
        (json!({ "cadence": "monthly", "consent": "monthly-waiver-0" }), 400, "consent_required"),
        (json!({ "tier": "platinum", "cadence": "monthly" }), 404, "tier_not_found"),
        (json!({ "tier": "business", "cadence": "annual" }), 400, "no_price"),
        (json!({ "cadence": "annual", "provider": "polar" }), 400, "no_price"),
        (json!({ "cadence": "annual", "provider": "paddle" }), 400, "unknown_provider"),
        (json!([]), 400, "not_json"),
    ];
    for (order, status, code) in cases {
        let refused = buyer.orders(&order).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{order}");
    }
    for (path, status, code) in [
        ("portal", 404, "no_customer"),
        ("cancel", 400, "no_active_subscription"),
        ("reactivate", 400, "no_active_subscription"),
    ] {
        let refused = world.post(&format!("/api/billing/{path}"), &buyer.token, &json!({})).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{path}");
    }
    let operator = world.post("/api/billing/checkout", "the operator's own token", &monthly()).await;
    assert_eq!((operator.status, operator.code().as_str()), (400, "operator_cannot_buy"), "{operator:?}");
    assert!(provider(&world).customers().is_empty(), "nobody was made for nothing");
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let kept = world.post("/api/billing/reactivate", &buyer.token, &json!({})).await;
    assert_eq!((kept.status, kept.code().as_str()), (400, "not_canceling"));

    // What the operator has not set up: a key, and anything that is paid by the year.
    let usual = Setup::new(Arrangement::AllPostgres);
    let catalog = usual.catalog.replace("cadence = \"annual\"", "cadence = \"monthly\"");
    let world = World::with(Setup { catalog, ..usual }).await;
    let buyer = Buyer::new(&world);
    for path in ["checkout", "portal", "cancel", "reactivate"] {
        let refused = world.post(&format!("/api/billing/{path}"), &buyer.token, &json!({ "cadence": "monthly" })).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "not_configured"), "{path}");
    }
    let refused = buyer.orders(&annual()).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "price_not_configured"), "{refused:?}");
}

#[tokio::test]
async fn around_the_proxy_nobody_is_believed() {
    let world = shop(Arrangement::AllPostgresRedis).await;
    let buyer = Buyer::new(&world);
    let billing = world.billing().listen.billing;
    let routes = [
        ("POST", "checkout"),
        ("POST", "portal"),
        ("POST", "cancel"),
        ("POST", "reactivate"),
        ("GET", "subscription"),
        ("GET", "tiers"),
        ("GET", "addons"),
        ("GET", "my-addons"),
        ("GET", "invoices"),
        ("GET", "referral"),
        ("POST", "referral"),
    ];
    for (method, route) in routes {
        let url = format!("http://{billing}/api/billing/{route}");
        let plain = || client().request(method.parse().expect("a method"), &url).json(&monthly());
        let attempts = [
            ("nothing", plain(), (401, "sign_in")),
            ("the site's token", plain().bearer_auth(&buyer.token), (401, "sign_in")),
            ("the plain headers", plain().header("x-entitlement-account", &buyer.account), (401, "sign_in")),
            (
                "the site's token for an assertion",
                plain().header("x-entitlement-assertion", &buyer.token),
                (503, "invalid_assertion"),
            ),
        ];
        for (what, request, expected) in attempts {
            let answer = send(request).await;
            assert_eq!((answer.status, answer.code().as_str()), expected, "{method} {route} with {what}");
        }
    }
    // The assertion that the site gets is for the site.
    world.get("/signed-in/one", Some(&buyer.token)).await;
    let received = world.upstream.received().pop().expect("a request");
    let assertion = received.header("x-entitlement-assertion").expect("an assertion").to_owned();
    let request = client().get(format!("http://{billing}/api/billing/subscription"));
    let answer = send(request.header("x-entitlement-assertion", assertion)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "invalid_assertion"), "{answer:?}");
}

#[tokio::test]
async fn what_the_operator_has_to_mend_is_told_to_the_operator_and_a_reference_to_the_buyer() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    let fault = Fault { path: "/v1/checkout/sessions".into(), ..Fault::next(FaultKind::Mistaken) };
    provider.fail_calls(fault).expect("planned");
    let refused = buyer.orders(&monthly()).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "provider_error"));
    assert!(!refused.body.contains("No such price"), "{refused:?}");
    let reference = refused.json()["reference"].as_str().expect("a reference").to_owned();
    crate::world::eventually("the log has the cause", async || {
        let log = world.billing().process.log();
        let line = log.lines().find(|line| line.contains(&reference))?;
        (line.contains("WARN") && line.contains("No such price") && line.contains(&buyer.account)).then_some(())
    })
    .await;
    assert_eq!(world.billing().metric("tollgate_refused_sales_total", &[]).await, 1.0);
}

#[tokio::test]
async fn b12_a_visitor_who_bought_nothing_is_told_so_where_buyers_come_back() {
    let world = shop(Arrangement::AllPostgres).await;
    let stranger = Buyer::new(&world);
    let page = world.browse("/billing/return", Some(&stranger.token)).await;
    for words in ["No payment is known here yet", "If you have bought nothing", "http-equiv=\"refresh\""] {
        assert!(page.status == 200 && page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(!page.body.contains("is being confirmed"), "{}", page.body);
    let made_up = "/billing/return?session_id=cs_test_of_nobody";
    for _ in 0..5 {
        assert_eq!(world.browse(made_up, Some(&stranger.token)).await.status, 200);
    }
    let log = world.billing().process.log();
    assert!(!log.contains("a buyer is back"), "a stranger fills no log: {log}");
    stranger.buys(&monthly()).await;
    stranger.becomes("active").await;
    let page = world.browse("/billing/return", Some(&stranger.token)).await;
    assert_eq!((page.status, page.header("location")), (303, "/billing?upgraded=1"), "{page:?}");
}

#[tokio::test]
async fn b13_a_buyer_gets_a_reference_whatever_is_asked_of_the_provider_and_the_log_has_the_cause() {
    let world = shop(Arrangement::AllPostgres).await;
    let provider = provider(&world);
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let newcomer = Buyer::new(&world);
    for (kind, count) in [(FaultKind::Mistaken, 9), (FaultKind::ServerError, 9)] {
        let mut warnings = 0;
        for (path, who, body) in [
            ("/api/billing/checkout", &newcomer, monthly()),
            ("/api/billing/portal", &buyer, json!({})),
            ("/api/billing/cancel", &buyer, json!({})),
        ] {
            provider.fail_calls(Fault { kind: kind.clone(), path: String::new(), count }).expect("planned");
            let failed = world.post(path, &who.token, &body).await;
            provider.heal_calls();
            assert_eq!(failed.status, 502, "{path}: {failed:?}");
            let reference = failed.json()["reference"].as_str().unwrap_or_default().to_owned();
            assert!(!reference.is_empty(), "{path}: {failed:?}");
            let line = eventually("the log has the reference", async || {
                let log = world.billing().process.log();
                log.lines().find(|line| line.contains(&reference)).map(str::to_owned)
            })
            .await;
            for part in [who.account.as_str(), "\"reason\":"] {
                assert!(line.contains(part), "{path}: {part} in {line}");
            }
            warnings += u32::from(line.contains("\"level\":\"WARN\""));
        }
        assert_eq!(warnings, 1, "{kind:?}: the first of a minute, which counts the others");
    }
    assert!(world.billing().metric("tollgate_refused_sales_total", &[]).await >= 3.0);
}
