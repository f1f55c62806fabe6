//! The provider's HTTP: Stripe's API below `/v1/`, the hosted pages, and the controls.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::api::replies::Answer;
use super::api::{self, Call};
use super::books::Books;
use super::refusal::Refusal;
use super::render::View;
use super::settings::{Key, OWN_ACCOUNT, Shape};
use super::{Shared, control, pages};
use crate::faults::Entry;

/// The longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(serve_v1))
        .route("/v2/{*path}", any(serve_v2))
        .nest("/_control", control::router())
        .merge(pages::router())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn serve_v1(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = query.unwrap_or_default();
    let encoded = if method == Method::POST { body.as_ref() } else { query.as_bytes() };
    let full = format!("/v1/{path}");
    let answer = || {
        let answered =
            key_of(&shared, &headers).and_then(|key| answer(&shared, &key, (&method, &path), encoded, &headers));
        let (mut response, replayed) = match answered {
            Ok(Answer::Fresh(object)) => (Json(object).into_response(), false),
            Ok(Answer::Replayed(object)) => (Json(object).into_response(), true),
            Err(refusal) => (refusal.into_response(), false),
        };
        let own = response.headers_mut();
        own.insert(HeaderName::from_static("request-id"), HeaderValue::from_static("req_simulated"));
        if replayed {
            own.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
        }
        response
    };
    through(&shared, &method, &full, answer).await
}

async fn serve_v2(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    let full = format!("/v2/{path}");
    let answer = || {
        let answered = key_of(&shared, &headers).and_then(|_| api::answer_v2(&shared.ledger().books, &method, &path));
        answered.map_or_else(IntoResponse::into_response, |object| Json(object).into_response())
    };
    through(&shared, &method, &full, answer).await
}

/// Counts a call and answers it, unless it meets a fault.
async fn through(shared: &Shared, method: &Method, path: &str, answer: impl FnOnce() -> Response) -> Response {
    let response = match shared.door.enter(method, path) {
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
    tracing::debug!(%method, path, status = response.status().as_u16(), "the provider answered a call");
    response
}

fn answer(
    shared: &Shared,
    caller: &Key,
    (method, path): (&Method, &str),
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
        let call = Call { method, path, encoded, view: view.clone() };
        if caller.lacks.iter().any(|lacking| format!("{method} {path}").starts_with(lacking)) {
            return Err(Refusal::not_permitted());
        }
        if path == "account" {
            return account_of(caller).map(Answer::Fresh);
        }
        // What is in the books is of one account and one mode: any other key opens an empty drawer.
        let is_ours = caller.account.is_none() && caller.livemode().is_none_or(|live| live == view.livemode);
        if !is_ours {
            let prices = ledger.books.prices().to_vec();
            let mut drawer = Books::new(view, prices, ledger.books.now());
            return api::answer(&mut drawer, &call).map(Answer::Fresh);
        }
        let books = &mut ledger.books;
        let answered = match key {
            None => api::answer(books, &call).map(Answer::Fresh),
            Some(key) => {
                let asked = format!("{path}\n{}", String::from_utf8_lossy(encoded));
                ledger.replies.once(&key, asked, || api::answer(books, &call))
            }
        };
        if method != Method::GET && path.starts_with("webhook_endpoints") {
            shared.deliver_to(books);
        }
        answered
    })
}

/// `/v1/account`: of which account the key is.
fn account_of(caller: &Key) -> Result<Value, Refusal> {
    if !caller.reads_account {
        return Err(Refusal::not_permitted());
    }
    let id = caller.account.as_deref().unwrap_or(OWN_ACCOUNT);
    Ok(json!({ "id": id, "object": "account", "charges_enabled": true, "country": "GB" }))
}

/// The key of a call. Stripe takes it as a bearer token, or as the user name of Basic authentication.
fn key_of(shared: &Shared, headers: &HeaderMap) -> Result<Key, Refusal> {
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
    let keys = shared.keys.lock().unwrap_or_else(PoisonError::into_inner);
    let known = keys.iter().find(|key| Some(&key.key) == given.as_ref());
    known.cloned().ok_or_else(|| Refusal::unauthorized("Invalid API Key provided."))
}
