//! `/v1/subscriptions`.

use serde_json::Value;

use super::checkout::trial_days;
use super::customers::merged;
use super::filter::{Range, only};
use super::form::Form;
use super::items;
use crate::Timestamp;
use crate::provider::books::model::{Ending, Pause, PauseBehavior, Status, Subscription, TrialEnd};
use crate::provider::books::{Books, NewSubscription};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

pub fn create(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["customer", "items", "metadata", "trial_period_days", "trial_settings", "expand"])?;
    let new = NewSubscription {
        customer: form.required("customer")?,
        items: items::new_items(books, form)?,
        trial_days: trial_days(form, "trial_period_days")?,
        trial_end: trial_end(form, "trial_settings")?,
        metadata: form.metadata("metadata")?,
    };
    let id = books.subscribe(new)?;
    read(books, &id, view)
}

/// What a trial without a card ends in.
pub(super) fn trial_end(form: &Form, name: &str) -> Result<TrialEnd, Refusal> {
    let param = format!("{name}[end_behavior][missing_payment_method]");
    match form.text(&param).as_deref() {
        None | Some("create_invoice") => Ok(TrialEnd::CreateInvoice),
        Some("cancel") => Ok(TrialEnd::Cancel),
        Some("pause") => Ok(TrialEnd::Pause),
        Some(other) => Err(Refusal::invalid(&param, format!("Invalid missing_payment_method: {other}"))),
    }
}

pub fn read(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::subscription(books.subscription(id)?, view))
}

/// Everything that is asked is read before anything is changed, so a refusal changes nothing.
pub fn update(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&[
        "cancel_at",
        "cancel_at_period_end",
        "items",
        "metadata",
        "proration_behavior",
        "pause_collection",
        "expand",
    ])?;
    let end = end_of(form)?;
    let changes = items::changes(books, id, form)?;
    let proration = items::proration(form)?;
    let pause = pause_of(form)?;
    let metadata = merged(&books.subscription(id)?.metadata, form.metadata("metadata")?)?;
    if end.is_some() || !changes.is_empty() || pause.is_some() {
        let living = books.living(id)?;
        // Only this much of it is refused (<https://docs.stripe.com/billing/subscriptions/subscription-schedules>).
        if let (Some(schedule), Some(_)) = (&living.schedule, end) {
            return Err(Refusal::wrong_state(format!(
                "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation behavior directly is not allowed. Please update the schedule instead."
            )));
        }
    }
    if !changes.is_empty() {
        books.change_items(id, changes, proration)?;
    }
    match end {
        Some(Some(ending)) => books.schedule_end(id, ending)?,
        Some(None) => books.reactivate(id)?,
        None => {}
    }
    match pause {
        Some(Some(pause)) => books.pause_collection(id, pause)?,
        Some(None) => books.unpause_collection(id)?,
        None => {}
    }
    books.amend(id, |subscription| subscription.metadata = metadata);
    read(books, id, view)
}

/// What is asked of the end: nothing, that there be none, or that it be then.
fn end_of(form: &Form) -> Result<Option<Option<Ending>>, Refusal> {
    match (form.has("cancel_at_period_end"), form.has("cancel_at")) {
        (true, true) => Err(Refusal::invalid(
            "cancel_at",
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
        )),
        (true, false) => Ok(Some(form.truth("cancel_at_period_end")?.and_then(|end| end.then_some(Ending::PeriodEnd)))),
        (false, true) => Ok(Some(form.moment("cancel_at")?.map(Ending::At))),
        (false, false) => Ok(None),
    }
}

/// What is asked of collection: nothing, that it go on, or that it pause in this way.
fn pause_of(form: &Form) -> Result<Option<Option<Pause>>, Refusal> {
    if !form.has("pause_collection") {
        return Ok(None);
    }
    let resumes_at: Option<Timestamp> = form.moment("pause_collection[resumes_at]")?;
    let Some(asked) = form.text("pause_collection[behavior]") else {
        let ends = form.raw("pause_collection") == Some("");
        return if ends { Ok(Some(None)) } else { Err(Refusal::missing("pause_collection[behavior]")) };
    };
    let behavior = PauseBehavior::ALL.into_iter().find(|behavior| behavior.name() == asked);
    let unknown = || Refusal::invalid("pause_collection[behavior]", format!("Invalid behavior: {asked}"));
    Ok(Some(Some(Pause { behavior: behavior.ok_or_else(unknown)?, resumes_at })))
}

pub fn resume(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["billing_cycle_anchor", "proration_behavior", "expand"])?;
    books.resume(id)?;
    read(books, id, view)
}

pub fn cancel(books: &mut Books, id: &str, view: &View) -> Result<Value, Refusal> {
    if books.subscription(id)?.status.is_over() {
        return Err(Refusal::no_such("subscription", id, "id"));
    }
    books.cancel_now(id, "cancellation_requested")?;
    read(books, id, view)
}

/// Without a status, those that are not canceled; `all` gives everything.
pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["customer", "price", "status", "created", "current_period_start", "current_period_end"])?;
    let (customer, price, status) = (form.text("customer"), form.text("price"), form.text("status"));
    let created = Range::read(form, "created")?;
    let (starts, ends) = (Range::read(form, "current_period_start")?, Range::read(form, "current_period_end")?);
    let page = books.subscriptions.page(&form.paging()?, customer.as_deref(), |subscription| {
        has_status(subscription, status.as_deref())
            && price.as_ref().is_none_or(|price| subscription.items.iter().any(|item| item.price.id == *price))
            && created.holds(subscription.created)
            && starts.holds(subscription.period.start)
            && ends.holds(subscription.period.end)
    })?;
    let data = page.rows.into_iter().map(|subscription| render::subscription(subscription, view)).collect();
    Ok(render::list("/v1/subscriptions", data, page.has_more))
}

fn has_status(subscription: &Subscription, asked: Option<&str>) -> bool {
    match asked {
        None => subscription.status != Status::Canceled,
        Some("all") => true,
        Some("ended") => subscription.status.is_over(),
        Some(status) => subscription.status.name() == status,
    }
}
