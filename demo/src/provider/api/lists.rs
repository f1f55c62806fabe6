//! What can only be read: `/v1/prices`, `/v1/products`, `/v1/events`, `/v1/invoices`, `/v1/charges`.

use serde_json::Value;

use super::form::Form;
use crate::Timestamp;
use crate::provider::books::Books;
use crate::provider::books::table::{Row, page};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};
use crate::provider::settings::Price;

const PAGE: [&str; 4] = ["limit", "starting_after", "ending_before", "expand"];

impl Row for Price {
    fn id(&self) -> &str {
        &self.id
    }
}

pub fn prices(books: &Books, form: &Form) -> Result<Value, Refusal> {
    form.only(&[&PAGE[..], &["active", "product"]].concat())?;
    let product = form.text("product");
    let active = form.truth("active")?.unwrap_or(true);
    let rows = books
        .prices()
        .iter()
        .filter(|price| active && product.as_ref().is_none_or(|product| render::product_id(price) == *product));
    let page = page(rows, &form.paging()?);
    let data = page.rows.into_iter().map(|price| render::price(price, books.opened())).collect();
    Ok(render::list("/v1/prices", data, page.has_more))
}

pub fn price(books: &Books, id: &str) -> Result<Value, Refusal> {
    Ok(render::price(books.price(id, "id")?, books.opened()))
}

pub fn product(books: &Books, id: &str) -> Result<Value, Refusal> {
    let price = books.prices().iter().find(|price| render::product_id(price) == id);
    let price = price.ok_or_else(|| Refusal::no_such("product", id, "id"))?;
    Ok(render::product(price, books.opened()))
}

pub fn events(books: &Books, form: &Form) -> Result<Value, Refusal> {
    form.only(&[&PAGE[..], &["type", "types", "created", "delivery_success"]].concat())?;
    let mut kinds = form.texts("types");
    kinds.extend(form.text("type"));
    let created = Range::read(form, "created")?;
    let rows = books.events().rev();
    let rows = rows.filter(|event| {
        (kinds.is_empty() || kinds.iter().any(|kind| matches(kind, &event.kind))) && created.holds(event.created)
    });
    let page = page(rows, &form.paging()?);
    Ok(render::list("/v1/events", page.rows.into_iter().map(|event| event.body.clone()).collect(), page.has_more))
}

/// A type, or a group of types such as `invoice.*`.
fn matches(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |group| kind.starts_with(group))
}

/// An event is read as it was sent, whatever version its reader asks for.
pub fn event(books: &Books, id: &str) -> Result<Value, Refusal> {
    Ok(books.event(id)?.body.clone())
}

pub fn invoices(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&[&PAGE[..], &["customer", "subscription", "status"]].concat())?;
    let (customer, subscription, status) = (form.text("customer"), form.text("subscription"), form.text("status"));
    let rows = books.invoices.iter().rev().filter(|invoice| {
        customer.as_ref().is_none_or(|customer| invoice.customer == *customer)
            && subscription.as_ref().is_none_or(|subscription| invoice.subscription == *subscription)
            && status.as_ref().is_none_or(|status| invoice.status.name() == status)
    });
    let page = page(rows, &form.paging()?);
    let data = page.rows.into_iter().map(|invoice| render::invoice(invoice, view)).collect();
    Ok(render::list("/v1/invoices", data, page.has_more))
}

pub fn invoice(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::invoice(books.invoice(id)?, view))
}

pub fn charge(books: &Books, id: &str) -> Result<Value, Refusal> {
    Ok(render::charge(books.invoice_of_charge(id)?))
}

/// Stripe's filter on a moment: `created=…`, `created[gt]=…` and so on.
struct Range {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Range {
    fn read(form: &Form, name: &str) -> Result<Self, Refusal> {
        let second = chrono::Duration::seconds(1);
        let bound = |kind: &str| form.moment(&format!("{name}[{kind}]"));
        let exact = if form.raw(name).is_some() { form.moment(name)? } else { None };
        let from = exact.or(bound("gte")?).or(bound("gt")?.map(|after| after + second));
        let to = exact.or(bound("lte")?).or(bound("lt")?.map(|before| before - second));
        Ok(Self { from, to })
    }

    /// Compares whole seconds, as they are shown.
    fn holds(&self, moment: Timestamp) -> bool {
        let second = moment.timestamp();
        self.from.is_none_or(|from| second >= from.timestamp()) && self.to.is_none_or(|to| second <= to.timestamp())
    }
}
