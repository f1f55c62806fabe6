//! Compares the prices at the start, daily, and when the catalog or a key has changed; what differs is told once, and once when it is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::compare;
use crate::chain;
use crate::component::Billing;
use crate::credentials::Providers;
use crate::metrics;
use crate::provider::{self, key_variable};
use crate::store::StoreError;

/// How often it is looked whether there is something to compare.
const EVERY: Duration = Duration::from_secs(5);

/// How often is compared what has not changed.
const DAILY: Duration = Duration::from_hours(24);

/// How long after a provider did not answer it is asked again.
const AGAIN: Duration = Duration::from_mins(5);

/// What was compared last.
struct Last {
    catalog: Option<i64>,
    providers: Arc<Providers>,
    /// When it is compared again although nothing has changed.
    due: Instant,
}

impl Billing {
    /// Compares until told to stop.
    pub(crate) async fn run_price_watch(self, stop: CancellationToken) {
        let (mut last, mut lookup) = (None, Instant::now());
        while !stop.is_cancelled() {
            match self.follow_lookup_keys(lookup).await {
                Ok(due) => lookup = due,
                Err(error) => tracing::debug!(error = chain::told(&error), "the lookup keys cannot be followed yet"),
            }
            match self.compare_when_due(last.take()).await {
                Ok(compared) => last = compared,
                Err(error) => tracing::debug!(error = chain::told(&error), "the prices cannot be compared yet"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn compare_when_due(&self, last: Option<Last>) -> Result<Option<Last>, StoreError> {
        let rules = {
            let mut conn = self.pool().acquire().await?;
            self.rules(&mut conn).await?
        };
        let providers = self.providers();
        let is_same = |last: &Last| {
            last.catalog == rules.id && Arc::ptr_eq(&last.providers, &providers) && Instant::now() < last.due
        };
        if last.as_ref().is_some_and(is_same) {
            return Ok(last);
        }
        let prices = &self.shared().prices;
        let (mut told, mut is_complete) = (Vec::new(), true);
        for provider in provider::ALL.into_iter().filter(|provider| provider::can_ask(&providers, *provider)) {
            // A key that does not fit is told of elsewhere.
            if self.askable(provider).await.is_err() {
                is_complete = false;
                continue;
            }
            let seen = |id: &str, offer: &_| prices.note(provider, id, offer);
            let compared = compare(&providers, (&rules.catalog, provider), seen).await;
            metrics::show_price_differences(provider, compared.differences.len());
            if let Some(error) = compared.trouble {
                let key = key_variable(provider);
                tracing::warn!(%provider, %error, key, "the prices of the catalog cannot be compared with the provider's: it is tried again, and a key that is refused has to be let read them");
                is_complete = false;
            }
            told.extend(compared.differences);
        }
        self.tell_differences(told);
        let due = Instant::now() + if is_complete { DAILY } else { AGAIN };
        Ok(Some(Last { catalog: rules.id, providers, due }))
    }

    fn tell_differences(&self, told: Vec<String>) {
        let mut known = self.shared().prices.differences.lock();
        for difference in told.iter().filter(|difference| !known.contains(difference)) {
            tracing::warn!(difference, "a price of the catalog is another one at its provider: change one of the two");
        }
        if told.is_empty() && !known.is_empty() {
            tracing::info!("the prices of the catalog are those of the providers");
        }
        *known = told;
    }
}
