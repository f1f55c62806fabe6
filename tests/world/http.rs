//! Asking over HTTP: through a client for the usual, and over a bare socket for what no client would send.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for any answer.
const LIMIT: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// What readiness warns of, besides the provider's key: most worlds sell nothing and have none.
    pub fn warnings(&self) -> Vec<String> {
        let warnings: Vec<String> = serde_json::from_value(self.json()["warnings"].clone()).expect("a list of texts");
        warnings.into_iter().filter(|warning| !warning.starts_with("STRIPE_API_KEY is not set")).collect()
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The stable code of a problem document.
    pub fn code(&self) -> String {
        assert!(self.header("content-type").starts_with("application/problem+json"), "not a problem: {self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "a problem states its own status: {self:?}");
        for member in ["type", "title"] {
            assert!(problem[member].is_string(), "a problem has a {member}: {self:?}");
        }
        problem["code"].as_str().unwrap_or_else(|| panic!("a problem has a code: {self:?}")).to_owned()
    }
}

/// A client that follows nothing and reuses nothing it should not.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT)
        .no_proxy()
        .build()
        .expect("a client")
}

/// Sends a request and reads the whole answer.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    try_send(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
}

/// As [`send`], for a server that may not be there.
pub async fn try_send(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.text().await? })
}

/// Writes bytes to a fresh connection and returns all that comes back until it closes.
pub async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    talk(address, request.as_ref(), |_| false).await
}

/// Writes bytes to a fresh connection and returns at least the head of the first answer.
pub async fn raw_head(address: SocketAddr, request: impl AsRef<[u8]>) -> RawAnswer {
    RawAnswer::parse(raw_start(address, request).await)
}

/// As [`raw_head`], for a server that may close without an answer.
pub async fn raw_start(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let has_head = |answer: &[u8]| answer.windows(4).any(|four| four == b"\r\n\r\n");
    talk(address, request.as_ref(), has_head).await
}

/// Writes, then reads until it is enough or the connection closes.
async fn talk(address: SocketAddr, request: &[u8], is_enough: impl Fn(&[u8]) -> bool) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        // A server may answer, and close, before it has read everything.
        let written = stream.write_all(request).await;
        let mut answer = Vec::new();
        let read = loop {
            match stream.read_buf(&mut answer).await {
                Ok(0) => break Ok(()),
                Ok(_) if is_enough(&answer) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        if answer.is_empty() {
            written?;
            read?;
        }
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(LIMIT, talk).await.expect("an answer in time").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A GET for a target exactly as it is written, with more header lines, on a connection that closes.
pub async fn raw_get(address: SocketAddr, target: &str, lines: &[&str]) -> RawAnswer {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    RawAnswer::parse(raw(address, request).await)
}

/// The status of a raw answer, and all of its text.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub text: String,
}

impl RawAnswer {
    pub fn parse(text: String) -> Self {
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self { status: status.unwrap_or_else(|| panic!("not an HTTP answer: {text:?}")), text }
    }
}
