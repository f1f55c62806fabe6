//! Binding and stopping an HTTP server, the same way for the provider and the site.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long open requests may take to finish after a server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// A running server. Dropping it cuts its connections; [`Server::stop`] lets them finish.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// A task that ends when its owner does.
pub struct Worker(JoinHandle<()>);

impl Worker {
    /// Starts the task.
    pub fn run(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes an address; port 0 picks a free one, which the returned address names.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("the listener has no address")?;
    Ok((listener, address))
}

impl Server {
    /// Serves `router` until it is stopped or dropped.
    pub fn run(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            // A dropped sender means the same as a sent word.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "a demo server ended");
            }
        });
        Self { stop: Some(stop), task }
    }

    /// Stops accepting, lets open requests finish for two seconds, then cuts them.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens any more when the server has already ended.
            let _ = stop.send(());
        }
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            tracing::debug!("a demo server was cut with requests still open");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
