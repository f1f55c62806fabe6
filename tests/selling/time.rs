//! A purchase through its whole life: trial, renewal, dunning, the end, and credit after it.

use std::time::Duration;

use demo::provider::Card;
use serde_json::json;

use super::{Buyer, annual, monthly, provider, setup, shop, text};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, World};

const DAY: u64 = 86_400;

crate::journeys::in_every_arrangement!(a_trial_becomes_a_subscription_is_renewed_fails_recovers_and_ends);

async fn a_trial_becomes_a_subscription_is_renewed_fails_recovers_and_ends(arrangement: Arrangement) {
    let world = shop(arrangement).await;
    let buyer = Buyer::new(&world);
    world.everywhere("/premium/one", &buyer.token, 402).await;
    buyer.buys(&annual()).await;
    let trialing = buyer.becomes("trialing").await;
    let trial = &trialing["subscriptions"][0];
    assert_eq!(trial["trial_days_remaining"], 14, "{trialing}");
    world.everywhere("/premium/one", &buyer.token, 200).await;
    let read = world.upstream.received().pop().expect("it was read");
    assert_eq!(read.header("x-entitlement-status"), Some("trialing"));
    let until = read.header("x-entitlement-valid-until").expect("it says until when");
    assert_eq!(until.get(..10), trial["trial_ends_at"].as_str().and_then(|end| end.get(..10)));

    later(&world, 15).await;
    buyer.becomes("active").await;
    let invoices = buyer.get("/api/billing/invoices").await;
    let newest = &invoices["invoices"][0];
    assert_eq!(
        (&newest["paid"], &newest["currency"], &newest["status"]),
        (&json!(7000), &json!("gbp"), &json!("paid"))
    );
    assert!(text(newest, "pdf").starts_with("http"), "{newest}");

    let customer = text(&buyer.subscription(), "customer");
    provider(&world).set_card(&customer, Card::Declined).expect("the card fails");
    later(&world, 365).await;
    buyer.becomes("past_due").await;
    world.everywhere("/premium/one", &buyer.token, 200).await;
    provider(&world).set_card(&customer, Card::Good).expect("a new card");
    later(&world, 8).await;
    buyer.becomes("active").await;

    let canceled = world.post("/api/billing/cancel", &buyer.token, &json!({})).await;
    assert_eq!((canceled.status, &canceled.json()["status"]), (200, &json!("scheduled")));
    buyer.becomes("canceling").await;
    let kept = world.post("/api/billing/reactivate", &buyer.token, &json!({})).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    buyer.becomes("active").await;
    world.post("/api/billing/cancel", &buyer.token, &json!({})).await;
    buyer.becomes("canceling").await;
    later(&world, 366).await;
    buyer.becomes("none").await;
    world.everywhere("/premium/one", &buyer.token, 402).await;
    // The trial was had.
    buyer.buys(&annual()).await;
    buyer.becomes("active").await;
}

#[tokio::test]
async fn days_of_credit_follow_one_another_and_wait_for_the_end_of_what_is_paid() {
    let world =
        World::with(setup(Arrangement::AllPostgresRedis).environment("TOLLGATE_ADMIN_TOKEN", "the operator's token"))
            .await;
    let buyer = Buyer::new(&world);
    let give = async |days: &str| {
        let given = ["grant", &buyer.account, "paid", "--reason", "an apology", "--days", days];
        world.tollgate(&given).await.success();
    };
    give("10").await;
    give("20").await;
    let standing = buyer.becomes("credit").await;
    assert_eq!(buyer.get("/api/billing/referral").await["credit_days_left"], 30);
    let end =
        standing["valid_until"].as_str().expect("an end").parse::<chrono::DateTime<chrono::Utc>>().expect("a date");
    assert_eq!((end - crate::world::now()).num_days(), 29, "{standing}");
    world.everywhere("/premium/one", &buyer.token, 200).await;
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    assert_eq!(buyer.get("/api/billing/referral").await["credit_days_left"], 30, "not a day is burnt");
    let explained = world.tollgate(&["explain", "account", &buyer.account]).await.success();
    assert!(explained.contains("paid for 10 days") && explained.contains("paid for 20 days"), "{explained}");
    // A month from now what was paid for ends, then its grace, and the days begin.
    let at = (crate::world::now() + chrono::Duration::days(40)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let then =
        world.tollgate(&["explain", "route", "GET", "/premium/one", "--account", &buyer.account, "--at", &at]).await;
    assert!(then.success().contains("(credit)"), "on day 40");
    let path = format!("http://{}/admin/accounts/{}/credits", world.billing().listen.admin, buyer.account);
    let request = crate::world::http::client().post(path).bearer_auth("the operator's token");
    let given = crate::world::send(request.json(&json!({ "tier": "paid", "reason": "again", "days": 5 }))).await;
    assert_eq!(given.status, 201, "{given:?}");
    assert_eq!(buyer.get("/api/billing/referral").await["credit_days_left"], 35);
}

/// Some days later, when everything is told.
async fn later(world: &World, days: u64) {
    provider(world).advance(Duration::from_secs(days * DAY)).expect("later");
    provider(world).settled(DEADLINE).await.expect("told");
}
