//! The question for a WebSocket, and the site's answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

use super::far_end::FarEnd;
use super::for_client;
use crate::headers::hop;

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most headers of an answer.
const HEADERS_MAX: usize = 256;

/// What the site says.
pub(super) enum Answer {
    Opened(Opened),
    /// Anything but a yes, and its body.
    Refused(ResponseHeader, Incoming),
}

/// A WebSocket at its beginning.
pub(super) struct Opened {
    /// For the client.
    pub(super) response: ResponseHeader,
    pub(super) site: FarEnd,
    /// What the site has said behind its answer.
    pub(super) from_site: Bytes,
}

/// Asks over a fresh connection, which may take `patience` to answer.
pub(super) async fn ask(site: FarEnd, request: RequestHeader, patience: Duration) -> Result<Answer> {
    let request = question(Parts::from(request));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(site)).await.map_err(failed)?;
    // Ends with the answer's body, or when the connection is taken over.
    tokio::spawn(connection.with_upgrades());
    let answered = timeout(patience, sender.send_request(request)).await;
    let mut response = answered
        .map_err(|_| Error::explain(ErrorType::ReadTimedout, "the answer to a WebSocket").into_up())?
        .map_err(failed)?;
    let is_opened = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let header = for_client(response.status(), response.headers(), is_opened)?;
    if !is_opened {
        return Ok(Answer::Refused(header, response.into_body()));
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(failed)?;
    let parts = upgraded.downcast::<TokioIo<FarEnd>>();
    let parts = parts.map_err(|_| Error::explain(ErrorType::InternalError, "another connection than was made"))?;
    Ok(Answer::Opened(Opened { response: header, site: parts.io.into_inner(), from_site: parts.read_buf }))
}

/// Writes a refusal's body.
pub(super) async fn pass_on(mut body: Incoming, session: &mut Session, patience: Duration) -> Result<()> {
    loop {
        let frame = timeout(patience, body.frame()).await;
        let frame =
            frame.map_err(|_| Error::explain(ErrorType::ReadTimedout, "the refusal of a WebSocket").into_up())?;
        match frame.transpose().map_err(failed)? {
            Some(frame) => session.write_response_body(frame.into_data().ok(), false).await?,
            None => return session.write_response_body(None, true).await,
        }
    }
}

/// What is asked: the headers of the client's connection stay on it (RFC 9110 section 7.6.1).
fn question(mut parts: Parts) -> Request<Empty<Bytes>> {
    let named = hop::tokens(&parts.headers).filter_map(|token| HeaderName::from_bytes(token).ok());
    for name in named.collect::<Vec<_>>() {
        parts.headers.remove(name);
    }
    let of_connection: Vec<HeaderName> =
        parts.headers.keys().filter(|name| hop::is_of_connection(name)).cloned().collect();
    for name in of_connection.into_iter().chain([TRAILER, TRANSFER_ENCODING]) {
        parts.headers.remove(name);
    }
    parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    parts.version = Version::HTTP_11;
    Request::from_parts(parts, Empty::new())
}

fn failed(error: hyper::Error) -> Box<Error> {
    let kind = if error.is_parse() { ErrorType::InvalidHTTPHeader } else { ErrorType::ConnectionClosed };
    Error::because(kind, "a WebSocket's handshake", error).into_up()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_clients_connection_stay_on_it() {
        let request = Request::builder()
            .uri("/socket?x=1")
            .header("connection", "keep-alive, Upgrade, x-hop")
            .header("upgrade", "WebSocket")
            .header("keep-alive", "5")
            .header("te", "trailers")
            .header("proxy-authorization", "Basic YQ==")
            .header("proxy-connection", "keep-alive")
            .header("http2-settings", "AAAA")
            .header("connection", "x-other")
            .header("x-other", "2")
            .header("x-hop", "1")
            .header("sec-websocket-protocol", "chat");
        let question = question(request.body(()).expect("a request").into_parts().0);
        let headers = question.headers().iter();
        let mut headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
        headers.sort();
        let expected = [("connection", "Upgrade"), ("sec-websocket-protocol", "chat"), ("upgrade", "websocket")];
        assert_eq!(headers, expected);
        assert_eq!(question.uri(), "/socket?x=1");
    }
}
