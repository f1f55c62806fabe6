//! An Axum site behind Tollgate: a page for everybody and a report for those who paid.
//!
//! There is no billing code. Tollgate lets /premium through for paying accounts only and says who asks in headers. What
//! matters is taken from the signed assertion alone, so that nobody who reaches this process past the gate, or through a
//! gateway that lets a header through, can claim anything. A gateway may send a header empty where there is nothing.
//!
//! ```text
//! tollgate run --config tollgate.toml
//! SITE_URL=http://127.0.0.1:8080 PORT=3000 cargo run
//! ```

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// Keys change seldom; a key that we do not know is asked for this often at most.
const REFETCH_MIN: Duration = Duration::from_secs(10);

/// What verifies assertions.
#[derive(Clone)]
struct Gate {
    keys_url: String,
    validation: Validation,
    keys: Arc<Mutex<Keys>>,
    client: reqwest::Client,
}

#[derive(Default)]
struct Keys {
    set: Option<JwkSet>,
    fetched: Option<Instant>,
}

/// Who asks: the verified claims.
#[derive(Deserialize, Serialize)]
struct Visitor {
    sub: String,
    tier: Option<String>,
    features: Vec<String>,
}

/// Why a page is not served.
type Refusal = (StatusCode, Json<Value>);

fn refusal(status: StatusCode, detail: &str) -> Refusal {
    (status, Json(json!({ "detail": detail })))
}

impl Gate {
    /// `site_url` and `audience` are those of tollgate.toml.
    fn new(site_url: &str, audience: &str) -> Result<Self, reqwest::Error> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = 5;
        validation.set_issuer(&[site_url]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let keys_url = format!("{site_url}/.well-known/tollgate/jwks.json");
        Ok(Self { keys_url, validation, keys: Arc::default(), client })
    }

    async fn verify(&self, assertion: &str) -> Option<Visitor> {
        let id = jsonwebtoken::decode_header(assertion).ok()?.kid?;
        let key = self.key(&id).await?;
        Some(jsonwebtoken::decode(assertion, &key, &self.validation).ok()?.claims)
    }

    /// The key of that id: from memory, or fetched.
    async fn key(&self, id: &str) -> Option<DecodingKey> {
        let mut keys = self.keys.lock().await;
        let is_known = keys.set.as_ref().is_some_and(|set| set.find(id).is_some());
        if !is_known && keys.fetched.is_none_or(|fetched| fetched.elapsed() > REFETCH_MIN) {
            keys.fetched = Some(Instant::now());
            keys.set = Some(self.client.get(&self.keys_url).send().await.ok()?.json().await.ok()?);
        }
        DecodingKey::from_jwk(keys.set.as_ref()?.find(id)?).ok()
    }
}

/// A stranger is none; an assertion that does not verify is refused.
impl OptionalFromRequestParts<Gate> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Option<Self>, Refusal> {
        let assertion = parts.headers.get("x-entitlement-assertion").filter(|assertion| !assertion.is_empty());
        let Some(assertion) = assertion else { return Ok(None) };
        let visitor = match assertion.to_str() {
            Ok(assertion) => gate.verify(assertion).await,
            Err(_) => None,
        };
        visitor.map(Some).ok_or_else(|| refusal(StatusCode::UNAUTHORIZED, "the assertion does not verify"))
    }
}

/// A visitor who paid. Refuses whoever came past the gate.
struct Subscriber(Visitor);

impl FromRequestParts<Gate> for Subscriber {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Refusal> {
        let visitor = <Visitor as OptionalFromRequestParts<Gate>>::from_request_parts(parts, gate).await?;
        match visitor {
            None => Err(refusal(StatusCode::UNAUTHORIZED, "this page is served through Tollgate only")),
            Some(visitor) if !visitor.features.iter().any(|name| name == "archive") => {
                Err(refusal(StatusCode::FORBIDDEN, "this page needs the feature `archive`"))
            }
            Some(visitor) => Ok(Self(visitor)),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

async fn home(visitor: Option<Visitor>) -> Json<Value> {
    let tier = visitor.and_then(|visitor| visitor.tier).unwrap_or_else(|| "stranger".to_owned());
    Json(json!({ "page": "home", "greeting": format!("Welcome, {tier}!") }))
}

/// For those who paid.
async fn report(Subscriber(visitor): Subscriber, headers: HeaderMap) -> Json<Value> {
    let Visitor { sub, tier, features } = visitor;
    let until = header(&headers, "x-entitlement-valid-until");
    Json(json!({ "page": "report", "account": sub, "tier": tier, "features": features, "until": until }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let set = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    // The audience is identity.audience; by default the host of site.url.
    let gate = Gate::new(&set("SITE_URL", "http://127.0.0.1:8080"), &set("AUDIENCE", "127.0.0.1"))?;
    let app = Router::new().route("/", get(home)).route("/premium/report", get(report)).with_state(gate);
    let listener = TcpListener::bind(("127.0.0.1", set("PORT", "3000").parse()?)).await?;
    Ok(axum::serve(listener, app).await?)
}
