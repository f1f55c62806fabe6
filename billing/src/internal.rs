//! What the proxies ask when the cache does not know an account, and the keys that applications verify with.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use cache::CacheId;
use cache::Sparing;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::authorize::Lacking;
use entitlement::naming::Names;
use entitlement::record::forget::Forget;
use entitlement::record::{self, HIGH_WATER_HEADER, HighWater, Record, before};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::lineage::Line;
use crate::problem::Problem;
use crate::resolve::Resolved;

/// The format of records that a proxy reads.
const FORMAT_HEADER: &str = "tollgate-record";

/// The database that was asked.
const DATABASE_HEADER: &str = "tollgate-database";

/// `GET /internal/entitlements/{account}`: the record of an account, for whoever holds an assertion for it.
pub(crate) async fn entitlement(
    State(billing): State<Billing>,
    Path(account): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let account = AccountId::parse(&account).map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_account", format!("This is no account id: {e}."))
    })?;
    check_assertion(&billing, &headers, &account, now)?;
    let Resolved { entitlement, asked, from } = billing.resolve_at(&account, now).await?;
    // Proxies of older builds do not say which format they read.
    let reads = headers.get(FORMAT_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let text = match reads {
        Some(record::FORMAT) => record::encode(&Record { database: from, entitlement }),
        _ => before::encode(&entitlement),
    };
    let text = text.map_err(|error| {
        tracing::error!(%account, %error, "a record cannot be encoded");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "record_unavailable", "The record cannot be written.")
    })?;
    let mut response = ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], text).into_response();
    if let Ok(asked) = HeaderValue::try_from(asked.to_string()) {
        response.headers_mut().insert(DATABASE_HEADER, asked);
    }
    Ok(response)
}

/// Most warnings that a proxy is told, and how long each may be, in bytes.
const WARNINGS_MAX: usize = 8;
const WARNING_BYTES_MAX: usize = 2_000;

/// The answer to a proxy that asks about billing.
#[derive(Serialize)]
struct Said {
    #[serde(flatten)]
    line: Line,
    /// Warnings for an operator that concern proxies as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Tiers and features that the catalog in force lacks, while another one is held back.
    #[serde(skip_serializing_if = "Lacking::is_empty")]
    lacking: Lacking,
    /// By which a proxy finds out whether it shares billing's cache: empty where billing has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheId>,
    /// By which claims accounts are named, whatever a proxy's configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Names>,
    /// The addresses of pages and webhooks, by the keys of the configuration.
    addresses: BTreeMap<String, String>,
}

/// `GET /internal/told`: 200 when the cache has been told of every change, 409 while it lacks some that it could not be told
/// of; which records it speaks of; and what of it concerns proxies: warnings, a catalog that is held back, the cache. It says nothing of
/// any account, so no assertion is asked for. Billing of older builds answered with the status alone. A proxy adds what it
/// remembers of the database, with an assertion for the account of probes.
pub(crate) async fn told(State(billing): State<Billing>, headers: HeaderMap) -> Response {
    if let Some(heard) = heard(&billing, &headers)
        && let Err(error) = billing.hear(heard).await
    {
        tracing::debug!(error = chain::told(&error), "what a proxy remembers of the database could not be looked into");
        // It would take a database that nobody has agreed to for one whose word counts, and forget the one that it followed.
        if billing.line().is_some_and(|line| line.database != heard.database) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    let status = if billing.has_told() { StatusCode::OK } else { StatusCode::CONFLICT };
    match billing.line() {
        Some(line) => {
            let (why, lacking) = billing.held_back_now().await.unzip();
            let others = [billing.database_warning(), billing.cache_warning()];
            let warnings = why.into_iter().chain(others.into_iter().flatten()).take(WARNINGS_MAX);
            let warnings =
                warnings.map(|text| text[..text.floor_char_boundary(WARNING_BYTES_MAX)].to_owned()).collect();
            let (lacking, cache) = (lacking.unwrap_or_default(), billing.shared().outlets.cache_id());
            let (names, addresses) = (billing.names(), billing.settings().addresses.clone());
            (status, Json(Said { line, warnings, lacking, cache, names, addresses })).into_response()
        }
        // Not asked yet: soon.
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What a proxy remembers of the database; nothing where it does not prove that it is one.
fn heard(billing: &Billing, headers: &HeaderMap) -> Option<HighWater> {
    let heard = headers.get(HIGH_WATER_HEADER)?.to_str().ok()?.parse().ok()?;
    let probe = AccountId::parse(record::PROBE).ok()?;
    check_assertion(billing, headers, &probe, clock::now()).ok()?;
    Some(heard)
}

/// `POST /internal/sessions/ended`: sessions that a proxy has seen end, for all others. 204 once every process is told.
pub(crate) async fn ended(
    State(billing): State<Billing>,
    headers: HeaderMap,
    body: Result<Json<Forget>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let unreadable = || Problem::new(StatusCode::BAD_REQUEST, "bad_request", "These are no ends of sessions.");
    let probe = AccountId::parse(record::PROBE).map_err(|_| unreadable())?;
    check_assertion(&billing, &headers, &probe, clock::now())?;
    let Json(forget) = body.map_err(|_| unreadable())?;
    if !forget.is_of_few_sessions() {
        return Err(unreadable());
    }
    billing.tell_ends(&forget).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /internal/records/held`: records that a proxy has of the database whose place this one takes. 204 once they are where the others
/// are that are held.
pub(crate) async fn held(
    State(billing): State<Billing>,
    headers: HeaderMap,
    body: Result<Json<Vec<String>>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let unreadable = || Problem::new(StatusCode::BAD_REQUEST, "bad_request", "These are no records.");
    let probe = AccountId::parse(record::PROBE).map_err(|_| unreadable())?;
    check_assertion(&billing, &headers, &probe, clock::now())?;
    let Json(records) = body.map_err(|_| unreadable())?;
    billing.put_back(&records).await.map_err(|error| {
        tracing::debug!(
            error = chain::told(&error),
            "what a proxy has of the database before this one is not kept yet"
        );
        let detail = "The records cannot be kept now. Try again shortly.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "cache_unavailable", detail)
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The proxy signs for the very account that it asks about: what it was given by mistake opens nothing else.
fn check_assertion(billing: &Billing, headers: &HeaderMap, account: &AccountId, now: Timestamp) -> Result<(), Problem> {
    let settings = billing.settings();
    let refused = |why: String| {
        static REFUSED: Sparing = Sparing::new();
        if let Some(untold) = REFUSED.tells(&why) {
            tracing::warn!(%account, why, untold, "a question about an account was refused: TOLLGATE_ASSERTION_KEY and site.url of the proxy have to be those of billing");
        }
        Problem::new(StatusCode::UNAUTHORIZED, "invalid_assertion", "An assertion for this account is needed.")
    };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| refused("there is none".into()))?;
    let verified = settings.assertion.verify(token, &settings.site_url, &settings.assertion_audience, now);
    let claims = verified.map_err(|e| refused(chain::told(&e)))?;
    if claims.sub == *account { Ok(()) } else { Err(refused("it is for another account".into())) }
}

/// `GET /.well-known/tollgate/jwks.json`: public, and empty when the key is a shared secret.
pub(crate) async fn jwks(State(billing): State<Billing>) -> Response {
    let cached = HeaderValue::from_static("public, max-age=300");
    ([(header::CACHE_CONTROL, cached)], Json(billing.settings().assertion.jwks())).into_response()
}
