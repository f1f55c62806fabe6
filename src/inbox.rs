//! The words for the inbox that an operator uses, at the command line and over HTTP.

use clap::ValueEnum;
use serde::Deserialize;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    Pending,
    Parked,
    Applied,
    Ignored,
    Dead,
}

impl EventState {
    /// The word in the inbox.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Dead => "dead",
        }
    }
}
