//! The customer portal, in which a subscription is changed, paid for and ended.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use http::StatusCode;

use super::{check_any_configured, check_configured, links};
use crate::Billing;
use crate::api::standing;
use crate::problem::Problem;
use crate::provider;
use crate::provider::client::ProviderError;
use crate::provider::sell;
use crate::store::{StoreError, customers};

/// Opens the customer portal and answers its URL, which the provider lets expire: of the provider that is paid, else of
/// the one at which the account is known.
///
/// # Errors
/// 404 when the account never bought anything here, 502 with the provider's message, 503 when there is no key.
pub async fn open_portal(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<String, Problem> {
    check_any_configured(billing)?;
    let standing = standing::of(billing, account, now).await?;
    let none = || {
        let detail = if standing.has_any_elsewhere(now) {
            "What this account has is paid for by another account, and is changed in the portal of that one."
        } else {
            "Nothing was bought here yet."
        };
        Problem::new(StatusCode::NOT_FOUND, "no_customer", detail)
    };
    // The customer that pays, before the one that would. One who pays for this account may be another account's: the portal would
    // show everything of theirs.
    let live = standing.live(now).into_iter().map(|live| live.subscription).chain(standing.unnamed(now));
    let mut own = live.filter(|own| !standing.is_elsewhere(&own.id));
    let paying = own.next().map(|own| (own.id.provider, own.customer.clone()));
    let (provider, customer) = match paying {
        Some(paying) => paying,
        None => stored_customer(billing, account).await?.ok_or_else(none)?,
    };
    check_configured(billing, provider).await?;
    billing.shared().asks.act(account)?;
    let settings = billing.settings();
    let return_url = links::on_site(&settings.site_url, &settings.own_paths().of(links::ACCOUNT_PATH));
    match sell::create_portal(&billing.providers(), provider, &customer, &return_url).await {
        Err(ProviderError::UnknownCustomer) => Err(none()),
        opened => Ok(opened?),
    }
}

async fn stored_customer(billing: &Billing, account: &AccountId) -> Result<Option<(Provider, String)>, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    for provider in provider::ALL {
        if let Some(customer) = customers::customer_of(&mut conn, provider, account).await? {
            return Ok(Some((provider, customer)));
        }
    }
    Ok(None)
}
