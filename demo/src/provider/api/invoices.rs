//! `/v1/invoices` and `/v1/invoice_payments`.

use serde_json::Value;

use super::filter::{Range, is_asked, only};
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::model::Invoice;
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["customer", "subscription", "status", "created"])?;
    let (customer, subscription, status) = (form.text("customer"), form.text("subscription"), form.text("status"));
    let created = Range::read(form, "created")?;
    let page = books.invoices.page(&form.paging()?, customer.as_deref(), |invoice| {
        (subscription.is_none() || invoice.subscription == subscription)
            && is_asked(status.as_ref(), invoice.status.name())
            && created.holds(invoice.created)
    })?;
    let data = page.rows.into_iter().map(|invoice| render::invoice(invoice, view)).collect();
    Ok(render::list("/v1/invoices", data, page.has_more))
}

pub fn read(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::invoice(books.invoice(id)?, view))
}

/// Every line, of which the invoice itself shows the first ones only.
pub fn lines(books: &Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &[])?;
    let lines = render::lines(books.invoice(id)?, view);
    super::inner_page(&format!("/v1/invoices/{id}/lines"), lines, form)
}

pub fn pay(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["payment_method", "off_session", "expand"])?;
    books.collect(id)?;
    read(books, id, view)
}

/// Of one invoice, or of one payment intent; those of everything are rarely asked for, and cost more.
pub fn payments(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["invoice", "payment", "status", "created"])?;
    let (named, intent, status) = (form.text("invoice"), form.text("payment[payment_intent]"), form.text("status"));
    if intent.is_some() && form.required("payment[type]")? != "payment_intent" {
        return Err(Refusal::invalid("payment[type]", "The simulated provider knows payment intents only."));
    }
    let created = Range::read(form, "created")?;
    let wanted = |invoice: &Invoice| {
        invoice.has_payment()
            && is_asked(named.as_ref(), &invoice.id)
            && is_asked(intent.as_ref(), &invoice.payment_intent)
            && is_asked(status.as_ref(), payment_status(invoice, view).as_str())
            && created.holds(invoice.created)
    };
    let one = match (&named, &intent) {
        (Some(id), _) => Some(books.invoices.get(id)),
        (None, Some(id)) => Some(books.invoice_of_payment(id)),
        (None, None) => None,
    };
    let (rows, has_more) = match one {
        Some(found) => (found.filter(|invoice| wanted(invoice)).into_iter().collect(), false),
        None => {
            let page = payment_page(books, form, wanted)?;
            (page.rows, page.has_more)
        }
    };
    let data = rows.into_iter().map(|invoice| render::invoice_payment(invoice, view)).collect();
    Ok(render::list("/v1/invoice_payments", data, has_more))
}

/// A cursor names an invoice payment, and stands for its invoice.
fn payment_page<'a>(
    books: &'a Books,
    form: &Form,
    wanted: impl Fn(&Invoice) -> bool,
) -> Result<crate::provider::books::table::Page<'a, Invoice>, Refusal> {
    let mut paging = form.paging()?;
    for (cursor, param) in
        [(&mut paging.starting_after, "starting_after"), (&mut paging.ending_before, "ending_before")]
    {
        if let Some(id) = cursor {
            let invoice = books.invoice_of_payment(id).ok_or_else(|| Refusal::no_such("invoice_payment", id, param))?;
            *id = invoice.id.clone();
        }
    }
    books.invoices.page(&paging, None, wanted)
}

fn payment_status(invoice: &Invoice, view: &View) -> String {
    render::invoice_payment(invoice, view)["status"].as_str().unwrap_or_default().to_owned()
}

pub fn payment(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    let invoice = books.invoice_of_payment(id).filter(|invoice| invoice.payment == id);
    let invoice = invoice.ok_or_else(|| Refusal::no_such("invoice_payment", id, "id"))?;
    Ok(render::invoice_payment(invoice, view))
}
