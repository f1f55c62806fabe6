//! One check of a key, and how long its outcome counts.

use std::time::Duration;

use entitlement::binding::{self, Fit, Misfit, Stored};
use entitlement::catalog::Provider;
use entitlement::event::Object;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::Key;
use crate::clock;
use crate::component::Billing;
use crate::credentials::Providers;
use crate::provider::client::ProviderError;
use crate::provider::heard::Heard;
use crate::provider::{self, List, Moments, key_variable};
use crate::store::{StoreError, keys, reconciliations};

/// How long a key that fits counts as such.
const FITS: Duration = Duration::from_secs(30);

/// How long one does not that a mode or an account tells apart, or whose provider could not be asked.
const FITS_NOT: Duration = Duration::from_secs(4);

/// How long one does not that sees nothing: to look again takes some calls.
const SEES_NOT: Duration = Duration::from_secs(60);

/// Subscriptions that are looked for, one by one, before the provider's newest are.
const LOOKED_FOR: i64 = 5;

/// Rows of one step of a catch-up.
const STEP: i64 = 500;

/// Of which moment an outcome has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It was found out lately.
    Lately,
    /// That a key fits is looked at anew: a subscription may have been stored since to which it does not belong.
    Now,
}

/// What is known of one key; it ends with the key.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Its account; `None` inside when it may not say.
    account: OnceCell<Option<String>>,
    /// That it has seen something of what runs here.
    sees: OnceCell<()>,
    /// That the provider refused something that a comparison asked with it.
    refusal: parking_lot::Mutex<Option<ProviderError>>,
    /// The last outcome, and until when it counts. Held while it is found out, so that one does it for all.
    last: Mutex<Option<(Instant, Key)>>,
    /// The last outcome alone, for those who wait for none.
    shown: parking_lot::Mutex<Key>,
}

impl Checked {
    /// Why a comparison could not go on with the key; `None` when the last one could.
    fn refusal(&self) -> Option<ProviderError> {
        self.refusal.lock().clone()
    }

    /// Notes how a comparison with the key went.
    pub(crate) fn note_refusal(&self, refusal: Option<ProviderError>) {
        *self.refusal.lock() = refusal;
    }
}

impl Providers {
    /// Why the key of a provider is not accepted: what was asked last said so, or a comparison.
    pub(super) fn refusal(&self, provider: Provider) -> Option<ProviderError> {
        let heard = self.heard(provider).and_then(Heard::refusal);
        heard.or_else(|| self.checked(provider).refusal())
    }
}

impl Billing {
    /// Why keys that are configured are used for nothing, as they belong elsewhere.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn misfitting_keys(&self) -> Result<Vec<String>, StoreError> {
        let mut misfits = Vec::new();
        for provider in provider::ALL {
            if let Key::Other(misfit) = self.key(provider).await? {
                misfits.push(format!("{} is not used: {misfit}", key_variable(provider)));
            }
        }
        Ok(misfits)
    }

    pub(super) async fn checked_key(
        &self,
        providers: &Providers,
        provider: Provider,
        when: When,
    ) -> Result<Key, StoreError> {
        let checked = providers.checked(provider);
        let mut last = checked.last.lock().await;
        if let Some((until, key)) = &*last
            && Instant::now() < *until
            && !(when == When::Now && matches!(key, Key::Fits { .. }))
        {
            return Ok(key.clone());
        }
        let key = self.check_key(providers, provider, checked).await?;
        let counts = match &key {
            Key::Other(Misfit::SeesNothing) => SEES_NOT,
            Key::Other(_) | Key::Unknown(_) => FITS_NOT,
            // Its account could not be asked for.
            Key::Fits { .. } if !checked.account.initialized() => FITS_NOT,
            Key::Fits { .. } | Key::None => FITS,
        };
        *checked.shown.lock() = key.clone();
        *last = Some((Instant::now() + counts, key.clone()));
        Ok(key)
    }

    /// Keys that are of no use, as an operator should know. Nobody is asked, and nothing waited for.
    pub(crate) fn refused_keys(&self) -> Vec<String> {
        let providers = self.providers();
        let mut refused = Vec::new();
        for provider in provider::ALL {
            let (variable, shown) = (key_variable(provider), providers.checked(provider).shown.lock().clone());
            match (shown, providers.refusal(provider)) {
                (Key::Other(misfit), _) => refused.push(format!("{variable} is not used: {misfit}")),
                (Key::Unknown(error @ ProviderError::Right(_)), _) => refused.push(format!(
                    "{variable} is refused: {error}; until it has it, nobody can tell whether it belongs to what is stored, and nothing is sold or compared with it"
                )),
                (_, Some(error @ ProviderError::Right(_))) => {
                    refused.push(format!("{variable} is refused: {error}; until it has it, nothing is compared"));
                }
                (Key::Unknown(error @ ProviderError::Key), _) | (_, Some(error)) => refused.push(format!(
                    "{variable} is refused: {error}; until it is replaced, checkout, portal and cancellation fail, and nothing is compared"
                )),
                _ => {}
            }
        }
        refused
    }

    async fn check_key(&self, providers: &Providers, provider: Provider, checked: &Checked) -> Result<Key, StoreError> {
        self.catch_up().await?;
        let livemode = provider::livemode(providers, provider);
        let key = |account: Option<String>| binding::Key { livemode, account };
        // What the mode tells needs no question.
        if let Fit::Not(misfit) = binding::fit(&self.stored(provider, None).await?, &key(None)) {
            return Ok(Key::Other(misfit));
        }
        let account = checked.account.get_or_try_init(|| provider::account(providers, provider)).await;
        let unsaid = account.as_ref().err().cloned();
        // The owner of a key that is not accepted is of no use.
        if let Some(error @ ProviderError::Key) = unsaid {
            return Ok(Key::Unknown(error));
        }
        let account = account.ok().cloned().flatten();
        let stored = self.stored(provider, account.as_deref()).await?;
        let fits = Key::Fits { livemode, account: account.clone() };
        match binding::fit(&stored, &key(account)) {
            Fit::Not(misfit) => return Ok(Key::Other(misfit)),
            Fit::Fits => return Ok(fits),
            Fit::IfItSees => {}
        }
        if let Some(error) = unsaid {
            return Ok(Key::Unknown(error));
        }
        if checked.sees.initialized() {
            return Ok(fits);
        }
        match self.sees(providers, provider, &stored).await {
            Ok(Ok(true)) => {
                // Once seen, for good.
                let _ = checked.sees.set(());
                Ok(fits)
            }
            Ok(Ok(false)) => Ok(Key::Other(Misfit::SeesNothing)),
            // One that may neither say whose it is nor look may be anybody's: the error names the right that it lacks.
            Ok(Err(error)) => Ok(Key::Unknown(error)),
            Err(error) => Err(error),
        }
    }

    async fn stored(&self, provider: Provider, account: Option<&str>) -> Result<Stored, StoreError> {
        let mut conn = self.pool().acquire().await?;
        keys::stored(&mut conn, provider, account).await
    }

    /// Whether the key sees anything of what runs here.
    async fn sees(
        &self,
        providers: &Providers,
        provider: Provider,
        stored: &Stored,
    ) -> Result<Result<bool, ProviderError>, StoreError> {
        let now = clock::now();
        let moments = Moments { at: now, now };
        let running = {
            let mut conn = self.pool().acquire().await?;
            keys::running(&mut conn, provider, stored.live, LOOKED_FOR).await?
        };
        for id in running {
            match provider::look(providers, provider, &Object::Subscription(id.id), moments).await {
                Ok(answers) if answers.is_empty() => {}
                Ok(_) => return Ok(Ok(true)),
                Err(ProviderError::Refused(_)) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let page = match provider::page(providers, provider, List::Subscriptions(None), None, moments).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let ids: Vec<String> = page.items.into_iter().map(|listed| listed.id).collect();
        let mut conn = self.pool().acquire().await?;
        Ok(Ok(!reconciliations::known(&mut conn, provider, &ids).await?.is_empty()))
    }

    /// Gives subscriptions that were stored by an earlier version their mode, in small steps. Nothing is done when that is
    /// done.
    ///
    /// # Errors
    /// When the database fails: it goes on there the next time.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        let mut conn = self.pool().acquire().await?;
        if keys::is_caught_up(&mut conn).await? {
            return Ok(());
        }
        let now = clock::now();
        while !keys::catch_up(&mut conn, STEP, now).await? {}
        drop(conn);
        self.settle_modes(now).await
    }
}
