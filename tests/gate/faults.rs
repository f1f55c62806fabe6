//! When nobody can say what was paid: each route does what its policy says, tells so, and recovers by itself.

use std::time::{Duration, Instant};

use crate::world::relay::Relay;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, eventually, token};

const ROUTES: &str = r#"
[[route]]
path = "/premium/**"
require = { tier = "paid" }

[[route]]
path = "/lenient/**"
require = { tier = "paid" }
on_error = "allow"
"#;

#[tokio::test]
async fn with_everything_below_down_each_route_does_what_its_policy_says() {
    let setup = Setup::new(Arrangement::Separate).routes(ROUTES).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let known = super::paying(&world).await;
    world.redis.as_mut().expect("this arrangement has one").kill();
    world.processes[0].process.kill();

    let cold = token(&unique("cold"));
    let denied = world.get("/premium/cold", Some(&cold)).await;
    assert_eq!((denied.status, denied.code().as_str()), (503, "entitlement_unknown"), "{denied:?}");
    assert!(!denied.header("retry-after").is_empty(), "{denied:?}");
    assert_eq!(world.get("/lenient/cold", Some(&cold)).await.status, 200);
    let received = world.upstream.only("/lenient/cold");
    assert_eq!(received.header("x-entitlement-degraded"), Some("fallback"));
    assert_eq!(received.header("x-entitlement-tier"), None, "nobody could say");

    let degraded = eventually("an account that was known is served from memory, and marked", async || {
        let path = format!("/premium/{}", unique("stale"));
        assert_eq!(world.get(&path, Some(&known)).await.status, 200, "who has paid is let in");
        let received = world.upstream.only(&path);
        (received.header("x-entitlement-degraded") == Some("stale")).then_some(received)
    })
    .await;
    assert_eq!(degraded.header("x-entitlement-tier"), Some("paid"));
    assert!(world.proxy().metric("tollgate_degraded_total", &[]).await > 0.0);
    assert_eq!(world.get("/welcome", None).await.status, 200, "a public page needs nobody");
    assert_eq!(world.get("/premium/one", None).await.status, 401, "a stranger is still a stranger");

    world.redis.as_mut().expect("this arrangement has one").restart();
    world.processes[0].restart();
    world.processes[0].ready().await;
    world.everywhere("/premium/recovered", &cold, 402).await;
}

#[tokio::test]
async fn an_unreachable_site_is_a_bad_gateway_and_no_secret() {
    let nobody = crate::world::ports::free();
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(nobody)).await;
    let answer = world.get("/welcome", None).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(!answer.code().is_empty());
    assert!(!answer.body.contains(&nobody.to_string()), "addresses inside are nobody's business: {answer:?}");
}

#[tokio::test]
async fn what_does_not_answer_at_all_holds_nobody_up_for_long() {
    let world = World::with(Setup::new(Arrangement::Separate).routes(ROUTES).relays()).await;
    let known = super::paying(&world).await;
    world.relays.iter().for_each(Relay::silence);

    let start = Instant::now();
    assert_eq!(world.get("/premium/known", Some(&known)).await.status, 200, "it is in memory");
    assert_eq!(world.get("/welcome", None).await.status, 200, "a public page needs nobody");
    assert!(start.elapsed() < Duration::from_secs(2), "nothing below is asked: {:?}", start.elapsed());
    let cold = token(&unique("cold"));
    let start = Instant::now();
    let denied = world.get("/premium/cold", Some(&cold)).await;
    assert_eq!((denied.status, denied.code().as_str()), (503, "entitlement_unknown"), "{denied:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "there is a limit: {:?}", start.elapsed());

    world.relays.iter().for_each(Relay::heal);
    world.everywhere("/premium/recovered", &cold, 402).await;
}
