//! The main journey, played through HTTP without a person: somebody meets the gate, buys, reads, cancels, and meets the
//! gate again. Each step is told as it happens; the first wrong one ends the story.

mod browser;
mod hosted;
mod journey;
mod teller;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use self::journey::Journey;
use self::teller::Teller;

/// Where the story is played, and by whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tollgate's public address, without a slash at the end.
    pub public_url: String,
    /// The simulated provider's address, without a slash at the end.
    pub provider_url: String,
    /// Who buys: a user of the sample site without a subscription.
    pub account: String,
    /// Who never buys.
    pub other_account: String,
    /// The path of a page behind the gate.
    pub page: String,
    /// What is bought.
    pub tier: String,
    /// `monthly` or `annual`.
    pub cadence: String,
    /// The text that the buyer agrees to, by its id in the catalog.
    pub consent: Option<String>,
    /// How long a change may take to arrive after the provider knows it.
    pub patience: Duration,
}

impl Settings {
    /// Alice buys the demo's monthly price, and Bob does not.
    #[must_use]
    pub fn new(public_url: impl Into<String>, provider_url: impl Into<String>) -> Self {
        Self {
            public_url: public_url.into(),
            provider_url: provider_url.into(),
            account: "alice".to_owned(),
            other_account: "bob".to_owned(),
            page: "/premium/lighthouses".to_owned(),
            tier: "paid".to_owned(),
            cadence: "monthly".to_owned(),
            consent: Some("monthly-waiver-1".to_owned()),
            patience: Duration::from_secs(10),
        }
    }
}

/// Plays the story, and writes one line per step.
///
/// # Errors
/// When a step shows something else than it should, which has then been written too, or nobody answers.
pub async fn play(settings: &Settings, out: &mut (dyn Write + Send)) -> Result<()> {
    let mut teller = Teller::new(out);
    let played = match Journey::new(settings) {
        Ok(mut journey) => journey.play(&mut teller).await,
        Err(error) => Err(error),
    };
    teller.end(played)
}
