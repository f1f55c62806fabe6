//! Comparisons by the clock, in whichever process comes first.

use std::time::Duration;

use cache::Lasting;
use chrono::TimeDelta;
use entitlement::catalog::Provider;
use tokio_util::sync::CancellationToken;

use super::{Force, Kind, ReconcileError};
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::provider;
use crate::provider::client::ProviderError;

/// How often it is looked whether a comparison is due. Also the pause after one that failed.
const LOOK: Duration = Duration::from_secs(60);

impl Billing {
    /// Compares with the providers as often as configured, until told to stop.
    pub(crate) async fn run_reconciler(self, stop: CancellationToken) {
        let settings = self.settings().reconcile;
        let faults = provider::ALL.map(|_| Lasting::default());
        let plans = [(Kind::Delta, settings.delta), (Kind::Full, settings.full)];
        loop {
            for (kind, every) in plans.into_iter().filter_map(|(kind, every)| Some((kind, every?))) {
                let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
                for (provider, faults) in provider::ALL.into_iter().zip(&faults) {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.compare_if_due(provider, kind, every, faults) => {}
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn compare_if_due(&self, provider: Provider, kind: Kind, every: TimeDelta, faults: &Lasting) {
        if !provider::can_ask(&self.providers(), provider) {
            return;
        }
        let providers = self.providers();
        match self.reconcile_with(provider, (kind, Force::No, every), clock::now(), &mut |_| {}).await {
            Ok(compared) => {
                if compared.is_some() {
                    providers.checked(provider).note_refusal(None);
                    if let Some(failures) = faults.ends() {
                        tracing::info!(%provider, failures, "comparisons go on");
                    }
                }
            }
            // The watch of the keys tells it, once.
            Err(ReconcileError::Provider(error @ (ProviderError::Key | ProviderError::Right(_)))) => {
                tracing::debug!(%provider, error = chain::told(&error), "nothing was compared");
                providers.checked(provider).note_refusal(Some(error));
            }
            // The watch of the keys tells it, once.
            Err(error @ ReconcileError::WrongKey { .. }) => {
                tracing::debug!(%provider, error = chain::told(&error), "nothing was compared");
            }
            Err(error) if faults.begins(&error) => {
                tracing::warn!(%provider, error = chain::told(&error), "a comparison stopped; it is tried again each minute");
            }
            Err(error) => {
                tracing::debug!(%provider, error = chain::told(&error), "a comparison still does not go on");
            }
        }
    }
}
