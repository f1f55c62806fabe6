//! Access to the application's API: the tokens open it, on the internal listener alone.

use super::{OTHER, TOKEN, ask, setup};
use crate::world::process::signal;
use crate::world::stripe::unique;
use crate::world::{Arrangement, World, eventually, send};

/// Every route, and one that does not exist.
const ROUTES: [(&str, &str); 5] = [
    ("POST", "/app/v1/accounts/alice/block"),
    ("DELETE", "/app/v1/accounts/alice/block"),
    ("DELETE", "/app/v1/accounts/alice"),
    ("GET", "/app/v1/accounts/alice/export"),
    ("GET", "/app/v1/nothing"),
];

#[tokio::test]
async fn without_a_token_in_the_environment_it_is_closed() {
    let world = World::start(Arrangement::AllPostgres).await;
    for token in [None, Some(""), Some(TOKEN)] {
        for route in ROUTES {
            let answer = ask(&world, token, route, None).await;
            assert_eq!((answer.status, answer.code().as_str()), (503, "not_configured"), "{route:?}");
            assert!(answer.body.contains("TOLLGATE_APP_TOKEN is not set"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn each_of_the_tokens_opens_it_and_nothing_else_does() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    let wrong = [None, Some(""), Some("the application's toke"), Some("the application's token,"), Some("a, b")];
    for token in wrong {
        for route in ROUTES {
            let answer = ask(&world, token, route, None).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{token:?} {route:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    for token in [TOKEN, OTHER] {
        for (route, code) in ROUTES.iter().zip([["unknown_account"; 4].as_slice(), &["not_found"]].concat()) {
            let answer = ask(&world, Some(token), *route, None).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, code), "{route:?}");
        }
        let odd = ask(&world, Some(token), ("POST", "/app/v1/accounts/%20blank/block"), None).await;
        assert_eq!((odd.status, odd.code().as_str()), (400, "invalid_account"));
    }
    // To the public listener these paths are the site's.
    let path = format!("/app/v1/accounts/{}/block", unique("account"));
    assert_eq!(send(world.request("POST", &path, None).bearer_auth(TOKEN)).await.status, 200);
    assert_eq!(world.upstream.only(&path).method, "POST");
    let log = world.billing().process.log();
    assert!(!log.contains(TOKEN) && !log.contains(OTHER), "no token is logged");
}

#[tokio::test]
async fn the_tokens_change_while_it_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("tokens");
    std::fs::write(&place, TOKEN).expect("written");
    let file = place.to_str().expect("UTF-8");
    let setup = crate::world::Setup::new(Arrangement::AllPostgres).environment("TOLLGATE_APP_TOKEN_FILE", file);
    let world = World::with(setup).await;
    let status = async |token: &str| ask(&world, Some(token), ROUTES[0], None).await.status;
    assert_eq!((status(TOKEN).await, status(OTHER).await), (404, 401));
    std::fs::write(&place, format!("{OTHER},{TOKEN}\n")).expect("written");
    signal(world.billing().process.id(), "HUP");
    eventually("the new token is read", async || (status(OTHER).await == 404).then_some(())).await;
    assert_eq!(status(TOKEN).await, 404, "both count");
    std::fs::write(&place, OTHER).expect("written");
    signal(world.billing().process.id(), "HUP");
    eventually("the old one is not", async || (status(TOKEN).await == 401).then_some(())).await;
}
