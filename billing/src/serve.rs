//! The routes of billing, and the process that serves them.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::component::Billing;
use crate::{api, app, caller, ingest, internal, nothing, pages, referral, unread};

/// How long what has begun may go on after the word to stop.
const DRAIN: Duration = Duration::from_secs(10);

impl Billing {
    /// Everything that billing answers.
    pub fn router(&self) -> Router {
        let invited = from_fn_with_state(self.clone(), referral::at_first_sight);
        self.delivered()
            .route("/internal/entitlements/{account}", get(internal::entitlement))
            .route("/internal/told", get(internal::told))
            .route("/internal/sessions/ended", post(internal::ended))
            .route("/internal/records/held", post(internal::held))
            .method_not_allowed_fallback(nothing::wrong_method)
            .merge(api::router(self).merge(pages::router(self)).layer(invited))
            .merge(app::router(self))
            .fallback(nothing::nothing)
            .layer(DefaultBodyLimit::max(ingest::BODY_BYTES_MAX))
            .layer(from_fn(caller::kept))
            .layer(from_fn(unread::take_in))
            .with_state(self.clone())
    }

    /// The webhooks and the keys, where they are called within Tollgate: the proxy sends on what is delivered at a path of the configuration.
    /// On a site below a path they are there as well.
    fn delivered(&self) -> Router<Self> {
        let own = self.settings().own_paths();
        let at = |router: Router<Self>, base: &str| {
            router
                .route(&format!("{base}/api/stripe/webhook"), post(ingest::stripe))
                .route(&format!("{base}/api/polar/webhook"), post(ingest::polar))
                .route(&format!("{base}/.well-known/tollgate/jwks.json"), get(internal::jwks))
        };
        let named = at(Router::new(), "");
        if own.base().is_empty() { named } else { at(named, own.base()) }
    }

    /// Serves, applies, publishes, watches and prunes until told to stop; then finishes what has begun, for at most ten seconds.
    ///
    /// # Errors
    /// When the listener fails, or a background task ends before it should.
    pub async fn run(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let mut parts = JoinSet::new();
        let (worker, publisher) = (self.clone().run_worker(stop.clone()), self.clone().run_publisher(stop.clone()));
        parts.spawn(worker.map(|()| "the worker"));
        parts.spawn(publisher.map(|()| "the publisher"));
        parts.spawn(self.clone().run_reconciler(stop.clone()).map(|()| "the reconciler"));
        parts.spawn(self.clone().run_watch(stop.clone()).map(|()| "the watch"));
        parts.spawn(self.clone().run_lineage(stop.clone()).map(|()| "the watch of whose word counts"));
        parts.spawn(self.clone().run_keeper(stop.clone()).map(|()| "the keeper of what is held"));
        parts.spawn(self.clone().run_key_watch(stop.clone()).map(|()| "the watch of the keys"));
        parts.spawn(self.clone().run_naming(stop.clone()).map(|()| "the watch of how accounts are named"));
        parts.spawn(self.clone().run_price_watch(stop.clone()).map(|()| "the watch of the prices"));
        parts.spawn(self.clone().run_checkout_watch(stop.clone()).map(|()| "the watch of open checkouts"));
        let kept = [self.settings().bodies_kept, self.settings().consents_kept];
        if let Some(shortest) = kept.into_iter().flatten().min() {
            parts.spawn(self.clone().run_pruner(shortest, stop.clone()).map(|()| "the pruner"));
        }
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop.clone().cancelled_owned());
        parts.spawn(serving.into_future().map(|_| "the server"));
        let early = tokio::select! {
            () = stop.cancelled() => None,
            ended = parts.join_next() => ended,
        };
        // A process that no longer does one of them must be started again, not linger.
        if let Some(ended) = early.filter(|_| !stop.is_cancelled()) {
            stop.cancel();
            return Err(io::Error::other(format!("{} ended by itself", ended.unwrap_or("a part of billing"))));
        }
        self.shared().tasks.close();
        let drained = async {
            self.shared().tasks.wait().await;
            while parts.join_next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("billing stopped with work unfinished; it is taken up again at the next start");
            parts.abort_all();
        }
        self.pool().close().await;
        Ok(())
    }
}
