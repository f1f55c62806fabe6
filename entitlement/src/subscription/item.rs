//! What a subscription is for: each item has a price and a period of its own.

use serde::{Deserialize, Serialize};

use super::Subscription;
use crate::Timestamp;

/// One thing that a subscription is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The provider's id of it; none where a subscription is for one thing only.
    pub id: Option<String>,
    /// The price (Polar: the product).
    pub price: String,
    /// Its billing period, where it has one of its own.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Subscription {
    /// Its items. Where they are not those of its prices, they were kept by a build that knew prices alone: an item for each.
    #[must_use]
    pub fn all_items(&self) -> Vec<Item> {
        let is_priced = |price: &String| self.items.iter().any(|item| item.price == *price);
        if self.prices.iter().all(is_priced) && self.items.iter().all(|item| self.prices.contains(&item.price)) {
            return self.items.clone();
        }
        let of_price = |price: &String| Item { id: None, price: price.clone(), from: None, until: None };
        self.prices.iter().map(of_price).collect()
    }

    /// Until when the item of a price is paid, when the subscription itself is paid until `whole`.
    #[must_use]
    pub fn price_paid_until(&self, price: &str, whole: Timestamp) -> Timestamp {
        let items = self.all_items();
        let item = items.iter().find(|item| item.price == price);
        item.and_then(|item| item.until).unwrap_or(whole)
    }

    /// When the billing period of an item began.
    #[must_use]
    pub fn period_of(&self, item: &Item) -> Option<Timestamp> {
        item.from.or(self.period_start)
    }
}
