//! Who gets in: whoever holds the token, and without one nobody.

use super::{Operator, TOKEN, operator, setup};
use crate::world::http::client;
use crate::world::{Arrangement, World, send};

/// Every route of the admin API, and one that does not exist.
const ROUTES: [(&str, &str); 11] = [
    ("GET", "/admin/events"),
    ("GET", "/admin/events/1"),
    ("POST", "/admin/events/1/replay"),
    ("POST", "/admin/events/replay?state=dead"),
    ("GET", "/admin/accounts/alice"),
    ("GET", "/admin/accounts/alice/audit"),
    ("POST", "/admin/accounts/alice/credits"),
    ("DELETE", "/admin/accounts/alice/credits"),
    ("DELETE", "/admin/accounts/alice/credits/1"),
    ("POST", "/admin/reconcile"),
    ("GET", "/admin/of/nothing"),
];

#[tokio::test]
async fn without_a_token_in_the_environment_nobody_gets_in() {
    let world = World::start(Arrangement::AllPostgres).await;
    for token in [None, Some(""), Some(TOKEN)] {
        for (method, path) in ROUTES {
            let answer = Operator { world: &world, token }.ask(method, path, None).await;
            assert_eq!((answer.status, answer.code().as_str()), (503, "not_configured"), "{method} {path}");
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(Operator { world: &world, token: None }.ask("GET", path, None).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn only_who_holds_the_token_gets_in() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    for token in [None, Some(""), Some("the admin token of the test"), Some("the admin token of the tests2")] {
        for (method, path) in ROUTES {
            let answer = Operator { world: &world, token }.ask(method, path, None).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(Operator { world: &world, token: None }.ask("GET", path, None).await.status, 200, "{path}");
    }
    let operator = operator(&world);
    let cases = [
        ("GET", "/admin/of/nothing", 404, "not_found"),
        ("DELETE", "/admin/events", 405, "method_not_allowed"),
        ("GET", "/admin/events/evt_of_nobody", 404, "no_such_event"),
        ("POST", "/admin/events/evt_of_nobody/replay", 404, "no_such_event"),
        ("DELETE", "/admin/accounts/nobody/credits", 404, "nothing_to_revoke"),
        ("GET", "/admin/accounts/%20blank", 400, "bad_request"),
        ("GET", "/admin/accounts/%FF", 400, "bad_request"),
    ];
    for (method, path, status, code) in cases {
        let answer = operator.ask(method, path, None).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
    }
    let public = world.get("/admin/events", None).await;
    assert_eq!(public.body, crate::world::upstream::BODY, "on the public listener it is a path of the site");
}

#[tokio::test]
async fn a_proxy_alone_has_no_admin_api() {
    let world = World::with(setup(Arrangement::Separate)).await;
    assert_eq!(operator(&world).ask("GET", "/admin/events", None).await.status, 200, "billing has");
    for proxy in world.proxies() {
        let url = format!("http://{}/admin/events", proxy.listen.admin);
        let answer = send(client().get(url).bearer_auth(TOKEN)).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    }
}
