//! Signing in and out at one proxy counts at all of them: an answer of the site that sets or clears the cookie ends what is kept, everywhere.

use http::header::SET_COOKIE;
use serde_json::{Value, json};

use super::sessions::{visitors, world};
use crate::world::session_site::{SessionSite, Word};
use crate::world::stripe::unique;
use crate::world::token::SECRET;
use crate::world::{Arrangement, World, eventually, send};

/// A request to the first proxy alone.
async fn at_one(world: &World, path: &str, cookie: &str) {
    let proxy = world.proxies().next().expect("a proxy");
    let answer = send(world.request_to(proxy, "POST", path, None).header("cookie", cookie)).await;
    assert!(answer.status == 200 && answer.headers.contains_key(SET_COOKIE), "{answer:?}");
}

#[tokio::test]
async fn a_sign_out_that_one_proxy_sees_counts_at_all() {
    for arrangement in [Arrangement::Separate, Arrangement::AllPostgresRedis] {
        let site = SessionSite::start().await;
        let world = world(arrangement, &site).await;
        for cookie in ["sid=one", "sid.1=o; sid.0=tw"] {
            let session = cookie.replace("; ", "");
            let account = unique("user");
            let everywhere = |word: &str| vec![word.to_owned(); world.proxies().count()];
            let becomes = async |word: &str| {
                eventually("it counts everywhere", async || {
                    (visitors(&world, ("cookie", cookie)).await == everywhere(word)).then_some(())
                })
                .await;
            };
            let signed_in = |account: &str| Word::Raw(200, vec![], json!({ "account": account }).to_string());
            site.says(signed_in(&account));
            assert_eq!(visitors(&world, ("cookie", cookie)).await, everywhere(&format!("s:{account}")), "{session}");
            // Another account in the same session, and then nobody: what is kept would count for ten minutes.
            site.says(signed_in("another"));
            at_one(&world, "/login?as=another", &format!("{cookie}; sid=beside")).await;
            becomes("s:another").await;
            site.says(Word::Raw(401, vec![], String::new()));
            at_one(&world, "/logout", cookie).await;
            becomes("sign_in").await;
        }
        let mut told = 0.0;
        for proxy in world.proxies() {
            told += proxy.metric("tollgate_sessions_ended_total", &["outcome=\"told\""]).await;
        }
        assert!(told >= 4.0, "{told}");
    }
}

#[tokio::test]
async fn a_sign_in_that_sets_no_cookie_counts_at_all_once_one_proxy_has_seen_it() {
    for arrangement in [Arrangement::Separate, Arrangement::AllPostgresRedis] {
        let site = SessionSite::start().await;
        let world = world(arrangement, &site).await;
        let cookie = format!("sid={}", unique("sid"));
        // Public pages, where nothing is asked anew: the first answer is kept for ten minutes.
        let told = async || {
            let mut all = Vec::new();
            for proxy in world.proxies() {
                let page = world.request_to(proxy, "GET", &format!("/welcome/{}", unique("page")), None);
                all.push(send(page.header("cookie", &cookie)).await.json()["account"].clone());
            }
            all
        };
        let everywhere = |account: Value| vec![account; world.proxies().count()];
        assert_eq!(told().await, everywhere(Value::Null));
        let proxy = world.proxies().next().expect("a proxy");
        let form = world.request_to(proxy, "POST", "/login?as=u-4&quietly", None).header("cookie", &cookie);
        assert_eq!(send(form).await.status, 204);
        eventually("it counts everywhere", async || (told().await == everywhere("s:u-4".into())).then_some(())).await;
    }
}

#[tokio::test]
async fn no_client_ends_sessions_by_asking_billing() {
    let site = SessionSite::start().await;
    let world = world(Arrangement::AllPostgres, &site).await;
    let body = json!({ "session": { "way": "session", "sums": [vec![0; 32]] } });
    let ask = async |token: Option<&str>| {
        let url = format!("http://{}/internal/sessions/ended", world.billing().listen.billing);
        let request = crate::world::http::client().post(url).json(&body);
        send(token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth)).await
    };
    for token in [None, Some("x"), Some(SECRET), Some(super::TOKEN)] {
        let answer = ask(token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_assertion"), "{token:?}");
    }
    let path = "/internal/sessions/ended";
    assert_eq!(
        send(world.request("POST", path, None).json(&body)).await.status,
        200,
        "on the public listener it is the site's"
    );
}
