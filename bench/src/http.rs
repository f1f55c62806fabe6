//! A keep-alive HTTP/1.1 client that costs little beside what it measures: requests are written as bytes made
//! beforehand, and of an answer only the status and the length of the body are read.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read, in bytes; Tollgate's and the upstream's are shorter.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 48;

/// One connection; it is opened again when the server has closed it.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer. The body borrows the connection's buffer.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// Where an answer in the buffer ends, and what its head said.
struct Head {
    status: u16,
    body_start: usize,
    body_length: usize,
    close: bool,
}

impl Connection {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: vec![0; ANSWER_BYTES_MAX] }
    }

    /// Sends a whole request and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await.context("cannot connect")?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request).await.context("the request was not taken")?;
        let mut filled = 0;
        let head = loop {
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            if free.is_empty() {
                bail!("an answer is longer than {ANSWER_BYTES_MAX} bytes");
            }
            let read = stream.read(free).await.context("the answer was cut")?;
            if read == 0 {
                bail!("the connection was closed before the answer's end");
            }
            filled += read;
            let Some(head) = head(&self.buffer[..filled])? else { continue };
            if filled >= head.body_start + head.body_length {
                break head;
            }
        };
        if !head.close {
            self.stream = Some(stream);
        }
        let body = self.buffer.get(head.body_start..head.body_start + head.body_length).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }
}

/// Reads an answer's head; none while it is not whole.
fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_start) = answer.parse(bytes).context("not an HTTP answer")? else {
        return Ok(None);
    };
    let status = answer.code.unwrap_or_default();
    let value = |name: &str| {
        let header = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    if value("transfer-encoding").is_some() {
        bail!("an answer with status {status} is chunked: this client needs a length");
    }
    let body_length = value("content-length").map_or(Ok(0), str::parse).context("not a length")?;
    let close = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Head { status, body_start, body_length, close }))
}

/// A request without a body.
pub fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: read.example\r\n{authorization}\r\n").into_bytes()
}

/// A request without a body, with a session in a cookie.
pub fn get_with_session(path: &str, session: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: read.example\r\nCookie: sessionid={session}\r\n\r\n").into_bytes()
}

/// A whole POST without a body.
pub fn post(path: &str, token: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: read.example\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n")
        .into_bytes()
}

/// The status of one request on a connection of its own.
pub async fn status(address: SocketAddr, request: &[u8]) -> Result<u16> {
    Ok(Connection::new(address).exchange(request).await?.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_says_so() {
        let whole = b"HTTP/1.1 402 Payment Required\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let head = head(whole).expect("it parses").expect("it is whole");
        assert_eq!((head.status, head.body_length, head.close), (402, 2, true));
        assert_eq!(head.body_start + head.body_length, whole.len());
        assert!(super::head(&whole[..30]).expect("it parses").is_none());
        assert!(super::head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
