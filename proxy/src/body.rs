//! What becomes of a request's body before a connection to the site is taken, and the bounds on one that streams.
//!
//! A site that serves one request for each of a few workers stands still when slow clients hold them. So a body of usual
//! size is here first; what is longer streams, and has to come at a least rate. Neither is for gRPC over HTTP/2, where both sides
//! speak in turn; how long a client may be silent is bounded there, too, until the answer begins.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

use crate::context::Context;
use crate::exchange;
use crate::limits::RATE_WINDOW;
use crate::metrics::Verdict;
use crate::pulse::{Bounds, Pulse};
use crate::respond::{self, Answer};
use crate::routes::Destination;
use crate::service::Service;
use crate::wire::{self, Begins, Progress, Wire};
use crate::{failure, guard};

/// Most bytes that Pingora replays of the body of an HTTP/2 request that was read before it is carried on. It keeps nothing of
/// a longer one, and cannot end one of which it keeps nothing.
const REPLAYED_MAX: usize = 64 * 1024;

/// Most bytes of a body that come at once over HTTP/2 (RFC 9113 section 4.2).
const FRAME_MAX: usize = 16 * 1024;

const GRPC: &[u8] = b"application/grpc";

impl Service {
    /// Takes in what a request that may pass needs before a connection is taken for it; an answer when it gets none.
    ///
    /// # Errors
    /// When the client leaves, or sends what is no body.
    pub(crate) async fn take_in(&self, session: &mut Session, context: &mut Context) -> Result<Option<Answer>> {
        if context.plain.is_none() {
            let answer = if session.is_http2() {
                of_stream(session, context).await?
            } else {
                of_connection(session, context).await?
            };
            if answer.is_some() {
                session.set_keepalive(None);
                self.count_refusal("body_too_slow", context);
                return Ok(answer);
            }
        }
        Ok(self.occupy(context))
    }

    /// A request that may pass gets no connection, for this reason.
    fn count_refusal(&self, reason: &'static str, context: &mut Context) {
        (context.verdict, context.reason) = (Verdict::Refuse, reason);
        self.metrics.requests("none", Verdict::Refuse, reason).inc();
    }

    /// Takes a place among the requests that hold a connection to the site; an answer when there is none.
    pub(crate) fn occupy(&self, context: &mut Context) -> Option<Answer> {
        let max = context.snapshot.limits.upstream_connections;
        if max == 0 || context.destination != Destination::Site {
            return None;
        }
        context.place = self.census.upstream(max);
        if context.place.is_some() {
            return None;
        }
        self.count_refusal("upstream_busy", context);
        let detail = "The site has as many requests as it may have at once.";
        Some(respond::failure(StatusCode::SERVICE_UNAVAILABLE, "upstream_busy", detail))
    }
}

/// Of HTTP/1: the body stays in the client's end of the connection until it is carried on.
async fn of_connection(session: &mut Session, context: &mut Context) -> Result<Option<Answer>> {
    let limits = context.snapshot.limits;
    let Some(wire) = wire::of(session) else { return Ok(None) };
    // A body that is too long in any case is refused as soon as that is known.
    let max = if limits.body_bytes == 0 { u64::MAX } else { limits.body_bytes };
    let max = limits.buffer_body.min(usize::try_from(max).unwrap_or(usize::MAX));
    if max > 0 {
        let mut progress = wire.await_body(max).map_err(malformed)?;
        if progress == Progress::Here && awaits_leave(session.req_header()) {
            // Nobody waits for it any more.
            session.req_header_mut().remove_header(&EXPECT);
        } else if progress == Progress::More {
            go_ahead(session).await?;
            if let Some(answer) = awaited(session, limits.read).await? {
                return Ok(Some(answer));
            }
            progress = wire::of(session).map_or(Ok(Progress::Here), |wire| wire.await_body(max)).map_err(malformed)?;
        }
        if progress == Progress::Beyond && limits.is_too_long(max as u64 + 1) {
            return Err(too_long());
        }
    }
    if context.snapshot.fast_path && context.snapshot.upstreams.speaks_http1(context.destination) {
        context.plain = exchange::plain(session).await;
    }
    let begins = if awaits_leave(session.req_header()) { Begins::WithTheFirstBytes } else { Begins::AtOnce };
    if let Some(wire) = wire::of(session).filter(|_| context.plain.is_none() && limits.body_rate > 0) {
        wire.keep_pace(limits.body_rate, begins);
    }
    Ok(None)
}

/// Waits until the body of an HTTP/1 request is here, or longer than what is awaited.
async fn awaited(session: &mut Session, patience: Duration) -> Result<Option<Answer>> {
    while wire::of(session).is_some_and(Wire::awaits_body) {
        let ServerSession::H1(client) = &mut *session.downstream_session else { break };
        // It gets nothing, but ends with each part that has come.
        match timeout(patience, client.idle()).await {
            Ok(read) => drop(read.map_err(Error::into_down)?),
            Err(_) => return Ok(Some(failure::too_slow())),
        }
    }
    Ok(None)
}

/// Of HTTP/2: the body is read, and kept for Pingora to replay it.
async fn of_stream(session: &mut Session, context: &mut Context) -> Result<Option<Answer>> {
    let (limits, headers) = (context.snapshot.limits, &session.req_header().headers);
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_grpc = is_grpc(headers);
    if session.as_mut().is_body_done() {
        return Ok(None);
    }
    let max = if is_grpc { 0 } else { limits.buffer_body.min(REPLAYED_MAX) };
    if max > 0 && length.is_none_or(|length| length <= max) {
        go_ahead(session).await?;
        session.enable_retry_buffering();
        // A length holds, and one that fits is awaited to its end; without one, as much as fits with another frame.
        let max = if length.is_some() { max } else { max.min(REPLAYED_MAX - FRAME_MAX) };
        let mut taken = 0;
        while taken <= max && !session.as_mut().is_body_done() {
            match timeout(limits.read, session.read_request_body()).await {
                Ok(Ok(Some(bytes))) => taken += bytes.len(),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(error.into_down()),
                Err(_) => return Ok(Some(failure::too_slow())),
            }
            if limits.is_too_long(taken as u64) {
                return Err(too_long());
            }
        }
    }
    if !session.as_mut().is_body_done() {
        let rate = if is_grpc { 0 } else { limits.body_rate };
        context.pulse = Some(watched(context, limits.read, rate));
    }
    Ok(None)
}

/// Watches a body that streams over HTTP/2: its stream ends when the client is too slow.
fn watched(context: &Context, mut silence: Duration, rate: u64) -> Arc<Pulse> {
    let mut least = rate.saturating_mul(RATE_WINDOW.as_secs());
    if !context.snapshot.upstreams.shows_backlog(context) {
        // It cannot be seen whether the site holds it back: among the streams of a connection, under TLS, by a Unix socket.
        (silence, least) = (silence.max(context.snapshot.upstreams.patience().write), 0);
    }
    let pulse = Arc::new(Pulse::new(Bounds { silence, least }));
    let watched = Arc::clone(&pulse);
    guard::watch(Box::pin(async move { watched.stops().await }));
    pulse
}

impl Context {
    /// A part of the body goes on.
    pub(crate) fn pass_on(&mut self, body: Option<&Bytes>, is_end: bool) {
        let count = body.map_or(0, Bytes::len);
        self.body_bytes += count as u64;
        if let Some(pulse) = &self.pulse {
            pulse.beat(count, is_end);
        }
    }
}

/// Tells a client that waits for leave to send its body that it may (RFC 9110 section 10.1.1). The site is asked no more.
async fn go_ahead(session: &mut Session) -> Result<()> {
    if !awaits_leave(session.req_header()) {
        return Ok(());
    }
    session.req_header_mut().remove_header(&EXPECT);
    // Pingora passes no such answer on over HTTP/2, where clients wait for a moment only.
    let ServerSession::H1(client) = &mut *session.downstream_session else { return Ok(()) };
    // It would close the connection after an answer that comes before the body, and takes this for one.
    client.set_close_on_response_before_downstream_finish(false);
    let told = client.write_continue_response().await;
    client.set_close_on_response_before_downstream_finish(true);
    told.map_err(Error::into_down)
}

fn awaits_leave(request: &pingora::http::RequestHeader) -> bool {
    let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    request.version > Version::HTTP_10 && request.headers.get(EXPECT).is_some_and(expects)
}

/// Whether both sides of a request of HTTP/2 speak in turn: over HTTP/1 there is no gRPC, whatever a type says. All lines say so,
/// as a site may read any.
fn is_grpc(headers: &HeaderMap) -> bool {
    let says_so =
        |kind: &HeaderValue| kind.as_bytes().get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
    let kinds = headers.get_all(CONTENT_TYPE);
    headers.contains_key(CONTENT_TYPE) && kinds.iter().all(says_so)
}

pub(crate) fn too_long() -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(413), "the body is too long").into_down()
}

fn malformed(malformed: wire::chunks::Malformed) -> Box<Error> {
    let malformed = std::io::Error::new(std::io::ErrorKind::InvalidData, malformed);
    Error::because(ErrorType::InvalidHTTPHeader, "a body", malformed).into_down()
}
