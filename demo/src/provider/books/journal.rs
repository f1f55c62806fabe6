//! What the books tell: every change becomes an event, in the manner that the endpoint was set up for.
//!
//! An event is written down in the order of emission, can be read through the API for as long as it is known, and waits
//! in [`Books::take_emitted`] for delivery.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::Books;
use super::table::{Page, Paging, Row, cut};
use crate::delivery::Event;
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::{Echo, EventForm, Mode, Shape, Telling};

/// Events that are kept; older ones are forgotten, as Stripe forgets those older than 30 days.
pub const EVENTS_MAX: usize = 20_000;

/// How events are made.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    pub form: EventForm,
    pub echo: Echo,
    pub telling: Telling,
    /// The connected account that every event names: Stripe's `account`.
    pub account: Option<String>,
    /// The types of which the endpoint is told; `None`: of all.
    pub enabled: Option<Vec<String>>,
    /// The endpoint's address, for those who ask.
    pub endpoint: Option<String>,
}

/// Every event that is still known.
#[derive(Default)]
pub struct Journal {
    pub manner: Manner,
    snapshots: VecDeque<Arc<Event>>,
    /// Where each snapshot stands, counted from the first one ever.
    places: HashMap<String, usize>,
    forgotten: usize,
    thin: VecDeque<Arc<Event>>,
    emitted: Vec<Arc<Event>>,
}

impl Journal {
    fn keep_snapshot(&mut self, event: Arc<Event>) {
        if self.snapshots.len() == EVENTS_MAX
            && let Some(oldest) = self.snapshots.pop_front()
        {
            self.places.remove(&oldest.id);
            self.forgotten += 1;
        }
        self.places.insert(event.id.clone(), self.forgotten + self.snapshots.len());
        self.snapshots.push_back(event);
    }

    fn keep_thin(&mut self, event: Arc<Event>) {
        if self.thin.len() == EVENTS_MAX {
            self.thin.pop_front();
        }
        self.thin.push_back(event);
    }

    fn snapshot(&self, id: &str) -> Option<&Arc<Event>> {
        self.snapshots.get(self.places.get(id)?.checked_sub(self.forgotten)?)
    }

    fn thin(&self, id: &str) -> Option<&Arc<Event>> {
        self.thin.iter().rev().find(|event| event.id == id)
    }
}

impl Books {
    /// An event by its id, in either form.
    pub fn event(&self, id: &str) -> Result<&Arc<Event>, Refusal> {
        let found = self.journal.snapshot(id).or_else(|| self.journal.thin(id));
        found.ok_or_else(|| Refusal::no_such("event", id, "id"))
    }

    /// A snapshot event by its id.
    pub fn snapshot_event(&self, id: &str) -> Result<&Arc<Event>, Refusal> {
        self.journal.snapshot(id).ok_or_else(|| Refusal::no_such("event", id, "id"))
    }

    /// A thin event by its id.
    pub fn thin_event(&self, id: &str) -> Result<&Arc<Event>, Refusal> {
        self.journal.thin(id).ok_or_else(|| Refusal::no_such("event", id, "id"))
    }

    /// Every snapshot event that is still known, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.journal.snapshots.iter()
    }

    /// Every thin event that is still known, oldest first.
    pub fn thin_events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.journal.thin.iter()
    }

    /// A page of the snapshot events that are `wanted`.
    pub fn event_page(
        &self,
        paging: &Paging,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Page<'_, Arc<Event>>, Refusal> {
        let journal = &self.journal;
        let place = |id: &str| journal.places.get(id)?.checked_sub(journal.forgotten);
        let cursor = paging.cursor(<Arc<Event>>::KIND, place)?;
        Ok(cut(journal.snapshots.iter().enumerate(), cursor, paging.limit, |event| wanted(event)))
    }

    /// The events since the last call, in order.
    pub fn take_emitted(&mut self) -> Vec<Arc<Event>> {
        std::mem::take(&mut self.journal.emitted)
    }

    /// The webhook endpoint as Stripe shows it.
    pub fn endpoint(&self) -> Option<Value> {
        let manner = &self.journal.manner;
        let enabled = manner.enabled.clone().unwrap_or_else(|| vec!["*".to_owned()]);
        manner.endpoint.as_ref().map(|url| render::endpoint(url, &enabled, &self.view))
    }

    /// How events are made.
    pub const fn manner(&self) -> &Manner {
        &self.journal.manner
    }

    /// Makes events in another manner from now on.
    pub fn set_manner(&mut self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.journal.manner);
    }

    /// What every object and event says of itself from now on.
    pub fn set_mode(&mut self, mode: Mode) {
        self.view.livemode = mode == Mode::Live;
    }

    /// The account's API version from now on: what was told before stays as it was.
    pub const fn set_shape(&mut self, shape: Shape) {
        self.view.shape = shape;
    }

    /// Tells `object` as an event of this kind; returns the id of its snapshot. Says nothing while it is to be silent.
    pub fn emit(&mut self, kind: &str, object: Value, previous: Option<Value>) -> String {
        let id = self.emit_once(kind, &object, previous.as_ref());
        if self.journal.manner.echo == Echo::Twice {
            self.emit_once(kind, &object, previous.as_ref());
        }
        id
    }

    fn emit_once(&mut self, kind: &str, object: &Value, previous: Option<&Value>) -> String {
        let id = self.ids.next("evt");
        if self.journal.manner.telling == Telling::Silent {
            return id;
        }
        let form = self.journal.manner.form;
        let event = Arc::new(self.snapshot_of(&id, kind, object, previous));
        self.journal.keep_snapshot(Arc::clone(&event));
        let is_enabled =
            self.journal.manner.enabled.as_ref().is_none_or(|enabled| enabled.iter().any(|one| one == kind));
        if form != EventForm::Thin && is_enabled {
            self.journal.emitted.push(event);
        }
        if form != EventForm::Snapshot {
            let event = Arc::new(self.thin_of(&id, kind, object));
            self.journal.keep_thin(Arc::clone(&event));
            if is_enabled {
                self.journal.emitted.push(event);
            }
        }
        id
    }

    fn snapshot_of(&self, id: &str, kind: &str, object: &Value, previous: Option<&Value>) -> Event {
        let mut data = json!({ "object": object });
        if let Some(previous) = previous {
            data["previous_attributes"] = previous.clone();
        }
        let mut body = json!({
            "id": id,
            "object": "event",
            "api_version": self.view.shape.api_version(),
            "created": self.now.timestamp(),
            "data": data,
            "livemode": self.view.livemode,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": kind,
        });
        if let Some(account) = &self.journal.manner.account {
            body["account"] = json!(account);
        }
        Event::new(id.to_owned(), kind.to_owned(), self.now, body)
    }

    /// The same as a thin event, which names the object instead of carrying it
    /// (<https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events>).
    fn thin_of(&mut self, snapshot: &str, kind: &str, object: &Value) -> Event {
        let id = self.ids.next(if self.view.livemode { "evt" } else { "evt_test" });
        let kind = format!("v1.{kind}");
        let mut body = json!({
            "id": id,
            "object": "v2.core.event",
            "context": self.journal.manner.account,
            "created": self.now.to_rfc3339_opts(SecondsFormat::Millis, true),
            "livemode": self.view.livemode,
            "reason": null,
            "related_object": null,
            "snapshot_event": snapshot,
            "type": kind,
        });
        if let (Some(named), Some(word)) = (object["id"].as_str(), object["object"].as_str()) {
            let url = format!("/v1/{}/{named}", render::collection(word));
            body["related_object"] = json!({ "id": named, "type": word, "url": url });
        }
        Event::new(id, kind, self.now, body)
    }
}
