//! The site behind the proxies: a page of 1 KiB at once, or, under `/internal/session`, whose a session is, or, under `/premium/echo` and `/open/echo`, the request's head as it arrived, or,
//! under `/premium/socket`, a WebSocket that stays quiet.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longest request head, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const PAGE_BYTES: usize = 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Serves until the runtime ends.
pub async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the upstream")?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

/// Answers request after request until the proxy closes; every request is one without a body.
async fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let page = answer(&[b'x'; PAGE_BYTES]);
    let mut buffer = vec![0; HEAD_BYTES_MAX];
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..)?).await.ok()?;
        if read == 0 {
            return None;
        }
        filled += read;
        let request = buffer.get(..filled)?;
        if !request.ends_with(END_OF_HEAD) {
            continue;
        }
        filled = 0;
        if request.starts_with(b"GET /premium/socket ") {
            stream.write_all(SWITCHED).await.ok()?;
            // Quiet until the proxy closes.
            return stream.read_to_end(&mut Vec::new()).await.ok().map(drop);
        }
        if request.starts_with(b"GET /premium/echo ") || request.starts_with(b"GET /open/echo ") {
            stream.write_all(&answer(request)).await.ok()?;
        } else if request.starts_with(b"GET /internal/session ") {
            stream.write_all(&account(request)).await.ok()?;
        } else {
            stream.write_all(&page).await.ok()?;
        }
    }
}

/// The account of a session, which has the session's name.
fn account(request: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(request);
    let session = head.split("sessionid=").nth(1).and_then(|rest| rest.split(['\r', ';']).next()).unwrap_or_default();
    let body = format!("{{\"account\": \"{session}\"}}");
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[tokio::test]
    async fn it_answers_a_page_or_what_it_was_sent() {
        let mut connection = http::Connection::new(start().await.expect("it starts"));
        for _ in 0..2 {
            let page = connection.exchange(&http::get("/premium/page", None)).await.expect("an answer");
            assert_eq!((page.status, page.body.len()), (200, PAGE_BYTES));
        }
        let echo = http::get("/premium/echo", Some("token"));
        assert_eq!(connection.exchange(&echo).await.expect("an answer").body, echo);
    }
}
