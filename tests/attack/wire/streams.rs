//! The same answers for a client of HTTP/2.

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Script, Wire, ok};
use crate::protocols::secure::{Http2, Identity, piece};
use crate::world::{Arrangement, Setup, World};

/// A world that speaks TLS before a scripted site, on either way.
async fn secure(fast: &str) -> (Wire, Identity, tempfile::TempDir) {
    let (identity, dir) = (Identity::new(), tempfile::tempdir().expect("a directory"));
    identity.write(dir.path());
    let path = |name: &str| format!("{:?}", dir.path().join(name));
    let site = super::Scripted::start().await;
    let setup = Setup::new(Arrangement::AllPostgres)
        .upstream(site.address)
        .key("proxy.fast_path", fast)
        .key("tls.certificate", &path("site.pem"))
        .key("tls.key", &path("site.key"));
    let world = World::with(setup).await;
    let public = world.proxy().listen.public;
    (Wire { world, site, public }, identity, dir)
}

/// The head, the body, and the trailers; none of what was cut off.
async fn answer(client: &mut Http2, path: &str) -> (http::response::Parts, Option<(String, HeaderMap)>) {
    let (head, mut body) = client.get(path, None).await.into_parts();
    let mut text = Vec::new();
    while let Some(bytes) = piece(&mut body).await {
        text.extend_from_slice(&bytes);
    }
    let rest = match body.trailers().await {
        Ok(trailers) => Some((String::from_utf8_lossy(&text).into_owned(), trailers.unwrap_or_default())),
        Err(_) => None,
    };
    (head, rest)
}

#[tokio::test]
async fn trailers_of_an_answer_reach_clients_of_http2() {
    let trailers = "X-Sum: 5\r\nServer-Timing: db;dur=1\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n";
    for fast in ["true", "false"] {
        let (wire, identity, _dir) = secure(fast).await;
        let mut client = identity.http2(wire.public).await;
        let large = "y".repeat(300_000);
        for (number, body) in ["", "abcde", large.as_str()].into_iter().enumerate() {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
            let data = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
            let whole = format!("{head}{data}0\r\n{trailers}");
            let in_two = [&whole[..whole.len() - trailers.len()], trailers];
            for (way, pieces) in
                [("whole", &[whole.as_str()][..]), ("two", &in_two), ("head", &[head, &whole[head.len()..]])]
            {
                let target = format!("/trailers-{number}-{way}");
                wire.site.says(&target, pieces);
                let (head, rest) = answer(&mut client, &target).await;
                let (text, trailers) = rest.expect("it is whole");
                assert_eq!((head.status.as_u16(), text == body), (200, true), "{fast} {target}");
                assert!(!head.headers.contains_key("transfer-encoding"), "{fast} {target}: {head:?}");
                assert!(trailers.len() == 2 && trailers["x-sum"] == "5", "{fast} {target}: {trailers:?}");
                assert_eq!(trailers["server-timing"], "db;dur=1", "{fast} {target}");
            }
        }
        wire.site.says("/bad", &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX y\r\n\r\n"]);
        assert!(answer(&mut client, "/bad").await.1.is_none(), "{fast}");
        wire.site.says("/next", &[&ok("next")]);
        assert_eq!(answer(&mut client, "/next").await.1.expect("an answer").0, "next", "{fast}");
    }
}

#[tokio::test]
async fn what_a_site_says_wrongly_is_mended_or_refused_for_clients_of_http2() {
    for fast in ["true", "false"] {
        let (wire, identity, _dir) = secure(fast).await;
        let mut client = identity.http2(wire.public).await;
        let cases = [
            ("204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nConnection: x\r\nX: 1\r\n\r\n", 204, ""),
            (
                "103",
                "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                200,
                "ok",
            ),
            ("old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
            ("folded", "HTTP/1.1 200 OK\r\nY: a\r\n b\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
            (
                "twice",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                502,
                "",
            ),
            ("gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 502, ""),
            ("101", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nok", 502, ""),
        ];
        for (name, said, status, body) in cases {
            let target = format!("/{name}");
            wire.site.says(&target, &[said]);
            let (head, rest) = answer(&mut client, &target).await;
            assert_eq!(head.status.as_u16(), status, "{fast} {name}");
            assert!(
                !head.headers.contains_key("x") && !head.headers.contains_key("connection"),
                "{fast} {name}: {head:?}"
            );
            assert!(status != 204 || !head.headers.contains_key("content-length"), "{fast} {name}: {head:?}");
            assert!(status == 502 || rest.is_some_and(|(text, _)| text == body), "{fast} {name}");
            assert_eq!(answer(&mut client, "/next").await.0.status.as_u16(), 200, "{fast} {name}");
        }
        let late = Script {
            pieces: vec![b"HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n".to_vec()],
            ..Script::default()
        };
        wire.site.plays("/late", late);
        answer(&mut client, "/late").await;
        answer(&mut client, "/after").await;
        assert_ne!(wire.site.gets("/late").await.connection, wire.site.gets("/after").await.connection, "{fast}");
    }
}

#[tokio::test]
async fn half_an_answer_is_told_from_a_whole_one_under_tls_by_old_clients_too() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for fast in ["true", "false"] {
        let (wire, identity, _dir) = secure(fast).await;
        wire.site.plays("/cut", Script { pieces: vec![head.into()], closes: true, ..Script::default() });
        wire.site.says("/whole", &[&format!("{head}0\r\n\r\n")]);
        for (target, is_whole) in [("/cut", false), ("/whole", true)] {
            for version in ["1.0", "1.1"] {
                let mut stream = identity.connect(wire.public, &["http/1.1"]).await.expect("TLS");
                let request = format!("GET {target} HTTP/{version}\r\nHost: site.test\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).await.expect("it is sent");
                let mut answer = Vec::new();
                let end = stream.read_to_end(&mut answer).await;
                let answer = String::from_utf8_lossy(&answer);
                assert!(answer.contains("half"), "{fast} {target} {version}: {answer}");
                // Without a word of TLS the end is an error; a client of HTTP/1.1 misses the last chunk.
                let is_told = if version == "1.0" { end.is_ok() } else { answer.ends_with("0\r\n\r\n") };
                assert_eq!(is_told, is_whole, "{fast} {target} {version}: {end:?}");
            }
        }
    }
}
