//! Sessions that the application ends by itself: no process counts them any more, whatever was kept.

use serde_json::{Value, json};

use super::{TOKEN, ask, setup};
use crate::outage::pushed;
use crate::world::session_site::{SessionSite, Word};
use crate::world::setup::ROUTES;
use crate::world::stripe::unique;
use crate::world::{Answer, Arrangement, World, eventually, send};

/// Two ways by which the site is asked, whose answers are kept for so long that no test waits for their end.
pub(super) async fn world(arrangement: Arrangement, site: &SessionSite) -> World {
    let ask = site.ask();
    let ways = format!(
        "[identity.session]\ncookie = [\"sid\", \"old-sid\"]\nask = \"{ask}\"\naccount = \"/account\"\nkeep = \"10m\"\nprefix = \"s:\"\n\
         [identity.key]\nask = \"{ask}\"\naccount = \"/account\"\nkeep = \"10m\"\nprefix = \"k:\"\n"
    );
    let flat = ["identity.cookie", "identity.algorithm", "identity.issuer", "identity.audience"];
    let setup = flat.into_iter().fold(setup(arrangement), |setup, key| setup.key(key, ""));
    let world = World::with(setup.routes(&format!("{ROUTES}\n{ways}")).upstream(site.pages)).await;
    if arrangement == Arrangement::Separate {
        pushed(&world, 1.0).await;
    }
    world
}

/// The outcome of a credential at every proxy: the account, or the code of its refusal.
pub(super) async fn visitors(world: &World, (name, value): (&str, &str)) -> Vec<String> {
    let mut all = Vec::new();
    for proxy in world.proxies() {
        let path = format!("/signed-in/{}", unique("page"));
        let answer = send(world.request_to(proxy, "GET", &path, None).header(name, value)).await;
        all.push(match answer.status {
            200 => answer.json()["account"].as_str().unwrap_or_default().to_owned(),
            _ => answer.code(),
        });
    }
    all
}

async fn forget(world: &World, body: &Value) -> Answer {
    ask(world, Some(TOKEN), ("POST", "/app/v1/sessions/forget"), Some(body)).await
}

#[tokio::test]
async fn a_session_that_the_application_ends_is_nobodys_in_every_process() {
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let site = SessionSite::start().await;
        let world = world(arrangement, &site).await;
        let account = unique("user");
        let signed_in = || Word::Raw(200, vec![], json!({ "account": account }).to_string());
        let (ours, key) = (format!("s:{account}"), format!("k:{account}"));
        let by_value = |way: &str, value: &str| json!({ "way": way, "value": value });
        for (what, credential, known, body) in [
            ("a value", ("cookie", "sid=abc"), &ours, by_value("session", "abc")),
            ("another of its cookies", ("cookie", "old-sid=def"), &ours, by_value("session", "def")),
            ("in pieces", ("cookie", "sid.1=hi; sid.0=g"), &ours, by_value("session", "ghi")),
            ("percent-encoded", ("cookie", "sid=s%3Ajk%2Fl"), &ours, by_value("session", "s:jk/l")),
            ("as it is sent", ("cookie", "sid=s%3Am"), &ours, by_value("session", "s%3Am")),
            ("in quotes", ("cookie", "sid=\"n\""), &ours, by_value("session", "n")),
            ("a header", ("authorization", "Token opq"), &key, by_value("key", "Token opq")),
            ("an account", ("cookie", "sid=rst"), &ours, json!({ "account": ours })),
        ] {
            site.says(signed_in());
            let everywhere = |word: &str| vec![word.to_owned(); world.proxies().count()];
            assert_eq!(visitors(&world, credential).await, everywhere(known), "{what}, {arrangement:?}");
            // The application has signed the user out, and no answer of it has said so.
            site.says(Word::Raw(401, vec![], String::new()));
            assert_eq!(visitors(&world, credential).await, everywhere(known), "{what}: it is kept");
            for other in [by_value("session", "other"), json!({ "account": "s:other" })] {
                assert_eq!(forget(&world, &other).await.status, 204, "{what}: {other}");
            }
            assert_eq!(visitors(&world, credential).await, everywhere(known), "{what}: that was another one");
            let answer = forget(&world, &body).await;
            assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{what}");
            eventually("no process counts it", async || {
                (visitors(&world, credential).await == everywhere("sign_in")).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_question_under_way_brings_nothing_back() {
    let site = SessionSite::start().await;
    let world = world(Arrangement::AllPostgres, &site).await;
    for (session, body) in
        [("one", json!({ "way": "session", "value": "one" })), ("two", json!({ "account": "s:u-late" }))]
    {
        let cookie = format!("sid={session}");
        let before = site.questions().len();
        site.know(session, "u-late");
        let answer = site.says_late();
        let asking = visitors(&world, ("cookie", &cookie));
        let ending = async {
            eventually("it is asked", async || (site.questions().len() > before).then_some(())).await;
            assert_eq!(forget(&world, &body).await.status, 204);
            site.says(Word::Raw(401, vec![], String::new()));
            answer.notify_one();
        };
        let (asked, ()) = tokio::join!(asking, ending);
        assert_eq!(asked, ["sign_in"], "the answer from before the end counts for nothing");
        assert_eq!(visitors(&world, ("cookie", &cookie)).await, ["sign_in"], "and nobody after it: {body}");
    }
}

#[tokio::test]
async fn what_cannot_be_forgotten_is_told() {
    let site = SessionSite::start().await;
    let mut world = world(Arrangement::Separate, &site).await;
    for (body, code) in [
        (json!({ "way": "session" }), "bad_request"),
        (json!({ "way": "session", "value": "x", "account": "a" }), "bad_request"),
        (json!({ "account": "" }), "bad_request"),
        (json!([]), "bad_request"),
        (json!({ "way": "sesion", "value": "x" }), "unknown_way"),
    ] {
        let answer = forget(&world, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{body}");
    }
    assert_eq!(ask(&world, None, ("POST", "/app/v1/sessions/forget"), Some(&json!({}))).await.status, 401);
    world.redis.as_mut().expect("this world has one").kill();
    let answer = forget(&world, &json!({ "account": "a" })).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "cache_unavailable"), "{answer:?}");
}
