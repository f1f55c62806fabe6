//! How most requests are carried to the site and their answers back: those of HTTP/1.1 on both sides whose body, if any,
//! has come with the head.
//!
//! Pingora's own proxying is made for whatever may come: two tasks with queues between them, a copy of each head with every
//! name as it was written, hooks that are called one by one. A request that is here as a whole needs none of that, and takes
//! little more than half the instructions this way. What reads and checks heads and bodies, frames answers and connects is
//! Pingora's here too. What is not plain goes the long way.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRAILER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::HttpTask;
use pingora::proxy::{ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::context::{Context, origin, who};
use crate::headers::{self, Lines, Told, hop, trailers};
use crate::server::TRIES_MAX;
use crate::service::Service;
use crate::site::{Answer, Course, Dial, Part};
use crate::snapshot::Snapshot;
use crate::upstream::{Connections, Server};
use crate::{failure, tunnel, wire};

/// A usual head, in bytes.
const HEAD_BYTES: usize = 1500;

/// The body of a request that can go this way, of which all has come.
pub(crate) async fn plain(session: &mut Session) -> Option<Bytes> {
    if !is_plain_head(session.req_header()) || tunnel::is_asked(session) || !wire::of(session)?.has_body() {
        return None;
    }
    let mut body = BytesMut::new();
    while !session.as_mut().is_body_done() {
        body.extend_from_slice(&session.as_mut().read_request_body().await.ok()??);
    }
    Some(body.freeze())
}

/// Whether a request needs nothing that only Pingora's proxying knows.
fn is_plain_head(request: &RequestHeader) -> bool {
    request.version == Version::HTTP_11
        && request.raw_path_is_utf8()
        && !request.headers.keys().any(|name| *name == EXPECT || *name == TRANSFER_ENCODING)
        // What else is named there is to be removed, or cannot be.
        && hop::tokens(&request.headers).enumerate().all(|(at, token)| at < hop::NOMINATIONS_MAX && is_usual(token))
}

/// Whether `Connection` says this without naming anything that would go on.
fn is_usual(token: &[u8]) -> bool {
    const USUAL: [&str; 7] = ["keep-alive", "close", "te", "upgrade", "http2-settings", "proxy-connection", "trailer"];
    USUAL.iter().any(|usual| token.eq_ignore_ascii_case(usual.as_bytes()))
}

impl Service {
    /// Carries a plain request to where it goes, and the answer back.
    ///
    /// # Errors
    /// What [`crate::failure`] tells the client of.
    pub(crate) async fn exchange(&self, session: &mut Session, context: &mut Box<Context>) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt(session, context, tries).await {
                Err(error) if error.retry() && tries < TRIES_MAX => {
                    failure::tell_retry(&error);
                }
                result => return result,
            }
        }
    }

    async fn attempt(&self, session: &mut Session, context: &mut Box<Context>, tries: usize) -> Result<()> {
        let snapshot = Arc::clone(&context.snapshot);
        let server = server(&snapshot, context)?;
        let peer = server.peer();
        let (mut stream, is_reused) = match self.connections.get(&server, tries).await {
            Ok(connected) => connected,
            Err(error) => return Err(self.fail_to_connect(session, peer, context, error.into_up())),
        };
        let method = session.req_header().method.clone();
        let mut is_unheard = false;
        let done = async {
            let body = context.plain.as_deref().unwrap_or_default();
            let request = head((session, context), session.req_header(), b"", body)?;
            is_unheard = true;
            ask(&mut stream, &request, peer.options.write_timeout, &mut is_unheard).await?;
            let own = snapshot.rule(context).and_then(|rule| rule.timeout);
            let mut answer = Answer::new(stream, &method, own.or(peer.options.read_timeout));
            match self.carry(session, context, &mut answer).await {
                Ok(None) => {}
                Ok(Some(_)) => {
                    return Err(Error::explain(ErrorType::InvalidHTTPHeader, "101, which nobody asked for").into_up());
                }
                Err(error) => {
                    is_unheard = *error.etype() == ErrorType::ConnectionClosed && answer.is_unheard(request.len());
                    return Err(error);
                }
            }
            if let Some(stream) = answer.into_idle() {
                self.connections.give_back(stream, &server);
            }
            Ok(())
        };
        done.await.map_err(|error: Box<Error>| {
            let mut error = error.more_context(format!("Server: {}", server.name()));
            if method.is_idempotent() || is_unheard {
                error.retry.decide_reuse(is_reused);
            } else {
                error.set_retry(false);
            }
            error
        })
    }

    /// Writes what a server answers, to the end; or to a change of protocol, which is given back.
    pub(crate) async fn carry<S: AsyncRead + Unpin>(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
        answer: &mut Answer<S>,
    ) -> Result<Option<Box<ResponseHeader>>> {
        loop {
            let part = tokio::select! {
                biased;
                part = answer.next() => part.map_err(Error::into_up)?,
                // Ends only with an error: the client has left.
                gone = session.downstream_session.read_body_or_idle(true) => {
                    return Err(gone.err().unwrap_or_else(|| Error::new(ErrorType::ConnectionClosed)).into_down());
                }
            };
            let mut tasks = Vec::with_capacity(2);
            match part {
                Part::Head(response) if response.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return Ok(Some(response));
                }
                Part::Head(mut response) => {
                    self.prepare(session, context, &mut response, answer)?;
                    let is_final = !response.status.is_informational();
                    tasks.push(HttpTask::Header(response, answer.is_over()));
                    // A short body has come with the head, and leaves with it. What follows another head is one, too.
                    if is_final
                        && !answer.is_over()
                        && let Some(more) = unconstrained(answer.next()).now_or_never()
                    {
                        let is_over = answer.is_over();
                        tasks.push(
                            more.map_or_else(|error| HttpTask::Failed(error.into_up()), |part| task(part, is_over)),
                        );
                    }
                }
                part => tasks.push(task(part, answer.is_over())),
            }
            let lines = if answer.is_over() { answer.take_trailers() } else { BytesMut::new() };
            if lines.is_empty() {
                if session.write_response_tasks(tasks).await? {
                    return Ok(None);
                }
                continue;
            }
            return finish_with(session, tasks, &lines).await.map(|()| None);
        }
    }

    /// Makes a server's head one for the client.
    fn prepare<S: AsyncRead + Unpin>(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
        response: &mut ResponseHeader,
        answer: &Answer<S>,
    ) -> Result<()> {
        let is_framed = [TRANSFER_ENCODING, CONTENT_LENGTH].iter().any(|name| response.headers.contains_key(name));
        if !response.status.is_informational() && !answer.is_over() && !is_framed {
            // It ends with the server's connection; the client's can stay.
            response.insert_header(TRANSFER_ENCODING, "chunked")?;
        }
        self.make_ready(session, response, context)
    }
}

/// A part of a body, for the client.
fn task(part: Part, is_over: bool) -> HttpTask {
    match part {
        // Two heads in one answer.
        Part::Head(_) => HttpTask::Failed(Error::explain(ErrorType::InvalidHTTPHeader, "a second answer").into_up()),
        Part::Data(bytes) => HttpTask::Body(Some(bytes), is_over),
        Part::End => HttpTask::Done,
    }
}

/// Writes the rest of an answer that ends with trailers.
async fn finish_with(session: &mut Session, mut tasks: Vec<HttpTask>, lines: &[u8]) -> Result<()> {
    for task in &mut tasks {
        if let HttpTask::Body(_, is_end) | HttpTask::Header(_, is_end) = task {
            *is_end = false;
        }
    }
    tasks.retain(|task| !matches!(task, HttpTask::Done));
    if !tasks.is_empty() {
        session.write_response_tasks(tasks).await?;
    }
    if let Some(wire) = wire::of(session) {
        wire.end_with(&trailers::for_client(lines)?, true);
    }
    session.finish_body().await.map_err(Error::into_down)
}

/// The server for a request that may pass, in turn.
///
/// # Errors
/// When it may not, or when there is no such server.
pub(crate) fn server(snapshot: &Snapshot, context: &mut Context) -> Result<Arc<Server>> {
    if context.permit.is_none() {
        return Err(Error::explain(ErrorType::InternalError, "a request without a permit"));
    }
    let server = snapshot.upstreams.server(context)?;
    context.host = server.host().cloned();
    Ok(server)
}

/// Lets Pingora's proxying connect as the fast path does, with a server that speaks HTTP/1.
pub(crate) fn dial(
    session: &Session,
    context: &mut Context,
    (connections, server): (&Arc<Connections>, Arc<Server>),
    peer: &mut HttpPeer,
) {
    context.tries += 1;
    context.body_bytes = 0;
    context.course = context.snapshot.upstreams.speaks_http1(context.destination).then(|| {
        let request = (session.req_header().method.clone(), context.tries);
        let course = Course::new(Arc::clone(connections), server, request, session.is_http2());
        peer.options.custom_l4 = Some(Arc::new(Dial(Arc::clone(&course))));
        course
    });
}

/// Whether Pingora's proxying sends a request once more after this error: by the rule of the fast path, if its body can be
/// replayed.
pub(crate) fn decide_retry(error: &mut Error, session: &mut Session, context: &Context, is_reused: bool) {
    let may_replay = !session.as_mut().retry_buffer_truncated();
    let is_sites = *error.esource() == ErrorSource::Upstream;
    match &context.course {
        Some(course) => {
            error.set_retry(is_sites && may_replay && course.may_ask_again());
        }
        None => {
            // A site that speaks HTTP/2 says of some streams that it has done nothing with them (RFC 9113 sections 6.8, 8.7).
            let is_unprocessed =
                *error.etype() == ErrorType::H2Error && matches!(error.retry, RetryType::Decided(true));
            error.retry.decide_reuse(is_reused);
            let is_harmless = is_unprocessed || session.req_header().method.is_idempotent();
            let is_first = context.tries == 1 + context.failed_tries;
            error.set_retry(error.retry() && is_sites && is_first && may_replay && is_harmless);
        }
    }
}

/// The head of a request, as it goes on, with these lines beside its own, and its body.
///
/// # Errors
/// When its target would end the line, which is one that the gate does not let through.
pub(crate) fn head(
    (session, context): (&Session, &Context),
    request: &RequestHeader,
    more: &[u8],
    body: &[u8],
) -> Result<Vec<u8>> {
    let target = context.webhook.map_or_else(|| request.raw_path(), str::as_bytes);
    if target.iter().any(|byte| byte.is_ascii_control() || *byte == b' ') {
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, "a target that ends its line").into_down());
    }
    let mut head = Head(Vec::with_capacity(HEAD_BYTES + body.len()));
    head.0.extend_from_slice(request.method.as_str().as_bytes());
    head.0.push(b' ');
    head.0.extend_from_slice(target);
    head.0.extend_from_slice(b" HTTP/1.1\r\n");
    let origin = origin(session, &context.snapshot.routing.trusted_proxies);
    let (host, way) = (context.host.as_ref(), (&origin, context.snapshot.identity.withheld()));
    headers::write((&request.headers, &request.uri), host, way, who(context), context.degraded, &mut head);
    head.0.extend_from_slice(more);
    head.0.extend_from_slice(b"\r\n");
    head.0.extend_from_slice(body);
    Ok(head.0)
}

/// A head as it is sent.
struct Head(Vec<u8>);

impl Lines for Head {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        if hop::is_of_connection(name) || *name == TRAILER {
            return;
        }
        let name = if *name == HOST { "Host" } else { name.as_str() };
        self.0.reserve(name.len() + value.len() + ": \r\n".len());
        // Texts as short as these are copied without a call, when each is by itself.
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value.as_bytes());
        self.0.extend_from_slice(b"\r\n");
    }

    fn tell(&mut self, told: Told<'_>) {
        match told.lines {
            Some(lines) => {
                self.0.extend_from_slice(lines.as_ref());
                told.write_degraded(self);
            }
            None => told.write(self),
        }
    }
}

/// Sends a request.
pub(crate) async fn ask(
    server: &mut (impl AsyncWrite + Unpin),
    request: &[u8],
    patience: Option<Duration>,
    is_unheard: &mut bool,
) -> Result<()> {
    let mut rest = request;
    let sent = async {
        server.write_all_buf(&mut rest).await?;
        server.flush().await
    };
    let sent = match patience {
        Some(patience) => timeout(patience, sent).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())),
        None => sent.await,
    };
    // What the kernel has taken may be on its way.
    *is_unheard = rest.len() == request.len();
    sent.map_err(|error| {
        let mut error = Error::because(ErrorType::WriteError, "a request", error);
        // Nothing has been answered.
        error.retry = RetryType::ReusedOnly;
        error.into_up()
    })
}
