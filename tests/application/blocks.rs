//! Accounts that are blocked: nothing passes whatever is paid, and paying can be ended.

use demo::provider::Shape;
use serde_json::{Value, json};

use super::{TOKEN, ask, setup};
use crate::protocols::client::events;
use crate::protocols::site::Site;
use crate::world::stripe::{Subscription, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, World, send, token};

const GATED: [&str; 3] = ["/premium/page", "/archive/page", "/signed-in/page"];

/// An account that has paid: its id and its token.
async fn payer(world: &World) -> (String, String) {
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    let token = token(&account);
    world.everywhere("/premium/page", &token, 200).await;
    (account, token)
}

#[tokio::test]
async fn a_blocked_account_passes_no_gated_route_on_any_proxy_until_it_is_unblocked() {
    let setup = setup(Arrangement::Separate).key("cache.max_staleness", "\"10m\"");
    let world = World::with(setup).await;
    let ((account, token), (_, other)) = (payer(&world).await, payer(&world).await);
    let route = format!("/app/v1/accounts/{account}/block");
    for by in ["the application", "an operator"] {
        let changed = match by {
            "the application" => ask(&world, Some(TOKEN), ("POST", &route), None).await.json(),
            _ => serde_json::from_str(&world.tollgate(&["account", "block", &account, "--json"]).await.success())
                .expect("JSON"),
        };
        assert_eq!(changed, json!({ "account": account, "blocked": true, "changed": true, "published": true }), "{by}");
        for path in GATED {
            world.everywhere(path, &token, 403).await;
            world.everywhere(path, &other, 200).await;
        }
        for proxy in world.proxies() {
            let answer = send(world.request_to(proxy, "GET", "/premium/page", Some(&token))).await;
            assert_eq!(answer.code(), "account_blocked");
            // A browser is told in place, and not led to prices that would not help.
            let page = world.request_to(proxy, "GET", "/premium/page", Some(&token)).header("accept", "text/html");
            assert_eq!(send(page).await.status, 403);
        }
        let path = format!("/welcome/{}", unique("page"));
        assert_eq!(world.get(&path, Some(&token)).await.status, 200, "public pages stay open");
        let told = world.upstream.only(&path);
        assert_eq!(
            (told.header("x-entitlement-tier"), told.header("x-entitlement-features")),
            (Some("free"), Some(""))
        );
        let explained = world.tollgate(&["explain", "account", &account]).await.success();
        assert!(explained.contains("blocked   since ") && explained.contains("paid (active)"), "{explained}");
        let verdict = world.tollgate(&["explain", "route", "GET", "/premium/page", "--account", &account]).await;
        assert!(verdict.success().contains("403 account_blocked"), "{by}");
        let again = ask(&world, Some(TOKEN), ("POST", &route), None).await.json();
        assert_eq!((&again["blocked"], &again["changed"]), (&json!(true), &json!(false)));
        let ended = match by {
            "the application" => ask(&world, Some(TOKEN), ("DELETE", &route), None).await.json()["blocked"].clone(),
            _ => {
                let said = world.tollgate(&["account", "unblock", &account]).await.success();
                assert!(said.contains(&format!("{account} is not blocked")), "{said}");
                json!(false)
            }
        };
        assert_eq!(ended, false, "{by}");
        for path in GATED {
            world.everywhere(path, &token, 200).await;
        }
        let explained = world.tollgate(&["explain", "account", &account]).await.success();
        assert!(!explained.contains("blocked   since "), "{explained}");
    }
    let explained = world.tollgate(&["explain", "account", &account]).await.success();
    for line in ["application: blocked", "application: no longer blocked", "operator: blocked"] {
        assert!(explained.contains(line), "{line}: {explained}");
    }
    let unknown = world.tollgate(&["account", "block", &unique("nobody")]).await;
    assert!(unknown.failure().contains("nothing is known of the account"), "{unknown:?}");
}

#[tokio::test]
async fn an_account_that_has_never_bought_is_blocked_where_that_is_confirmed() {
    let world = World::with(setup(Arrangement::Separate).key("cache.max_staleness", "\"10m\"")).await;
    for by in ["the application", "an operator"] {
        let account = unique("free");
        let token = token(&account);
        world.everywhere("/signed-in/page", &token, 200).await;
        let route = format!("/app/v1/accounts/{account}/block");
        let begin = async |body: Value| ask(&world, Some(TOKEN), ("POST", &route), Some(&body)).await;
        for (body, refused) in [(json!({}), (404, "unknown_account")), (json!({ "forse": true }), (400, "bad_request"))]
        {
            let answer = begin(body).await;
            assert_eq!((answer.status, answer.code().as_str()), refused);
        }
        assert!(!world.tollgate(&["account", "unblock", &account]).await.failure().is_empty());
        world.everywhere("/signed-in/page", &token, 200).await;
        if by == "the application" {
            let blocked = begin(json!({ "force": true })).await;
            let expected = json!({ "account": account, "blocked": true, "changed": true, "published": true });
            assert_eq!((blocked.status, blocked.json()), (200, expected));
        } else {
            world.tollgate(&["account", "block", &account, "--force"]).await.success();
        }
        world.everywhere("/signed-in/page", &token, 403).await;
        world.tollgate(&["account", "unblock", &account]).await.success();
        world.everywhere("/signed-in/page", &token, 200).await;
    }
}

#[tokio::test]
async fn what_goes_on_ends_with_the_block() {
    let site = Site::start().await;
    let setup = setup(Arrangement::AllPostgresRedis).key("cache.max_staleness", "\"10m\"").upstream(site.address);
    let world = World::with(setup).await;
    let (account, token) = payer(&world).await;
    let mut stream = events(world.proxy().listen.public, "/signed-in/events", Some(&token)).await;
    site.say("before");
    stream.receives(b"data: before\n\n").await;
    let answer = ask(&world, Some(TOKEN), ("POST", &format!("/app/v1/accounts/{account}/block")), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    stream.ends().await;
}

#[tokio::test]
async fn a_blocked_account_can_still_end_what_it_pays_for_and_buys_nothing() {
    let world = World::with(setup(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("a provider");
    let account = unique("payer");
    let token = token(&account);
    let call = async |path: &str| world.post(path, &token, &json!({ "cadence": "monthly" })).await;
    assert_eq!(call("/api/billing/checkout").await.status, 200);
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/page", &token, 200).await;
    world.tollgate(&["account", "block", &account]).await.success();
    world.everywhere("/premium/page", &token, 403).await;
    let shown = world.get("/api/billing/subscription", Some(&token)).await.json();
    assert_eq!((&shown["blocked"], &shown["tier"]), (&json!(true), &json!("free")));
    assert_eq!(shown["subscriptions"][0]["state"], "active", "{shown}");
    let page = world.browse("/billing", Some(&token)).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Your account is blocked") && page.body.contains("/billing/cancel"), "{page:?}");
    let pricing = world.browse("/billing/pricing", Some(&token)).await;
    assert!(!pricing.body.contains("/billing/checkout"), "{pricing:?}");
    let refused = call("/api/billing/checkout").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "account_blocked"));
    let portal = call("/api/billing/portal").await;
    assert_eq!(portal.status, 200, "{portal:?}");
    let ended = call("/api/billing/cancel").await;
    assert_eq!((ended.status, &ended.json()["status"]), (200, &json!("scheduled")), "{ended:?}");
    let kept = call("/api/billing/reactivate").await;
    assert_eq!((kept.status, kept.code().as_str()), (403, "account_blocked"), "nothing more is to be paid");
    world.tollgate(&["account", "unblock", &account]).await.success();
    world.everywhere("/premium/page", &token, 200).await;
    assert_eq!(call("/api/billing/reactivate").await.status, 200);
}
