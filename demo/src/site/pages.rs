//! The site's pages.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::articles::{ALL, Article, Shelf};
use super::received::{Received, received};
use super::session::local_path;
use super::{Shared, User};
use crate::clock;

/// The longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/articles/{slug}", get(free))
        .route("/premium/{slug}", get(paid))
        .route("/login", get(login).post(sign_in))
        .route("/logout", get(sign_out).post(sign_out))
        .route("/settings", get(settings))
        .route("/whoami", get(whoami))
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

/// What every page shows around its content.
struct Frame {
    headers: Vec<Received>,
    account: Option<String>,
}

impl Frame {
    fn new(headers: &HeaderMap) -> Self {
        let headers = received(headers);
        let account = headers.iter().find(|header| header.name == "X-Entitlement-Account");
        Self { account: account.map(|header| header.value.clone()), headers }
    }

    fn tier(&self) -> &str {
        self.headers.iter().find(|header| header.name == "X-Entitlement-Tier").map_or("none", |header| &header.value)
    }
}

#[derive(Template)]
#[template(path = "site/front.html")]
struct Front {
    frame: Frame,
}

impl Front {
    fn shelf(&self, shelf: &Shelf) -> impl Iterator<Item = &'static Article> {
        ALL.iter().filter(move |article| article.shelf == *shelf)
    }
}

#[derive(Template)]
#[template(path = "site/article.html")]
struct ArticlePage {
    frame: Frame,
    article: &'static Article,
}

#[derive(Template)]
#[template(path = "site/login.html")]
struct Login {
    frame: Frame,
    next: String,
    users: Vec<User>,
}

#[derive(Template)]
#[template(path = "site/settings.html")]
struct SettingsPage {
    frame: Frame,
}

#[derive(Template)]
#[template(path = "site/nothing.html")]
struct Nothing {
    frame: Frame,
}

async fn front(headers: HeaderMap) -> Response {
    page(StatusCode::OK, &Front { frame: Frame::new(&headers) })
}

async fn free(Path(slug): Path<String>, headers: HeaderMap) -> Response {
    article(Shelf::Free, &slug, &headers)
}

/// No check here: whoever gets this far was let through by the gate.
async fn paid(Path(slug): Path<String>, headers: HeaderMap) -> Response {
    article(Shelf::Paid, &slug, &headers)
}

fn article(shelf: Shelf, slug: &str, headers: &HeaderMap) -> Response {
    let frame = Frame::new(headers);
    match Article::find(shelf, slug) {
        Some(article) => page(StatusCode::OK, &ArticlePage { frame, article }),
        None => page(StatusCode::NOT_FOUND, &Nothing { frame }),
    }
}

async fn settings(headers: HeaderMap) -> Response {
    page(StatusCode::OK, &SettingsPage { frame: Frame::new(&headers) })
}

async fn nothing(headers: HeaderMap) -> Response {
    page(StatusCode::NOT_FOUND, &Nothing { frame: Frame::new(&headers) })
}

/// The received headers as an object; absent ones are absent.
async fn whoami(headers: HeaderMap) -> Response {
    let headers = received(&headers).into_iter().map(|header| (header.name, Value::String(header.value)));
    ([(header::CACHE_CONTROL, "no-store")], Json(headers.collect::<Map<_, _>>())).into_response()
}

#[derive(Deserialize)]
struct LoginQuery {
    next: Option<String>,
}

async fn login(State(shared): State<Arc<Shared>>, Query(query): Query<LoginQuery>, headers: HeaderMap) -> Response {
    let (frame, next) = (Frame::new(&headers), local_path(query.next.as_deref()).to_owned());
    page(StatusCode::OK, &Login { frame, next, users: shared.users.clone() })
}

#[derive(Deserialize)]
struct SignIn {
    user: String,
    next: Option<String>,
}

async fn sign_in(State(shared): State<Arc<Shared>>, headers: HeaderMap, Form(form): Form<SignIn>) -> Response {
    let Some(user) = shared.users.iter().find(|user| user.id == form.user) else {
        return page(StatusCode::NOT_FOUND, &Nothing { frame: Frame::new(&headers) });
    };
    match shared.sessions.begin(&user.id, clock::now()) {
        Ok(cookie) => see_other(local_path(form.next.as_deref()), &cookie),
        Err(error) => {
            tracing::error!(%error, "nobody can sign in");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn sign_out(State(shared): State<Arc<Shared>>) -> Response {
    see_other("/", &shared.sessions.end())
}

fn see_other(path: &str, cookie: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path), (header::SET_COOKIE, cookie)]).into_response()
}

/// Pages show who is signed in, so none may be kept by a cache.
fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, [(header::CACHE_CONTROL, "no-store")], Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
