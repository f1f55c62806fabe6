//! What no handler has read of a body is taken in before the answer goes. Bytes of one request must not lie before the next
//! one: the server would close the connection, and a proxy that keeps connections for many clients finds that out by losing
//! the request of the next, who has nothing to do with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use http::HeaderValue;
use http::header::CONNECTION;

/// Most that is taken in, in bytes, and how long that may take; then the connection is closed, and the answer says so.
const BYTES_MAX: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(1);

/// Answers, and takes in what is left of the request.
pub(crate) async fn take_in(request: Request, next: Next) -> Response {
    if axum::body::HttpBody::is_end_stream(request.body()) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(body.into_data_stream()));
    let lent = Arc::clone(&shared);
    let read = move || {
        let lent = Arc::clone(&lent);
        poll_fn(move |context| lent.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context))
    };
    let mut rest = read();
    let mut response = next.run(Request::from_parts(head, Body::from_stream(read()))).await;
    let all = async {
        let mut taken = 0;
        while let Some(Ok(bytes)) = rest.next().await {
            taken += Bytes::len(&bytes);
            if taken > BYTES_MAX {
                return false;
            }
        }
        true
    };
    if !tokio::time::timeout(LIMIT, all).await.unwrap_or(false) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
