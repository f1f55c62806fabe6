//! From a stranger to a subscriber and back: what the gate answers, and what the site is told.

use chrono::{DateTime, Utc};
use entitlement::assertion::Claims;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::token::AUDIENCE;
use crate::world::{Arrangement, Received, World, eventually, token};

super::in_every_arrangement!(
    a_stranger_is_asked_to_sign_in_and_a_free_account_to_pay,
    a_subscription_opens_the_gate_and_its_end_closes_it,
    the_site_is_told_who_asks_and_what_they_may_use,
);

async fn a_stranger_is_asked_to_sign_in_and_a_free_account_to_pay(arrangement: Arrangement) {
    let world = World::start(arrangement).await;
    let open = world.get("/welcome", None).await;
    assert_eq!((open.status, open.body.as_str()), (200, crate::world::upstream::BODY), "a public page is open");

    let stranger = world.get("/premium/one", None).await;
    assert_eq!((stranger.status, stranger.code().as_str()), (401, "sign_in"));
    assert!(stranger.header("www-authenticate").starts_with("Bearer"), "{stranger:?}");
    assert!(stranger.header("cache-control").contains("no-store"), "{stranger:?}");
    let browser = world.browse("/premium/one?page=2", None).await;
    assert_eq!((browser.status, browser.header("location")), (303, "/login?next=%2Fpremium%2Fone%3Fpage%3D2"));

    let free = token(&unique("free"));
    let asked = world.get("/premium/one", Some(&free)).await;
    assert_eq!((asked.status, asked.code().as_str()), (402, "payment_required"));
    let problem = asked.json();
    assert_eq!(problem["current"], "free", "{problem}");
    assert!(problem["required"].to_string().contains("paid"), "{problem}");
    assert!(problem["upgrade_url"].as_str().is_some_and(|url| url.contains("/billing/pricing")), "{problem}");
    let browser = world.browse("/premium/one", Some(&free)).await;
    assert_eq!(browser.status, 303, "{browser:?}");
    assert!(browser.header("location").starts_with("/billing/pricing"), "{browser:?}");

    assert_eq!(world.get("/signed-in/one", Some(&free)).await.status, 200, "a page for everybody who is signed in");
    assert!(world.upstream.received_with("/premium").is_empty(), "nothing unpaid reached the site");
}

async fn a_subscription_opens_the_gate_and_its_end_closes_it(arrangement: Arrangement) {
    let world = World::start(arrangement).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let token = token(&account);
    // Asked before, so that a proxy that remembers "free" would be found out.
    world.everywhere("/premium/one", &token, 402).await;

    let subscription = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/one", &token, 200).await;
    world.everywhere("/archive/one", &token, 200).await;
    let above = world.get("/business/one", Some(&token)).await;
    assert_eq!((above.status, &above.json()["current"]), (402, &"paid".into()), "a higher tier is not included");

    let canceled = Subscription { cancel_at_period_end: true, ..subscription.clone() };
    world.accepted(&canceled.event("updated")).await;
    let told = told(&world, &token, |told| told.header("x-entitlement-status") == Some("canceling")).await;
    assert_eq!(valid_until(&told).timestamp(), subscription.period.1, "it ends with the paid period");

    world.accepted(&subscription.ended().event("deleted")).await;
    world.everywhere("/premium/one", &token, 402).await;
}

async fn the_site_is_told_who_asks_and_what_they_may_use(arrangement: Arrangement) {
    let world = World::start(arrangement).await;
    let (account, customer) = (unique("buyer|ü"), unique("cus"));
    let token = token(&account);
    let free = told(&world, &token, |_| true).await;
    assert_eq!(free.header("x-entitlement-tier"), Some("free"));
    assert_eq!(free.header("x-entitlement-status"), Some("none"));
    assert_eq!(free.header("x-entitlement-valid-until"), None, "nothing changes by itself");

    let subscription = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    world.accepted(&subscription.event("created")).await;
    let paid = told(&world, &token, |told| told.header("x-entitlement-tier") == Some("paid")).await;
    assert_eq!(paid.header("x-entitlement-account"), Some(account.as_str()));
    assert_eq!(paid.header("x-entitlement-status"), Some("active"));
    assert_eq!(paid.header("x-entitlement-features"), Some("alerts,archive"), "sorted");
    assert!(valid_until(&paid).timestamp() >= subscription.period.1, "not before the paid period ends");
    assert_eq!(paid.header("x-entitlement-degraded"), None);

    let keys = world.get("/.well-known/tollgate/jwks.json", None).await;
    let keys: JwkSet = serde_json::from_str(&keys.body).expect("a key set");
    let claims = verified(&keys, paid.header("x-entitlement-assertion").expect("an assertion"), &world.url);
    assert_eq!(claims.sub.as_str(), account);
    assert_eq!((claims.tier.as_deref(), claims.status.as_deref()), (Some("paid"), Some("active")));
    assert_eq!(claims.features, ["alerts", "archive"]);
    assert!(claims.exp - claims.iat <= 60, "an assertion lives for a minute at most: {claims:?}");
}

/// What the site receives on a page for everybody who is signed in, once it is as it should be.
async fn told(world: &World, token: &str, is: impl Fn(&Received) -> bool) -> Received {
    eventually("the site is told", async || {
        let path = format!("/signed-in/{}", unique("told"));
        assert_eq!(world.get(&path, Some(token)).await.status, 200);
        Some(world.upstream.only(&path)).filter(&is)
    })
    .await
}

fn valid_until(told: &Received) -> DateTime<Utc> {
    let text = told.header("x-entitlement-valid-until").unwrap_or_else(|| panic!("it says until when: {told:?}"));
    DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text} is no RFC 3339 time: {error}")).to_utc()
}

/// Verifies an assertion as an application does: with the published key, the issuer and the audience.
fn verified(keys: &JwkSet, assertion: &str, issuer: &str) -> Claims {
    let header = jsonwebtoken::decode_header(assertion).expect("a token");
    let key = keys.find(header.kid.as_deref().expect("it names its key")).expect("the key is published");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(key).expect("a usable key");
    jsonwebtoken::decode(assertion, &key, &validation).expect("it verifies").claims
}
