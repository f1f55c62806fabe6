//! What a client is told when a request that may pass cannot be served.

use std::io;

use cache::Sparing;
use http::StatusCode;
use pingora::{Error, ErrorSource, ErrorType};

use crate::respond::{self, Answer};
use crate::routes::Destination;
use crate::wire::chunks::Malformed;
use crate::wire::{Answered, TooSlow};

/// Whether a request is no failure: it is answered to the end, and only its body has not come whole.
pub(crate) fn is_answered(error: &Error) -> bool {
    is_because_of::<Answered>(error)
}

/// Tells operators of a request that is sent again, once a minute for each kind of error: a site that starts anew meets each request with
/// it.
pub(crate) fn tell_retry(error: &Error) {
    static RETRIED: Sparing = Sparing::new();
    if let Some(untold) = RETRIED.tells(&error.etype().as_str()) {
        tracing::warn!(%error, untold, "a server cannot be reached, or closed a connection that was idle: tried again");
    }
}

/// Tells operators of a request that cannot be served, once a minute for each error: a site that is down meets each request with it. The
/// access log has every one.
pub(crate) fn tell(error: &Error, status: u16, summary: &str) {
    static UNSERVED: Sparing = Sparing::new();
    match UNSERVED.tells(&error) {
        Some(untold) => tracing::error!(%error, status, untold, "cannot serve {summary}"),
        None => tracing::debug!(%error, status, "cannot serve {summary}"),
    }
}

/// What to tell a client when proxying fails; nothing when it is gone.
pub(crate) fn answer(error: &Error, destination: Destination) -> Option<Answer> {
    if is_because_of::<TooSlow>(error) {
        return Some(too_slow());
    }
    if is_because_of::<Malformed>(error) {
        return Some(respond::refusal("bad_request", "The body is not in chunks as it says."));
    }
    use ErrorType::{ConnectionClosed, H2Error, ReadError, ReadTimedout, WriteError, WriteTimedout};
    let answer = match (error.esource(), error.etype(), destination) {
        (ErrorSource::Upstream, _, Destination::Billing | Destination::Webhook) => {
            respond::failure(StatusCode::SERVICE_UNAVAILABLE, "billing_unreachable", "Billing cannot be reached.")
        }
        (ErrorSource::Upstream, ReadTimedout, Destination::Site) => {
            respond::failure(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The site does not answer.")
        }
        (ErrorSource::Upstream, _, Destination::Site) => {
            respond::failure(StatusCode::BAD_GATEWAY, "upstream_unreachable", "The site cannot be reached.")
        }
        (ErrorSource::Downstream, ReadTimedout, _) => too_slow(),
        // HTTP/2 tells of a client that resets a stream, or is gone, by an error of its own.
        (ErrorSource::Downstream, ReadError | WriteError | WriteTimedout | ConnectionClosed | H2Error, _) => {
            return None;
        }
        (ErrorSource::Downstream, ErrorType::HTTPStatus(413), _) => {
            respond::failure(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too long.")
        }
        (ErrorSource::Downstream, ..) => respond::refusal("bad_request", "The request cannot be forwarded."),
        (ErrorSource::Internal | ErrorSource::Unset, ..) => {
            respond::failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The gate has failed.")
        }
    };
    Some(answer)
}

/// The answer to a client that sends its body too slowly.
pub(crate) fn too_slow() -> Answer {
    respond::failure(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body comes too slowly.")
}

/// Whether reading a client's body has ended for this reason ([`crate::wire`]).
fn is_because_of<E: std::error::Error + 'static>(error: &Error) -> bool {
    let mut error = error;
    loop {
        let Some(cause) = &error.cause else { return false };
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return io.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>);
        }
        match cause.downcast_ref::<Error>().or_else(|| cause.downcast_ref::<Box<Error>>().map(AsRef::as_ref)) {
            Some(inner) => error = inner,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_as_this_table_says() {
        use ErrorType::{ConnectRefused, ConnectTimedout, InternalError, InvalidHTTPHeader, ReadTimedout, WriteError};
        let cases = [
            (Error::new_up(ConnectRefused), Destination::Site, Some(502)),
            (Error::new_up(ConnectTimedout), Destination::Site, Some(502)),
            (Error::new_up(ReadTimedout), Destination::Site, Some(504)),
            (Error::new_up(ConnectRefused), Destination::Billing, Some(503)),
            (Error::new_up(ReadTimedout), Destination::Webhook, Some(503)),
            (Error::new_down(InvalidHTTPHeader), Destination::Site, Some(400)),
            (Error::new_down(ErrorType::HTTPStatus(413)), Destination::Site, Some(413)),
            (Error::new_down(WriteError), Destination::Site, None),
            (Error::new_down(ErrorType::H2Error), Destination::Site, None),
            (Error::new_up(ErrorType::H2Error), Destination::Site, Some(502)),
            (Error::new_down(ReadTimedout), Destination::Site, Some(408)),
            (Error::new_in(InternalError), Destination::Site, Some(500)),
            (Error::new(InternalError), Destination::Billing, Some(500)),
        ];
        for (error, destination, status) in cases {
            let told = answer(&error, destination).map(|answer| answer.status.as_u16());
            assert_eq!(told, status, "{error} towards {destination:?}");
        }
    }
}
