//! Selling through Polar: its checkout and its portal, by its API.

use demo::polar::{Fault, FaultKind, PauseAt};
use serde_json::{Value, json};

use super::text;
use crate::world::polar::{Asking, PAID, WithPolar};
use crate::world::stripe::unique;
use crate::world::{Answer, Arrangement, Setup, World, eventually, token};

fn order() -> Value {
    json!({ "tier": "paid", "cadence": "monthly" })
}

crate::journeys::in_every_arrangement!(
    what_polar_sells_is_bought_managed_and_ended_there,
    a_polar_subscription_is_ended_with_its_period_and_kept,
);

async fn what_polar_sells_is_bought_managed_and_ended_there(arrangement: Arrangement) {
    let scene = WithPolar::start(Setup::new(arrangement), Asking::Yes).await;
    let (world, polar) = (&scene.world, &scene.polar);
    let account = unique("buyer");
    let token = token(&account);
    let none = world.post("/api/billing/portal", &token, &json!({})).await;
    assert_eq!((none.status, none.code().as_str()), (404, "no_customer"));
    let with_next = json!({ "tier": "paid", "cadence": "monthly", "next": "/premium/one" });
    let opened = world.post("/api/billing/checkout", &token, &with_next).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let again = world.post("/api/billing/checkout", &token, &order()).await;
    assert_eq!(again.json()["url"], opened.json()["url"], "the open one");
    let checkouts = polar.checkouts();
    let [checkout] = checkouts.as_slice() else { panic!("one checkout: {checkouts:?}") };
    assert_eq!((&checkout["url"], &checkout["product_id"]), (&opened.json()["url"], &json!(PAID)));
    assert_eq!(
        (&checkout["external_customer_id"], &checkout["metadata"]["account"]),
        (&json!(account), &json!(account))
    );
    assert_eq!((&checkout["allow_discount_codes"], &checkout["allow_trial"]), (&json!(true), &json!(false)));

    // Whoever is faster than the webhook is let in, too.
    polar.hold();
    polar.complete_checkout(&text(checkout, "id")).expect("paid");
    let back = text(checkout, "success_url").replace(&world.url, "");
    let returned = world.browse(&back, Some(&token)).await;
    assert_eq!((returned.status, returned.header("location")), (303, "/premium/one"), "{returned:?}");
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 200);
    polar.release();
    scene.settled().await;
    let second = world.post("/api/billing/checkout", &token, &order()).await;
    assert_eq!((second.status, second.code().as_str()), (409, "already_subscribed"), "{second:?}");
    let portal = world.post("/api/billing/portal", &token, &json!({})).await;
    assert!(
        text(&portal.json(), "url").starts_with(&format!("{}/portal?customer_session_token=", polar.url())),
        "{portal:?}"
    );
    let invoices = world.get("/api/billing/invoices", Some(&token)).await.json();
    assert_eq!(
        (&invoices["invoices"][0]["provider"], &invoices["invoices"][0]["paid"]),
        (&json!("polar"), &json!(700))
    );
    polar.revoke(&text(&polar.subscriptions()[0], "id")).expect("revoked");
    eventually("it is over", async || (world.get("/premium/one", Some(&token)).await.status == 402).then_some(()))
        .await;
}

#[tokio::test]
async fn a_polar_that_cannot_answer_sells_nothing_and_can_be_asked_again() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::Yes).await;
    let token = token(&unique("buyer"));
    for kind in [FaultKind::BadGateway, FaultKind::ServerError, FaultKind::TooManyRequests { retry_after_secs: 60 }] {
        let fault = Fault { kind: kind.clone(), path: "/v1/checkouts".into(), count: 9 };
        scene.polar.fail_calls(fault).expect("planned");
        let failed = scene.world.post("/api/billing/checkout", &token, &order()).await;
        assert_eq!((failed.status, failed.code().as_str()), (502, "provider_unavailable"), "{kind:?}: {failed:?}");
        scene.polar.heal_calls();
    }
    let opened = scene.world.post("/api/billing/checkout", &token, &order()).await;
    assert_eq!((opened.status, scene.polar.checkouts().len()), (200, 1), "{opened:?}");
    let without = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    let named = json!({ "tier": "paid", "cadence": "monthly", "provider": "polar" });
    let refused = without.world.post("/api/billing/checkout", &token, &named).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "not_configured"), "{refused:?}");
}

async fn a_polar_subscription_is_ended_with_its_period_and_kept(arrangement: Arrangement) {
    let scene = WithPolar::start(Setup::new(arrangement), Asking::Yes).await;
    let (world, polar) = (&scene.world, &scene.polar);
    let account = unique("buyer");
    let token = token(&account);
    for path in ["cancel", "reactivate"] {
        let nothing = ask(world, &token, path).await;
        assert_eq!((nothing.status, nothing.code().as_str()), (400, "no_active_subscription"), "{path}");
    }
    scene.subscribe(&account, PAID);
    status_becomes(world, &token, "active").await;
    let nothing = ask(world, &token, "reactivate").await;
    assert_eq!((nothing.status, nothing.code().as_str()), (400, "not_canceling"));
    for _ in 0..2 {
        let ending = ask(world, &token, "cancel").await;
        assert_eq!((ending.status, &ending.json()["status"]), (200, &json!("scheduled")), "{ending:?}");
        assert_eq!(moment(&ending.json()["ends_at"]), moment(&own(&scene)["ends_at"]));
    }
    status_becomes(world, &token, "canceling").await;
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 200, "it is paid for");
    let kept = ask(world, &token, "reactivate").await;
    assert_eq!((kept.status, kept.json()), (200, json!({ "status": "active" })), "{kept:?}");
    assert!(!own(&scene)["cancel_at_period_end"].as_bool().expect("yes or no"));
    status_becomes(world, &token, "active").await;
    assert_eq!(polar.calls().get("PATCH /v1/subscriptions/{id}"), Some(&2), "what is so already is not asked for");
    scene.settled().await;
}

#[tokio::test]
async fn a_polar_that_cannot_answer_ends_nothing_and_can_be_asked_again() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::Yes).await;
    let (world, polar) = (&scene.world, &scene.polar);
    let account = unique("buyer");
    let token = token(&account);
    scene.subscribe(&account, PAID);
    scene.settled().await;
    status_becomes(world, &token, "active").await;
    let faults = [
        (FaultKind::BadGateway, "provider_unavailable"),
        (FaultKind::ServerError, "provider_unavailable"),
        (FaultKind::TooManyRequests { retry_after_secs: 60 }, "provider_unavailable"),
        (FaultKind::Declined, "provider_error"),
        (FaultKind::Hang, "provider_unavailable"),
    ];
    for (kind, code) in faults {
        for path in ["cancel", "reactivate"] {
            // More than are needed: comparisons ask, too.
            let fault = Fault { kind: kind.clone(), path: "/v1/subscriptions".into(), count: 99 };
            polar.fail_calls(fault).expect("planned");
            let failed = ask(world, &token, path).await;
            assert_eq!((failed.status, failed.code().as_str()), (502, code), "{path}, {kind:?}: {failed:?}");
            assert!(!failed.body.contains("polar_oat") && failed.json()["detail"].is_string(), "{failed:?}");
            polar.heal_calls();
            assert_eq!(own(&scene)["cancel_at_period_end"], false, "{path}, {kind:?}");
        }
    }
    assert_eq!(ask(world, &token, "cancel").await.status, 200);
    assert_eq!(own(&scene)["cancel_at_period_end"], true);

    let without = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    without.subscribe(&account, PAID);
    status_becomes(&without.world, &token, "active").await;
    for path in ["cancel", "reactivate"] {
        let refused = ask(&without.world, &token, path).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "not_configured"), "{path}: {refused:?}");
    }
}

async fn ask(world: &World, token: &str, path: &str) -> Answer {
    world.post(&format!("/api/billing/{path}"), token, &json!({})).await
}

/// The only subscription, as Polar shows it.
fn own(scene: &WithPolar) -> Value {
    let subscriptions = scene.polar.subscriptions();
    let [own] = subscriptions.as_slice() else { panic!("one subscription: {subscriptions:?}") };
    own.clone()
}

fn moment(text: &Value) -> chrono::DateTime<chrono::Utc> {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("a moment: {text}"))
}

async fn status_becomes(world: &World, token: &str, status: &str) {
    eventually(&format!("the status becomes {status}"), async || {
        let standing = world.get("/api/billing/subscription", Some(token)).await.json();
        (standing["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a4_what_is_paused_at_polar_goes_on_by_a_button() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::Yes).await;
    let (world, polar) = (&scene.world, &scene.polar);
    let account = unique("buyer");
    let buyer = token(&account);
    assert_eq!(world.post("/api/billing/checkout", &buyer, &order()).await.status, 200);
    polar.complete_checkout(&text(&polar.checkouts()[0], "id")).expect("paid");
    scene.settled().await;
    world.everywhere("/premium/one", &buyer, 200).await;
    let id = text(&polar.subscriptions()[0], "id");
    polar.pause(&id, PauseAt::Now, None).expect("paused");
    scene.settled().await;
    world.everywhere("/premium/one", &buyer, 402).await;
    let own = world.get("/api/billing/subscription", Some(&buyer)).await.json()["subscriptions"][0].clone();
    assert_eq!((&own["reason"], &own["way_back"]), (&json!("paused"), &json!("resume")), "{own}");
    let page = world.browse("/billing", Some(&buyer)).await;
    assert!(page.body.contains("Your subscription is paused") && page.body.contains("Let it go on"), "{}", page.body);
    let explained = world.tollgate(&["explain", "account", &account]).await.success();
    assert!(explained.contains("gives nothing: paused; what brings access back: resume"), "{explained}");
    polar.hold();
    let resumed = world.post("/api/billing/reactivate", &buyer, &json!({})).await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    assert_eq!(polar.subscriptions()[0]["status"], "active");
    // The answer counts at once: the webhook has not come.
    world.everywhere("/premium/one", &buyer, 200).await;
    polar.release();
    let again = world.post("/api/billing/reactivate", &buyer, &json!({})).await;
    assert_eq!((again.status, again.code().as_str()), (400, "not_canceling"), "{again:?}");
}
