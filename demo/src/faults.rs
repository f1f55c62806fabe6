//! What goes wrong with a simulated provider's API when a test wants it to, and how often it was called.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a call hangs, or is held, at most.
const WAIT_LIMIT: Duration = Duration::from_secs(120);
/// Kinds of calls that are counted; further ones are counted together.
const COUNTED_MAX: usize = 1000;
/// Where further kinds of calls are counted.
const OTHERS: &str = "others";
/// Faults that may be planned at once.
const PLANNED_MAX: usize = 1000;

/// What happens to calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// 429, with `Retry-After`.
    TooManyRequests { retry_after_secs: u32 },
    /// 500, with an error in the provider's own format.
    ServerError,
    /// 402, with an error in the provider's own format: the buyer's bank refuses.
    Declined,
    /// 400, with an error in the provider's own format: the seller asks for something that is not there.
    Mistaken,
    /// 502, with a page in HTML, as a proxy before the provider sends it.
    BadGateway,
    /// No answer, for two minutes.
    Hang,
    /// Answered from the books as they are now, but the answer is held until it is released.
    Hold,
    /// The call is carried out, and its answer is lost: a 502, as from a proxy.
    Lose,
}

/// A fault of the next calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Only calls whose path begins so, such as `/v1/subscriptions`, or of one method, such as `POST /v1/prices`; empty: any.
    #[serde(default)]
    pub path: String,
    /// How many calls it meets.
    #[serde(default = "once")]
    pub count: u32,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// Meets the next call, whatever its path.
    #[must_use]
    pub const fn next(kind: FaultKind) -> Self {
        Self { kind, path: String::new(), count: 1 }
    }
}

/// The API's door: counts who comes in, and plays the faults.
pub struct Door {
    planned: Mutex<Vec<Fault>>,
    calls: Mutex<BTreeMap<String, u64>>,
    released: watch::Sender<u64>,
    held: AtomicUsize,
    /// An error in the provider's own format, of this status.
    error: fn(StatusCode) -> Value,
}

/// How a call goes on.
pub enum Entry {
    Answer,
    /// Answer, but let the answer wait.
    Hold(Held),
    /// Do it, and then fail like this.
    Lose(FaultKind),
    Fail(FaultKind),
}

/// A call whose answer waits for [`Door::release`].
pub struct Held(watch::Receiver<u64>);

/// Counts a held answer down, even when its caller goes away before.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Door {
    pub fn new(error: fn(StatusCode) -> Value) -> Self {
        let (released, _) = watch::channel(0);
        let (planned, calls) = (Mutex::default(), Mutex::default());
        Self { planned, calls, released, held: AtomicUsize::new(0), error }
    }

    /// Plans a fault, after those that are planned already. Answers whether there was room.
    pub fn plan(&self, fault: Fault) -> bool {
        let mut planned = lock(&self.planned);
        let has_room = planned.len() < PLANNED_MAX;
        if has_room {
            planned.push(fault);
        }
        has_room
    }

    /// Forgets every fault that has not happened, and lets go of what is held.
    pub fn clear(&self) {
        lock(&self.planned).clear();
        self.release();
    }

    /// Lets every held answer go.
    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    /// How many answers are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// How often each kind of call came, such as `GET /v1/subscriptions/{id}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.calls).clone()
    }

    /// Counts from zero again.
    pub fn forget_calls(&self) {
        lock(&self.calls).clear();
    }

    /// Counts a call, and says how it goes on.
    pub fn enter(&self, method: &Method, path: &str) -> Entry {
        {
            let mut calls = lock(&self.calls);
            let kind = kind_of(method, path);
            let is_new = !calls.contains_key(&kind);
            let kind = if is_new && calls.len() >= COUNTED_MAX { OTHERS.to_owned() } else { kind };
            *calls.entry(kind).or_default() += 1;
        }
        match self.next_fault(&format!("{method} {path}")) {
            None => Entry::Answer,
            Some(FaultKind::Hold) => {
                // Subscribed before the answer is made, so that no release is missed.
                let held = Held(self.released.subscribe());
                self.held.fetch_add(1, Ordering::AcqRel);
                Entry::Hold(held)
            }
            Some(FaultKind::Lose) => Entry::Lose(FaultKind::BadGateway),
            Some(kind) => Entry::Fail(kind),
        }
    }

    /// Of a call such as `GET /v1/prices`.
    fn next_fault(&self, call: &str) -> Option<FaultKind> {
        let path = call.split_once(' ').map_or(call, |(_, path)| path);
        let mut planned = lock(&self.planned);
        planned.retain(|fault| fault.count > 0);
        let fault = planned.iter_mut().find(|fault| path.starts_with(&fault.path) || call.starts_with(&fault.path))?;
        fault.count -= 1;
        Some(fault.kind.clone())
    }

    /// Waits until the answer may go; not longer than two minutes.
    pub async fn wait(&self, mut held: Held) {
        let _counted = Counted(&self.held);
        // Too late and released mean the same here: the answer goes.
        let _ = timeout(WAIT_LIMIT, held.0.changed()).await;
    }

    /// What a failed call gets to see.
    pub async fn fail(&self, kind: FaultKind) -> Response {
        let json = |status: StatusCode| (status, Json((self.error)(status))).into_response();
        match kind {
            FaultKind::TooManyRequests { retry_after_secs } => {
                let mut response = json(StatusCode::TOO_MANY_REQUESTS);
                response.headers_mut().insert(header::RETRY_AFTER, retry_after_secs.into());
                response
            }
            FaultKind::Declined => json(StatusCode::PAYMENT_REQUIRED),
            FaultKind::Mistaken => json(StatusCode::BAD_REQUEST),
            FaultKind::ServerError => json(StatusCode::INTERNAL_SERVER_ERROR),
            FaultKind::BadGateway | FaultKind::Lose => {
                (StatusCode::BAD_GATEWAY, Html("<h1>502 Bad Gateway</h1>")).into_response()
            }
            FaultKind::Hang | FaultKind::Hold => {
                sleep(WAIT_LIMIT).await;
                json(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call without what differs from object to object.
fn kind_of(method: &Method, path: &str) -> String {
    let mut kind = format!("{method} ");
    let mut before = "";
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let is_version = matches!(segment, "v1" | "v2");
        let is_id = before == "external" || (!is_version && segment.contains(|c: char| c.is_ascii_digit()));
        kind.push('/');
        kind.push_str(if is_id { "{id}" } else { segment });
        before = segment;
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_their_kind() {
        let door = Door::new(|_| Value::Null);
        for path in
            ["/v1/subscriptions", "/v1/subscriptions/sub_1", "/v1/subscriptions/sub_2", "/v1/customers/external/alice"]
        {
            assert!(matches!(door.enter(&Method::GET, path), Entry::Answer));
        }
        let kinds =
            [("GET /v1/customers/external/{id}", 1), ("GET /v1/subscriptions", 1), ("GET /v1/subscriptions/{id}", 2)];
        assert_eq!(door.calls(), kinds.map(|(kind, count)| (kind.to_owned(), count)).into());
        door.forget_calls();
        assert!(door.calls().is_empty());
        for kind in 0..COUNTED_MAX + 5 {
            // In letters: what has a digit is taken for an id.
            let path: String = format!("{kind:04}").bytes().map(|digit| char::from(digit + b'a' - b'0')).collect();
            door.enter(&Method::GET, &path);
        }
        assert_eq!((door.calls().len(), door.calls().get(OTHERS).copied()), (COUNTED_MAX + 1, Some(5)));
    }

    #[test]
    fn a_fault_meets_as_many_calls_as_it_says_below_its_path() {
        let door = Door::new(|_| Value::Null);
        door.plan(Fault { kind: FaultKind::ServerError, path: "/v1/invoices".to_owned(), count: 2 });
        door.plan(Fault::next(FaultKind::BadGateway));
        door.plan(Fault { kind: FaultKind::Declined, path: "POST /v1/invoices".to_owned(), count: 1 });
        let met = |path: &str| match door.enter(&Method::GET, path) {
            Entry::Fail(kind) => Some(kind),
            _ => None,
        };
        assert_eq!(met("/v1/invoices/in_1"), Some(FaultKind::ServerError));
        assert_eq!(met("/v1/charges"), Some(FaultKind::BadGateway));
        assert_eq!(met("/v1/charges"), None);
        assert_eq!(met("/v1/invoices"), Some(FaultKind::ServerError));
        assert_eq!(met("/v1/invoices"), None);
    }

    #[tokio::test]
    async fn a_held_answer_goes_when_it_is_released() {
        let door = Door::new(|_| Value::Null);
        door.plan(Fault::next(FaultKind::Hold));
        let Entry::Hold(held) = door.enter(&Method::GET, "/v1/charges") else { panic!("it is held") };
        assert_eq!(door.held(), 1);
        door.release();
        timeout(Duration::from_secs(20), door.wait(held)).await.expect("it goes");
        assert_eq!(door.held(), 0);
    }
}
