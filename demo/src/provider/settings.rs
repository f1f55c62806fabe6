//! What a simulated provider is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// What every object and event says of itself.
    pub mode: Mode,
    /// The connected account that every event names; `None`: the account itself, which is not named.
    pub account: Option<String>,
    /// In which form the endpoint is told.
    pub events: EventForm,
    /// What becomes of a subscription that nobody pays.
    pub exhausted: Exhausted,
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
            mode: Mode::default(),
            account: None,
            events: EventForm::default(),
            exhausted: Exhausted::default(),
        }
    }
}

/// A further key with which the API may be called, and what it opens.
///
/// Has no `Debug`: it holds an API key. A key sees what was made in its mode and account; what is in the books is of the
/// provider's own account, in the mode that they are in.
#[derive(Clone)]
pub struct Key {
    /// Its prefix says the mode, such as `sk_live_`.
    pub key: String,
    /// The account that it belongs to; `None`: the provider's own.
    pub account: Option<String>,
    /// Whether it may read of which account it is.
    pub reads_account: bool,
    /// The calls that it may not make, by their beginnings, as `POST webhook_endpoints`.
    pub lacks: Vec<&'static str>,
}

impl Key {
    /// A key of the provider's own account that may do everything.
    #[must_use]
    pub fn own(key: impl Into<String>) -> Self {
        Self { key: key.into(), account: None, reads_account: true, lacks: Vec::new() }
    }

    /// A restricted key of the provider's own account: it may not read of which one it is.
    #[must_use]
    pub fn restricted(key: impl Into<String>) -> Self {
        Self { reads_account: false, ..Self::own(key) }
    }

    /// A key of another account.
    #[must_use]
    pub fn of_another(key: impl Into<String>, account: impl Into<String>) -> Self {
        Self { account: Some(account.into()), ..Self::own(key) }
    }

    /// The mode that its prefix says: `_live_` or `_test_`.
    pub(super) fn livemode(&self) -> Option<bool> {
        let (_, mode) = self.key.split_once('_')?;
        [("live_", true), ("test_", false)].into_iter().find(|(name, _)| mode.starts_with(name)).map(|(_, live)| live)
    }
}

/// The provider's own account.
pub const OWN_ACCOUNT: &str = "acct_simulated";

/// One recurring price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub id: String,
    /// In minor units.
    pub amount: i64,
    /// Three letters, lower case.
    pub currency: String,
    pub cadence: Cadence,
    /// The name of the product; prices with one name belong to one product. A product that a call has made stands as `name#id`.
    pub product: String,
    /// Whether usage is charged, which nobody reports here: then there is no quantity.
    pub metered: bool,
}

impl Price {
    /// The name of its product.
    #[must_use]
    pub fn product_name(&self) -> &str {
        self.product.split('#').next().unwrap_or_default()
    }
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

/// What becomes of a subscription when a payment failed in every try: the account's setting in Stripe's dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exhausted {
    #[default]
    Cancel,
    /// It stays, and its invoices are only drafted.
    Unpaid,
    /// It stays, and the next period is charged as if nothing had been.
    LeavePastDue,
}

/// What every object says of itself: its `livemode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Test,
    /// As if real money were behind it.
    Live,
}

/// In which form the endpoint is told (<https://docs.stripe.com/event-destinations>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventForm {
    /// With the object as it was.
    #[default]
    Snapshot,
    /// With the object's name only.
    Thin,
    /// As during a migration: two events with two ids, the thin one naming the other.
    Both,
}

/// Whether one change makes one Event object; Stripe says that it may make two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    #[default]
    Once,
    Twice,
}

/// Whether changes are told at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    #[default]
    Aloud,
    /// Nobody ever hears of them: no event is made.
    Silent,
}

/// The generations of Stripe's objects that a receiver meets in the wild, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Before 2022-11-15: a charge carries its refunds, a payment intent its charges; else as Acacia.
    Old2020,
    /// Before 2025-03-31: `current_period_*` and `plan` on the subscription, `invoice.subscription`, `charge.invoice`.
    Acacia,
    /// From 2025-03-31: the period on the items, `invoice.parent.subscription_details.subscription`, and a charge that
    /// does not name its invoice: `invoice_payment.paid` does.
    Basil,
    /// From 2025-09-30: as Basil, with flexible billing as the default.
    Clover,
    /// From 2026-09-30: as Clover, with `billing_schedules`.
    Endive,
}

impl Shape {
    /// Every shape, oldest first.
    pub const ALL: [Self; 5] = [Self::Old2020, Self::Acacia, Self::Basil, Self::Clover, Self::Endive];

    /// The API version that events of this shape carry.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Old2020 => "2020-08-27",
            Self::Acacia => "2025-02-24.acacia",
            Self::Basil => "2025-08-27.basil",
            Self::Clover => "2025-11-17.clover",
            Self::Endive => "2026-09-30.endive",
        }
    }

    /// The shape of an API version such as `2025-03-31.basil`; `None` when it does not begin with a date.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        let date = chrono::NaiveDate::parse_from_str(version.get(..10)?, "%Y-%m-%d").ok()?;
        let begins = [
            ((2022, 11, 15), Self::Old2020),
            ((2025, 3, 31), Self::Acacia),
            ((2025, 9, 30), Self::Basil),
            ((2026, 9, 30), Self::Clover),
        ];
        let before =
            |(year, month, day)| chrono::NaiveDate::from_ymd_opt(year, month, day).is_some_and(|end| date < end);
        Some(begins.into_iter().find(|(end, _)| before(*end)).map_or(Self::Endive, |(_, shape)| shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_version_names_its_shape() {
        let cases = [
            ("2020-08-27", Some(Shape::Old2020)),
            ("2022-11-15", Some(Shape::Acacia)),
            ("2025-02-24.acacia", Some(Shape::Acacia)),
            ("2025-03-31.basil", Some(Shape::Basil)),
            ("2025-09-29.basil", Some(Shape::Basil)),
            ("2025-09-30.clover", Some(Shape::Clover)),
            ("2026-04-22.dahlia", Some(Shape::Clover)),
            ("2026-09-30.endive", Some(Shape::Endive)),
            ("endive", None),
            ("", None),
        ];
        for (version, shape) in cases {
            assert_eq!(Shape::of_version(version), shape, "{version}");
        }
        for shape in Shape::ALL {
            assert_eq!(Shape::of_version(shape.api_version()), Some(shape));
        }
    }
}
