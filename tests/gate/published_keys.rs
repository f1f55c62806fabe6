//! Tokens of an identity provider that publishes its keys: rotated, withdrawn, and not to be had.

use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use crate::world::keys::{Answer, ED25519, Key, KeyHost, NEXT, P256, P384, RSA};
use crate::world::stripe::{Subscription, unique};
use crate::world::token::{claims, signed, unsigned};
use crate::world::{Arrangement, Setup, World, eventually};

const KEYS: [Key; 4] = [RSA, P256, P384, ED25519];

fn setup(host: &KeyHost) -> Setup {
    Setup::new(Arrangement::AllPostgres)
        .key("identity.algorithm", "")
        .key("identity.jwks_url", &format!("\"{}\"", host.url()))
        .key("identity.algorithms", "[\"RS256\", \"PS256\", \"ES256\", \"ES384\", \"EdDSA\"]")
        .key("identity.jwks_refetch_min", "\"100ms\"")
        .key("identity.jwks_refresh", "\"200ms\"")
}

/// An account that has paid, and whose token every proxy lets in.
async fn paying(world: &World, key: Key) -> String {
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/hello", &key.sign(&claims(&account)), 200).await;
    account
}

async fn status(world: &World, token: &str) -> u16 {
    world.get("/premium/one", Some(token)).await.status
}

#[tokio::test]
async fn every_published_key_opens_what_was_paid_for_and_nothing_else_does() {
    let host = KeyHost::start(&KEYS).await;
    let world = World::with(setup(&host)).await;
    let claims = claims(&paying(&world, RSA).await);
    for key in KEYS {
        assert_eq!(status(&world, &key.sign(&claims)).await, 200, "{key:?}");
    }
    let named = |id: &str, algorithm| Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
    let with_jwk = Header { jwk: Some(NEXT.jwk()), ..named("ed25519", Algorithm::EdDSA) };
    let with_jku = Header { jku: Some(host.url()), ..named("ed25519", Algorithm::EdDSA) };
    let set = json!({ "keys": [RSA.jwk()] }).to_string();
    let bad = [
        ("no signature", unsigned(&claims)),
        ("the secret of an earlier configuration", crate::world::token::signed(&claims, crate::world::token::SECRET)),
        ("the set as a secret", signed(&claims, &set)),
        ("the public key as a secret", signed(&claims, include_str!("../keys/rsa.pub.pem"))),
        ("another padding", RSA.sign_as(&named("rsa", Algorithm::PS256), &claims)),
        ("another hash", RSA.sign_as(&named("rsa", Algorithm::RS512), &claims)),
        ("another key's name", ED25519.sign_as(&named("rsa", Algorithm::EdDSA), &claims)),
        ("another key under the name", NEXT.sign_as(&named("ed25519", Algorithm::EdDSA), &claims)),
        ("a key that is not published", NEXT.sign(&claims)),
        ("a path for a name", NEXT.sign_as(&named("../../../dev/null", Algorithm::EdDSA), &claims)),
        ("a query for a name", NEXT.sign_as(&named("x' union select 'k", Algorithm::EdDSA), &claims)),
        ("its own key with it", NEXT.sign_as(&with_jwk, &claims)),
        ("a good one that says where its key is", ED25519.sign_as(&with_jku, &claims)),
    ];
    for (what, token) in bad {
        let answer = world.get("/premium/one", Some(&token)).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn keys_are_rotated_and_withdrawn_while_everything_runs() {
    let host = KeyHost::start(&[ED25519]).await;
    let world = World::with(setup(&host)).await;
    let claims = claims(&paying(&world, ED25519).await);
    let (old, new) = (ED25519.sign(&claims), NEXT.sign(&claims));
    assert_eq!(status(&world, &new).await, 401);
    host.answers(Answer::Keys(vec![ED25519, NEXT]));
    eventually("the new key counts", async || (status(&world, &new).await == 200).then_some(())).await;
    assert_eq!(status(&world, &old).await, 200, "both count");
    host.answers(Answer::Keys(vec![NEXT]));
    eventually("the old key is withdrawn", async || (status(&world, &old).await == 401).then_some(())).await;
    assert_eq!(status(&world, &new).await, 200);
}

#[tokio::test]
async fn made_up_key_ids_do_not_flood_the_identity_provider() {
    let host = KeyHost::start(&[ED25519]).await;
    let floor = setup(&host).key("identity.jwks_refetch_min", "\"60s\"").key("identity.jwks_refresh", "\"60s\"");
    let world = World::with(floor).await;
    let claims = claims(&paying(&world, ED25519).await);
    let made_up = |number: u32| {
        let header = Header { kid: Some(format!("made-up-{number}")), ..Header::new(Algorithm::EdDSA) };
        NEXT.sign_as(&header, &claims)
    };
    let tokens: Vec<String> = (0..200).map(made_up).collect();
    for answer in futures_util::future::join_all(tokens.iter().map(async |token| status(&world, token).await)).await {
        assert_eq!(answer, 401);
    }
    assert_eq!(host.asked(), 1, "at the start");
    assert_eq!(status(&world, &ED25519.sign(&claims)).await, 200);
}

#[tokio::test]
async fn an_identity_provider_that_fails_takes_access_from_nobody() {
    let mut host = KeyHost::start(&KEYS).await;
    let evil = KeyHost::start(&[NEXT]).await;
    let world = World::with(setup(&host)).await;
    let account = paying(&world, P256).await;
    let stolen = json!({ "keys": [NEXT.jwk()] }).to_string();
    let failures = [
        Answer::Raw(500, stolen.clone()),
        Answer::Raw(403, stolen.clone()),
        Answer::Raw(200, "<!doctype html><title>Sign in</title>".into()),
        Answer::Raw(200, "{\"keys\":[]}".into()),
        Answer::Raw(200, format!("{}{stolen}", " ".repeat(300_000))),
        Answer::Redirect(evil.url()),
        Answer::Silence,
    ];
    let failed = async || world.proxy().metric("tollgate_jwks_fetches_total", &["outcome=\"error\""]).await;
    for failure in failures {
        host.answers(failure.clone());
        let before = failed().await;
        eventually("the failure is noticed", async || {
            assert_eq!(status(&world, &NEXT.sign(&claims(&account))).await, 401, "{failure:?}");
            (failed().await > before).then_some(())
        })
        .await;
        assert_eq!(status(&world, &P256.sign(&claims(&account))).await, 200, "{failure:?}: a token never seen before");
    }
    host.close().await;
    let before = failed().await;
    eventually("it is gone", async || {
        assert_eq!(status(&world, &NEXT.sign(&claims(&account))).await, 401);
        (failed().await > before).then_some(())
    })
    .await;
    assert_eq!(status(&world, &P384.sign(&claims(&account))).await, 200);
    assert_eq!(evil.asked(), 0, "a redirect is not followed");
    assert_eq!(world.proxy().admin("/readyz").await.status, 200, "it is still of use");

    host.answers(Answer::Keys(vec![NEXT]));
    host.open().await;
    eventually("it is back", async || (status(&world, &NEXT.sign(&claims(&account))).await == 200).then_some(())).await;
    assert!(world.proxy().metric("tollgate_jwks_last_success_timestamp_seconds", &[]).await > 1.7e9);
    assert_eq!(world.proxy().metric("tollgate_jwks_keys", &[]).await, 1.0);
}

const LENIENT: &str = r#"
[[route]]
path = "/premium/**"
require = { tier = "paid" }

[[route]]
path = "/account/**"
require = { signed_in = true }

[[route]]
path = "/lenient/**"
require = { tier = "paid" }
on_error = "allow"
"#;

#[tokio::test]
async fn without_any_key_each_route_does_what_its_policy_says() {
    let mut host = KeyHost::start(&[ED25519]).await;
    let mut world = World::with(setup(&host).routes(LENIENT)).await;
    let account = paying(&world, ED25519).await;
    host.close().await;
    world.processes[0].restart();
    let missing = eventually("the keys are all that is missing", async || {
        let answer = world.processes[0].try_admin("/readyz").await?;
        (answer.body.contains("keys") && !answer.body.contains("listener")).then_some(answer)
    })
    .await;
    assert_eq!(missing.status, 503, "{missing:?}");

    let token = ED25519.sign(&claims(&account));
    for path in ["/premium/cold", "/account/cold"] {
        let answer = world.get(path, Some(&token)).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "entitlement_unknown"), "{path}: {answer:?}");
        assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    }
    for path in ["/lenient/cold", "/welcome/cold"] {
        assert_eq!(world.get(path, Some(&token)).await.status, 200, "{path}");
        let identity = world.upstream.only(path).identity();
        assert_eq!(identity, [("x-entitlement-degraded".to_owned(), "fallback".to_owned())], "{path}");
    }
    assert_eq!(world.get("/premium/garbage", Some("garbage")).await.status, 401, "whatever the keys");
    assert_eq!(world.get("/premium/stranger", None).await.status, 401);
    assert_eq!(world.get("/welcome/stranger", None).await.status, 200);
    assert_eq!(world.upstream.only("/welcome/stranger").identity(), []);

    host.open().await;
    world.processes[0].ready().await;
    world.everywhere("/premium/recovered", &token, 200).await;
}
