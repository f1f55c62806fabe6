//! What a site would write for nginx `auth_request`, Caddy `forward_auth`, Traefik or Envoy if it wanted it fast: one
//! thread, hyper, one multiplexed connection to Redis, a key that is read once.
//!
//! Verifies an HS256 token, reads `tier:ACCOUNT`, and answers 200 with who it is, 401, or 403 when the path needs to be paid.
//!
//!     auth LISTEN REDIS_URL          (with JWT_SECRET in the environment)

#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAID: &str = "/premium/";
/// Where the gateways say what was asked for: nginx, as it is told to; Caddy and Traefik; Envoy asks for the path itself.
const PATH_HEADERS: [&str; 2] = ["x-original-uri", "x-forwarded-uri"];

struct Auth {
    key: DecodingKey,
    validation: Validation,
    redis: MultiplexedConnection,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl Auth {
    async fn answer(&self, request: &Request<Incoming>) -> Result<Response<Empty<Bytes>>, StatusCode> {
        let account = self.account(request).ok_or(StatusCode::UNAUTHORIZED)?;
        let tier = self.tier(&account).await?;
        if path(request).starts_with(PAID) && tier != "paid" {
            return Err(StatusCode::FORBIDDEN);
        }
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| StatusCode::UNAUTHORIZED);
        let mut response = Response::new(Empty::new());
        response.headers_mut().insert("x-user-id", value(&account)?);
        response.headers_mut().insert("x-user-tier", value(&tier)?);
        Ok(response)
    }

    fn account(&self, request: &Request<Incoming>) -> Option<String> {
        let token = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?;
        Some(claims.claims.sub)
    }

    async fn tier(&self, account: &str) -> Result<String, StatusCode> {
        let mut redis = self.redis.clone();
        let answer = redis::cmd("GET").arg(format!("tier:{account}")).query_async::<Option<String>>(&mut redis).await;
        let tier = answer.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        Ok(tier.unwrap_or_else(|| "free".to_owned()))
    }
}

fn path(request: &Request<Incoming>) -> &str {
    let told = PATH_HEADERS.iter().find_map(|name| request.headers().get(*name)?.to_str().ok());
    told.unwrap_or_else(|| request.uri().path())
}

async fn serve(auth: Rc<Auth>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(auth.answer(&request).await.unwrap_or_else(|status| {
        let mut refused = Response::new(Empty::new());
        *refused.status_mut() = status;
        refused
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, redis_url] = arguments.as_slice() else { bail!("usage: auth LISTEN REDIS_URL") };
    let secret = std::env::var("JWT_SECRET").context("JWT_SECRET")?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "sub"]);
    validation.leeway = 2;
    validation.validate_aud = false;
    let redis = redis::Client::open(redis_url.as_str())?.get_multiplexed_async_connection().await?;
    let auth = Rc::new(Auth { key: DecodingKey::from_secret(secret.as_bytes()), validation, redis });
    let listener = TcpListener::bind(listen).await?;
    LocalSet::new().run_until(accept(listener, auth)).await
}

async fn accept(listener: TcpListener, auth: Rc<Auth>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let auth = Rc::clone(&auth);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| serve(Rc::clone(&auth), request));
            // Whoever closes the connection says so to itself.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
