//! What becomes of each head of an answer before a client gets it, on every way.

use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::context::Context;
use crate::headers::hop;
use crate::routes::Rule;
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
        if session.req_header().version < Version::HTTP_11 && response.remove_header(&TRANSFER_ENCODING).is_some() {
            // It knows no chunks: such an answer ends with its connection.
            response.remove_header(&TRAILER);
            session.set_keepalive(None);
        }
        if context.snapshot.rule(context).is_some_and(Rule::is_gated) {
            caching::keep_private(response)?;
        }
        Ok(context.plain.is_none()
            && failure::may_be_followed(response)
            && context.snapshot.upstreams.speaks_http1(context.destination))
    }
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
