//! Who is asking: only a token that is good in everything counts, and never two at once.

use serde_json::{Value, json};

use crate::world::token::{SECRET, claims, signed, token, unsigned};
use crate::world::{Arrangement, World, in_seconds, raw_get, send};

/// The claims of a paying account, changed.
fn changed(account: &str, change: impl Fn(&mut Value)) -> String {
    let mut claims = claims(account);
    change(&mut claims);
    signed(&claims, SECRET)
}

fn without(account: &str, claim: &str) -> String {
    changed(account, |claims| drop(claims.as_object_mut().expect("an object").remove(claim)))
}

#[tokio::test]
async fn a_token_that_is_bad_in_anything_opens_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let good = super::paying(&world).await;
    let account = &sub(&good);
    // Nothing but its reason of each is told, to operators alone.
    let reasons = [
        "malformed",
        "bad_signature",
        "expired",
        "no_expiry",
        "not_yet_valid",
        "wrong_issuer",
        "wrong_audience",
        "no_account",
    ];
    let counted = async |reason: &str| world.proxy().metric("tollgate_identity_total", &["token", reason]).await;
    for reason in reasons.into_iter().chain(["too_long", "wrong_algorithm", "unknown_key", "doubled", "no_keys"]) {
        assert_eq!(counted(reason).await, 0.0, "{reason} is there from the start");
    }
    let bad = [
        ("no signature", unsigned(&claims(account))),
        ("another key", signed(&claims(account), "a secret that is not the site's own secret")),
        ("expired", changed(account, |claims| claims["exp"] = json!(in_seconds(-3600)))),
        ("expired as text", changed(account, |claims| claims["exp"] = json!("99999999999"))),
        ("not yet valid", changed(account, |claims| claims["nbf"] = json!(in_seconds(3600)))),
        ("no end", without(account, "exp")),
        ("no issuer", without(account, "iss")),
        ("no audience", without(account, "aud")),
        ("no subject", without(account, "sub")),
        ("another issuer", changed(account, |claims| claims["iss"] = json!("https://evil.test"))),
        ("another audience", changed(account, |claims| claims["aud"] = json!("evil.test"))),
        ("an empty subject", changed(account, |claims| claims["sub"] = json!(""))),
        ("a long subject", changed(account, |claims| claims["sub"] = json!("x".repeat(256)))),
        (
            "a subject with a line end",
            changed(account, |claims| claims["sub"] = json!("a\r\nX-Entitlement-Tier: paid")),
        ),
        ("half a token", good[..good.len() / 2].to_owned()),
        ("another signature", format!("{}AAAA", &good[..good.len() - 4])),
        ("nonsense", "nonsense".to_owned()),
    ];
    for (what, token) in bad {
        let by_header = world.get("/premium/one", Some(&token)).await;
        assert_eq!((by_header.status, by_header.code().as_str()), (401, "invalid_token"), "{what}: {by_header:?}");
        assert!(by_header.header("www-authenticate").contains("invalid_token"), "{what}: {by_header:?}");
        let cookie = format!("session={token}");
        let by_cookie = send(world.request("GET", "/premium/one", None).header("cookie", cookie)).await;
        assert_eq!(by_cookie.status, 401, "{what}: {by_cookie:?}");
    }
    assert_eq!(world.get("/premium/one", Some(&good)).await.status, 200, "the same token, unchanged");
    for reason in reasons {
        assert!(counted(reason).await >= 1.0, "{reason} is counted");
        world.proxy().logs(reason).await;
        let log = world.proxy().process.log();
        let is_told = |line: &str| line.contains("credentials are refused") && line.contains(reason);
        assert!(log.lines().any(is_told), "{reason} is logged");
        assert!(!log.contains(good.rsplit('.').next().expect("a signature")), "and no token is");
    }
}

#[tokio::test]
async fn the_public_key_of_the_assertion_is_no_secret_of_the_site() {
    let world = World::start(Arrangement::AllPostgres).await;
    let keys = world.get("/.well-known/tollgate/jwks.json", None).await;
    let claims = claims(&sub(&super::paying(&world).await));
    let key = keys.json()["keys"][0]["x"].as_str().expect("a public key").to_owned();
    for secret in [keys.body.as_str(), &key] {
        assert_eq!(world.get("/premium/one", Some(&signed(&claims, secret))).await.status, 401);
    }
}

#[tokio::test]
async fn an_assertion_is_no_session_token() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = super::paying(&world).await;
    let path = "/premium/assertion";
    assert_eq!(world.get(path, Some(&token)).await.status, 200);
    let received = world.upstream.only(path);
    let assertion = received.header("x-entitlement-assertion").expect("an assertion");
    assert_eq!(world.get("/premium/one", Some(assertion)).await.status, 401);
}

#[tokio::test]
async fn session_cookies_of_two_accounts_are_nobody_and_one_twice_is_one() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    let other = token("somebody-else");
    let different = format!("Cookie: session={paying}; theme=dark; session={other}");
    let (first, second) = (format!("Cookie: session={paying}"), format!("Cookie: session={other}"));
    for lines in [vec![different.as_str()], vec![first.as_str(), second.as_str()]] {
        let answer = raw_get(world.proxy().listen.public, "/premium/two-cookies", &lines).await;
        assert!(answer.status == 401 && answer.text.contains("ambiguous_identity"), "{answer:?}");
    }
    assert!(world.upstream.received_with("two-cookies").is_empty());
    let same = format!("Cookie: session={paying}; session={paying}");
    assert_eq!(raw_get(world.proxy().listen.public, "/premium/same-cookies", &[&same]).await.status, 200);
    let among_others = format!("Cookie: theme=dark; session={paying}; xsession={other}");
    assert_eq!(raw_get(world.proxy().listen.public, "/premium/one", &[&among_others]).await.status, 200);
}

#[tokio::test]
async fn a_session_among_cookies_in_crumbs_counts_and_the_site_gets_them_whole() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    let lines = ["Cookie: theme=dark".to_owned(), format!("Cookie: session={paying}; a=b"), "Cookie: c=d".to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(raw_get(world.proxy().listen.public, "/premium/crumbs", &lines).await.status, 200);
    let whole = format!("theme=dark; session={paying}; a=b; c=d");
    assert_eq!(world.upstream.only("/premium/crumbs").header("cookie"), Some(whole.as_str()));
}

#[tokio::test]
async fn two_authorization_headers_are_nobody() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = format!("Authorization: Bearer {}", super::paying(&world).await);
    let other = format!("Authorization: Bearer {}", token("somebody-else"));
    for lines in [[paying.as_str(), other.as_str()], [other.as_str(), paying.as_str()]] {
        let answer = raw_get(world.proxy().listen.public, "/premium/two-headers", &lines).await;
        assert!(matches!(answer.status, 400 | 401), "{answer:?}");
    }
    assert!(world.upstream.received_with("two-headers").is_empty());
}

#[tokio::test]
async fn a_bad_token_on_a_public_page_tells_the_site_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let account = sub(&super::paying(&world).await);
    let bad = signed(&claims(&account), "a secret that is not the site's own secret");
    let answer = world.get("/welcome/bad-token", Some(&bad)).await;
    if answer.status == 200 {
        assert_eq!(world.upstream.only("/welcome/bad-token").identity(), []);
    } else {
        assert_eq!(answer.status, 401, "{answer:?}");
    }
}

#[tokio::test]
async fn a_huge_token_is_refused_and_the_next_request_served() {
    let world = World::start(Arrangement::AllPostgres).await;
    let huge = format!("{}.{}.x", "a".repeat(20_000), "b".repeat(20_000));
    let answer = world.get("/premium/one", Some(&huge)).await;
    assert!(matches!(answer.status, 400 | 401 | 431), "{answer:?}");
    assert_eq!(world.get("/welcome", None).await.status, 200);
}

/// The account that a token of the tests names.
fn sub(token: &str) -> String {
    let data = jsonwebtoken::dangerous::insecure_decode::<Value>(token).expect("a token of ours");
    data.claims["sub"].as_str().expect("it names an account").to_owned()
}
