//! The simulated Polar's HTTP: the API below `/v1/`, and the controls.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use serde_json::Value;

use super::refusal::Refusal;
use super::{Shared, api, control};
use crate::faults::Entry;

/// The longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Lists, whose addresses end in a slash: without it Polar redirects.
const LISTS: [&str; 6] = ["subscriptions", "customers", "orders", "refunds", "checkouts", "customer-sessions"];

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(serve_api))
        .nest("/_control", control::router())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn serve_api(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(path): Path<String>,
    Query(query): Query<api::Query>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let full = format!("/v1/{path}");
    let call = api::Call { path: &path, query: &query, body: &body };
    let answer = || answer(&shared, &method, &call, &headers);
    let response = match shared.door.enter(&method, &full) {
        Entry::Answer => answer(),
        Entry::Hold(held) => {
            let response = answer();
            shared.door.wait(held).await;
            response
        }
        Entry::Lose(kind) => {
            drop(answer());
            shared.door.fail(kind).await
        }
        Entry::Fail(kind) => shared.door.fail(kind).await,
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "the simulated Polar answered a call");
    response
}

fn answer(shared: &Shared, method: &Method, call: &api::Call<'_>, headers: &HeaderMap) -> Response {
    if let Err(refusal) = check_token(&shared.access_token, headers) {
        return refusal.into_response();
    }
    let path = call.path;
    if LISTS.contains(&path) {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("/v1/{path}/"))]).into_response();
    }
    match *method {
        Method::GET => match api::read(&shared.ledger().books, call, &shared.base_url) {
            Ok(Some(object)) => Json(object).into_response(),
            Ok(None) => Refusal::NotFound.into_response(),
            Err(refusal) => refusal.into_response(),
        },
        Method::POST => changed(StatusCode::CREATED, shared.change(|books| api::write(books, call, &shared.base_url))),
        Method::DELETE => changed(StatusCode::OK, shared.change(|books| api::remove(books, call))),
        Method::PATCH => changed(StatusCode::OK, shared.change(|books| api::amend(books, call))),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn changed(status: StatusCode, object: Result<Option<Value>, Refusal>) -> Response {
    match object {
        Ok(Some(object)) => (status, Json(object)).into_response(),
        Ok(None) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn check_token(token: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|given| given.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if given.is_some_and(|(_, given)| given.trim() == token) { Ok(()) } else { Err(Refusal::Unauthorized) }
}
