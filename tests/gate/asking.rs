//! Sessions that are no tokens: the site says whose they are, as it is and as it may fail.

use std::cell::Cell;
use std::time::Instant;

use serde_json::Value;

use super::{account, with_ways};
use crate::world::http::raw_head;
use crate::world::process::signal;
use crate::world::session_site::{SessionSite, Word};
use crate::world::stripe::unique;
use crate::world::token::token;
use crate::world::{Answer, Setup, World, eventually, send};

/// A route that lets pass when it is not known who asks, and one that is the same for everybody.
const MORE_ROUTES: &str = "[[route]]\npath = \"/lenient/**\"\nrequire = { signed_in = true }\non_error = \"allow\"\n\
                           [[route]]\npath = \"/assets/**\"\nrequire = { public = true }\nshared = true\n";

/// Asks the site, with these lines beside; an answer is kept for so long that no test waits for its end.
fn setup(site: &SessionSite, more: &str) -> Setup {
    let (url, keep) = (site.ask(), if more.contains("keep") { "" } else { "keep = \"10m\"\n" });
    let way = format!("[identity.session]\ncookie = \"sid\"\nask = \"{url}\"\naccount = \"/account\"\n{keep}{more}\n");
    with_ways(&format!("{MORE_ROUTES}{way}")).upstream(site.pages)
}

/// A request with this cookie.
async fn ask(world: &World, method: &str, path: &str, session: &str) -> Answer {
    send(world.request(method, path, None).header("cookie", format!("theme=dark; sid={session}"))).await
}

/// The account that the site is told on a page that needs signing in; the code of the refusal else.
async fn visitor(world: &World, session: &str) -> String {
    account(world, "cookie", &format!("sid={session}")).await
}

/// The account that the site is told on a public page.
async fn told(world: &World, session: &str) -> Value {
    let answer = ask(world, "GET", "/welcome", session).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["account"].clone()
}

#[tokio::test]
async fn signing_in_and_out_counts_with_the_answer_that_says_so() {
    for fast_path in ["true", "false"] {
        let site = SessionSite::start().await;
        let world = World::with(setup(&site, "").key("proxy.fast_path", fast_path)).await;
        let session = unique("sid");
        assert_eq!(told(&world, &session).await, Value::Null);
        assert_eq!(told(&world, &session).await, Value::Null);
        assert_eq!(site.questions().len(), 1, "kept");
        assert_eq!(ask(&world, "POST", "/login?as=u-1", &session).await.status, 200);
        assert_eq!(told(&world, &session).await, "u-1", "where nothing needs to be asked again");
        assert_eq!(visitor(&world, &session).await, "u-1");
        assert_eq!(site.questions().len(), 2, "before the sign-in and after it");
        assert_eq!(ask(&world, "POST", "/login?as=u-2", &session).await.status, 200);
        assert_eq!(visitor(&world, &session).await, "u-2", "another account in the same session");
        assert_eq!(ask(&world, "POST", "/logout", &session).await.status, 200);
        assert_eq!(visitor(&world, &session).await, "sign_in", "fast_path = {fast_path}");
        assert_eq!(told(&world, &session).await, Value::Null);
    }
}

#[tokio::test]
async fn a_sign_in_that_sets_no_cookie_counts_before_a_visitor_is_sent_away() {
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "")).await;
    let (one, other) = (unique("sid"), unique("sid"));
    let bought = async |session: &str| ask(&world, "GET", "/api/billing/subscription", session).await.status;
    assert_eq!((visitor(&world, &one).await.as_str(), bought(&other).await), ("sign_in", 401));
    for session in [&one, &other] {
        assert_eq!(ask(&world, "POST", "/login?as=u-3&quietly", session).await.status, 204);
    }
    // The earlier answer is kept for longer than any test runs.
    eventually("the sign-in counts", async || (visitor(&world, &one).await == "u-3").then_some(())).await;
    eventually("and on Tollgate's own pages", async || (bought(&other).await == 200).then_some(())).await;
}

#[tokio::test]
async fn what_lies_beside_a_session_locks_nobody_out() {
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "")).await;
    let (session, other) = (unique("sid"), unique("sid"));
    site.know(&session, "u-1");
    site.know(&other, "u-2");
    for line in [
        format!("sid={session}; sid.1=old"),
        format!("sid.0=old; sid={session}; sid.1=old"),
        format!("sid={session}; sid.0=a; sid.0=b"),
        format!("sid_0=a; sid__0=b; sid={session}"),
        format!("SID={other}; sid={session}; Sid={other}"),
    ] {
        assert_eq!(account(&world, "cookie", &line).await, "u-1", "{line}");
    }
    assert_eq!(account(&world, "cookie", &format!("SID={session}")).await, "sign_in", "RFC 6265: another name");
    // A page of another host of the same domain can set cookies of that name for the whole of it.
    let tossed: String = (0..30).map(|number| format!("sid=tossed-{number}; ")).collect();
    let new = unique("sid");
    site.know(&new, "u-1");
    assert_eq!(account(&world, "cookie", &format!("{tossed}sid={new}")).await, "u-1");
}

#[tokio::test]
async fn what_was_asked_before_a_sign_out_counts_for_nothing_after_it() {
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "deadline = \"30s\"")).await;
    let (session, is_out) = (unique("sid"), Cell::new(false));
    site.know(&session, "u-1");
    // For the sign-out itself, and for nothing after it.
    let lines = vec![("cache-control", "max-age=0".to_owned())];
    site.says(Word::Raw(200, lines, r#"{"account":"u-1"}"#.to_owned()));
    let sign_out = async {
        assert_eq!(ask(&world, "POST", "/logout?late", &session).await.status, 200);
        is_out.set(true);
    };
    let others = async {
        eventually("the sign-out is at the site", async || (site.sign_outs() == 1).then_some(())).await;
        let answer = site.says_late();
        let before = visitor(&world, &session);
        let meanwhile = async {
            eventually("it is asked", async || (site.questions().len() == 2).then_some(())).await;
            site.lets_out();
            eventually("the sign-out is answered", async || is_out.get().then_some(())).await;
            site.says(Word::True);
            answer.notify_one();
        };
        tokio::join!(before, meanwhile).0
    };
    let (_, before) = tokio::join!(sign_out, others);
    assert_eq!(before, "sign_in", "the answer that comes late is of the time before");
    assert_eq!(told(&world, &session).await, Value::Null);
    assert_eq!(visitor(&world, &session).await, "sign_in");
}

#[tokio::test]
async fn the_site_is_asked_with_the_credential_alone_and_once() {
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "")).await;
    let session = unique("sid");
    site.know(&session, "u-1");
    let request = world
        .request("GET", "/signed-in/a", None)
        .header("cookie", format!("theme=dark; sid={session}; other=1"))
        .header("accept-encoding", "gzip")
        .header("x-secret", "1");
    assert_eq!(send(request).await.status, 200);
    for _ in 0..20 {
        assert_eq!(visitor(&world, &session).await, "u-1");
    }
    let questions = site.questions();
    assert_eq!(questions.len(), 1);
    let shown = |name: &str| questions[0].get(name).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(shown("cookie"), Some(format!("sid={session}")));
    assert_eq!(shown("host"), Some(world.url.strip_prefix("http://").expect("a URL").to_owned()));
    assert_eq!(shown("x-forwarded-proto").as_deref(), Some("http"));
    let mut names: Vec<&str> = questions[0].keys().map(axum::http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "cookie", "host", "user-agent", "x-entitlement-question", "x-forwarded-proto"]);
    // A shared route, and a visitor without a session, are not worth a question.
    assert_eq!(ask(&world, "GET", "/assets/a.css", &unique("sid")).await.status, 200);
    assert_eq!(world.get("/signed-in/b", None).await.code(), "sign_in");
    assert_eq!(site.questions().len(), 1);
    let asked = world.proxy().metric("tollgate_identity_questions_total", &["session", "outcome=\"account\""]).await;
    assert_eq!(asked, 1.0);
}

#[tokio::test]
async fn what_the_site_answers_means_what_it_says_or_nothing() {
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "deadline = \"300ms\"")).await;
    let raw = |status: u16, body: &str| Word::Raw(status, vec![], body.to_owned());
    let with =
        |name: &'static str, value: &str, body: &str| Word::Raw(200, vec![(name, value.to_owned())], body.to_owned());
    let (good, unknown) = (r#"{"account":"u-1"}"#, "entitlement_unknown");
    let huge = format!(r#"{{"account":"u-1","more":"{}"}}"#, "x".repeat(64 * 1024));
    let moved = Word::Raw(302, vec![("location", "/login".to_owned())], String::new());
    for (word, expected) in [
        (raw(200, good), "u-1"),
        (with("set-cookie", "sid=evil; Path=/", good), "u-1"),
        (with("set-cookie", "sid=worse; Path=/", good), "u-1"),
        (with("content-type", "text/html", good), "u-1"),
        (raw(200, r#"{"account":42}"#), "42"),
        (raw(200, r#"{"account":null}"#), "sign_in"),
        (raw(200, "null"), "sign_in"),
        (raw(200, r#"{"account":["u-1","u-2"]}"#), "sign_in"),
        (raw(200, r#"{"account":"u-1","expires_at":1000000000}"#), "sign_in"),
        (raw(401, good), "sign_in"),
        (raw(403, good), "sign_in"),
        (raw(404, ""), "sign_in"),
        (raw(200, r#"{"account":"u-1","account":"u-2"}"#), unknown),
        (raw(200, r#"{"account":"u-1","expires_at":"tomorrow"}"#), unknown),
        (raw(200, "<html>Please sign in</html>"), unknown),
        (raw(200, &huge), unknown),
        (raw(200, &"[".repeat(5_000)), unknown),
        (raw(204, ""), unknown),
        (raw(500, good), unknown),
        (moved, unknown),
        (Word::Silence, unknown),
    ] {
        site.says(word.clone());
        let session = unique("sid");
        assert_eq!(visitor(&world, &session).await, expected, "{word:?}");
        let lenient = ask(&world, "GET", "/lenient/a", &session).await;
        if expected == unknown {
            assert_eq!((lenient.status, lenient.json()["degraded"].as_str()), (200, Some("fallback")), "{word:?}");
        }
        assert_eq!(lenient.header("set-cookie"), "", "{word:?}");
    }
    world.proxy().logs("the site does not say whose sessions are").await;
    world.proxy().logs("sets a cookie, which is dropped").await;
    let log = world.proxy().process.log();
    assert_eq!(log.matches("sets a cookie, which is dropped").count(), 1, "once");
    assert!(log.contains("the site does not say whose sessions are"), "{log}");
    assert!(!log.contains("evil"), "no cookie is logged");
}

#[tokio::test]
async fn a_site_that_is_away_is_done_without_for_a_while() {
    let mut site = SessionSite::start().await;
    site.ends_connections();
    let world = World::with(setup(&site, "keep = \"0s\"\nstale = \"3s\"")).await;
    let (known, other) = (unique("sid"), unique("sid"));
    site.know(&known, "u-1");
    site.know(&other, "u-2");
    assert_eq!(visitor(&world, &known).await, "u-1");
    assert_eq!(visitor(&world, &known).await, "u-1");
    assert_eq!(site.questions().len(), 2, "nothing is kept");
    site.close().await;
    let began = Instant::now();
    let first = visitor(&world, &known).await;
    // On a machine that stands still for so long the answer is too old already.
    assert!(first == "u-1" || began.elapsed().as_secs() >= 2, "{first}");
    assert_eq!(visitor(&world, &other).await, "entitlement_unknown", "never heard of");
    eventually("the old answer no longer counts", async || {
        (visitor(&world, &known).await == "entitlement_unknown").then_some(())
    })
    .await;
    assert_eq!(ask(&world, "GET", "/lenient/a", &known).await.json()["degraded"], "fallback");
    assert_eq!(told(&world, &known).await, Value::Null, "pages for everybody are open");
    site.open().await;
    eventually("the site is heard again", async || (visitor(&world, &known).await == "u-1").then_some(())).await;
    eventually("of others, too", async || (visitor(&world, &other).await == "u-2").then_some(())).await;
}

#[tokio::test]
async fn a_question_that_comes_back_is_nobodys_and_goes_no_further() {
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "")).await;
    for (path, expected) in [("/internal/session", "u-1"), ("/signed-in/session", "sign_in")] {
        let url = format!("{}{path}", world.url);
        world.proxy().rewrite(|text| {
            let lines = text.lines().map(|line| match line.strip_prefix("ask = ") {
                Some(_) => format!("ask = \"{url}\""),
                None => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        const APPLIED: &str = "read again: it is in force";
        let before = world.proxy().process.log().matches(APPLIED).count();
        signal(world.proxy().process.id(), "HUP");
        eventually("it is read again", async || {
            (world.proxy().process.log().matches(APPLIED).count() > before).then_some(())
        })
        .await;
        let (session, asked) = (unique("sid"), site.questions().len());
        site.know(&session, "u-1");
        assert_eq!(visitor(&world, &session).await, expected, "{path}");
        let questions = site.questions();
        if expected == "u-1" {
            assert_eq!(questions.len(), asked + 1, "one question, and none about it");
            let last = questions.last().expect("a question");
            let ours = last.keys().find(|name| name.as_str().starts_with("x-entitlement-"));
            assert_eq!(ours, None, "it is of nobody, and its mark stays here");
        } else {
            assert_eq!(questions.len(), asked, "it is refused as every visitor would be");
        }
    }
    // A client that marks its own request gains nothing by it.
    let marked = world.request("GET", "/signed-in/a", None).header("x-entitlement-question", "1");
    let session = unique("sid");
    site.know(&session, "u-1");
    assert_eq!(send(marked.header("cookie", format!("sid={session}"))).await.code(), "sign_in");
}

#[tokio::test]
async fn a_flood_of_unknown_cookies_reaches_the_site_within_bounds_and_harms_nobody_who_is_signed_in() {
    const FLOOD: usize = 1_500;
    let site = SessionSite::start().await;
    let world = World::with(setup(&site, "")).await;
    let session = unique("sid");
    site.know(&session, "u-1");
    assert_eq!(visitor(&world, &session).await, "u-1");
    let began = Instant::now();
    let (mut refused, mut unknown) = (0, 0);
    for number in 0..FLOOD {
        match visitor(&world, &format!("flood-{number}")).await.as_str() {
            "sign_in" => refused += 1,
            "entitlement_unknown" => unknown += 1,
            other => panic!("{other}"),
        }
        if number % 100 == 0 {
            assert_eq!(visitor(&world, &session).await, "u-1", "{number}");
        }
    }
    let asked = site.questions().len() - 1;
    // The burst, and the rate over the time that the flood has taken.
    let most = 100 + 20 * (began.elapsed().as_secs() + 2);
    assert!(asked as u64 <= most, "{asked} questions of {most}");
    assert_eq!((refused, refused + unknown), (asked, FLOOD), "what is not asked about is not known");
}

#[tokio::test]
async fn ways_that_disagree_are_nobodys_and_one_that_knows_nothing_takes_nothing() {
    let site = SessionSite::start().await;
    let api = "[identity.api]\nalgorithm = \"HS256\"\n";
    let world = World::with(setup(&site, &format!("deadline = \"300ms\"\n{api}"))).await;
    let both = async |session: &str, account: &str| {
        let path = format!("/signed-in/{}", unique("page"));
        let request = world.request("GET", &path, Some(&token(account))).header("cookie", format!("sid={session}"));
        let answer = send(request).await;
        if answer.status == 200 {
            answer.json()["account"].as_str().unwrap_or_default().to_owned()
        } else {
            answer.code()
        }
    };
    let session = unique("sid");
    site.know(&session, "u-1");
    for round in 0..2 {
        assert_eq!(both(&session, "u-1").await, "u-1", "{round}");
        assert_eq!(both(&session, "u-2").await, "ambiguous_identity", "{round}");
        assert_eq!(both("nobody", "u-2").await, "u-2", "{round}");
    }
    site.says(Word::Silence);
    assert_eq!(both(&unique("sid"), "u-2").await, "u-2", "the site does not say");
    site.says(Word::True);
    // Two sessions of two accounts are as ambiguous.
    let other = unique("sid");
    site.know(&other, "u-2");
    assert_eq!(visitor(&world, &format!("{session}; sid={other}")).await, "ambiguous_identity");
    assert_eq!(visitor(&world, &format!("{session}; sid=gone")).await, "u-1");
}

#[tokio::test]
async fn without_a_cookie_the_site_is_asked_with_the_authorization_header() {
    let site = SessionSite::start().await;
    let way = format!("[identity.key]\nask = \"{}\"\naccount = \"/account\"\nprefix = \"key:\"\n", site.ask());
    let world = World::with(with_ways(&way).upstream(site.pages)).await;
    site.know("ApiKey k-1", "7");
    for (value, expected) in [("ApiKey k-1", "key:7"), ("ApiKey k-2", "sign_in"), ("Bearer k-1", "sign_in")] {
        assert_eq!(account(&world, "authorization", value).await, expected, "{value}");
    }
    assert_eq!(account(&world, "cookie", "sid=x").await, "sign_in");
    let questions = site.questions();
    assert_eq!(questions.len(), 3);
    assert!(questions.iter().all(|headers| !headers.contains_key("cookie")));
}

#[tokio::test]
async fn a_websocket_whose_answer_sets_the_cookie_ends_what_was_known() {
    let site = SessionSite::start().await;
    let world = World::with(Setup { upstream: None, ..setup(&site, "") }).await;
    let session = unique("sid");
    let told = async || {
        let path = format!("/signed-in/{}", unique("page"));
        assert_eq!(ask(&world, "GET", &path, &session).await.status, 200);
        world.upstream.only(&path).header("x-entitlement-account").map(str::to_owned)
    };
    site.know(&session, "u-1");
    assert_eq!(told().await.as_deref(), Some("u-1"));
    site.know(&session, "u-2");
    assert_eq!(told().await.as_deref(), Some("u-1"), "kept");
    // The key and the answer to it are those of RFC 6455 section 1.3.
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let yes = format!(
        "HTTP/1.1 101 Switching Protocols\r\n{upgrade}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: sid={session}\r\n\r\n"
    );
    world.upstream.answer("/socket", &yes);
    let request = format!(
        "GET /socket HTTP/1.1\r\nHost: site.test\r\n{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: sid={session}\r\n\r\n"
    );
    assert_eq!(raw_head(world.proxy().listen.public, request).await.status, 101);
    assert_eq!(told().await.as_deref(), Some("u-2"));
}
