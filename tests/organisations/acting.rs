//! The words to the site, to gateways and to the log on the user who acts.

use serde_json::{Value, json};

use super::{ACCOUNT, member, read};
use crate::gateways::ask::{asked, header};
use crate::world::session_site::{SessionSite, Word};
use crate::world::setup::ROUTES;
use crate::world::stripe::{Subscription, unique};
use crate::world::token::{SECRET, claims, signed, token};
use crate::world::{Arrangement, Received, Setup, World, eventually, send};

/// Headers that a client writes to act under another one's name, in the spellings of several servers.
const SPOOFED: [(&str, &str); 3] =
    [("x-entitlement-user", "root"), ("x_entitlement_user", "root"), ("X-Entitlement.User", "root")];

/// Account and user, as the site was told.
fn told(received: &Received) -> (Option<&str>, Option<&str>) {
    (received.header("x-entitlement-account"), received.header("x-entitlement-user"))
}

/// The request for a page, as the site gets it, with identity headers of the client's own.
async fn received(world: &World, page: &str, token: Option<&str>) -> Received {
    let path = format!("{page}/{}", unique("page"));
    let request = world.request("GET", &path, token);
    let request = SPOOFED.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    assert_eq!(send(request).await.status, 200, "{path}");
    let received = world.upstream.only(&path);
    let is_spoofed = |(_, value): &(String, String)| value == "root";
    assert!(!received.headers.iter().any(is_spoofed), "the client's word reached the site: {received:?}");
    received
}

#[tokio::test]
async fn the_site_is_told_who_acts_for_which_account_and_nobody_else_can_say() {
    for fast_path in ["true", "false"] {
        let setup = Setup::new(Arrangement::AllPostgres).key("identity.account", ACCOUNT);
        let world = World::with(setup.key("proxy.fast_path", fast_path)).await;
        let (ada, bob) = (member("ada", "acme", "admin"), member("bob", "acme", "member"));
        let number = signed(
            &{
                let mut all = claims("x");
                all["sub"] = json!(7);
                all["org_id"] = json!(8);
                all
            },
            SECRET,
        );
        for (what, token, account, user) in [
            ("a user", Some(ada.as_str()), Some("acme"), Some("ada")),
            ("another user", Some(&bob), Some("acme"), Some("bob")),
            ("the first again", Some(&ada), Some("acme"), Some("ada")),
            ("numbers", Some(&number), Some("8"), Some("7")),
            ("without an organisation", Some(&token("ada")), Some("ada"), None),
            ("its own user", Some(&member("ada", "ada", "admin")), Some("ada"), None),
            ("nobody", None, None, None),
        ] {
            for page in ["/welcome", "/signed-in"] {
                if token.is_none() && page == "/signed-in" {
                    continue;
                }
                let received = received(&world, page, token).await;
                assert_eq!(told(&received), (account, user), "{what} at {page}, fast_path = {fast_path}");
                let Some(assertion) = received.header("x-entitlement-assertion") else { continue };
                let claims = read(assertion);
                let act = user.map_or(Value::Null, |user| json!({ "sub": user }));
                assert_eq!((&claims["sub"], &claims["act"]), (&json!(account), &act), "{what}: {claims}");
                assert_eq!(claims.get("buyer"), None, "every user may buy here: {claims}");
            }
        }
        let log = eventually("all are logged", async || {
            let log = world.proxy().process.log();
            (log.matches("/welcome/").count() >= 7).then_some(log)
        })
        .await;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut users: Vec<(String, Option<String>)> = lines
            .filter(|line| line["path"].as_str().is_some_and(|path| path.starts_with("/welcome/")))
            .filter_map(|line| Some((line["account"].as_str()?.to_owned(), line["user"].as_str().map(str::to_owned))))
            .collect();
        users.sort();
        users.dedup();
        let known = |account: &str, user: Option<&str>| (account.to_owned(), user.map(str::to_owned));
        let expected =
            [known("8", Some("7")), known("acme", Some("ada")), known("acme", Some("bob")), known("ada", None)];
        assert_eq!(users, expected);
    }
}

#[tokio::test]
async fn an_organisation_pays_once_and_all_of_its_users_read() {
    let setup = Setup::new(Arrangement::Separate).key("identity.account", ACCOUNT);
    let world = World::with(setup).await;
    let organisation = unique("org");
    let (ada, bob) = (member("ada", &organisation, "admin"), member("bob", &organisation, "member"));
    assert_eq!(world.get("/premium/page", Some(&bob)).await.status, 402);
    let subscription = Subscription { metadata: Some(organisation.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    for token in [&ada, &bob] {
        world.everywhere("/premium/page", token, 200).await;
    }
    assert_eq!(world.get("/premium/page", Some(&token("bob"))).await.status, 402, "for himself he has nothing");
    let outsider = member("bob", &unique("org"), "admin");
    assert_eq!(world.get("/premium/page", Some(&outsider)).await.status, 402, "nor for another organisation");
    world.accepted(&Subscription { status: "canceled", ..subscription }.event("deleted")).await;
    for token in [&ada, &bob] {
        world.everywhere("/premium/page", token, 402).await;
    }
}

#[tokio::test]
async fn credentials_of_two_users_of_an_account_are_nobodys() {
    let setup = Setup::new(Arrangement::AllPostgres).key("identity.account", ACCOUNT);
    let world = World::with(setup).await;
    let account = async |bearer: &str, cookie: &str| {
        let path = format!("/signed-in/{}", unique("page"));
        let request = world.request("GET", &path, Some(bearer)).header("cookie", format!("session={cookie}"));
        let answer = send(request).await;
        match answer.status {
            200 => world.upstream.only(&path).header("x-entitlement-user").unwrap_or("none").to_owned(),
            _ => answer.code(),
        }
    };
    let (ada, bob) = (member("ada", "acme", "admin"), member("bob", "acme", "admin"));
    let (again, itself) = (member("ada", "acme", "member"), token("acme"));
    for (one, other, expected) in [
        (&ada, &ada, "ada"),
        (&ada, &again, "ada"),
        (&ada, &bob, "ambiguous_identity"),
        (&ada, &itself, "ada"),
        (&itself, &itself, "none"),
    ] {
        assert_eq!(account(one, other).await, expected);
        assert_eq!(account(other, one).await, expected, "their order decides nothing");
    }
    let mut unusable = claims("x");
    unusable["sub"] = json!(["ada"]);
    unusable["org_id"] = json!("acme");
    let unusable = signed(&unusable, SECRET);
    let answer = world.get("/signed-in/page", Some(&unusable)).await;
    assert_eq!(answer.code(), "invalid_token", "the site would take it for a request of the organisation itself");
    let said = world.tollgate(&["token", "verify", &unusable]).await;
    assert!(said.failure().contains("no_user"), "{said:?}");
    let said = world.tollgate(&["token", "verify", &ada]).await.success();
    assert!(said.contains("the account acme, for which the user ada acts"), "{said}");
}

#[tokio::test]
async fn gateways_are_told_the_user_or_an_empty_header() {
    let setup = Setup::new(Arrangement::AllPostgres).key("identity.account", ACCOUNT);
    let world = World::with(setup.key("decide.gateways", "[\"127.0.0.1\"]")).await;
    let ask = async |token: Option<&str>| {
        let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
        let lines = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /page", "X-Entitlement-User: root"];
        let lines: Vec<&str> = lines.into_iter().chain(bearer.as_deref()).collect();
        let answer = asked(world.proxy().listen.public, "GET", "/decide", &lines).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text.to_lowercase().contains("\nx-entitlement-user:"), "it is there: {answer:?}");
        header(&answer, "x-entitlement-user").to_owned()
    };
    assert_eq!(ask(Some(&member("ada", "acme", "admin"))).await, "ada");
    assert_eq!(ask(Some(&token("ada"))).await, "");
    assert_eq!(ask(None).await, "");
}

#[tokio::test]
async fn the_site_that_is_asked_names_account_and_user() {
    let site = SessionSite::start().await;
    let way = format!(
        "[identity.session]\ncookie = \"sid\"\nask = \"{}\"\naccount = [\"/org/id\", \"/user/id\"]\nuser = \"/user/id\"\nprefix = \"s:\"\n\
         [organisation]\nbuyers = [\"/org/role=owner\"]\n",
        site.ask()
    );
    let flat = ["identity.cookie", "identity.algorithm", "identity.issuer", "identity.audience"];
    let setup = flat.into_iter().fold(Setup::new(Arrangement::AllPostgres), |setup, key| setup.key(key, ""));
    let world = World::with(setup.routes(&format!("{ROUTES}\n{way}"))).await;
    for (session, body, account, user, is_buyer) in [
        ("a", json!({ "user": { "id": 7 }, "org": { "id": "acme", "role": "owner" } }), "s:acme", Some("s:7"), true),
        ("b", json!({ "user": { "id": 8 }, "org": { "id": "acme", "role": "member" } }), "s:acme", Some("s:8"), false),
        ("c", json!({ "user": { "id": 7 }, "org": null }), "s:7", None, true),
        ("e", json!({ "user": { "id": 7 }, "org": { "role": "member" } }), "s:7", None, false),
        ("d", json!({ "org": { "id": "acme", "role": "owner" } }), "s:acme", None, true),
    ] {
        site.says(Word::Raw(200, vec![], body.to_string()));
        for _ in 0..2 {
            let path = format!("/signed-in/{}", unique("page"));
            let request = world.request("GET", &path, None).header("cookie", format!("sid={session}"));
            assert_eq!(send(request).await.status, 200, "{body}");
            let received = world.upstream.only(&path);
            assert_eq!(told(&received), (Some(account), user), "{body}");
            let claims = read(received.header("x-entitlement-assertion").expect("an assertion"));
            assert_eq!(claims.get("buyer"), (!is_buyer).then_some(&json!(false)), "{body}: {claims}");
        }
    }
    assert_eq!(site.questions().len(), 5, "the user is kept with the account");
}
