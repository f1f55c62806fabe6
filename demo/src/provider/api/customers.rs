//! `/v1/customers` and `/v1/billing_portal/sessions`.

use serde_json::Value;

use super::filter::{Range, is_asked, only};
use super::form::{Form, METADATA_KEYS_MAX};
use super::portals;
use crate::provider::books::model::{Metadata, Presence};
use crate::provider::books::{Books, NewCustomer};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

/// Of Stripe's parameters, those that are taken, and those that are taken and change nothing here.
const KNOWN: [&str; 11] = [
    "email",
    "name",
    "metadata",
    "expand",
    "description",
    "phone",
    "address",
    "shipping",
    "preferred_locales",
    "invoice_settings",
    "tax_exempt",
];

pub fn create(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&KNOWN)?;
    let (email, name) = (form.text("email"), form.text("name"));
    let id = books.create_customer(NewCustomer {
        email,
        name,
        metadata: merged(&Metadata::new(), form.metadata("metadata")?)?,
    })?;
    read(books, &id, view)
}

pub fn update(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&KNOWN)?;
    let metadata = merged(&books.customer(id, "id")?.metadata, form.metadata("metadata")?)?;
    books.change_customer(id, |customer| {
        if form.has("email") {
            customer.email = form.text("email");
        }
        if form.has("name") {
            customer.name = form.text("name");
        }
        customer.metadata = metadata;
    })?;
    read(books, id, view)
}

/// Stripe answers for a deleted customer too, with little.
pub fn read(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    let customer = books.customers.get(id).ok_or_else(|| Refusal::no_such("customer", id, "id"))?;
    Ok(match customer.presence {
        Presence::Here => render::customer(customer, view),
        Presence::Deleted => render::deleted_customer(id),
    })
}

pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["email", "created"])?;
    let email = form.text("email");
    let created = Range::read(form, "created")?;
    let page = books.customers.page(&form.paging()?, None, |customer| {
        customer.presence == Presence::Here
            && is_asked(email.as_ref(), customer.email.as_deref().unwrap_or_default())
            && created.holds(customer.created)
    })?;
    let data = page.rows.into_iter().map(|customer| render::customer(customer, view)).collect();
    Ok(render::list("/v1/customers", data, page.has_more))
}

pub fn delete(books: &mut Books, id: &str) -> Result<Value, Refusal> {
    books.delete_customer(id)?;
    Ok(render::deleted_customer(id))
}

pub fn portal(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["customer", "return_url", "configuration", "flow_data", "locale", "expand"])?;
    let (customer, return_url) = (form.required("customer")?, form.url("return_url")?);
    portals::check(books, form.text("configuration").as_deref())?;
    Ok(render::portal(books.open_portal(&customer, return_url)?, view))
}

/// Stripe's rule for an update of metadata: what is not named stays, what is empty goes.
pub(super) fn merged(kept: &Metadata, changes: Metadata) -> Result<Metadata, Refusal> {
    let mut merged = kept.clone();
    merged.extend(changes);
    merged.retain(|_, value| !value.is_empty());
    if merged.len() > METADATA_KEYS_MAX {
        return Err(Refusal::invalid("metadata", format!("Metadata has at most {METADATA_KEYS_MAX} keys.")));
    }
    Ok(merged)
}
