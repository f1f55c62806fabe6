//! Slow clients of HTTP/2: the same bounds as over HTTP/1.

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::StatusCode;

use super::http2::Secure;
use super::secure::{Http2, NAME, piece};

/// The bound on bodies that are taken in first.
const BOUND: usize = 65_536;

/// Begins a request with a body.
pub async fn post(client: &Http2, path: &str, lines: &[(&str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
    let request = http::Request::post(format!("https://{NAME}{path}"));
    let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut requests = client.requests.clone().ready().await.expect("a connection");
    requests.send_request(request.body(()).expect("a request"), false).expect("a stream")
}

/// Sends bytes when there is room for them.
pub async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes, is_end: bool) {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let room = room.expect("the stream is open").expect("the stream is open").min(bytes.len());
        let part = bytes.split_to(room);
        let is_last = is_end && bytes.is_empty();
        stream.send_data(part, is_last).expect("the stream is open");
    }
}

async fn body(response: http::Response<h2::RecvStream>) -> String {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(bytes) = piece(&mut body).await {
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn fifty_silent_streams_hold_no_connection_to_the_site_and_are_told_so() {
    let secure = Secure::with(&[("limits.read", "\"2s\"")]).await;
    let client = secure.identity.http2(secure.address()).await;
    let mut silent = Vec::new();
    for number in 0..50 {
        let length = [("content-length", "10")];
        let (answer, mut stream) = post(&client, "/silent", if number % 2 == 0 { &length } else { &[] }).await;
        send(&mut stream, Bytes::from_static(b"012"), false).await;
        silent.push((answer, stream));
    }
    let mut other = secure.identity.http2(secure.address()).await;
    assert_eq!(other.get("/page", None).await.status(), StatusCode::OK);
    for (answer, _stream) in silent {
        assert_eq!(answer.await.expect("an answer").status(), StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(secure.site.requests(), 1, "the site heard of the other one alone");
    assert_eq!(other.get("/page", None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_long_body_that_falls_silent_or_trickles_is_let_go_and_other_streams_go_on() {
    let secure = Secure::with(&[("limits.read", "\"2s\""), ("limits.body_rate", "1000")]).await;
    let mut client = secure.identity.http2(secure.address()).await;
    for lines in [&[("content-length", "1000000")][..], &[]] {
        let (answer, mut stream) = post(&client, "/silent", lines).await;
        send(&mut stream, vec![b'x'; BOUND + 1].into(), false).await;
        assert!(answer.await.is_err(), "the stream ends");
        let (mut answer, mut stream) = post(&client, "/trickle", lines).await;
        send(&mut stream, vec![b'x'; BOUND + 1].into(), false).await;
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        loop {
            tokio::select! {
                answer = &mut answer => break assert!(answer.is_err(), "the stream ends"),
                _ = tick.tick() => drop(stream.send_data(Bytes::from_static(b"x"), false)),
            }
        }
        assert_eq!(client.get("/page", None).await.status(), StatusCode::OK);
    }
    // gRPC, which is spoken in turn, is not taken in first, and need not come at a rate; but a silent client is let go before it is answered.
    let (answer, mut stream) = post(&client, "/silent", &[("content-type", "application/grpc")]).await;
    send(&mut stream, Bytes::from_static(b"012"), false).await;
    assert!(answer.await.is_err(), "the stream ends");
    secure.world.proxy().has_let_go("read", 5.0).await;
}

#[tokio::test]
async fn a_body_arrives_whole_however_long_it_is_and_in_whatever_pieces() {
    let secure = Secure::start().await;
    let client = secure.identity.http2(secure.address()).await;
    for count in [0, 1, 1000, 50_000, BOUND - 1, BOUND, BOUND + 1, 70_000, 80_000, BOUND + 20_000, 300_000] {
        for each in [count.max(1), 7_001] {
            let length = count.to_string();
            for lines in [&[("content-length", length.as_str())][..], &[]] {
                let (answer, mut stream) = post(&client, "/upload", lines).await;
                // The end comes with the last bytes, or behind them.
                let ends_with_them = each > 7_001 && count > 0;
                for start in (0..count).step_by(each) {
                    send(&mut stream, vec![b'x'; each.min(count - start)].into(), ends_with_them).await;
                }
                if !ends_with_them {
                    stream.send_data(Bytes::new(), true).expect("the stream is open");
                }
                let answer = answer.await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK, "{count} in pieces of {each}");
                let told = body(answer).await;
                assert_eq!(told, format!("/upload took {count} bytes"), "in pieces of {each}, {lines:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_long_body_without_a_length_streams_within_the_bounds() {
    for fast in ["true", "false"] {
        let keys = [("proxy.fast_path", fast), ("limits.read", "\"2s\""), ("limits.upstream_connections", "1")];
        let secure = Secure::with(&keys).await;
        let mut client = secure.identity.http2(secure.address()).await;
        // It reaches the site before it is here, and holds the place there until its client falls silent.
        let (answer, mut stream) = post(&client, "/upload", &[]).await;
        send(&mut stream, vec![b'x'; BOUND + 1].into(), false).await;
        crate::world::eventually("it is at the site", async || (secure.site.requests() == 1).then_some(())).await;
        assert_eq!(client.get("/page", None).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{fast}");
        assert!(answer.await.is_err(), "{fast}: the stream ends");
        crate::world::eventually("there is room again", async || {
            (client.get("/page", None).await.status() == StatusCode::OK).then_some(())
        })
        .await;
        // One that does not fall silent arrives, and what is not here yet holds no place.
        let (short, mut short_stream) = post(&client, "/upload", &[]).await;
        send(&mut short_stream, vec![b'x'; 1000].into(), false).await;
        assert_eq!(client.get("/page", None).await.status(), StatusCode::OK, "{fast}");
        send(&mut short_stream, vec![b'x'; 1000].into(), true).await;
        assert_eq!(body(short.await.expect("an answer")).await, "/upload took 2000 bytes", "{fast}");
    }
}
