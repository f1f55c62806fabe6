//! Credentials as sites, libraries and identity providers write them, and what lies beside a good one.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::paying;
use crate::world::keys::{Answer, ED25519, Key, KeyHost, NEXT, P256, RSA};
use crate::world::stripe::{Subscription, unique};
use crate::world::token::{SECRET, claims, signed, token};
use crate::world::{Arrangement, Setup, World, in_seconds, raw_get, send};

/// The status and the code of a paid page for a request with these headers.
async fn paid_page(world: &World, lines: &[String]) -> (u16, String) {
    let request = world.request("GET", "/premium/one", None);
    let asks = lines.iter().fold(request, |request, line| {
        let (name, value) = line.split_once(": ").expect("a header");
        request.header(name, value)
    });
    let answer = send(asks).await;
    (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
}

fn passes() -> (u16, String) {
    (200, String::new())
}

fn refused(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

#[tokio::test]
async fn a_token_in_quotes_percent_encoded_or_behind_bearer_is_a_token() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = paying(&world).await;
    let encoded = token.replace('.', "%2E").replace('-', "%2D").replace('_', "%5F");
    for value in [
        format!("\"{token}\""),
        format!("Bearer {token}"),
        format!("\"Bearer {token}\""),
        format!("Bearer%20{token}"),
        format!("%22Bearer%20{token}%22"),
        encoded,
    ] {
        assert_eq!(paid_page(&world, &[format!("cookie: theme=dark; session={value}")]).await, passes(), "{value}");
    }
    assert_eq!(paid_page(&world, &[format!("authorization: Bearer \"{token}\"")]).await, passes());
    for value in [format!("Bearer Bearer {token}"), format!("%2522{token}%2522")] {
        assert_eq!(paid_page(&world, &[format!("cookie: session={value}")]).await, refused("invalid_token"), "{value}");
    }
}

#[tokio::test]
async fn no_user_with_a_good_session_is_locked_out_by_what_lies_beside_it() {
    let world = World::start(Arrangement::AllPostgres).await;
    let good = paying(&world).await;
    let data = jsonwebtoken::dangerous::insecure_decode::<Value>(&good).expect("a token of ours").claims;
    let mut expired = data.clone();
    expired["exp"] = json!(in_seconds(-3600));
    let expired = signed(&expired, SECRET);
    let other = token(&unique("other"));
    let foreign = signed(&data, "a secret that is not the site's own secret");
    let junk = format!("session={foreign}; ").repeat(30);
    for lines in [
        vec![format!("cookie: session={expired}; session={good}")],
        vec![format!("cookie: session={good}; session={expired}")],
        vec![format!("cookie: session={good}; session={good}")],
        vec![format!("cookie: session=; session={good}")],
        vec![format!("cookie: {junk}session={good}")],
        // Pieces that were left behind when the cookie became a whole one, and a cookie of another name.
        vec![format!("cookie: session={good}; session.1=x")],
        vec![format!("cookie: session.0=x; session={good}; session.1=y")],
        vec![format!("cookie: session.0={expired}; session={good}")],
        vec![format!("cookie: session.0={good}; session={good}")],
        vec![format!("cookie: session={good}; session.0=x; session.0=y")],
        vec![format!("cookie: session_0=x; session__1=y; session={good}; sessionC1=z")],
        vec![format!("cookie: SESSION={other}; session={good}; Session={other}")],
        vec!["authorization: Bearer a-key-of-the-site".to_owned(), format!("cookie: session={good}")],
        vec![format!("authorization: Bearer {good}"), format!("cookie: session={expired}")],
        vec!["authorization: Basic eDp5".to_owned(), format!("cookie: session={good}")],
        vec![
            "authorization: Basic eDp5".to_owned(),
            "authorization: Bearer x".to_owned(),
            format!("cookie: session={good}"),
        ],
    ] {
        assert_eq!(paid_page(&world, &lines).await, passes(), "{lines:?}");
    }
    let twice = vec!["authorization: Basic eDp5".to_owned(), format!("authorization: Bearer {good}")];
    assert_eq!(paid_page(&world, &twice).await, refused("invalid_token"), "it is one header");
    let in_pieces = vec![format!("cookie: session={good}; session.0={other}")];
    assert_eq!(paid_page(&world, &in_pieces).await, refused("ambiguous_identity"), "another valid account");
    let by_case = vec![format!("cookie: SESSION={good}")];
    assert_eq!(paid_page(&world, &by_case).await, refused("sign_in"), "RFC 6265: another name");
    let unusable = vec![format!("cookie: session={expired}; session={foreign}")];
    assert_eq!(paid_page(&world, &unusable).await, refused("invalid_token"));
}

#[tokio::test]
async fn good_sessions_of_two_accounts_are_ambiguous_behind_the_gate_and_nobody_before_it() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (good, other) = (paying(&world).await, token(&unique("other")));
    let both = [
        vec![format!("cookie: session={good}; session={other}")],
        vec![format!("cookie: session={other}; session={good}")],
        vec![format!("authorization: Bearer {good}"), format!("cookie: session={other}")],
    ];
    for lines in &both {
        assert_eq!(paid_page(&world, lines).await, refused("ambiguous_identity"), "{lines:?}");
    }
    let lines: Vec<&str> = both[0].iter().map(String::as_str).collect();
    assert_eq!(raw_get(world.proxy().listen.public, "/welcome/two", &lines).await.status, 200);
    assert_eq!(world.upstream.only("/welcome/two").identity(), [], "the site is told of nobody");
    let page = send(
        world.request("GET", "/premium/one", None).header("cookie", &both[0][0][8..]).header("accept", "text/html"),
    );
    let page = page.await;
    assert_eq!((page.status, page.header("content-type")), (401, "text/html; charset=utf-8"), "{page:?}");
    assert!(page.body.contains("signed in to several accounts") && page.body.contains("/login"), "{page:?}");
}

/// A world that trusts this set of keys, for each algorithm that is public.
async fn trusting(host: &KeyHost) -> World {
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("identity.algorithm", "")
        .key("identity.jwks_url", &format!("\"{}\"", host.url()))
        .key("identity.algorithms", "[\"RS256\", \"ES256\", \"Ed25519\"]");
    World::with(setup).await
}

/// An account that has paid.
async fn payer(world: &World, key: Key) -> Value {
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/hello", &key.sign(&claims(&account)), 200).await;
    claims(&account)
}

#[tokio::test]
async fn a_token_that_names_no_key_is_tried_with_every_key_that_fits() {
    let mut keys: Vec<Value> = (0..15).map(|number| renamed(NEXT, &format!("other-{number}"))).collect();
    keys.extend([RSA, P256, ED25519].map(|key| renamed(key, key.id)));
    let host = KeyHost::start(&[]).await;
    host.answers(Answer::Raw(200, json!({ "keys": keys }).to_string()));
    let world = trusting(&host).await;
    let claims = payer(&world, RSA).await;
    for key in [RSA, P256, ED25519] {
        let nameless = key.sign_as(&Header::new(key.algorithm), &claims);
        assert_eq!(world.get("/premium/one", Some(&nameless)).await.status, 200, "{key:?}");
    }
}

#[tokio::test]
async fn a_key_under_a_newer_name_counts_and_one_that_cannot_be_used_harms_no_other() {
    let mut newer = renamed(ED25519, "d1");
    newer["alg"] = json!("Ed25519");
    let mut undecided = renamed(RSA, "r1");
    undecided["key_ops"] = json!([]);
    let mut broken = renamed(P256, "broken");
    broken["x"] = json!("AAAA");
    let odd = json!({ "kty": "RSA", "kid": ["odd"], "n": 7 });
    let encryption =
        json!({ "kty": "EC", "crv": "P-521", "kid": "e", "use": "enc", "alg": "ECDH-ES", "x": "A", "y": "A" });
    let secret = json!({ "kty": "oct", "k": "AAAA", "kid": "s" });
    let host = KeyHost::start(&[]).await;
    let set = json!({ "keys": [null, odd, broken, encryption, secret, newer, undecided] });
    host.answers(Answer::Raw(200, set.to_string()));
    let world = trusting(&host).await;
    let named = |id: &str, key: Key| Header { kid: Some(id.to_owned()), ..Header::new(key.algorithm) };
    let claims = payer(&world, Key { id: "r1", ..RSA }).await;
    assert_eq!(world.get("/premium/one", Some(&ED25519.sign_as(&named("d1", ED25519), &claims))).await.status, 200);
    assert_eq!(world.get("/premium/one", Some(&ed25519_by_its_newer_name(&claims))).await.status, 200);
    let forged = NEXT.sign_as(&named("d1", NEXT), &claims);
    assert_eq!(world.get("/premium/one", Some(&forged)).await.status, 401);
}

#[tokio::test]
async fn the_longer_hashes_are_offered_and_what_is_not_is_refused_in_a_true_sentence() {
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let setup = Setup::new(Arrangement::AllPostgres).key("identity.algorithm", &format!("\"{name}\""));
        let world = World::with(setup).await;
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signed = |algorithm| {
            jsonwebtoken::encode(&Header::new(algorithm), &claims(&unique("reader")), &key).expect("it signs")
        };
        assert_eq!(world.get("/signed-in/a", Some(&signed(algorithm))).await.status, 200, "{name}");
        assert_eq!(world.get("/signed-in/a", Some(&signed(Algorithm::HS256))).await.status, 401, "{name} alone");
        let checked = async |change: &dyn Fn(String) -> String| {
            world.proxy().rewrite(change);
            world.tollgate(&["check"]).await
        };
        let to =
            |line: &'static str| move |text: String| text.replace(&format!("identity.algorithm = \"{name}\""), line);
        let refused = checked(&to("identity.algorithm = \"ES512\"")).await;
        assert!(refused.failure().contains("ES512 is not offered"), "{refused:?}");
        let set = "identity.jwks_url = \"http://keycloak:8080/keys\"\nidentity.algorithms = [\"RS256\"]\n";
        let insecure = |text: String| text.replace("identity.algorithm = \"ES512\"\n", set);
        assert!(checked(&insecure).await.failure().contains("jwks_insecure = true"));
        let asked_for = |text: String| text.replace(set, &format!("{set}identity.jwks_insecure = true\n"));
        let accepted = checked(&asked_for).await;
        assert_eq!(accepted.code, 0, "{accepted:?}");
        let said = format!("{}{}", accepted.stdout, accepted.stderr);
        assert!(said.contains("http://keycloak:8080/keys\" is not encrypted"), "{said}");
    }
}

/// A published key under another id.
fn renamed(key: Key, id: &str) -> Value {
    let mut jwk = serde_json::to_value(key.jwk()).expect("it encodes");
    jwk["kid"] = json!(id);
    jwk
}

/// A token whose header says `Ed25519`, as RFC 9864 has it.
fn ed25519_by_its_newer_name(claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "Ed25519", "kid": "d1" })), part(claims));
    let key = EncodingKey::from_ed_pem(ED25519.pem.as_bytes()).expect("a key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("it signs");
    format!("{message}.{signature}")
}
