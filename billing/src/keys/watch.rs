//! Watches the keys: one that does not fit, events that wait for another one, and what the provider no longer shows are told
//! to an operator once, and once when it is over. When the key fits, what waited for it is applied.

use std::collections::BTreeMap;
use std::time::Duration;

use cache::Lasting;
use entitlement::catalog::Provider;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Key;
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::metrics;
use crate::provider::client::ProviderError;
use crate::provider::heard::Heard;
use crate::provider::{self, Moments, key_variable};
use crate::store::{StoreError, keys, unseen};
use crate::takings::{self, Verdict, What};

/// How often the keys are looked at without being replaced.
const EVERY: Duration = Duration::from_secs(5);

/// How often it is counted which accounts have subscriptions of test mode alone, while these are spared.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How many events are made due at once.
const BATCH: i64 = 500;

/// What is seen of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Why its key is not used.
    misfit: Option<String>,
    /// Why its provider does not accept it.
    refused: Option<String>,
    /// Events that wait for another key.
    waiting: i64,
    /// Subscriptions that it no longer shows.
    unseen: i64,
    /// Accounts that would lose access if live subscriptions alone counted, when they are too many.
    spared: Option<Verdict>,
}

/// What an operator is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Misfit,
    Fits,
    Refused,
    Accepted,
    Waiting,
    NoneWaiting,
    Unseen,
    NoneUnseen,
    Spared,
}

impl Seen {
    /// What is new against what was seen before: each crossing once.
    fn news(&self, before: &Self) -> Vec<News> {
        let misfit = match (&before.misfit, &self.misfit) {
            (before, Some(now)) if before.as_ref() != Some(now) => Some(News::Misfit),
            (Some(_), None) => Some(News::Fits),
            _ => None,
        };
        let refused = match (&before.refused, &self.refused) {
            (before, Some(now)) if before.as_ref() != Some(now) => Some(News::Refused),
            (Some(_), None) => Some(News::Accepted),
            _ => None,
        };
        let crossed = |before: i64, now: i64, on: News, off: News| match (before, now) {
            (0, 1..) => Some(on),
            (1.., 0) => Some(off),
            _ => None,
        };
        let waiting = crossed(before.waiting, self.waiting, News::Waiting, News::NoneWaiting);
        let unseen = match (before.unseen, self.unseen) {
            (before, now) if now > before => Some(News::Unseen),
            (1.., 0) => Some(News::NoneUnseen),
            _ => None,
        };
        let spared = (before.spared.is_none() && self.spared.is_some()).then_some(News::Spared);
        misfit.into_iter().chain(refused).chain(waiting).chain(unseen).chain(spared).collect()
    }
}

impl Billing {
    /// Watches until told to stop.
    pub(crate) async fn run_key_watch(self, stop: CancellationToken) {
        let mut known: BTreeMap<&'static str, Seen> = BTreeMap::new();
        let faults = Lasting::default();
        let mut counted = None::<Instant>;
        while !stop.is_cancelled() {
            let is_due = counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY);
            if is_due {
                counted = Some(Instant::now());
            }
            for provider in provider::ALL {
                let kept = known.get(provider.as_str()).and_then(|seen| seen.spared).filter(|_| !is_due);
                match self.look_at_key(provider, kept).await {
                    Ok(seen) => {
                        faults.ends();
                        let before = known.insert(provider.as_str(), seen.clone()).unwrap_or_default();
                        seen.news(&before).into_iter().for_each(|news| tell(provider, news, &seen));
                        metrics::show_key(
                            provider,
                            seen.misfit.is_some() || seen.refused.is_some(),
                            seen.waiting,
                            seen.unseen,
                        );
                    }
                    Err(error) if faults.begins(&error) => {
                        tracing::warn!(%provider, error = chain::told(&error), "whether the provider's key belongs to what is stored cannot be looked up: it is tried again");
                    }
                    Err(_) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.shared().keys_replaced.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// `spared`: who was spared a moment ago, which counts still.
    async fn look_at_key(&self, provider: Provider, spared: Option<Verdict>) -> Result<Seen, StoreError> {
        self.catch_up().await?;
        let key = self.key(provider).await?;
        let (providers, now) = (self.providers(), clock::now());
        if matches!(key, Key::Fits { .. }) && providers.heard(provider).is_some_and(Heard::is_due) {
            // A key that has expired is noticed before a buyer needs it.
            provider::try_key(&providers, provider, Moments { at: now, now }).await;
        }
        match &key {
            Key::Fits { livemode, .. } => self.wake_waiting(provider, *livemode).await?,
            Key::None => self.wake_waiting(provider, None).await?,
            Key::Other(_) | Key::Unknown(_) => {}
        }
        let mut conn = self.pool().acquire().await?;
        let waiting = keys::waiting(&mut conn, provider).await?;
        let unseen = unseen::count(&mut conn, Some(provider)).await?.subscriptions;
        let is_settled = keys::do_live_count(&mut conn, provider).await?;
        let spared = match spared {
            _ if is_settled || !keys::is_live_stored(&mut conn, provider).await? => None,
            Some(spared) => Some(spared),
            None => {
                let accounts = keys::accounts_of_test_mode(&mut conn, provider).await?;
                let verdict = takings::weigh(&mut conn, u64::try_from(accounts).unwrap_or(0), now).await?;
                verdict.is_many().then_some(verdict)
            }
        };
        let (misfit, refused) = match key {
            Key::Other(misfit) => (Some(misfit.to_string()), None),
            Key::Unknown(error @ (ProviderError::Key | ProviderError::Right(_))) => (None, Some(error.to_string())),
            _ => (None, self.providers().refusal(provider).map(|error| error.to_string())),
        };
        Ok(Seen { misfit, refused, waiting, unseen, spared })
    }

    async fn wake_waiting(&self, provider: Provider, livemode: Option<bool>) -> Result<(), StoreError> {
        loop {
            let mut conn = self.pool().acquire().await?;
            let woken = keys::wake(&mut conn, provider, livemode, BATCH, clock::now()).await?;
            drop(conn);
            if woken == 0 {
                return Ok(());
            }
            tracing::info!(%provider, events = woken, "the key fits the events that waited for it: they are applied");
            self.shared().event_due.notify_one();
        }
    }
}

fn tell(provider: Provider, news: News, seen: &Seen) {
    let variable = key_variable(provider);
    match news {
        News::Misfit => tracing::error!(
            %provider,
            variable,
            reason = seen.misfit,
            "the API key does not belong to what is stored: nothing is compared, sold or asked with it"
        ),
        News::Fits => tracing::info!(%provider, variable, "the API key belongs to what is stored"),
        News::Refused => tracing::warn!(
            %provider,
            variable,
            reason = seen.refused,
            "the API key is refused: set one that the provider accepts, with the rights that the README names, then reload. Until then checkout, portal and cancellation fail, and nothing is compared"
        ),
        News::Accepted => tracing::info!(%provider, variable, "the API key is accepted"),
        News::Waiting => tracing::error!(
            %provider,
            variable,
            events = seen.waiting,
            "events wait for the right API key: `tollgate events list --state parked` shows them"
        ),
        News::NoneWaiting => tracing::info!(%provider, "no event waits for another API key any more"),
        News::Unseen => tracing::error!(
            %provider,
            subscriptions = seen.unseen,
            "the provider no longer shows subscriptions that run here: they stay as they are, and `tollgate reconcile --end-unseen` ends them"
        ),
        News::NoneUnseen => tracing::info!(%provider, "the provider shows every subscription that runs here"),
        News::Spared => {
            if let Some(verdict) = &seen.spared {
                takings::tell_held_back(What::Mode, verdict);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::takings::Tally;

    #[test]
    fn each_crossing_is_told_once_and_so_is_its_end() {
        use News::{Accepted, Fits, Misfit, NoneUnseen, NoneWaiting, Refused, Spared, Unseen, Waiting};
        let seen = |misfit: Option<&str>, waiting, unseen, spared| Seen {
            misfit: misfit.filter(|why| *why != "401").map(str::to_owned),
            refused: misfit.filter(|why| *why == "401").map(str::to_owned),
            waiting,
            unseen,
            spared: (spared > 0).then_some(Verdict { wanted: spared, tally: Tally::default() }),
        };
        let mut before = Seen::default();
        let steps: [(&str, Seen, &[News]); 11] = [
            ("all well", seen(None, 0, 0, 0), &[]),
            ("a wrong key", seen(Some("test"), 2, 0, 0), &[Misfit, Waiting]),
            ("still", seen(Some("test"), 9, 0, 0), &[]),
            ("another wrong key", seen(Some("other"), 9, 0, 0), &[Misfit]),
            ("the right one", seen(None, 0, 1, 0), &[Fits, NoneWaiting, Unseen]),
            ("more are gone", seen(None, 0, 3, 4), &[Unseen, Spared]),
            ("still", seen(None, 0, 2, 4), &[]),
            ("all well again", seen(None, 0, 0, 0), &[NoneUnseen]),
            ("a key that is refused", seen(Some("401"), 0, 0, 0), &[Refused]),
            ("still", seen(Some("401"), 0, 0, 0), &[]),
            ("one that is accepted", seen(None, 0, 0, 0), &[Accepted]),
        ];
        for (what, now, expected) in steps {
            assert_eq!(now.news(&before), expected, "{what}");
            before = now;
        }
    }
}
