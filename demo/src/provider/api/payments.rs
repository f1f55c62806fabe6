//! Money that moved: `/v1/charges`, `/v1/payment_intents`, `/v1/refunds`, `/v1/disputes`.

use serde_json::Value;

use super::filter::{Range, is_asked, only};
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::model::{Invoice, RefundStatus};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

pub fn charges(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["customer", "payment_intent", "created"])?;
    let (customer, intent) = (form.text("customer"), form.text("payment_intent"));
    let created = Range::read(form, "created")?;
    let page = books.charges.page(&form.paging()?, customer.as_deref(), |charge| {
        is_asked(intent.as_ref(), &charge.payment_intent) && created.holds(charge.created)
    })?;
    let data = page.rows.into_iter().map(|charge| render::charge(charge, books, view)).collect();
    Ok(render::list("/v1/charges", data, page.has_more))
}

pub fn charge(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::charge(books.charge(id)?, books, view))
}

pub fn intents(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["customer", "created"])?;
    let customer = form.text("customer");
    let created = Range::read(form, "created")?;
    let mut paging = form.paging()?;
    for (cursor, param) in
        [(&mut paging.starting_after, "starting_after"), (&mut paging.ending_before, "ending_before")]
    {
        if let Some(id) = cursor {
            *id = invoice_of_intent(books, id, param)?.id.clone();
        }
    }
    let page = books
        .invoices
        .page(&paging, customer.as_deref(), |invoice| invoice.has_payment() && created.holds(invoice.created))?;
    let data = page.rows.into_iter().map(|invoice| render::payment_intent(invoice, books, view)).collect();
    Ok(render::list("/v1/payment_intents", data, page.has_more))
}

pub fn intent(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::payment_intent(invoice_of_intent(books, id, "id")?, books, view))
}

fn invoice_of_intent<'a>(books: &'a Books, id: &str, param: &str) -> Result<&'a Invoice, Refusal> {
    let invoice = books.invoice_of_payment(id).filter(|invoice| invoice.payment_intent == id);
    invoice.ok_or_else(|| Refusal::no_such("payment_intent", id, param))
}

pub fn refunds(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["charge", "payment_intent", "created"])?;
    let (charge, intent) = (form.text("charge"), form.text("payment_intent"));
    let created = Range::read(form, "created")?;
    let page = books.refunds.page(&form.paging()?, None, |refund| {
        is_asked(charge.as_ref(), &refund.charge)
            && is_asked(intent.as_ref(), &refund.payment_intent)
            && created.holds(refund.created)
    })?;
    let data = page.rows.into_iter().map(|refund| render::refund(refund, view)).collect();
    Ok(render::list("/v1/refunds", data, page.has_more))
}

/// The refunds of one charge, newest first.
pub fn refunds_of(books: &Books, charge: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &[])?;
    let charge = books.charge(charge)?;
    let refunds = charge.refunds.iter().rev().filter_map(|refund| books.refunds.get(refund));
    let refunds = refunds.map(|refund| render::refund(refund, view)).collect();
    super::inner_page(&format!("/v1/charges/{}/refunds", charge.id), refunds, form)
}

pub fn refund(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::refund(books.refund(id)?, view))
}

pub fn create_refund(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["charge", "payment_intent", "amount", "reason", "metadata", "expand"])?;
    let charge = match (form.text("charge"), form.text("payment_intent")) {
        (Some(charge), None) => books.charges.get(&charge).map(|own| own.id.clone()),
        (None, Some(intent)) => books.invoice_of_payment(&intent).and_then(|invoice| invoice.charge.clone()),
        _ => return Err(Refusal::missing("charge")),
    };
    let charge = charge.ok_or_else(|| Refusal::no_such("charge", "", "charge"))?;
    let id = books.give_back(&charge, form.number_of("amount")?, RefundStatus::Succeeded)?;
    refund(books, &id, view)
}

pub fn disputes(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["charge", "payment_intent", "created"])?;
    let (charge, intent) = (form.text("charge"), form.text("payment_intent"));
    let created = Range::read(form, "created")?;
    let page = books.disputes.page(&form.paging()?, None, |dispute| {
        is_asked(charge.as_ref(), &dispute.charge)
            && is_asked(intent.as_ref(), &dispute.payment_intent)
            && created.holds(dispute.created)
    })?;
    let data = page.rows.into_iter().map(|dispute| render::dispute(dispute, view)).collect();
    Ok(render::list("/v1/disputes", data, page.has_more))
}

pub fn dispute(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::dispute(books.dispute(id)?, view))
}
