//! `/v1/checkout/sessions`: subscriptions of one price, on a hosted page.

use serde_json::Value;

use super::filter::{Range, is_asked, only};
use super::form::Form;
use super::subscriptions::trial_end;
use crate::provider::books::model::SessionState;
use crate::provider::books::{Books, NewSession};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};
use crate::provider::settings::Price;

/// Stripe's parameters (<https://docs.stripe.com/api/checkout/sessions/create>). Those that `create` does not read change
/// nothing here.
const KNOWN: [&str; 42] = [
    "adaptive_pricing",
    "after_expiration",
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "branding_settings",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "currency",
    "custom_fields",
    "custom_text",
    "customer",
    "customer_creation",
    "customer_email",
    "customer_update",
    "discounts",
    "excluded_payment_method_types",
    "expand",
    "expires_at",
    "invoice_creation",
    "line_items",
    "locale",
    "metadata",
    "mode",
    "optional_items",
    "origin_context",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "payment_method_types",
    "permissions",
    "phone_number_collection",
    "saved_payment_method_options",
    "setup_intent_data",
    "submit_type",
    "subscription_data",
    "success_url",
    "tax_id_collection",
    "ui_mode",
];

/// What stands in `subscription_data`, and in a line.
const KNOWN_OF_SUBSCRIPTION: [&str; 13] = [
    "application_fee_percent",
    "billing_cycle_anchor",
    "billing_mode",
    "default_tax_rates",
    "description",
    "invoice_settings",
    "metadata",
    "on_behalf_of",
    "proration_behavior",
    "transfer_data",
    "trial_end",
    "trial_period_days",
    "trial_settings",
];
const KNOWN_OF_LINE: [&str; 7] =
    ["adjustable_quantity", "dynamic_tax_rates", "metadata", "price", "price_data", "quantity", "tax_rates"];

/// Stripe's limit for `client_reference_id`.
const REFERENCE_CHARS_MAX: usize = 200;
/// Stripe's limit for a trial.
const TRIAL_DAYS_MAX: u32 = 730;

pub fn create(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&KNOWN)?;
    if form.required("mode")? != "subscription" {
        return Err(Refusal::invalid("mode", "The simulated provider sells subscriptions only."));
    }
    let items = form.elements("line_items");
    let [item] = items.as_slice() else {
        return Err(Refusal::invalid("line_items", "The simulated provider takes exactly one line item."));
    };
    form.only_in("subscription_data", &KNOWN_OF_SUBSCRIPTION)?;
    form.only_in(item, &KNOWN_OF_LINE)?;
    let (price, quantity) = (format!("{item}[price]"), format!("{item}[quantity]"));
    let price_of_line = books.price(&form.required(&price)?, &price)?.clone();
    if !books.is_on_sale(&price_of_line) {
        let message = "The price specified is inactive. This field only accepts active prices.";
        return Err(Refusal::invalid(&price, message));
    }
    refuse_quantity_of_usage(form, &price_of_line, &quantity)?;
    let quantity = quantity_of(form, &quantity)?;
    let reference = form.text("client_reference_id");
    if reference.as_ref().is_some_and(|reference| reference.chars().count() > REFERENCE_CHARS_MAX) {
        return Err(Refusal::invalid("client_reference_id", "client_reference_id has at most 200 characters."));
    }
    if form.has("customer") && form.has("customer_email") {
        return Err(Refusal::invalid(
            "customer",
            "You may only specify one of these parameters: customer, customer_email.",
        ));
    }
    let new = NewSession {
        customer: form.text("customer"),
        customer_email: form.text("customer_email"),
        client_reference_id: reference,
        price: price_of_line,
        quantity,
        trial_days: trial_days(form, "subscription_data[trial_period_days]")?,
        trial_end: trial_end(form, "subscription_data[trial_settings]")?,
        metadata: form.metadata("metadata")?,
        subscription_metadata: form.metadata("subscription_data[metadata]")?,
        success_url: form.url("success_url")?.ok_or_else(|| Refusal::missing("success_url"))?,
        cancel_url: form.url("cancel_url")?,
        promotion_codes: form.truth("allow_promotion_codes")?,
        expires_at: form.moment("expires_at")?,
    };
    Ok(render::session(books.open_session(new)?, view))
}

/// 1 when it is not said.
/// "Quantity should not be defined when recurring.usage_type=metered."
pub(super) fn refuse_quantity_of_usage(form: &Form, price: &Price, name: &str) -> Result<(), Refusal> {
    if price.metered && form.has(name) {
        let message = "Quantity should not be specified where usage_type is `metered`.";
        return Err(Refusal::invalid(name, message));
    }
    Ok(())
}

pub(super) fn quantity_of(form: &Form, name: &str) -> Result<u32, Refusal> {
    match form.number_of::<u32>(name)?.unwrap_or(1) {
        quantity @ 1..=999_999 => Ok(quantity),
        _ => Err(Refusal::invalid(name, "This value must be greater than or equal to 1.")),
    }
}

/// Stripe refuses a trial of 0 days.
pub(super) fn trial_days(form: &Form, name: &str) -> Result<Option<u32>, Refusal> {
    match form.number_of::<u32>(name)? {
        Some(0) => Err(Refusal::invalid(name, "The minimum number of trial period days is 1.")),
        Some(days) if days > TRIAL_DAYS_MAX => {
            Err(Refusal::invalid(name, format!("The maximum number of trial period days is {TRIAL_DAYS_MAX}.")))
        }
        days => Ok(days),
    }
}

pub fn read(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::session(books.session(id)?, view))
}

pub fn line_items(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::line_items(books.session(id)?, view))
}

pub fn expire(books: &mut Books, id: &str, view: &View) -> Result<Value, Refusal> {
    books.expire_session(id)?;
    read(books, id, view)
}

pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["customer", "subscription", "status", "created"])?;
    let (customer, subscription, status) = (form.text("customer"), form.text("subscription"), form.text("status"));
    let created = Range::read(form, "created")?;
    let page = books.sessions.page(&form.paging()?, None, |session| {
        let (named, own) = match &session.state {
            SessionState::Open => ("open", None),
            SessionState::Complete { subscription, .. } => ("complete", Some(subscription)),
            SessionState::Expired => ("expired", None),
        };
        (customer.is_none() || session.customer == customer)
            && (subscription.is_none() || own == subscription.as_ref())
            && is_asked(status.as_ref(), named)
            && created.holds(session.created)
    })?;
    let data = page.rows.into_iter().map(|session| render::session(session, view)).collect();
    Ok(render::list("/v1/checkout/sessions", data, page.has_more))
}
