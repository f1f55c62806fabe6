//! Webhooks of the simulated providers: every event is posted, signed anew in each try, until it is accepted or given up.

mod queue;
mod signature;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::queue::{Next, Queue};
use crate::{Timestamp, clock};

pub use self::queue::{Attempt, Gate};
pub use self::signature::{KeyForm, Parcel, Scheme, StandardSecret, header as signature_header, sign, sign_standard};

/// Names and values.
pub type Headers = Vec<(&'static str, String)>;

/// How long one try may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
/// How much of an answer is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// An event as it is sent: its body never changes afterwards.
#[derive(Debug)]
pub struct Event {
    pub id: String,
    /// The provider's word for what happened.
    pub kind: String,
    /// By the provider's own clock.
    pub created: Timestamp,
    pub body: Value,
    accepted: AtomicBool,
}

impl Event {
    pub const fn new(id: String, kind: String, created: Timestamp, body: Value) -> Self {
        Self { id, kind, created, body, accepted: AtomicBool::new(false) }
    }

    /// Whether the endpoint has accepted it in any try.
    pub fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// The one webhook endpoint of a provider.
pub struct Delivery {
    queue: Mutex<Queue>,
    url: Mutex<Option<String>>,
    scheme: Mutex<Scheme>,
    http: reqwest::Client,
    sent: AtomicUsize,
    /// The worker has something to look at.
    wake: Notify,
    /// Something was settled.
    settled: Notify,
}

impl Delivery {
    /// Sends to `url`, if there is one; waits `retry_delays` before each further try.
    pub fn new(url: Option<String>, scheme: Scheme, retry_delays: Vec<Duration>) -> Result<Self> {
        let http = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(ATTEMPT_LIMIT);
        Ok(Self {
            queue: Mutex::new(Queue::new(retry_delays)),
            url: Mutex::new(url),
            scheme: Mutex::new(scheme),
            http: http.build().context("cannot prepare the webhook client")?,
            sent: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: Notify::new(),
        })
    }

    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where events go from now on. What was emitted without an endpoint is not sent later.
    pub fn set_url(&self, url: Option<String>) {
        let is_none = url.is_none();
        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = url;
        if is_none {
            self.queue().clear();
        }
        self.settled.notify_waiters();
    }

    /// Signs every delivery like this from now on.
    pub fn set_scheme(&self, scheme: Scheme) {
        *self.scheme.lock().unwrap_or_else(PoisonError::into_inner) = scheme;
    }

    fn url(&self) -> Option<String> {
        self.url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Queues events, if there is an endpoint.
    pub fn push(&self, events: Vec<Arc<Event>>) {
        if events.is_empty() || self.url().is_none() {
            return;
        }
        let mut queue = self.queue();
        for event in events {
            queue.push(event, Instant::now());
        }
        self.wake.notify_one();
    }

    /// Holds everything back, or lets it go again in order.
    pub fn set_gate(&self, gate: Gate) {
        self.queue().gate = gate;
        self.wake.notify_one();
    }

    /// Drops an event that waits. Answers whether one did.
    pub fn discard(&self, id: &str) -> bool {
        let dropped = self.queue().discard(id);
        self.settled.notify_waiters();
        dropped
    }

    /// Delivers what is queued, one after the other. Never ends by itself.
    pub async fn run(&self) {
        loop {
            let next = self.queue().next(Instant::now());
            match next {
                Next::Send(event) => {
                    let attempt = self.attempt(&event).await;
                    self.queue().settle(&event.id, &attempt, Instant::now());
                    self.settled.notify_waiters();
                }
                Next::WaitUntil(due) => {
                    // Either end means the same: look again.
                    let _ = tokio::time::timeout_at(due, self.wake.notified()).await;
                }
                Next::Wait => self.wake.notified().await,
            }
        }
    }

    /// Sends an event once, now, whatever is queued or held, and takes it out of the queue when it is accepted.
    pub async fn deliver(&self, event: &Event) -> Result<Attempt> {
        let attempt = self.redeliver(event).await?;
        if attempt.is_accepted() {
            self.discard(&event.id);
        }
        Ok(attempt)
    }

    /// Sends an event once, now, and leaves the queue as it is.
    pub async fn redeliver(&self, event: &Event) -> Result<Attempt> {
        if self.url().is_none() {
            bail!("there is no webhook endpoint");
        }
        Ok(self.attempt(event).await)
    }

    /// Waits until everything was accepted or given up.
    pub async fn idle(&self, limit: Duration) -> Result<()> {
        let idle = async {
            loop {
                let settled = self.settled.notified();
                tokio::pin!(settled);
                // Listen before looking, so that what settles in between is not missed.
                settled.as_mut().enable();
                if self.queue().is_idle() {
                    return;
                }
                settled.await;
            }
        };
        if timeout(limit, idle).await.is_err() {
            bail!("{} events were still waiting after {limit:?}", self.queue().waiting().len());
        }
        Ok(())
    }

    /// One try, written into the log.
    async fn attempt(&self, event: &Event) -> Attempt {
        let at = clock::now();
        let (status, body) = match self.post(event, at).await {
            Ok((status, body)) => (Some(status), body),
            Err(error) => (None, format!("{error:#}")),
        };
        let attempt = Attempt { event: event.id.clone(), kind: event.kind.clone(), at, status, body };
        tracing::debug!(event = attempt.event, kind = attempt.kind, status = attempt.status, "a webhook was sent");
        if attempt.is_accepted() {
            event.accepted.store(true, Ordering::Relaxed);
        }
        self.queue().record(attempt.clone());
        attempt
    }

    async fn post(&self, event: &Event, at: Timestamp) -> Result<(u16, String)> {
        let url = self.url().context("there is no webhook endpoint")?;
        let (body, headers) = self.signed(event, at)?;
        let mut request = self.http.post(url).header("content-type", "application/json; charset=utf-8").body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let mut answer = Vec::new();
        while answer.len() < ANSWER_BYTES_MAX
            && let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)?
        {
            answer.extend_from_slice(&chunk);
        }
        answer.truncate(ANSWER_BYTES_MAX);
        Ok((response.status().as_u16(), String::from_utf8_lossy(&answer).into_owned()))
    }

    /// The bytes of an event, and the headers that go with them.
    fn signed(&self, event: &Event, at: Timestamp) -> Result<(Vec<u8>, Headers)> {
        let scheme = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        let body = match &*scheme {
            // With line breaks, as Stripe sends it: whoever verifies a re-encoded body notices.
            Scheme::Stripe(_) => serde_json::to_vec_pretty(&event.body),
            Scheme::Standard(_) => serde_json::to_vec(&event.body),
        };
        let body = body.context("the event cannot be written")?;
        let mut headers = scheme.headers(&Parcel { id: &event.id, at, body: &body })?;
        match &*scheme {
            Scheme::Stripe(_) => {
                // Test mode adds a scheme that must be ignored; every other time here, so that both headers are met.
                if self.sent.fetch_add(1, Ordering::Relaxed) % 2 == 1
                    && let Some((_, signature)) = headers.first_mut()
                {
                    signature.push_str(&format!(",v0={}", "0".repeat(64)));
                }
                headers.push(("user-agent", "Stripe/1.0 (simulated)".to_owned()));
            }
            Scheme::Standard(_) => headers.push(("user-agent", "polar.sh webhooks (simulated)".to_owned())),
        }
        Ok((body, headers))
    }
}
