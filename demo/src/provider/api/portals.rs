//! `/v1/billing_portal/configurations`: what the customer portal lets buyers do. The pages here let them do all of it.

use serde_json::{Value, json};

use super::customers::merged;
use super::filter::only;
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::model::Metadata;
use crate::provider::books::shop::{HasDefault, Portal};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

const FEATURES: [&str; 5] =
    ["customer_update", "invoice_history", "payment_method_update", "subscription_cancel", "subscription_update"];

/// The configuration that is saved in the dashboard.
const DEFAULT: &str = "bpc_simulated";

pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["active", "is_default"])?;
    let (active, is_default) = (form.truth("active")?, form.truth("is_default")?);
    let made = books.shop.portals.iter().rev().map(|portal| shown(portal, view));
    let default = (books.shop.has_default_portal == HasDefault::Yes).then(|| default(books, view));
    let is = |asked: Option<bool>, is: &Value| asked.is_none_or(|asked| *is == asked);
    let wanted = |one: &Value| is(active, &one["active"]) && is(is_default, &one["is_default"]);
    let rows = made.chain(default).filter(wanted).collect();
    Ok(render::list("/v1/billing_portal/configurations", rows, false))
}

pub fn create(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["business_profile", "default_return_url", "expand", "features", "login_page", "metadata", "name"])?;
    form.only_in("features", &FEATURES)?;
    let mut features = json!({});
    for feature in FEATURES.into_iter().filter(|feature| form.has(&format!("features[{feature}]"))) {
        let name = format!("features[{feature}][enabled]");
        let enabled = form.truth(&name)?.ok_or_else(|| Refusal::missing(&name))?;
        features[feature] = json!({ "enabled": enabled });
    }
    if features == json!({}) {
        return Err(Refusal::missing("features"));
    }
    let mode = "features[subscription_cancel][mode]";
    if form.text(mode).is_some_and(|mode| !["at_period_end", "immediately"].contains(&mode.as_str())) {
        return Err(Refusal::invalid(mode, "Invalid mode: must be one of at_period_end or immediately"));
    }
    let portal = Portal {
        id: books.made_id("bpc")?,
        is_inactive: false,
        features,
        metadata: merged(&Metadata::new(), form.metadata("metadata")?)?,
        return_url: form.url("default_return_url")?,
        created: books.now(),
    };
    let object = shown(&portal, view);
    books.shop.portals.push(portal);
    Ok(object)
}

/// Whether a session can be opened with a configuration, or with the account's own.
pub fn check(books: &Books, configuration: Option<&str>) -> Result<(), Refusal> {
    let has_default = books.shop.has_default_portal == HasDefault::Yes;
    match configuration {
        Some(DEFAULT) if has_default => Ok(()),
        Some(id) if books.shop.portals.iter().any(|portal| portal.id == id && !portal.is_inactive) => Ok(()),
        Some(id) => Err(Refusal::no_such("configuration", id, "configuration")),
        None if has_default => Ok(()),
        None => Err(Refusal::wrong_state(
            "No configuration provided and your test mode default configuration has not been created. Provide a configuration or create \
             your default by saving your customer portal settings in test mode at https://dashboard.stripe.com/test/settings/billing/portal.",
        )),
    }
}

fn default(books: &Books, view: &View) -> Value {
    let mut shown = shown(
        &Portal {
            id: DEFAULT.to_owned(),
            is_inactive: false,
            features: json!({}),
            metadata: Metadata::new(),
            return_url: None,
            created: books.opened(),
        },
        view,
    );
    shown["is_default"] = json!(true);
    shown
}

fn shown(portal: &Portal, view: &View) -> Value {
    json!({
        "id": portal.id,
        "object": "billing_portal.configuration",
        "active": !portal.is_inactive,
        "application": null,
        "created": portal.created.timestamp(),
        "default_return_url": portal.return_url,
        "features": portal.features,
        "is_default": false,
        "livemode": view.livemode,
        "metadata": portal.metadata,
    })
}
