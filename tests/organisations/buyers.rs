//! Which users buy for their account, and what the others see.

use demo::provider::Shape;
use entitlement::assertion::AssertionKey;
use serde_json::{Value, json};

use super::{ACCOUNT, member};
use crate::world::http::client;
use crate::world::process::signal;
use crate::world::setup::CATALOG;
use crate::world::stripe::unique;
use crate::world::wait::DEADLINE;
use crate::world::{ASSERTION_KEY, Answer, Arrangement, Setup, World, eventually, in_seconds, send};

const OPERATOR: &str = "the operator's own token";

/// Requests that change something of a plan, as programs and as forms send them.
const CALLS: [(&str, &str); 6] = [
    ("/api/billing/checkout", r#"{"cadence":"monthly","tier":"paid","consent":"monthly-waiver-1"}"#),
    ("/api/stripe/checkout", r#"{"cadence":"monthly","tier":"paid","consent":"monthly-waiver-1"}"#),
    ("/api/billing/portal", "{}"),
    ("/api/stripe/portal", "{}"),
    ("/api/billing/cancel", "{}"),
    ("/api/billing/reactivate", "{}"),
];
const FORMS: [(&str, &str); 4] = [
    ("/billing/checkout", "tier=paid&cadence=monthly&provider=stripe&consent=monthly-waiver-1"),
    ("/billing/portal", ""),
    ("/billing/cancel", ""),
    ("/billing/reactivate", ""),
];

fn setup(arrangement: Arrangement) -> Setup {
    let catalog = CATALOG.replacen("amount = 700\n", "amount = 700\nconsent = \"monthly-waiver-1\"\n", 1);
    let setup = Setup { catalog, ..Setup::new(arrangement).provider(Shape::Endive) };
    setup.key("identity.account", ACCOUNT).key("organisation.buyers", "[\"/org_role=admin\", \"/org_role=owner\"]")
}

async fn calls(world: &World, token: &str, (path, body): (&str, &'static str)) -> Answer {
    let request = world.request("POST", path, Some(token)).header("content-type", "application/json");
    send(request.body(body)).await
}

async fn presses(world: &World, token: &str, (path, form): (&str, &'static str)) -> Answer {
    let request = world.request("POST", path, None).header("cookie", format!("session={token}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
    send(request.header("sec-fetch-site", "same-origin").body(form)).await
}

#[tokio::test]
async fn others_see_the_pages_without_their_buttons_and_change_nothing() {
    let world = World::with(setup(Arrangement::Separate)).await;
    let organisation = unique("org");
    let (ada, bob) = (member("ada", &organisation, "admin"), member("bob", &organisation, "member"));
    let provider = world.provider.as_ref().expect("a provider");
    let refuses_bob = async |when: &str| {
        for call in CALLS {
            let answer = calls(&world, &bob, call).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "not_a_buyer"), "{when}: {call:?}");
        }
        for form in FORMS {
            let page = presses(&world, &bob, form).await;
            assert_eq!(page.status, 403, "{when}: {form:?}: {page:?}");
            assert!(page.body.contains("Only those who manage billing for your account"), "{when}: {page:?}");
        }
        for path in ["/billing", "/billing/pricing"] {
            let page = world.browse(path, Some(&bob)).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(!page.body.contains("<form") && !page.body.contains("type=\"submit\""), "{when}: {path}: {page:?}");
            assert!(page.body.contains(&format!("Signed in as bob, for {organisation}")), "{when}: {page:?}");
        }
    };
    refuses_bob("before anything was bought").await;
    assert!(provider.sessions().is_empty(), "nothing was begun");
    let page = world.browse("/billing/pricing", Some(&ada)).await;
    assert!(page.body.contains("<form"), "{page:?}");
    let opened = calls(&world, &ada, CALLS[0]).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    for token in [&ada, &bob] {
        world.everywhere("/premium/page", token, 200).await;
    }
    refuses_bob("with a subscription").await;
    let shown = world.get("/api/billing/subscription", Some(&bob)).await.json();
    assert_eq!(
        (&shown["account"], &shown["user"], &shown["buyer"], &shown["tier"]),
        (&json!(organisation), &json!("bob"), &json!(false), &json!("paid"))
    );
    let ended = calls(&world, &ada, ("/api/billing/cancel", "{}")).await;
    assert_eq!((ended.status, &ended.json()["status"]), (200, &json!("scheduled")), "{ended:?}");
    refuses_bob("after its end is scheduled").await;
    let kept = presses(&world, &ada, ("/billing/reactivate", "")).await;
    assert_eq!((kept.status, kept.header("location")), (303, "/billing?done=kept"), "{kept:?}");
}

#[tokio::test]
async fn what_is_kept_names_the_user() {
    let world = World::with(setup(Arrangement::AllPostgres).environment("TOLLGATE_ADMIN_TOKEN", OPERATOR)).await;
    let organisation = unique("org");
    let provider = world.provider.as_ref().expect("a provider");
    for user in ["ada", "eve", "eve"] {
        let answer = calls(&world, &member(user, &organisation, "owner"), CALLS[0]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let listed = async |path: &str| {
        let url = format!("http://{}/admin{path}", world.proxy().listen.admin);
        let answer = send(client().get(url).bearer_auth(OPERATOR)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let consents = listed(&format!("/consents?account={organisation}")).await;
    let users = |list: &Value| -> Vec<Value> {
        list.as_array().expect("a list").iter().map(|line| line["user"].clone()).collect()
    };
    assert_eq!(users(&consents["consents"]), ["eve", "ada"], "each user agrees for himself, once: {consents}");
    let told = world.tollgate(&["consents", "--account", &organisation]).await.success();
    assert!(told.contains(" by ada") && told.contains(" by eve"), "{told}");
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere("/premium/page", &member("ada", &organisation, "member"), 200).await;
    // The event about it may not come first: it would be the one that changes something.
    provider.hold();
    assert_eq!(calls(&world, &member("eve", &organisation, "owner"), ("/api/billing/cancel", "{}")).await.status, 200);
    let audit = listed(&format!("/accounts/{organisation}/audit")).await;
    let changes = audit["changes"].as_array().unwrap_or_else(|| panic!("changes: {audit}"));
    assert_eq!((&changes[0]["cause"], &changes[0]["user"]), (&json!("checkout"), &json!("eve")), "{audit}");
    let by_event =
        changes.iter().find(|change| change["cause"].as_str().is_some_and(|cause| cause.starts_with("evt_")));
    assert!(by_event.is_none_or(|change| change.get("user").is_none()), "an event is no user's: {audit}");
    let explained = world.tollgate(&["explain", "account", &organisation]).await.success();
    assert!(explained.contains("(by eve)"), "{explained}");
}

#[tokio::test]
async fn a_right_to_buy_changes_with_the_token_and_with_the_configuration() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    let organisation = unique("org");
    let is_buyer = async |role: &str| {
        let shown = world.get("/api/billing/subscription", Some(&member("ada", &organisation, role))).await.json();
        shown["buyer"].as_bool().expect("it says so")
    };
    assert!(
        is_buyer("owner").await && !is_buyer("member").await && is_buyer("admin").await && !is_buyer("Admin").await
    );
    let said = world.tollgate(&["check"]).await.success();
    assert!(said.contains("buyers    users with /org_role=admin or /org_role=owner"), "{said}");
    world.proxy().rewrite(|text| text.replace("\"/org_role=admin\"", "\"/org_role=member\""));
    signal(world.proxy().process.id(), "HUP");
    eventually("the new list is in force", async || is_buyer("member").await.then_some(())).await;
    assert!(!is_buyer("admin").await && is_buyer("owner").await);
    for (entry, expected) in [
        ("admin", "write a JSON pointer to a claim, `=` and the claim's value, such as \"/org_role=admin\""),
        ("org_role=admin", "is no JSON pointer: write it like \"/org_role=admin\""),
    ] {
        world.proxy().rewrite(|text| {
            let line = |line: &str| match line.starts_with("organisation.buyers") {
                true => format!("organisation.buyers = [\"{entry}\"]"),
                false => line.to_owned(),
            };
            text.lines().map(line).collect::<Vec<_>>().join("\n")
        });
        let refused = world.tollgate(&["check"]).await;
        let told = refused.failure();
        assert!(told.contains(expected) && told.contains("line "), "{entry}: {told}");
    }
}

#[tokio::test]
async fn a_proxy_that_names_no_user_is_believed_as_before() {
    let world = World::with(setup(Arrangement::Separate)).await;
    let key = AssertionKey::parse(ASSERTION_KEY).expect("a key");
    let billing = world.billing().listen.billing;
    let asks = async |more: Value| {
        let mut claims = json!({
            "iss": world.url, "aud": "tollgate-billing", "sub": "acme", "iat": in_seconds(0), "exp": in_seconds(60), "features": []
        });
        claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let claims = serde_json::from_value(claims).expect("claims");
        let assertion = key.sign(&claims).expect("it signs");
        let request = client().post(format!("http://{billing}/api/billing/portal"));
        let request = request.header("x-entitlement-assertion", assertion).header("content-type", "application/json");
        send(request.body("{}")).await.code()
    };
    assert_eq!(asks(json!({})).await, "no_customer", "as an older proxy writes it");
    assert_eq!(asks(json!({ "act": { "sub": "ada" } })).await, "no_customer");
    assert_eq!(asks(json!({ "act": { "sub": "ada" }, "buyer": false })).await, "not_a_buyer");
}
