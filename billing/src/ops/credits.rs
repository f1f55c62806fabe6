//! Complimentary access: given by hand, with a reason and an end, and taken back.

use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use serde::Serialize;

use super::OperatorError;
use crate::clock;
use crate::component::Billing;
use crate::store::accounts::{self, Change};
use crate::store::credits::{self, Term};

/// Longest credit by the day: a hundred years.
const DAYS_MAX: u32 = 36_500;

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
    /// Gives an account a tier from now on: until a moment, for good, or by the day. Days follow those that it has
    /// already, and are spent only while nothing else gives as much.
    ///
    /// # Errors
    /// When the catalog has no such tier or everybody has it, the end is past or there is no day, the reason is missing,
    /// or the database fails.
    pub async fn grant(
        &self,
        account: &AccountId,
        tier: &str,
        reason: &str,
        term: impl Into<Term>,
    ) -> Result<Granted, OperatorError> {
        let term = term.into();
        let now = clock::now();
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(OperatorError::NoReason);
        }
        let end = match term {
            Term::Until(until) if until <= now => return Err(OperatorError::EndsInThePast),
            Term::Days(days) if !(1..=DAYS_MAX).contains(&days) => return Err(OperatorError::BadDays),
            Term::Until(until) => format!("until {}", until.to_rfc3339()),
            Term::Days(days) => format!("for {days} days"),
            Term::Open => "for good".to_owned(),
        };
        let mut tx = self.pool().begin().await?;
        check_tier(&self.rules(&mut tx).await?.catalog, tier)?;
        accounts::ensure(&mut tx, account, now).await?;
        let credit = credits::give(&mut tx, account, tier, reason, term, now).await?;
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
