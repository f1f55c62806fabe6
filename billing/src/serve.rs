//! The routes of billing, and the process that serves them.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::component::Billing;
use crate::problem::Problem;
use crate::{api, ingest, internal, pages};

/// How long what has begun may go on after the word to stop.
const DRAIN: Duration = Duration::from_secs(10);

impl Billing {
    /// Everything that billing answers.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/api/stripe/webhook", post(ingest::stripe))
            .route("/api/polar/webhook", post(ingest::polar))
            .route("/internal/entitlements/{account}", get(internal::entitlement))
            .route("/.well-known/tollgate/jwks.json", get(internal::jwks))
            .merge(api::router())
            .merge(pages::router())
            .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here."))
            .layer(DefaultBodyLimit::max(ingest::BODY_BYTES_MAX))
            .with_state(self.clone())
    }

    /// Serves, applies and publishes until told to stop; then finishes what has begun, for at most ten seconds.
    ///
    /// # Errors
    /// When the listener fails, or a background task ends before it should.
    pub async fn run(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let mut worker = tokio::spawn(self.clone().run_worker(stop.clone()));
        let mut publisher = tokio::spawn(self.clone().run_publisher(stop.clone()));
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop.clone().cancelled_owned());
        let mut server = tokio::spawn(async move { serving.await });
        let early = tokio::select! {
            () = stop.cancelled() => None,
            _ = &mut worker => Some("the worker ended"),
            _ = &mut publisher => Some("the publisher ended"),
            _ = &mut server => Some("the server ended"),
        };
        // A process that no longer does one of the three must be started again, not linger.
        if let Some(what) = early.filter(|_| !stop.is_cancelled()) {
            stop.cancel();
            return Err(io::Error::other(what));
        }
        self.shared().tasks.close();
        let drained = async {
            let _ = (&mut server).await;
            self.shared().tasks.wait().await;
            let _ = (&mut worker).await;
            let _ = (&mut publisher).await;
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("billing stopped with work unfinished; it is taken up again at the next start");
            for task in [server.abort_handle(), worker.abort_handle(), publisher.abort_handle()] {
                task.abort();
            }
        }
        self.pool().close().await;
        Ok(())
    }
}
