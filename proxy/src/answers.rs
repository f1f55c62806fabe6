//! What becomes of each head of an answer before a client gets it, on every way.

use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::context::Context;
use crate::headers::hop;
use crate::service::Service;
use crate::{caching, failure, live, wire};

impl Service {
    /// Makes the head of an answer one for the client. Whether nothing may be read behind it, which Pingora's proxying does
    /// not know: then it is to be written by [`alone`].
    ///
    /// # Errors
    /// When it cannot be passed on.
    pub(crate) fn make_ready(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<bool> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // WebSockets go another way, and no other upgrade is passed on.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "101, which nobody asked for").into_up());
        }
        hop::strip(response);
        hop::say_length_once(response)?;
        if live::is_live(response) && !context.is_live {
            self.hold(session, context);
        }
        if response.status.is_informational() {
            return Ok(false);
        }
        wire::close_unless_it_goes_on(session);
        context.is_in_chunks = !response.headers.contains_key(CONTENT_LENGTH);
        if session.req_header().version < Version::HTTP_11 && context.is_in_chunks {
            self.take_chunks_away(session, response, context);
        }
        caching::mark(response, context.snapshot.rule(context), context.view.as_deref())?;
        Ok(context.plain.is_none()
            && failure::may_be_followed(response)
            && context.snapshot.upstreams.speaks_http1(context.destination))
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

fn has_no_body(session: &Session, response: &ResponseHeader) -> bool {
    matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || session.req_header().method == Method::HEAD
}

/// Whether the body of an answer of HTTP/1 ends with the server's connection (RFC 9112 section 6.3).
pub(crate) fn ends_with_connection(session: &Session, response: &ResponseHeader, context: &Context) -> bool {
    let is_framed = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| response.headers.contains_key(name));
    !is_framed && !has_no_body(session, response) && context.snapshot.upstreams.speaks_http1(context.destination)
}

/// Writes an answer without a body, and ends the request so that Pingora uses neither connection again.
///
/// # Errors
/// [`failure::ANSWERED`] always, or that the client is gone.
pub(crate) async fn alone(session: &mut Session, response: &ResponseHeader) -> Result<()> {
    session.set_keepalive(None);
    session.write_response_header(Box::new(response.clone()), true).await?;
    session.finish_body().await?;
    Err(Error::new(failure::ANSWERED))
}
