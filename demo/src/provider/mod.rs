//! A simulated payment provider that speaks Stripe's HTTP: an API, hosted pages, webhooks, and a clock of its own that
//! can be moved.
//!
//! No money, no card, nothing kept on disk. [`Provider`] is the handle for tests; the same is reached over HTTP below
//! `/_control/`, without a key: it belongs on a loopback address.

mod api;
mod books;
mod control;
mod handle;
mod reading;
mod http;
mod pages;
mod refusal;
mod render;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use self::api::replies::Replies;
use self::books::Books;
use self::books::model::Ending;
use self::refusal::Refusal;
use crate::clock;
use crate::delivery::{Delivery, Scheme};
use crate::faults::Door;
use crate::serve::{Server, Worker, bind};

pub use self::books::model::{Card, DisputeStatus, Metadata, PauseBehavior, RefundStatus, TrialEnd};
pub(crate) use self::books::period_end;
pub use self::books::shop::HasDefault;
pub use self::books::{NewCustomer, Proration, Seed, Settled, WhileProcessing};
pub use self::settings::{
    Cadence, Echo, EventForm, Exhausted, Key, Mode, OWN_ACCOUNT, Price, Settings, Shape, Telling,
};
pub use crate::delivery::{Attempt, sign, signature_header};
pub use crate::faults::{Fault, FaultKind};

/// How far the clock may be moved in one step, in days: ten years.
const STEP_DAYS_MAX: i64 = 3660;

/// When a subscription should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAt {
    Now,
    /// With the paid period, as the portal does it: by `cancel_at` alone under flexible billing, else by
    /// `cancel_at_period_end`.
    PeriodEnd,
    /// With the paid period, by `cancel_at_period_end` whatever the billing mode.
    Flag,
    /// Then, by `cancel_at` alone.
    Moment(crate::Timestamp),
}

/// A subscription to begin without a checkout.
#[derive(Clone, Debug, Default)]
pub struct Subscribe {
    pub customer: String,
    pub price: String,
    /// 0 means 1.
    pub quantity: u32,
    /// Further prices, each once, of the same cadence.
    pub also: Vec<String>,
    /// 0: charged at once.
    pub trial_days: u32,
    /// What a trial without a card ends in.
    pub trial_end: TrialEnd,
    pub metadata: Metadata,
}

/// A running provider. Dropping it cuts it off; [`Provider::shutdown`] lets open requests finish.
pub struct Provider {
    shared: Arc<Shared>,
    server: Server,
    deliverer: Worker,
}

/// What the API, the pages, the controls and the handle work on.
struct Shared {
    /// The first is that of the settings.
    keys: Mutex<Vec<Key>>,
    base_url: String,
    books: Mutex<Ledger>,
    delivery: Delivery,
    door: Door,
}

/// The books, and how far their clock is ahead of the machine's.
struct Ledger {
    books: Books,
    ahead: chrono::Duration,
    replies: Replies,
}

impl Provider {
    /// Starts a provider; it answers when this returns.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(settings: Settings) -> Result<Self> {
        let (listener, address) = bind(settings.listen).await?;
        let base_url = format!("http://{address}");
        let endpoint = settings.webhook_url.clone();
        let scheme = Scheme::Stripe(vec![settings.webhook_secret]);
        let delivery = Delivery::new(settings.webhook_url, scheme, settings.retry_delays)?;
        let view =
            render::View { shape: settings.shape, base_url: base_url.clone(), livemode: settings.mode == Mode::Live };
        let mut books = Books::new(view, settings.prices, clock::now());
        books.exhausted = settings.exhausted;
        books.set_manner(|manner| {
            manner.form = settings.events;
            manner.account = settings.account;
            manner.endpoint = endpoint;
        });
        let ledger = Ledger { books, ahead: chrono::Duration::zero(), replies: Replies::default() };
        let (books, door) = (Mutex::new(ledger), Door::new(refusal::of_status));
        let shared =
            Arc::new(Shared { keys: Mutex::new(vec![Key::own(settings.api_key)]), base_url, books, delivery, door });
        let server = Server::run(listener, http::router(Arc::clone(&shared)));
        let worker = Arc::clone(&shared);
        let deliverer = Worker::run(async move { worker.delivery.run().await });
        Ok(Self { shared, server, deliverer })
    }

    /// Its own address, such as `http://127.0.0.1:4242`, without a slash at the end: the API is below `/v1/`.
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
            tracing::warn!(%refusal, "the provider's clock stands still");
        }
        self.delivery.push(ledger.books.take_emitted());
        ledger
    }

    /// Changes the books and queues what that emitted.
    fn change<T>(&self, change: impl FnOnce(&mut Books) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.change_ledger(|ledger| change(&mut ledger.books))
    }

    fn change_ledger<T>(&self, change: impl FnOnce(&mut Ledger) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut ledger = self.ledger();
        let changed = change(&mut ledger);
        self.delivery.push(ledger.books.take_emitted());
        changed
    }

    /// Delivers to the newest webhook endpoint that a call has made, with its secret and of its types.
    fn deliver_to(&self, books: &mut Books) {
        let Some(endpoint) = books.shop.newest_endpoint() else { return self.delivery.set_url(None) };
        let (url, events, secret) =
            (books.shop.place_of(&endpoint.url), endpoint.events.clone(), endpoint.secret.clone());
        self.delivery.set_scheme(Scheme::Stripe(vec![secret]));
        self.delivery.set_url(Some(url));
        books.set_manner(|manner| manner.enabled = (!events.iter().any(|event| event == "*")).then_some(events));
    }

    fn advance(&self, by: chrono::Duration) -> Result<(), Refusal> {
        if by < chrono::Duration::zero() || by > chrono::Duration::days(STEP_DAYS_MAX) {
            return Err(Refusal::invalid("days", "The clock moves forward, at most ten years at once."));
        }
        self.change_ledger(|ledger| {
            ledger.ahead += by;
            ledger.books.play_until(ledger.books.now() + by)
        })
    }

    fn cancel(&self, subscription: &str, at: CancelAt) -> Result<(), Refusal> {
        self.change(|books| match at {
            CancelAt::Now => books.cancel_now(subscription, "cancellation_requested"),
            CancelAt::PeriodEnd => books.cancel_in_portal(subscription),
            CancelAt::Flag => books.schedule_end(subscription, Ending::PeriodEnd),
            CancelAt::Moment(moment) => books.schedule_end(subscription, Ending::At(moment)),
        })
    }

    fn subscribe(&self, new: Subscribe) -> Result<String, Refusal> {
        self.change(|books| {
            let mut items = vec![(books.price(&new.price, "price")?.clone(), new.quantity.max(1))];
            for price in &new.also {
                items.push((books.price(price, "price")?.clone(), 1));
            }
            let trial_days = Some(new.trial_days).filter(|days| *days > 0);
            let Subscribe { customer, trial_end, metadata, .. } = new;
            books.subscribe(books::NewSubscription { customer, items, trial_days, trial_end, metadata })
        })
    }
}
