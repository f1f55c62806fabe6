//! A subscription of a price that no catalog names: its owner sees it and can end it here, and operators see it.

use demo::provider::Shape;
use serde_json::json;

use super::*;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup};

#[tokio::test]
async fn a_subscription_of_an_unknown_price_is_shown_and_can_be_ended_by_api_and_page() {
    for by_page in [false, true] {
        let world = World::with(Setup::new(Arrangement::AllPostgresRedis).provider(Shape::Basil)).await;
        let provider = world.provider.as_ref().expect("this world has one");
        let account = unique("buyer");
        let token = token(&account);
        world.everywhere("/premium/one", &token, 402).await;
        let opened = world.post("/api/billing/checkout", &token, &json!({ "cadence": "annual" })).await.json();
        let sessions = provider.sessions();
        let session = sessions.iter().find(|session| session["url"] == opened["url"]).expect("it is the provider's");
        provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
        provider.settled(DEADLINE).await.expect("told");
        world.everywhere("/premium/one", &token, 200).await;
        write(&world, &with("price_annual", "price_annual_2"));
        world.tollgate(&["catalog", "apply", "catalog.toml", "--yes"]).await.success();
        world.everywhere("/premium/one", &token, 402).await;

        let explained = world.tollgate(&["explain", "account", &account]).await.success();
        assert!(explained.contains("no catalog names the price price_annual"), "{explained}");
        let shown = world.get("/api/billing/subscription", Some(&token)).await.json();
        assert_eq!(
            (&shown["subscriptions"][0]["tier"], shown["subscriptions"].as_array().map(Vec::len)),
            (&Value::Null, Some(1))
        );
        let again = world.post("/api/billing/checkout", &token, &json!({ "cadence": "annual" })).await;
        assert_eq!((again.status, &again.json()["code"]), (409, &json!("already_subscribed")), "{again:?}");
        let prices = world.browse("/billing/pricing", Some(&token)).await.body;
        assert!(!prices.contains("/billing/checkout"), "{prices}");
        let page = world.browse("/billing", Some(&token)).await.body;
        assert!(
            page.contains("A subscription that is not sold any more.") && page.contains("/billing/cancel"),
            "{page}"
        );
        if by_page {
            let form = world.request("POST", "/billing/cancel", None).header("cookie", format!("session={token}"));
            let form =
                form.header("origin", world.url.clone()).header("content-type", "application/x-www-form-urlencoded");
            let sent = crate::world::send(form.body("")).await;
            assert_eq!(sent.status, 303, "{sent:?}");
        } else {
            let ended = world.post("/api/billing/cancel", &token, &json!({})).await;
            assert_eq!(ended.json()["status"], "scheduled", "{ended:?}");
        }
        let all = provider.subscriptions();
        let own = all.iter().find(|own| own["metadata"]["account"] == account.as_str()).expect("a subscription");
        assert!(own["cancel_at_period_end"] == true || !own["cancel_at"].is_null(), "{own}");
    }
}
