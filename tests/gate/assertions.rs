//! The signed identity: made seldom, and its keys rotated without a gap.

use serde_json::Value;

use crate::world::stripe::unique;
use crate::world::{ASSERTION_KEY, Arrangement, Setup, World, token};

/// Another key. Made for these tests alone.
const OTHER: &str = include_str!("../keys/p256.pem");

/// The ids of the published keys, and the one that an assertion names.
async fn keys(world: &World) -> (Vec<String>, String) {
    let set = world.get("/.well-known/tollgate/jwks.json", None).await.json();
    let id = |key: &Value| key["kid"].as_str().expect("an id").to_owned();
    let ids = set["keys"].as_array().expect("keys").iter().map(id).collect();
    assert!(!set.to_string().contains("\"d\""), "no private half: {set}");
    (ids, jsonwebtoken::decode_header(assertion(world).await).expect("a token").kid.expect("an id"))
}

async fn assertion(world: &World) -> String {
    let path = format!("/signed-in/{}", unique("page"));
    assert_eq!(world.get(&path, Some(&token("reader"))).await.status, 200);
    world.upstream.only(&path).header("x-entitlement-assertion").expect("an assertion").to_owned()
}

#[tokio::test]
async fn an_assertion_is_made_once_for_many_requests_and_is_short() {
    let world = World::start(Arrangement::AllPostgres).await;
    let first = assertion(&world).await;
    // Half a life of 60 seconds may end in between, once.
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(assertion(&world).await);
    }
    others.dedup();
    assert!(others.len() <= 2 && (others.contains(&first) || others.len() == 1), "{others:?}");
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&first).expect("a token").claims;
    let life = claims["exp"].as_i64().expect("a date") - claims["iat"].as_i64().expect("a date");
    assert!((1..=60).contains(&life), "{claims}");
}

#[tokio::test]
async fn while_keys_are_rotated_the_first_signs_and_all_are_published_and_believed() {
    let world_of = async |keys: &str| {
        World::with(Setup::new(Arrangement::Separate).environment("TOLLGATE_ASSERTION_KEY", keys)).await
    };
    let before = keys(&world_of(&format!("{ASSERTION_KEY}{OTHER}")).await).await;
    let world = world_of(&format!("{OTHER}\n{ASSERTION_KEY}")).await;
    let after = keys(&world).await;
    assert_eq!((before.0.len(), before.0.first()), (2, Some(&before.1)));
    assert_eq!(
        (after.0.first(), after.0.last()),
        (before.0.last(), before.0.first()),
        "the same keys in another order"
    );
    assert_eq!(after.0.first(), Some(&after.1));
    let answer = world.get("/api/billing/subscription", Some(&token("reader"))).await;
    assert_eq!(answer.status, 200, "billing believes the one that signs: {answer:?}");
}
