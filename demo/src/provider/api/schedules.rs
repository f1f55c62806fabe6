//! `/v1/subscription_schedules`.

use serde_json::Value;

use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::model::EndBehavior;
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

pub fn read(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::schedule(books.schedule(id)?, books.now(), view))
}

/// What becomes of the subscription after the last phase. Phases are not changed here.
pub fn update(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["end_behavior", "expand"])?;
    let behavior = match form.required("end_behavior")?.as_str() {
        "release" => EndBehavior::Release,
        "cancel" => EndBehavior::Cancel,
        other => return Err(Refusal::invalid("end_behavior", format!("Invalid end_behavior: {other}"))),
    };
    books.set_end_behavior(id, behavior)?;
    read(books, id, view)
}

pub fn release(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["preserve_cancel_date", "expand"])?;
    books.release_schedule(id, form.truth("preserve_cancel_date")? == Some(true))?;
    read(books, id, view)
}
