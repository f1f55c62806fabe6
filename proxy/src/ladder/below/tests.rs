//! Servers in the place of billing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// The words of readiness about a server that answers every question like this.
async fn refusal(status: &str, body: &str) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = listener.local_addr().expect("an address");
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let key = AssertionKey::parse(&"0".repeat(64)).expect("a key");
    let issuer = "https://read.example".to_owned();
    let billing = HttpBilling::new(place, key, (issuer, BTreeMap::new()), Duration::from_secs(5)).expect("a client");
    billing.reach().await.expect("it answers");
    server.abort();
    billing.refusal().map(|told| told.replace(&place.to_string(), "HERE"))
}

#[tokio::test]
async fn what_answers_and_is_not_billings_listener_is_named() {
    for (status, body) in [
        ("404 Not Found", ""),
        ("404 Not Found", "{\"code\":\"not_found\"}"),
        ("200 OK", "<!doctype html><p>Welcome"),
        ("200 OK", "{\"ready\":true}"),
        ("303 See Other", ""),
        ("405 Method Not Allowed", ""),
    ] {
        let told = refusal(status, body).await.unwrap_or_default();
        assert!(
            told.starts_with("listen.billing = \"HERE\" answers, but is not billing's listener"),
            "{status}: {told}"
        );
    }
    assert_eq!(refusal("401 Unauthorized", "").await.as_deref(), Some(OTHER_KEY));
    // It is billing that fails, and billing of another build.
    for (status, body) in
        [("503 Service Unavailable", ""), ("500 Internal Server Error", "oops"), ("200 OK", "99:0:{}")]
    {
        assert_eq!(refusal(status, body).await, None, "{status} {body}");
    }
}
