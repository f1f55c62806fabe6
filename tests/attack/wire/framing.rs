//! Where a body ends is said in one way alone, to the gate and to the site.

use super::{Wire, get, statuses};
use crate::world::http::raw_start;

#[tokio::test]
async fn chunks_whose_lines_end_with_a_bare_line_feed_are_refused() {
    let bodies = [
        "5;\nhello\r\n0\r\n\r\n",
        "5;a=b\nhello\r\n0\r\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0;\n\r\n\r\n",
        "2;\nxx\r\n4c\r\n0\r\n\r\nGET /premium/smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n\r\n0\r\n\r\n",
        "5;\rx\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "\r\n\r\n",
        ";x\r\n\r\n",
    ];
    for (way, wire) in Wire::both().await {
        for body in bodies {
            for cut in [0, 3, body.len()] {
                let head = "POST /chunks HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n";
                let answer = wire.in_pieces(&[head.as_bytes(), &body.as_bytes()[..cut], &body.as_bytes()[cut..]]).await;
                assert_eq!(statuses(&answer), [400], "{way} {body:?}: {answer}");
            }
        }
        assert!(wire.site.received().is_empty(), "{way}: {:?}", wire.site.received());
        let good = "POST /chunks HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5 ;a=\"b\";c\r\nhello\r\n0\r\nX: y\r\n\r\n";
        assert_eq!(statuses(&wire.all(good).await), [200], "{way}");
    }
}

#[tokio::test]
async fn framing_in_another_spelling_never_reaches_the_site() {
    let lines = "Content_Length: 7\r\nTransfer_Encoding: chunked\r\ntransfer-Encoding_: x\r\nCONTENT_LENGTH: 0\r\nContent.Length: 9\r\n\
                 Keep_Alive: 5\r\nProxy_Connection: close\r\nX_Kept: 1\r\nContent_Type: a\r\n";
    for (way, wire) in Wire::both().await {
        let websocket =
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n";
        for more in ["", "Keep-Alive: 1\r\n", websocket] {
            raw_start(wire.public, get("/spelled", &format!("{lines}{more}"))).await;
        }
        raw_start(
            wire.public,
            format!("POST /spelled HTTP/1.1\r\nHost: site.test\r\n{lines}Content-Length: 3\r\n\r\nabc"),
        )
        .await;
        let received = wire.site.received();
        assert_eq!(received.len(), 4, "{way}: {received:?}");
        for one in received {
            for name in ["content_length", "transfer_encoding", "content.length", "keep_alive", "proxy_connection"] {
                assert!(!one.has(name), "{way}: {}", one.head);
            }
            assert!(one.has("x_kept") && one.has("content_type"), "{way}: {}", one.head);
        }
    }
}

#[tokio::test]
async fn the_way_of_websockets_strips_what_the_others_do() {
    let lines = "Keep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: Basic YQ==\r\nProxy-Authenticate: x\r\n\
                 TE: trailers\r\nTrailer: x\r\nHTTP2-Settings: AAAA\r\nX-Hop: 1\r\nX-Other: 2\r\nX-Kept: 3\r\n";
    let cases = [
        ("/plain", "Connection: X-Hop\r\nConnection: close, x-other\r\n"),
        (
            "/socket",
            "Connection: Upgrade, X-Hop\r\nConnection: x-other\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
        ),
    ];
    for (way, wire) in Wire::both().await {
        for (target, connection) in cases {
            raw_start(wire.public, get(target, &format!("{connection}{lines}"))).await;
            let one = wire.site.gets(target).await;
            for name in [
                "keep-alive",
                "proxy-connection",
                "proxy-authorization",
                "proxy-authenticate",
                "te",
                "trailer",
                "http2-settings",
                "x-hop",
                "x-other",
            ] {
                assert!(!one.has(name), "{way} {target} {name}: {}", one.head);
            }
            assert!(one.has("x-kept"), "{way} {target}: {}", one.head);
        }
        let many: String = (0..12).map(|number| format!("Connection: x-{number}\r\n")).collect();
        for (target, connection) in cases {
            for named in [many.as_str(), "Connection: \"x\"\r\n", "Connection: x y\r\n"] {
                let target = format!("{target}/{}", named.len());
                let answer = wire.all(get(&target, &format!("{connection}{named}"))).await;
                assert_eq!(statuses(&answer), [400], "{way} {target}: {answer}");
            }
        }
    }
}
