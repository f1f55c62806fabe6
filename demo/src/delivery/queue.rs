//! What still has to be delivered, when, and what came of each try. No I/O.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::Event;
use crate::Timestamp;

/// Deliveries that wait at most; what comes on top is not delivered, as if it had been given up.
const WAITING_MAX: usize = 20_000;
/// Tries that the log keeps; older ones are forgotten.
const LOG_MAX: usize = 20_000;

/// One try to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub event: String,
    /// The provider's word for what happened.
    pub kind: String,
    /// By the clock of the machine.
    pub at: Timestamp,
    /// `None` when no answer came.
    pub status: Option<u16>,
    /// The beginning of the answer, or why there was none.
    pub body: String,
}

impl Attempt {
    /// Only a 2xx counts: a redirect is a failure.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

/// Whether deliveries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    Held,
}

/// What the worker should do next.
pub enum Next {
    Send(Arc<Event>),
    /// Nothing before this moment.
    WaitUntil(Instant),
    /// Nothing until something changes.
    Wait,
}

/// The queue of one webhook endpoint.
pub struct Queue {
    waiting: VecDeque<Waiting>,
    pub gate: Gate,
    retry_delays: Vec<Duration>,
    in_flight: Option<String>,
    log: VecDeque<Attempt>,
    /// Failed tries since the last accepted one.
    failed_in_row: u32,
    /// After so many the endpoint is switched off.
    failed_max: Option<u32>,
}

struct Waiting {
    event: Arc<Event>,
    failed: usize,
    due: Instant,
}

impl Queue {
    pub const fn new(retry_delays: Vec<Duration>) -> Self {
        Self {
            waiting: VecDeque::new(),
            gate: Gate::Open,
            retry_delays,
            in_flight: None,
            log: VecDeque::new(),
            failed_in_row: 0,
            failed_max: None,
        }
    }

    /// Switches the endpoint off after so many failed tries in a row, as Polar does after ten; `None`: never.
    pub const fn set_failed_max(&mut self, failed_max: Option<u32>) {
        self.failed_max = failed_max;
    }

    /// Whether so many tries failed in a row that nothing is sent any more.
    pub fn is_switched_off(&self) -> bool {
        self.failed_max.is_some_and(|most| self.failed_in_row >= most)
    }

    /// Sends again.
    pub const fn switch_on(&mut self) {
        self.failed_in_row = 0;
    }

    /// Adds an event at the end.
    pub fn push(&mut self, event: Arc<Event>, now: Instant) {
        if self.is_switched_off() {
            return;
        }
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(Waiting { event, failed: 0, due: now });
        } else {
            tracing::warn!(event = event.id, "the delivery queue is full: an event is not delivered");
        }
    }

    /// The first that is due, in the order of emission. What failed waits without holding up the rest.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.gate == Gate::Held {
            return Next::Wait;
        }
        if let Some(waiting) = self.waiting.iter().find(|waiting| waiting.due <= now) {
            self.in_flight = Some(waiting.event.id.clone());
            return Next::Send(Arc::clone(&waiting.event));
        }
        self.waiting.iter().map(|waiting| waiting.due).min().map_or(Next::Wait, Next::WaitUntil)
    }

    /// Takes the result of a try that [`Queue::next`] asked for.
    pub fn settle(&mut self, id: &str, attempt: &Attempt, now: Instant) {
        self.in_flight = None;
        if attempt.is_accepted() {
            self.discard(id);
            return;
        }
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.event.id == id) else { return };
        match self.retry_delays.get(waiting.failed) {
            Some(delay) => {
                waiting.failed += 1;
                waiting.due = now + *delay;
            }
            None => {
                tracing::warn!(event = id, "an event was not accepted in any try: given up");
                self.discard(id);
            }
        }
    }

    /// Forgets an event that waits. Answers whether it did.
    pub fn discard(&mut self, id: &str) -> bool {
        let place = self.waiting.iter().position(|waiting| waiting.event.id == id);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The ids of what waits, in order.
    pub fn waiting(&self) -> Vec<String> {
        self.waiting.iter().map(|waiting| waiting.event.id.clone()).collect()
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_none()
    }

    pub fn record(&mut self, attempt: Attempt) {
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.failed_in_row = if attempt.is_accepted() { 0 } else { self.failed_in_row.saturating_add(1) };
        self.log.push_back(attempt);
        if self.is_switched_off() {
            tracing::warn!("too many deliveries failed in a row: the endpoint is switched off");
            self.waiting.clear();
        }
    }

    /// Every try that is still known, oldest first.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.log.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn event(id: &str) -> Arc<Event> {
        let created = Timestamp::UNIX_EPOCH;
        Arc::new(Event::new(id.to_owned(), "test".to_owned(), created, Value::Null))
    }

    fn queue(now: Instant) -> Queue {
        let mut queue = Queue::new(vec![SECOND, 2 * SECOND]);
        for id in ["a", "b"] {
            queue.push(event(id), now);
        }
        queue
    }

    fn answered(id: &str, status: u16) -> Attempt {
        let (kind, at) = ("test".to_owned(), Timestamp::UNIX_EPOCH);
        Attempt { event: id.to_owned(), kind, at, status: Some(status), body: String::new() }
    }

    /// The next id that is sent, and then answered with `status`.
    fn turn(queue: &mut Queue, status: u16, now: Instant) -> Option<String> {
        let Next::Send(event) = queue.next(now) else { return None };
        queue.settle(&event.id, &answered(&event.id, status), now);
        Some(event.id.clone())
    }

    #[test]
    fn events_go_out_in_order_and_a_failure_does_not_hold_up_the_rest() {
        let start = Instant::now();
        let mut queue = queue(start);
        assert_eq!(turn(&mut queue, 500, start).as_deref(), Some("a"));
        assert_eq!(turn(&mut queue, 200, start).as_deref(), Some("b"));
        assert_eq!(turn(&mut queue, 200, start), None, "the second try is not due yet");
        assert!(matches!(queue.next(start), Next::WaitUntil(due) if due == start + SECOND));
        assert_eq!(turn(&mut queue, 200, start + SECOND).as_deref(), Some("a"));
        assert!(queue.is_idle());
    }

    #[test]
    fn what_is_never_accepted_is_given_up_after_the_last_delay() {
        let start = Instant::now();
        let mut queue = Queue::new(vec![SECOND, 2 * SECOND]);
        queue.push(event("a"), start);
        for (after, status) in [(0, 302), (1, 404), (3, 503)] {
            assert_eq!(turn(&mut queue, status, start + after * SECOND).as_deref(), Some("a"), "{after}");
        }
        assert!(queue.is_idle());
    }

    #[test]
    fn what_is_held_waits_and_can_be_dropped() {
        let start = Instant::now();
        let mut queue = queue(start);
        queue.gate = Gate::Held;
        assert!(matches!(queue.next(start), Next::Wait));
        assert!(queue.discard("a") && !queue.discard("a"));
        queue.gate = Gate::Open;
        assert_eq!(turn(&mut queue, 204, start).as_deref(), Some("b"));
        assert!(queue.is_idle());
    }

    #[test]
    fn an_endpoint_that_fails_too_often_in_a_row_is_switched_off() {
        let start = Instant::now();
        let mut queue = queue(start);
        queue.set_failed_max(Some(2));
        queue.record(answered("a", 500));
        queue.record(answered("a", 200));
        queue.record(answered("b", 302));
        assert!(!queue.is_switched_off(), "what was accepted in between counts");
        queue.record(answered("b", 302));
        assert!(queue.is_switched_off() && queue.is_idle(), "nothing waits any more");
        queue.push(event("c"), start);
        assert!(queue.is_idle());
        queue.switch_on();
        queue.push(event("c"), start);
        assert_eq!(turn(&mut queue, 200, start).as_deref(), Some("c"));
    }

    #[test]
    fn the_queue_and_the_log_are_bounded() {
        let start = Instant::now();
        let mut queue = Queue::new(Vec::new());
        for id in 0..=WAITING_MAX {
            queue.push(event(&id.to_string()), start);
            queue.record(answered(&id.to_string(), 200));
        }
        assert_eq!(queue.waiting().len(), WAITING_MAX);
        assert_eq!(queue.log().next().map(|attempt| attempt.event.as_str()), Some("1"));
    }
}
