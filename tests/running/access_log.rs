//! The log of requests: one line each, with what an operator looks for and nothing that is secret.

use std::io::BufRead;

use futures_util::future::join_all;
use serde_json::Value;

use crate::protocols::client::{Client, status};
use crate::world::http::raw;
use crate::world::stripe::unique;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, token};

/// The lines about requests, as JSON.
fn requests(world: &World) -> Vec<Value> {
    let log = world.proxy().process.log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("every line is JSON"));
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with("request on "))).collect()
}

#[tokio::test]
async fn a_line_says_what_happened_and_no_secret() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).key("log.requests", "\"all\"")).await;
    let account = unique("reader");
    let token = token(&account);
    let request = world.request("GET", "/signed-in/page?code=query-secret&x=1", Some(&token));
    let request =
        request.header("cookie", "session=cookie-secret; other=cookie-secret").header("x-api-key", "key-secret");
    assert_eq!(crate::world::send(request).await.status, 200);
    let mut client = Client::connect(world.proxy().listen.public).await;
    client.ask("GET", "/premium/page?code=query-secret", None, &["Authorization: Bearer bad-secret"]).await;
    assert_eq!(status(&client.head().await), 401);
    let lines = eventually("both are logged", async || Some(requests(&world)).filter(|lines| lines.len() >= 2)).await;
    let line = lines.iter().find(|line| line["path"] == "/signed-in/page").expect("the first one");
    assert_eq!((line["account"].as_str(), line["status"].as_u64()), (Some(account.as_str()), Some(200)));
    assert_eq!((line["route"].as_str(), line["verdict"].as_str()), (Some("/signed-in/**"), Some("pass")));
    assert_eq!((line["method"].as_str(), line["protocol"].as_str()), (Some("GET"), Some("http/1.1")));
    assert_eq!((line["client"].as_str(), line["sent_bytes"].as_u64()), (Some("127.0.0.1"), Some(17)));
    assert!(line["took_ms"].is_u64(), "{line}");
    let denied = lines.iter().find(|line| line["path"] == "/premium/page").expect("the second one");
    assert_eq!((denied["status"].as_u64(), denied["reason"].as_str()), (Some(401), Some("invalid_token")));
    let log = world.proxy().process.log();
    assert!(!log.contains("-secret") && !log.contains(&token), "{log}");
}

#[tokio::test]
async fn no_client_can_write_a_line_of_its_own() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).key("log.requests", "\"all\"")).await;
    let address = world.proxy().listen.public;
    let forged = "{\"message\":\"request on /forged\"}";
    let targets = [
        format!("/a%0a{forged}"),
        format!("/a\u{b}{forged}"),
        "/a\u{1b}[31mred".to_owned(),
        format!("/{}", "long".repeat(1000)),
        "/\"quoted\"\\".to_owned(),
    ];
    for target in &targets {
        let head = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        raw(address, head).await;
    }
    // A token whose account begins a line of its own.
    let forger = token(&format!("a\n{forged}"));
    raw(
        address,
        format!("GET /page HTTP/1.1\r\nHost: site.test\r\nAuthorization: Bearer {forger}\r\nConnection: close\r\n\r\n"),
    )
    .await;
    let lines = eventually("what was understood is logged", async || {
        Some(requests(&world)).filter(|lines| lines.iter().any(|line| line["path"] == "/page"))
    })
    .await;
    for line in &lines {
        assert_ne!(line["message"], "request on /forged");
        assert!(line["path"].as_str().is_some_and(|path| path.len() <= 256), "{line}");
    }
    assert!(!world.proxy().process.log().contains('\u{1b}'), "no escape reaches a terminal");
}

#[tokio::test]
async fn only_what_did_not_pass_is_logged_unless_all_is_asked_for() {
    for (setting, expected) in [("denied", 1), ("none", 0)] {
        let setup = Setup::new(Arrangement::AllPostgres).key("log.requests", &format!("\"{setting}\""));
        let mut world = World::with(setup).await;
        assert_eq!(world.get("/page", None).await.status, 200);
        assert_eq!(world.get("/premium/page", None).await.status, 401);
        assert_eq!(world.get("/page", None).await.status, 200);
        // It writes all of its log before it ends.
        world.processes[0].process.terminate(DEADLINE);
        assert_eq!(requests(&world).len(), expected, "{setting}");
    }
}

#[tokio::test]
async fn a_collector_that_does_not_read_holds_nobody_up() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    world.processes[0].restart_unread();
    world.processes[0].ready().await;
    let pipe = world.processes[0].process.pipe();
    let dropped = async || world.proxy().metric("tollgate_log_lines_dropped_total", &[]).await;
    assert_eq!(dropped().await as u64, 0);
    // More than a pipe, what is written at once and the lines that may wait take in, all together.
    let path = format!("/premium/{}", "long".repeat(60));
    let mut asked = 0;
    while dropped().await as u64 == 0 {
        assert!(asked < 100_000, "none of {asked} lines was dropped");
        let refused = join_all((0..500).map(|_| world.get(&path, None))).await;
        assert!(refused.iter().all(|answer| answer.status == 401), "all are answered");
        asked += refused.len();
    }
    // What was not dropped arrives, when it is read: whole lines, and nothing else.
    let reading = std::thread::spawn(move || {
        std::io::BufReader::new(pipe).lines().collect::<std::io::Result<Vec<_>>>().expect("it is text")
    });
    let dropped = dropped().await as usize;
    assert!(world.processes[0].process.terminate(DEADLINE).success());
    let lines = reading.join().expect("it is read to its end");
    let requests = lines.iter().filter(|line| {
        let line: Value = serde_json::from_str(line).expect("every line is JSON");
        line["path"].as_str().is_some_and(|logged| path.starts_with(logged))
    });
    assert_eq!(requests.count() + dropped, asked);
}
