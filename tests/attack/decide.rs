//! `/decide`, which other gateways ask: the verdict of the gate itself, and for nobody but those gateways.

use super::case::Verdict::{Denied, Refused, Sent};
use super::case::{Case, status};
use super::targets;
use crate::world::http::{RawAnswer, raw, raw_start};
use crate::world::{Arrangement, Setup, World};

/// A gate that believes its clients, as a gateway or as a proxy in front.
async fn believing(key: &str) -> World {
    World::with(Setup::new(Arrangement::AllPostgres).key(key, "[\"127.0.0.1\"]")).await
}

async fn trusting() -> World {
    believing("decide.gateways").await
}

#[tokio::test]
async fn a_stranger_is_told_nothing() {
    // CVE-2026-40575 and CVE-2026-76835 oauth2-proxy: whoever named another page was let into this one.
    let world = believing("proxy.trusted_proxies").await;
    let paying = super::paying(&world).await;
    for lines in ["X-Forwarded-Uri: /welcome\r\n", "X-Original-URI: /welcome\r\n", "", "X-Forwarded-For: 127.0.0.1\r\n"]
    {
        for target in ["/decide", "/decide/", "/decide/welcome", "/decide?for=nginx"] {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n{paying}\r\n{lines}\r\n");
            let answer = raw(world.proxy().listen.public, &request).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{target} {lines:?}: {answer}");
            assert!(!answer.to_lowercase().contains("x-entitlement-"), "{target} {lines:?}: {answer}");
        }
    }
    // And naming a public page opens no other.
    let request = "GET /premium/one HTTP/1.1\r\nHost: site.test\r\nX-Forwarded-Uri: /welcome\r\nX-Original-URL: /welcome\r\n\
                   X-Forwarded-Method: OPTIONS\r\nConnection: close\r\n\r\n";
    assert_eq!(status(world.proxy().listen.public, request.as_bytes()).await, Some(401), "from a trusted proxy");
    let world = trusting().await;
    assert_eq!(status(world.proxy().listen.public, request.as_bytes()).await, Some(401), "from a gateway");
}

#[tokio::test]
async fn a_target_has_the_verdict_that_the_gate_itself_would_give() {
    let world = trusting().await;
    let public = world.proxy().listen.public;
    let mut wrong = Vec::new();
    let absolute = targets::ABSOLUTE.map(|case| Case { verdict: Denied(400), ..case });
    for Case { name, target, verdict } in targets::CASES.into_iter().chain(absolute) {
        let request = format!(
            "GET /decide HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: site.test\r\n\
             X-Forwarded-Uri: {target}\r\nConnection: close\r\n\r\n"
        );
        let answered = status(public, request.as_bytes()).await.unwrap_or_default();
        let holds = match verdict {
            // Nothing has taken a fragment away on the way here.
            _ if target.contains('#') => answered == 400,
            Denied(status) => answered == status,
            Refused => (400..500).contains(&answered),
            Sent(_) => answered == 200,
        };
        if !holds {
            wrong.push(format!("{name}: {target:?} has to be {verdict:?}, is {answered}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(world.upstream.received().is_empty(), "a question is not the request: {:?}", world.upstream.received());
}

#[tokio::test]
async fn a_question_that_can_be_read_in_two_ways_has_no_answer() {
    let world = trusting().await;
    let public = world.proxy().listen.public;
    let twofold = [
        "X-Forwarded-Uri: /welcome\r\nX-Forwarded-Uri: /premium/one\r\n",
        "X-Forwarded-Uri: /welcome\r\nX-Original-URI: /premium/one\r\n",
        "X-Forwarded-Uri: /welcome\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Method: POST\r\n",
        "X-Forwarded-Uri: /welcome\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Host: b.test\r\n",
        "X-Forwarded-Uri: /welcome\r\nX-Forwarded-Host: a.test@b.test\r\n",
        "X-Forwarded-Uri: /welcome\r\nX-Forwarded-Method: get\r\n",
        "X-Forwarded-Uri: /welcome\r\nConnection: X-Forwarded-Uri\r\n",
        "X_Forwarded_Uri: /welcome\r\n",
        "X-Forwarded-Uri:\r\n",
        "",
    ];
    for lines in twofold {
        let request = format!("GET /decide HTTP/1.1\r\nHost: gate.test\r\n{lines}Connection: close\r\n\r\n");
        let answer = RawAnswer::parse(raw_start(public, request).await);
        assert!(matches!(answer.status, 400 | 405), "{lines:?}: {answer:?}");
    }
}
