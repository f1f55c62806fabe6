//! A simulated payment provider that speaks as Polar does: webhooks by Standard Webhooks, an API to read, and a clock of
//! its own that can be moved.
//!
//! No money, no card, nothing kept on disk. [`Polar`] is the handle for tests; the same is reached over HTTP below
//! `/_control/`, without a token: it belongs on a loopback address.

mod api;
mod books;
mod control;
mod handle;
mod http;
mod refusal;
mod render;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use self::books::Books;
use self::refusal::Refusal;
use crate::clock;
use crate::delivery::{Delivery, Scheme};
use crate::faults::Door;
use crate::serve::{Server, Worker, bind};

pub use self::books::model::{RefundReason, RefundStatus};
pub use self::books::{NewCustomer, NewRefund, PauseAt, Seed, Subscribe};
pub use self::settings::{Product, Settings};
pub use crate::delivery::{Attempt, KeyForm, Parcel, StandardSecret, sign_standard};
pub use crate::faults::{Fault, FaultKind};

/// How far the clock may be moved in one step, in days: ten years.
const STEP_DAYS_MAX: i64 = 3660;

/// A running Polar. Dropping it cuts it off; [`Polar::shutdown`] lets open requests finish.
pub struct Polar {
    shared: Arc<Shared>,
    server: Server,
    deliverer: Worker,
}

/// What the API, the controls and the handle work on.
struct Shared {
    access_token: String,
    base_url: String,
    books: Mutex<Ledger>,
    delivery: Delivery,
    door: Door,
}

/// The books, and how far their clock is ahead of the machine's.
struct Ledger {
    books: Books,
    ahead: chrono::Duration,
}

impl Polar {
    /// Starts a Polar; it answers when this returns.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(settings: Settings) -> Result<Self> {
        let (listener, address) = bind(settings.listen).await?;
        let base_url = format!("http://{address}");
        let scheme = Scheme::Standard(settings.webhook_secrets);
        let delivery = Delivery::new(settings.webhook_url, scheme, settings.retry_delays)?;
        delivery.queue().set_failed_max(settings.failed_max);
        let mut books = Books::new(settings.products, clock::now());
        books.exhausted = settings.exhausted;
        let books = Mutex::new(Ledger { books, ahead: chrono::Duration::zero() });
        let door = Door::new(refusal::of_status);
        let shared = Arc::new(Shared { access_token: settings.access_token, base_url, books, delivery, door });
        let server = Server::run(listener, http::router(Arc::clone(&shared)));
        let worker = Arc::clone(&shared);
        let deliverer = Worker::run(async move { worker.delivery.run().await });
        Ok(Self { shared, server, deliverer })
    }

    /// Its own address, such as `http://127.0.0.1:4243`, without a slash at the end: the API is below `/v1/`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.base_url
    }

    /// Stops it. Open requests have two seconds to finish.
    pub async fn shutdown(self) {
        let Self { server, deliverer, .. } = self;
        drop(deliverer);
        server.stop().await;
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let until = clock::now() + ledger.ahead;
        if let Err(refusal) = ledger.books.play_until(until) {
            tracing::warn!(%refusal, "the simulated Polar's clock stands still");
        }
        self.delivery.push(ledger.books.take_emitted());
        ledger
    }

    /// Changes the books and queues what that emitted.
    fn change<T>(&self, change: impl FnOnce(&mut Books) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut ledger = self.ledger();
        let changed = change(&mut ledger.books);
        self.delivery.push(ledger.books.take_emitted());
        changed
    }

    fn advance(&self, by: chrono::Duration) -> Result<(), Refusal> {
        if by < chrono::Duration::zero() || by > chrono::Duration::days(STEP_DAYS_MAX) {
            return Err(Refusal::invalid("days", "The clock moves forward, at most ten years at once."));
        }
        let mut ledger = self.ledger();
        ledger.ahead += by;
        let until = ledger.books.now() + by;
        let played = ledger.books.play_until(until);
        self.delivery.push(ledger.books.take_emitted());
        played
    }
}
