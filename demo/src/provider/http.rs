//! The provider's HTTP: Stripe's API below `/v1/`, the hosted pages, and the controls.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::api::replies::Answer;
use super::api::{self, Call};
use super::refusal::Refusal;
use super::render::View;
use super::settings::Shape;
use super::{Shared, control, pages};

/// The longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(serve_api))
        .nest("/_control", control::router())
        .merge(pages::router())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn serve_api(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = query.unwrap_or_default();
    let encoded = if method == Method::POST { body.as_ref() } else { query.as_bytes() };
    let answered =
        check_key(&shared.api_key, &headers).and_then(|()| answer(&shared, &method, &path, encoded, &headers));
    let (mut response, replayed) = match answered {
        Ok(Answer::Fresh(object)) => (Json(object).into_response(), false),
        Ok(Answer::Replayed(object)) => (Json(object).into_response(), true),
        Err(refusal) => (refusal.into_response(), false),
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), replayed, "the provider answered a call");
    let own = response.headers_mut();
    own.insert(HeaderName::from_static("request-id"), HeaderValue::from_static("req_simulated"));
    if replayed {
        own.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    }
    response
}

fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    encoded: &[u8],
    headers: &HeaderMap,
) -> Result<Answer, Refusal> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let asked_version = text("stripe-version");
    let key = text("idempotency-key").filter(|_| method == Method::POST);
    shared.change_ledger(|ledger| {
        let account = ledger.books.view();
        let shape = match &asked_version {
            None => account.shape,
            Some(version) => Shape::of_version(version)
                .ok_or_else(|| Refusal::invalid("Stripe-Version", format!("Invalid Stripe API version: {version}")))?,
        };
        let view = View { shape, ..account.clone() };
        let call = Call { method, path, encoded, view };
        let Some(key) = key else { return api::answer(&mut ledger.books, &call).map(Answer::Fresh) };
        let asked = format!("{path}\n{}", String::from_utf8_lossy(encoded));
        let books = &mut ledger.books;
        ledger.replies.once(&key, asked, || api::answer(books, &call))
    })
}

/// Stripe takes the key as a bearer token, or as the user name of Basic authentication.
fn check_key(key: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, credentials)) = given.and_then(|given| given.split_once(' ')) else {
        return Err(Refusal::unauthorized("You did not provide an API key."));
    };
    let given = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(credentials.trim().to_owned()),
        "basic" => STANDARD.decode(credentials.trim()).ok().and_then(|bytes| {
            let text = String::from_utf8(bytes).ok()?;
            text.split_once(':').map(|(user, _)| user.to_owned())
        }),
        _ => None,
    };
    if given.as_deref() == Some(key) { Ok(()) } else { Err(Refusal::unauthorized("Invalid API Key provided.")) }
}
