//! `/v1/webhook_endpoints`: events go to the newest one that a call has made, and else to that of the settings.

use serde_json::{Value, json};
use url::Host;

use super::customers::merged;
use super::filter::only;
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::model::Metadata;
use crate::provider::books::shop::{Endpoint, new_secret};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

/// Stripe's limit for one mode of an account.
const ENDPOINTS_MAX: usize = 16;

/// Newest first; all of them fit into one page.
pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &[])?;
    let made = books.shop.endpoints.iter().rev().map(|endpoint| shown(endpoint, view));
    Ok(render::list("/v1/webhook_endpoints", made.chain(books.endpoint()).collect(), false))
}

pub fn create(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["api_version", "connect", "description", "enabled_events", "expand", "metadata", "url"])?;
    if books.shop.endpoints.len() + books.endpoint().iter().count() >= ENDPOINTS_MAX {
        let message = format!("You have reached the maximum of {ENDPOINTS_MAX} webhook endpoints.");
        return Err(Refusal::wrong_state(message));
    }
    let url = public_url(&form.required("url")?, view)?;
    let events = events(form)?.ok_or_else(|| Refusal::missing("enabled_events"))?;
    let id = books.made_id("we")?;
    let endpoint = Endpoint {
        id,
        url,
        events,
        is_disabled: false,
        secret: new_secret(),
        description: form.text("description"),
        metadata: merged(&Metadata::new(), form.metadata("metadata")?)?,
        created: books.now(),
    };
    let mut object = shown(&endpoint, view);
    // Told this once.
    object["secret"] = json!(endpoint.secret);
    books.shop.endpoints.push(endpoint);
    Ok(object)
}

pub fn update(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["description", "disabled", "enabled_events", "expand", "metadata", "url"])?;
    let endpoint = books.shop.endpoints.iter_mut().find(|endpoint| endpoint.id == id);
    let endpoint = endpoint.ok_or_else(|| Refusal::no_such("webhook endpoint", id, "id"))?;
    let url = form.text("url").map(|url| public_url(&url, view)).transpose()?;
    let (events, disabled) = (events(form)?, form.truth("disabled")?);
    endpoint.metadata = merged(&endpoint.metadata, form.metadata("metadata")?)?;
    if let Some(url) = url {
        endpoint.url = url;
    }
    if let Some(events) = events {
        endpoint.events = events;
    }
    if let Some(disabled) = disabled {
        endpoint.is_disabled = disabled;
    }
    if form.has("description") {
        endpoint.description = form.text("description");
    }
    Ok(shown(endpoint, view))
}

pub fn delete(books: &mut Books, id: &str) -> Result<Value, Refusal> {
    let before = books.shop.endpoints.len();
    books.shop.endpoints.retain(|endpoint| endpoint.id != id);
    if books.shop.endpoints.len() == before {
        return Err(Refusal::no_such("webhook endpoint", id, "id"));
    }
    Ok(json!({ "id": id, "object": "webhook_endpoint", "deleted": true }))
}

fn events(form: &Form) -> Result<Option<Vec<String>>, Refusal> {
    if !form.has("enabled_events") {
        return Ok(None);
    }
    let events = form.texts("enabled_events");
    let is_type = |event: &String| event == "*" || event.contains('.');
    match events.iter().find(|event| !is_type(event)) {
        Some(event) => Err(Refusal::invalid("enabled_events", format!("Invalid enabled_events: {event}"))),
        None if events.is_empty() => Err(Refusal::missing("enabled_events")),
        None => Ok(Some(events)),
    }
}

/// A URL that Stripe could reach: of a public host, and with TLS in live mode (<https://docs.stripe.com/webhooks>).
fn public_url(text: &str, view: &View) -> Result<String, Refusal> {
    let refused = |why: &str| Err(Refusal::invalid("url", format!("Invalid URL: {why}")));
    let Ok(url) = url::Url::parse(text) else { return refused("An explicit scheme (such as https) must be provided.") };
    let is_public = match url.host() {
        Some(Host::Domain(name)) => name.contains('.') && !name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => !(ip.is_loopback() || ip.is_private()),
        Some(Host::Ipv6(ip)) => !ip.is_loopback(),
        None => false,
    };
    if !is_public {
        return refused("URL must be publicly accessible.");
    }
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        "http" if !view.livemode => Ok(text.to_owned()),
        _ => refused("URL must use HTTPS in live mode."),
    }
}

fn shown(endpoint: &Endpoint, view: &View) -> Value {
    let mut shown = render::endpoint(&endpoint.url, &endpoint.events, view);
    shown["id"] = json!(endpoint.id);
    shown["created"] = json!(endpoint.created.timestamp());
    shown["description"] = json!(endpoint.description);
    shown["metadata"] = json!(endpoint.metadata);
    shown["status"] = json!(if endpoint.is_disabled { "disabled" } else { "enabled" });
    shown
}
