//! WebSockets. The gate makes the handshake with the site itself, and a task that takes little memory copies what follows.
//!
//! Pingora would keep the state and the buffers of a whole request for as long as a WebSocket is open. It also ends an
//! upgraded request when its site answers before Pingora has noted that there is no body
//! (<https://github.com/cloudflare/pingora/issues/946>).

mod far_end;
mod frames;
mod handshake;
mod relay;
mod stand_in;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::context::Context;
use crate::guard::{self, End};
use crate::headers::{hop, own_host};
use crate::live::Lease;
use crate::screen::host_of;
use crate::service::Service;
use crate::site::Answer;
use crate::upstream::Server;
use crate::wire::Wire;
use crate::{answers, exchange, respond};

use self::far_end::FarEnd;
use self::relay::relay;

/// Whether the site is asked for a WebSocket (RFC 6455 section 4.1): every other upgrade is left out on the way, as the
/// `h2c` that Java's client offers with each first request.
pub(crate) fn is_asked(session: &Session) -> bool {
    let headers = &session.req_header().headers;
    let upgrade = headers.get(http::header::UPGRADE);
    // A server does not act on an `Upgrade` that `Connection` does not name (RFC 9110 section 7.8): it is another connection's.
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && session.is_upgrade_req()
        && hop::tokens(headers).any(|token| token.eq_ignore_ascii_case(b"upgrade"))
}

impl Service {
    /// Asks the site for a WebSocket, and writes its answer. What follows a yes goes on outside of Pingora's request.
    ///
    /// # Errors
    /// What [`crate::failure`] tells the client of.
    pub(crate) async fn tunnel(&self, session: &mut Session, context: &mut Box<Context>) -> Result<()> {
        if session.req_header().method != Method::GET || !session.as_mut().is_body_empty() {
            let refused = respond::refusal("bad_request", "A WebSocket begins with a GET without a body.");
            session.set_keepalive(None);
            return refused.write(session, &context.snapshot.pages).await;
        }
        if !hop::are_readable(&session.req_header().headers) {
            // As Pingora refuses them of every other request.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "what Connection names").into_down());
        }
        if let Some(answer) = self.occupy(context) {
            return answer.write(session, &context.snapshot.pages).await;
        }
        let mut site = self.connect(context).await?;
        // The server says which host it is told.
        let question = handshake::question(session, context)?;
        let (patience, mut is_unheard) = (self.patience(context), true);
        exchange::ask(&mut site, &question, Some(patience), &mut is_unheard).await?;
        // What the client sends behind its question is meant for a WebSocket, whatever the answer.
        session.set_keepalive(None);
        let mut answer = Answer::new(site, &Method::GET, Some(patience));
        let Some(mut response) = self.carry(session, context, &mut answer).await? else { return Ok(()) };
        handshake::yes(&session.req_header().headers, &mut response)?;
        if let Some(own) = &context.host {
            own_host::take_out(&mut response, own, host_of(session.req_header()).as_deref())?;
        }
        answers::end_sessions(session, &response, context);
        self.go_on(session, context, response, answer.into_parts()).await
    }

    /// How long the site may think.
    fn patience(&self, context: &Context) -> Duration {
        let own = context.snapshot.rule(context).and_then(|rule| rule.timeout);
        own.unwrap_or_else(|| context.snapshot.upstreams.patience().read)
    }

    /// Connects with a server of the site; with another one when the first cannot be reached.
    async fn connect(&self, context: &mut Box<Context>) -> Result<FarEnd> {
        let snapshot = Arc::clone(&context.snapshot);
        loop {
            let server = exchange::server(&snapshot, context)?;
            match connect(&server, snapshot.upstreams.patience().connect).await {
                Ok(stream) => return Ok(stream),
                Err(error) if context.failed_tries > 0 || !snapshot.upstreams.are_many(context) => return Err(error),
                Err(error) => {
                    debug!(%error, "another server of the site is tried");
                    context.failed_tries += 1;
                }
            }
        }
    }

    /// Tells the client yes, and hands both ends of the connection over to a task of their own.
    async fn go_on(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
        response: Box<ResponseHeader>,
        (site, from_site): (FarEnd, Bytes),
    ) -> Result<()> {
        // From here on it is no request any more.
        context.place = None;
        session.write_response_header(response, false).await?;
        let (client, from_client) = take(session).await?;
        let quiet = context.snapshot.limits.quiet;
        let lease = self.lease(context);
        let counted = self.census.live();
        guard::go_on(Box::pin(async move {
            let _counted = counted;
            let reason = relay((client, from_client), (site, from_site), quiet, over(lease)).await;
            reason.map_or(End::Done, End::Held)
        }));
        Ok(())
    }
}

/// Waits until the right to a response is over; for ever when it needs none.
async fn over(lease: Option<Lease>) -> &'static str {
    match lease {
        Some(lease) => lease.over().await,
        None => std::future::pending().await,
    }
}

async fn connect(server: &Server, patience: Duration) -> Result<FarEnd> {
    let Some(address) = server.plain_address() else {
        return server.connect().await.map(FarEnd::Other).map_err(Error::into_up);
    };
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // What is small must not wait for more.
            let _ = stream.set_nodelay(true);
            Ok(FarEnd::Tcp(stream))
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(Error::because(ErrorType::ConnectRefused, "a WebSocket", error).into_up())
        }
        Ok(Err(error)) => Err(Error::because(ErrorType::ConnectError, "a WebSocket", error).into_up()),
        Err(_) => Err(Error::explain(ErrorType::ConnectTimedout, "a WebSocket").into_up()),
    }
}

/// Takes the client's end out of a session, which keeps what its last words are about, and what the client has said already.
async fn take(session: &mut Session) -> Result<(Stream, Bytes)> {
    let stand_in = stand_in::of(session).await?;
    match *std::mem::replace(&mut session.downstream_session, Box::new(stand_in)) {
        ServerSession::H1(session) => match session.into_inner().into_any().downcast::<Wire>() {
            Ok(wire) => {
                wire.into_parts().ok_or_else(|| Error::explain(ErrorType::InternalError, "a connection taken twice"))
            }
            Err(_) => Err(Error::explain(ErrorType::InternalError, "a connection of another kind")),
        },
        _ => Err(Error::explain(ErrorType::InternalError, "only HTTP/1 has upgrades")),
    }
}
