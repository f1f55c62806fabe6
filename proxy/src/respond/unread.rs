//! The answer to what could not be read as a request.

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use super::Answer;

/// Answers on a connection that is then to be closed: where its next request begins is not known.
///
/// # Errors
/// When the client is gone.
pub async fn unread(session: &mut ServerSession, answer: Answer) -> Result<()> {
    let (body, about) = answer.body_for(&HeaderMap::new());
    let mut header = ResponseHeader::build(answer.status, Some(answer.headers.len() + about.len() + 1))?;
    for (name, value) in answer.headers.into_iter().chain(about) {
        header.append_header(name, value)?;
    }
    header.insert_header(CONTENT_LENGTH, body.len())?;
    session.set_keepalive(None);
    session.write_error_response(header, body).await
}
