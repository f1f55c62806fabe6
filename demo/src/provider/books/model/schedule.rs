//! A subscription schedule: what a subscription will be for, phase by phase.

use super::{Period, Row};
use crate::Timestamp;
use crate::provider::settings::Price;

/// A schedule of two phases, as the portal makes one for a downgrade: what is bought now, and then another price.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub id: String,
    pub customer: String,
    pub subscription: String,
    pub status: ScheduleStatus,
    pub end_behavior: EndBehavior,
    pub created: Timestamp,
    pub phases: [Phase; 2],
    /// When it was released, completed or canceled.
    pub over_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Phase {
    pub period: Period,
    pub price: Price,
    pub quantity: u32,
}

/// The names are Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleStatus {
    Active,
    Completed,
    Released,
    Canceled,
}

impl ScheduleStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Released => "released",
            Self::Canceled => "canceled",
        }
    }
}

/// What becomes of the subscription after the last phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndBehavior {
    Release,
    Cancel,
}

impl EndBehavior {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

impl Row for Schedule {
    const KIND: &'static str = "subscription_schedule";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}
