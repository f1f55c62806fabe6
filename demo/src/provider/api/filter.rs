//! What narrows a list down, and what every list takes.

use super::form::Form;
use crate::Timestamp;
use crate::provider::refusal::Refusal;

/// The parameters of every list.
const PAGE: [&str; 4] = ["limit", "starting_after", "ending_before", "expand"];

/// Refuses what is neither a parameter of every list nor among `own`.
pub fn only(form: &Form, own: &[&str]) -> Result<(), Refusal> {
    form.only(&[&PAGE[..], own].concat())
}

/// Whether a value is the one that is asked for, if one is.
pub fn is_asked(asked: Option<&String>, value: &str) -> bool {
    asked.is_none_or(|asked| asked == value)
}

/// Stripe's filter on a moment: `created=…`, `created[gt]=…` and so on.
pub struct Range {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Range {
    pub fn read(form: &Form, name: &str) -> Result<Self, Refusal> {
        let second = chrono::Duration::seconds(1);
        let bound = |kind: &str| form.moment(&format!("{name}[{kind}]"));
        let exact = if form.raw(name).is_some() { form.moment(name)? } else { None };
        let from = exact.or(bound("gte")?).or(bound("gt")?.map(|after| after + second));
        let to = exact.or(bound("lte")?).or(bound("lt")?.map(|before| before - second));
        Ok(Self { from, to })
    }

    /// Compares whole seconds, as they are shown.
    pub fn holds(&self, moment: Timestamp) -> bool {
        let second = moment.timestamp();
        self.from.is_none_or(|from| second >= from.timestamp()) && self.to.is_none_or(|to| second <= to.timestamp())
    }
}
