//! What becomes of each head of an answer before a client gets it, on every way.

use http::header::{CONTENT_LENGTH, SET_COOKIE, TRAILER, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::context::Context;
use crate::headers::{hop, own_host, trailers};
use crate::identity::CLEAR_SITE_DATA;
use crate::routes::Destination;
use crate::screen::host_of;
use crate::service::Service;
use crate::{caching, guests, live, site, wire};

impl Service {
    /// Makes the head of an answer one for the client.
    ///
    /// # Errors
    /// When it cannot be passed on.
    pub(crate) fn make_ready(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // WebSockets go another way, and no other upgrade is passed on.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "101, which nobody asked for").into_up());
        }
        // The gate frames it as HTTP/1.1, whatever the site speaks (RFC 9110 section 2.5).
        response.set_version(Version::HTTP_11);
        hop::strip(response);
        if response.status.is_informational() || response.status == StatusCode::NO_CONTENT {
            site::strip_framing(response);
        }
        hop::say_length_once(response)?;
        if live::is_live(response) && !context.is_live {
            self.hold(session, context);
        }
        if let Some(own) = &context.host {
            own_host::take_out(response, own, host_of(session.req_header()).as_deref())?;
        }
        if response.status.is_informational() {
            return Ok(());
        }
        end_sessions(session, response, context);
        wire::close_unless_it_goes_on(session);
        context.is_in_chunks = !response.headers.contains_key(CONTENT_LENGTH);
        if session.req_header().version < Version::HTTP_11 && context.is_in_chunks {
            self.take_chunks_away(session, response, context);
        }
        guests::tell(response, context)?;
        caching::mark(response, context.snapshot.rule(context), context.view.as_deref())
    }

    /// A client of HTTP/1.0 knows no chunks: what has no length ends with its connection.
    fn take_chunks_away(&self, session: &mut Session, response: &mut ResponseHeader, context: &Context) {
        response.remove_header(&TRANSFER_ENCODING);
        response.remove_header(&TRAILER);
        if has_no_body(session, response) {
            return;
        }
        session.set_keepalive(None);
        if !context.snapshot.upstreams.speaks_http1(context.destination)
            && let Some(wire) = wire::of(session)
        {
            wire.unchunk();
        }
    }
}

/// Forgets the sessions whose cookies an answer of the site sets or clears, and what may have become another one's.
pub(crate) fn end_sessions(session: &Session, response: &ResponseHeader, context: &Context) {
    let identity = &context.snapshot.identity;
    if !identity.asks() || context.destination != Destination::Site {
        return;
    }
    let (request, answer) = (session.req_header(), &response.headers);
    if answer.contains_key(SET_COOKIE) || answer.contains_key(&CLEAR_SITE_DATA) {
        identity.end_sessions(&request.headers, answer);
    }
    // A form that was sent, or the way back from a login elsewhere: a session of nobody may have an account under the same id.
    if !request.method.is_safe() || response.status.is_redirection() {
        identity.doubt_sessions(&request.headers);
    }
}

/// Whether an answer ends with its head.
pub(crate) fn has_no_body(session: &Session, response: &ResponseHeader) -> bool {
    matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || session.req_header().method == Method::HEAD
        || response.headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0")
}

/// The end of an answer is about to be written.
pub(crate) fn is_over(session: &Session) {
    if let Some(wire) = wire::of(session) {
        wire.be_answered();
    }
}

/// Writes these lines of trailers behind an answer, of which all before them is written or passes with them.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn end_with(session: &mut Session, context: &Context, lines: &[u8]) -> Result<()> {
    if let ServerSession::H2(client) = &mut *session.downstream_session {
        return client.write_trailers(trailers::map(lines)?).map_err(Error::into_down);
    }
    if context.is_in_chunks
        && session.req_header().version >= Version::HTTP_11
        && let Some(wire) = wire::of(session)
    {
        let has_head = session.response_written().is_some_and(|head| !head.status.is_informational());
        wire.end_with(lines, has_head);
    }
    Ok(())
}
