//! What a simulated provider is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

/// Where the provider listens, who may call it, and whom it tells.
///
/// Has no `Debug`: it holds an API key and a signing secret.
#[derive(Clone)]
pub struct Settings {
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The key that API callers must present.
    pub api_key: String,
    /// Where events go; `None`: they are kept, but sent nowhere. See `Provider::set_webhook_url`.
    pub webhook_url: Option<String>,
    /// Signs every delivery.
    pub webhook_secret: String,
    /// Everything that it sells.
    pub prices: Vec<Price>,
    /// The API version of the account: the shape of its events, and of answers to calls that name no version.
    pub shape: Shape,
    /// How long to wait before each further try of a failed delivery; after the last one it is given up.
    pub retry_delays: Vec<Duration>,
}

impl Settings {
    /// Listens on a free loopback port, sells nothing, tells nobody, in the newest shape.
    #[must_use]
    pub fn new(api_key: impl Into<String>, webhook_secret: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: api_key.into(),
            webhook_url: None,
            webhook_secret: webhook_secret.into(),
            prices: Vec::new(),
            shape: Shape::Endive,
            retry_delays: [100, 300, 1_000, 3_000, 10_000].map(Duration::from_millis).to_vec(),
        }
    }
}

/// One recurring price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub id: String,
    /// In minor units.
    pub amount: i64,
    /// Three letters, lower case.
    pub currency: String,
    pub cadence: Cadence,
    /// The name of the product; prices with one name belong to one product.
    pub product: String,
}

/// How often a price is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    Month,
    Year,
}

impl Cadence {
    /// Stripe's word for it.
    #[must_use]
    pub const fn interval(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Its length in months.
    #[must_use]
    pub const fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// The three generations of Stripe's objects that a receiver meets in the wild.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Before 2025-03-31: `current_period_*` on the subscription, `invoice.subscription`.
    Acacia,
    /// From 2025-03-31: the period on the items, `invoice.parent.subscription_details.subscription`.
    Basil,
    /// From 2025-09-30 (clover): as Basil, with flexible billing as the default.
    Endive,
}

impl Shape {
    /// The API version that events of this shape carry.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Acacia => "2025-02-24.acacia",
            Self::Basil => "2025-08-27.basil",
            Self::Endive => "2026-09-30.endive",
        }
    }

    /// The shape of an API version such as `2025-03-31.basil`; `None` when it does not begin with a date.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        let date = chrono::NaiveDate::parse_from_str(version.get(..10)?, "%Y-%m-%d").ok()?;
        let from = |year, month, day| chrono::NaiveDate::from_ymd_opt(year, month, day);
        if Some(date) < from(2025, 3, 31) {
            return Some(Self::Acacia);
        }
        if Some(date) < from(2025, 9, 30) {
            return Some(Self::Basil);
        }
        Some(Self::Endive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_version_names_its_shape() {
        let cases = [
            ("2020-08-27", Some(Shape::Acacia)),
            ("2025-02-24.acacia", Some(Shape::Acacia)),
            ("2025-03-31.basil", Some(Shape::Basil)),
            ("2025-09-29.basil", Some(Shape::Basil)),
            ("2025-09-30.clover", Some(Shape::Endive)),
            ("2026-09-30.endive", Some(Shape::Endive)),
            ("endive", None),
            ("", None),
        ];
        for (version, shape) in cases {
            assert_eq!(Shape::of_version(version), shape, "{version}");
        }
        for shape in [Shape::Acacia, Shape::Basil, Shape::Endive] {
            assert_eq!(Shape::of_version(shape.api_version()), Some(shape));
        }
    }
}
