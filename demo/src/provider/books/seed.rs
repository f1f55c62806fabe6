//! Filling the books at once, as if they had been kept for long: nothing of it is told.

use super::model::{Metadata, Status, TrialEnd};
use super::{Books, NewCustomer, NewSubscription};
use crate::provider::refusal::Refusal;

/// What stands in a value of metadata for the number of the row, counted from 0.
const NUMBER: &str = "{n}";

/// How many paying customers to write down.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub count: u32,
    pub price: String,
    /// Of each customer and subscription; `{n}` in a value becomes the row's number, counted from 0.
    #[serde(default)]
    pub metadata: Metadata,
}

impl Books {
    /// Writes down `count` customers, each with an active subscription whose first invoice is paid; answers the ids of
    /// the subscriptions. No event is made.
    ///
    /// # Errors
    /// When there is no such price, or no room for so many.
    pub fn seed(&mut self, seed: &Seed) -> Result<Vec<String>, Refusal> {
        let price = self.price(&seed.price, "price")?.clone();
        self.check_room(usize::try_from(seed.count).unwrap_or(usize::MAX))?;
        (0..seed.count)
            .map(|number| {
                let number = number.to_string();
                let metadata: Metadata =
                    seed.metadata.iter().map(|(key, value)| (key.clone(), value.replace(NUMBER, &number))).collect();
                let customer =
                    self.write_customer(NewCustomer { metadata: metadata.clone(), ..NewCustomer::default() });
                let (id, invoice) = self.open_subscription(NewSubscription {
                    customer,
                    items: vec![(price.clone(), 1)],
                    trial_days: None,
                    trial_end: TrialEnd::default(),
                    metadata,
                })?;
                self.set_subscription(&id, |subscription| subscription.status = Status::Active);
                self.settle_invoice(&invoice);
                Ok(id)
            })
            .collect()
    }
}
