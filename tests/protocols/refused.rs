//! A refusal can be read while the client is still sending: the other half of the connection is closed first.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::http2::Secure;
use super::slow_http2::{post, send};
use crate::world::{Arrangement, Setup, World};

/// More than what the buffers of a connection hold.
const LARGE: usize = 16 * 1024 * 1024;

/// Sends a whole request before it reads anything, as many clients do, and reads to the end: an error where the connection
/// was reset.
async fn upload(address: SocketAddr, head: String, body: Vec<u8>) -> std::io::Result<String> {
    let upload = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(head.as_bytes())?;
        for piece in body.chunks(64 * 1024) {
            stream.write_all(piece)?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        stream.shutdown(Shutdown::Both)?;
        Ok(answer)
    });
    upload.await.expect("no panic")
}

fn chunked(count: usize) -> Vec<u8> {
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65_536], b"\r\n"].concat();
    [chunk.repeat(count / 65_536), b"0\r\n\r\n".to_vec()].concat()
}

#[tokio::test]
async fn an_upload_that_is_refused_early_is_read_to_its_end_and_the_answer_arrives() {
    for fast_path in ["true", "false"] {
        let setup = Setup::new(Arrangement::AllPostgres)
            .key("proxy.fast_path", fast_path)
            .key("limits.body_bytes", "20_000_000");
        let world = World::with(setup).await;
        let address = world.proxy().listen.public;
        let head = |target: &str, line: &str| format!("POST {target} HTTP/1.1\r\nHost: site.test\r\n{line}\r\n\r\n");
        let cases = [
            (head("/premium/page", &format!("Content-Length: {LARGE}")), vec![b'x'; LARGE], 401),
            (head("/premium/page", "Transfer-Encoding: chunked"), chunked(LARGE), 401),
            (
                head("/premium/page", &format!("Content-Length: {LARGE}\r\nExpect: 100-continue")),
                vec![b'x'; LARGE],
                401,
            ),
            (head("/page", "Content-Length: 20000001"), vec![b'x'; 20_000_001], 413),
            (head("/page", "Transfer-Encoding: chunked"), chunked(20_000_001 + 65_536), 413),
            (head("/premium/../page", &format!("Content-Length: {LARGE}")), vec![b'x'; LARGE], 400),
        ];
        for (head, body, status) in cases {
            let answer = upload(address, head.clone(), body).await;
            let answer = answer.unwrap_or_else(|error| panic!("{fast_path} {head}: {error}"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fast_path} {head}: {answer}");
            assert!(answer.contains("\"code\""), "all of it: {answer}");
        }
    }
}

#[tokio::test]
async fn an_upload_over_http2_that_is_refused_early_is_read_and_its_connection_goes_on() {
    let secure = Secure::start().await;
    let mut client = secure.identity.http2(secure.address()).await;
    for _ in 0..3 {
        let (answer, mut stream) = post(&client, "/premium/page", &[]).await;
        // Not before all is sent.
        send(&mut stream, vec![b'x'; 2 * 1024 * 1024].into(), true).await;
        assert_eq!(answer.await.expect("an answer").status(), http::StatusCode::UNAUTHORIZED);
    }
    assert_eq!(client.get("/page", None).await.status(), http::StatusCode::OK);
}
