//! Complimentary access: given by hand, with a reason and an end, and taken back.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use serde::Serialize;

use super::OperatorError;
use crate::clock;
use crate::component::Billing;
use crate::store::accounts::{self, Change};
use crate::store::credits;

/// Who acts, in the audit log.
const CAUSE: &str = "operator";

/// A credit that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    pub credit: i64,
    /// The version of the account that includes it.
    pub version: u64,
    /// Whether the cache knows already.
    pub published: bool,
}

/// Credits that were taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    pub credits: Vec<i64>,
    /// The version of the account that does without them.
    pub version: u64,
    /// Whether the cache knows already.
    pub published: bool,
}

impl Billing {
    /// Gives an account a tier from now on, until a moment or for good.
    ///
    /// # Errors
    /// When the catalog has no such tier or everybody has it, the end is past, the reason is missing, or the database
    /// fails.
    pub async fn grant(
        &self,
        account: &AccountId,
        tier: &str,
        reason: &str,
        until: Option<Timestamp>,
    ) -> Result<Granted, OperatorError> {
        let now = clock::now();
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(OperatorError::NoReason);
        }
        if until.is_some_and(|until| until <= now) {
            return Err(OperatorError::EndsInThePast);
        }
        let mut tx = self.pool().begin().await?;
        check_tier(&self.rules(&mut tx).await?.catalog, tier)?;
        accounts::ensure(&mut tx, account, now).await?;
        let credit = credits::give(&mut tx, account, tier, reason, until, now).await?;
        let end = until.map_or_else(|| "for good".to_owned(), |until| format!("until {}", until.to_rfc3339()));
        let detail = format!("credit {credit} gives {tier} {end}: {reason}");
        let version = accounts::changed(&mut tx, account, Change { cause: CAUSE, detail: &detail }, now).await?;
        tx.commit().await?;
        let published = self.publish_at_once([account.clone()], now).await;
        Ok(Granted { credit, version, published })
    }

    /// Takes back one credit of an account, or all of them. What else gives it access stays.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn revoke(&self, account: &AccountId, credit: Option<i64>) -> Result<Revoked, OperatorError> {
        let now = clock::now();
        let mut tx = self.pool().begin().await?;
        let credits = credits::revoke(&mut tx, account, credit, now).await?;
        if credits.is_empty() {
            return Err(OperatorError::NothingToRevoke(account.to_string()));
        }
        let ids: Vec<String> = credits.iter().map(i64::to_string).collect();
        let detail = format!("revoked: credit {}", ids.join(", "));
        let version = accounts::changed(&mut tx, account, Change { cause: CAUSE, detail: &detail }, now).await?;
        tx.commit().await?;
        let published = self.publish_at_once([account.clone()], now).await;
        Ok(Revoked { credits, version, published })
    }
}

fn check_tier(catalog: &Catalog, tier: &str) -> Result<(), OperatorError> {
    if catalog.base().code == tier {
        return Err(OperatorError::BaseTier(tier.to_owned()));
    }
    if catalog.tier(tier).is_none() {
        let known: Vec<&str> = catalog.tiers().iter().map(|tier| tier.code.as_str()).collect();
        return Err(OperatorError::UnknownTier { tier: tier.to_owned(), known: known.join(", ") });
    }
    Ok(())
}
