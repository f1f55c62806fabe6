//! Whether the process is alive and ready, and what it counts: for those who watch it, without a token.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Encoder, IntGauge, Opts, TextEncoder};

/// Something that may not be ready yet.
#[async_trait]
pub trait Ready: Send + Sync {
    /// What is missing, in an operator's words; empty when ready.
    async fn missing(&self) -> Vec<String>;

    /// What an operator should know although it is ready.
    async fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Everything that has to be ready before the process takes traffic.
pub type Parts = Arc<Vec<Box<dyn Ready>>>;

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(parts: Parts) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(parts)
}

async fn readyz(State(parts): State<Parts>) -> Response {
    let (mut missing, mut warnings) = (Vec::new(), Vec::new());
    for part in parts.iter() {
        missing.extend(part.missing().await);
        // Several parts may meet the same fault.
        for warning in part.warnings().await {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": missing.is_empty(), "missing": missing, "warnings": warnings })))
        .into_response()
}

/// Says which build this is, for as long as the process lives.
///
/// # Errors
/// When something else in the process has taken the name.
pub fn register_build() -> Result<(), prometheus::Error> {
    let help = "1; the labels say which build this is";
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("TOLLGATE_COMMIT"))];
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let build = IntGauge::with_opts(Opts::new("tollgate_build_info", help).const_labels(labels))?;
    build.set(1);
    match prometheus::register(Box::new(build)) {
        // By a server before this one in the same process.
        Err(prometheus::Error::AlreadyReg) => Ok(()),
        registered => registered,
    }
}

async fn metrics() -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&prometheus::gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type())], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
