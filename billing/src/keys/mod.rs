//! Whether a provider's API key belongs to what is stored: one that does not is used for nothing.
//!
//! What binds a key is what the stored subscriptions say of their mode and account. Where that does not decide, the key has
//! to see one of the subscriptions that run here.

mod check;
mod live;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use entitlement::binding::Misfit;
use entitlement::catalog::Provider;
use http::StatusCode;

use crate::component::Billing;
use crate::credentials::Providers;
use crate::problem::Problem;
use crate::provider::client::ProviderError;
use crate::provider::{self, key_variable};
use crate::store::StoreError;
use crate::{caller, metrics};

pub(crate) use check::Checked;
use check::When;
pub(crate) use live::{DETAIL, begin as begin_live};

/// How long a sale waits for the check of the key.
const SALE_WAITS: Duration = Duration::from_secs(15);

/// How the key of a provider stands to what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    /// None is configured.
    #[default]
    None,
    /// It fits.
    Fits {
        livemode: Option<bool>,
        /// The provider's account that it belongs to, where it may say.
        account: Option<String>,
    },
    /// It belongs to another mode or account.
    Other(Misfit),
    /// The provider could not be asked.
    Unknown(ProviderError),
}

impl Key {
    /// The provider's account that answers, where it is known.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Fits { account, .. } => account.as_deref(),
            _ => None,
        }
    }

    /// Its mode, or why it does not fit; `None` when there is none, or the provider could not say.
    pub fn verdict(&self) -> Option<Result<Option<bool>, &Misfit>> {
        match self {
            Self::Fits { livemode, .. } => Some(Ok(*livemode)),
            Self::Other(misfit) => Some(Err(misfit)),
            Self::None | Self::Unknown(_) => None,
        }
    }
}

/// Why a provider is not asked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{} is not used: {misfit}", key_variable(*provider))]
    Wrong { provider: Provider, misfit: Misfit },
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Wrong { .. } => {
                let (account, reference) = (caller::account(), format!("{:08x}", rand::random::<u32>()));
                if account.is_empty() {
                    tracing::info!(reference, reason = %error, "what was asked for an account is not done");
                } else {
                    metrics::count_refused_sale();
                    tracing::error!(account, reference, reason = %error, "a buyer was turned away");
                }
                let detail =
                    "Selling is not set up: the operator of this site has to correct the payment provider's key.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "wrong_key", detail).because(&error).reference(reference)
            }
            KeyError::Provider(error) => error.into(),
            KeyError::Store(error) => error.into(),
        }
    }
}

/// A provider that may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Askable {
    pub providers: Arc<Providers>,
    /// Its account, where the key may say.
    pub account: Option<String>,
}

impl Billing {
    /// The providers as they are spoken with, when the key of this one fits what is stored. No connection may be held.
    ///
    /// # Errors
    /// When it does not fit, or that cannot be said now.
    pub(crate) async fn askable(&self, provider: Provider) -> Result<Askable, KeyError> {
        let providers = self.providers();
        match self.key_of(&providers, provider).await? {
            Key::Other(misfit) => Err(KeyError::Wrong { provider, misfit }),
            Key::Unknown(error) => Err(error.into()),
            Key::Fits { account, .. } => Ok(Askable { providers, account }),
            Key::None => Ok(Askable { providers, account: None }),
        }
    }

    /// As [`Billing::askable`], before something is sold: a sale under a key that belongs elsewhere would be of somebody else's, so it
    /// waits for the check, and what was found out before is not enough.
    ///
    /// # Errors
    /// When it does not fit, or that cannot be said now, or not in time.
    pub(crate) async fn check_to_sell(&self, provider: Provider) -> Result<(), KeyError> {
        let providers = self.providers();
        if !provider::can_ask(&providers, provider) {
            return Ok(());
        }
        let checking = self.checked_key(&providers, provider, When::Now);
        match tokio::time::timeout(SALE_WAITS, checking).await.map_err(|_| ProviderError::too_slow())?? {
            Key::Other(misfit) => Err(KeyError::Wrong { provider, misfit }),
            Key::Unknown(error) => Err(error.into()),
            Key::Fits { .. } | Key::None => Ok(()),
        }
    }

    /// How the configured key stands to what is stored. No connection may be held.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn key(&self, provider: Provider) -> Result<Key, StoreError> {
        self.key_of(&self.providers(), provider).await
    }

    async fn key_of(&self, providers: &Arc<Providers>, provider: Provider) -> Result<Key, StoreError> {
        if !provider::can_ask(providers, provider) {
            return Ok(Key::None);
        }
        self.checked_key(providers, provider, When::Lately).await
    }
}
