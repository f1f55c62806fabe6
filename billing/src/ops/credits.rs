//! Complimentary access: given by hand, with a reason and an end, and taken back.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use serde::Serialize;
use sqlx::PgConnection;

use super::{OperatorError, check_no_pseudonym, check_not_moved};
use crate::clock;
use crate::component::Billing;
use crate::store::accounts::{self, Change};
use crate::store::credits::{self, Term};
use crate::store::links::{self, Placing};
use crate::store::wishes::{self, Fulfilled};

/// Longest credit by the day: a hundred years.
const DAYS_MAX: u32 = 36_500;

/// The actor in the audit log.
const CAUSE: &str = "operator";

/// Longest id of a wish, in bytes.
const ID_BYTES_MAX: usize = 255;

/// A credit that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    pub credit: i64,
    /// The version of the account that includes it.
    pub version: u64,
    /// Whether the cache knows already.
    pub published: bool,
    /// Whether nothing was known of the account before.
    pub new_account: bool,
    /// Whether it was done before, under the same id: nothing has changed now.
    pub repeated: bool,
    /// Whether it was taken back since.
    pub revoked: bool,
}

/// Credits that were taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    pub credits: Vec<i64>,
    /// The version of the account that does without them.
    pub version: u64,
    /// Whether the cache knows already.
    pub published: bool,
    /// Whether it was done before, under the same id: nothing has changed now.
    pub repeated: bool,
}

impl Billing {
    /// Gives an account a tier from now on: until a moment, for good, or by the day. Days follow those that it has
    /// already, and are spent only while nothing else gives as much. With an id it is done once.
    ///
    /// # Errors
    /// When the catalog has no such tier or everybody has it, the end is past or there is no day, the reason is missing, the
    /// account goes by another id or is a pseudonym, the id was used for something else, or the database fails.
    pub async fn grant(
        &self,
        account: &AccountId,
        tier: &str,
        reason: &str,
        term: impl Into<Term>,
        id: Option<&str>,
    ) -> Result<Granted, OperatorError> {
        let term = term.into();
        let now = clock::now();
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(OperatorError::NoReason);
        }
        let end = match term {
            Term::Until(until) => format!("until {}", until.to_rfc3339()),
            Term::Days(days) => format!("for {days} days"),
            Term::Open => "for good".to_owned(),
        };
        let mut tx = self.pool().begin().await?;
        let wish = Wish::of(id, account, format!("grant {account} {tier} {end}: {reason}"))?;
        if let Some(done) = wish.done(&mut tx).await? {
            let credit = done.credits.first().copied().unwrap_or_default();
            let revoked = credits::is_revoked(&mut tx, credit).await?;
            drop(tx);
            let published = self.publish_once_more(account, now).await;
            let version = version(&done);
            return Ok(Granted { credit, version, published, new_account: false, repeated: true, revoked });
        }
        match term {
            Term::Until(until) if until <= now => return Err(OperatorError::EndsInThePast),
            Term::Days(days) if !(1..=DAYS_MAX).contains(&days) => return Err(OperatorError::BadDays),
            _ => {}
        }
        check_tier(&self.rules(&mut tx).await?.catalog, tier)?;
        check_no_pseudonym(account)?;
        // Nothing is moved or erased from here on.
        links::lock(&mut tx, [], Placing::Adds).await?;
        check_not_moved(&mut tx, account).await?;
        let new_account = !accounts::is_known(&mut tx, account).await?;
        accounts::ensure(&mut tx, account, now).await?;
        let credit = credits::give(&mut tx, account, tier, reason, term, now).await?;
        let detail = format!("credit {credit} gives {tier} {end}: {reason}");
        let version = accounts::changed(&mut tx, account, Change { cause: CAUSE, detail: &detail }, now).await?;
        wish.note(&mut tx, vec![credit], version, now).await?;
        tx.commit().await?;
        let published = self.publish_at_once([account.clone()], now).await;
        Ok(Granted { credit, version, published, new_account, repeated: false, revoked: false })
    }

    /// Takes back one credit of an account, or all of them. What else gives it access stays. With an id it is done once.
    ///
    /// # Errors
    /// When there is none, nothing is known of the account, it goes by another id, the id was used for something else, or the database
    /// fails.
    pub async fn revoke(
        &self,
        account: &AccountId,
        credit: Option<i64>,
        id: Option<&str>,
    ) -> Result<Revoked, OperatorError> {
        let now = clock::now();
        let mut tx = self.pool().begin().await?;
        let which = credit.map_or_else(|| "all credits".to_owned(), |credit| format!("credit {credit}"));
        let wish = Wish::of(id, account, format!("revoke {account} {which}"))?;
        if let Some(done) = wish.done(&mut tx).await? {
            drop(tx);
            let published = self.publish_once_more(account, now).await;
            return Ok(Revoked { version: version(&done), credits: done.credits, published, repeated: true });
        }
        check_not_moved(&mut tx, account).await?;
        if !accounts::is_known(&mut tx, account).await? {
            return Err(self.unknown(account).await);
        }
        let credits = credits::revoke(&mut tx, account, credit, now).await?;
        if credits.is_empty() {
            return Err(OperatorError::NothingToRevoke(account.to_string()));
        }
        let ids: Vec<String> = credits.iter().map(i64::to_string).collect();
        let detail = format!("revoked: credit {}", ids.join(", "));
        let version = accounts::changed(&mut tx, account, Change { cause: CAUSE, detail: &detail }, now).await?;
        wish.note(&mut tx, credits.clone(), version, now).await?;
        tx.commit().await?;
        let published = self.publish_at_once([account.clone()], now).await;
        Ok(Revoked { credits, version, published, repeated: false })
    }
}

/// What is asked for, and under which id.
pub(super) struct Wish<'a> {
    id: Option<&'a str>,
    account: &'a AccountId,
    text: String,
}

impl<'a> Wish<'a> {
    pub fn of(id: Option<&'a str>, account: &'a AccountId, text: String) -> Result<Self, OperatorError> {
        match id {
            Some(id) if id.is_empty() || id.len() > ID_BYTES_MAX || id.contains('\0') => Err(OperatorError::BadId),
            _ => Ok(Self { id, account, text }),
        }
    }

    /// What came of it before, when it was asked for under this id.
    pub async fn done(&self, conn: &mut PgConnection) -> Result<Option<Fulfilled>, OperatorError> {
        let Some(id) = self.id else { return Ok(None) };
        match wishes::find(conn, id).await? {
            Some(done) if done.wish != self.text => Err(OperatorError::IdUsed { id: id.to_owned(), wish: done.wish }),
            done => Ok(done),
        }
    }

    pub async fn note(
        self,
        conn: &mut PgConnection,
        credits: Vec<i64>,
        version: u64,
        now: Timestamp,
    ) -> Result<(), OperatorError> {
        let Some(id) = self.id else { return Ok(()) };
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        Ok(wishes::note(conn, (id, self.account), &Fulfilled { wish: self.text, credits, version }, now).await?)
    }
}

fn version(done: &Fulfilled) -> u64 {
    u64::try_from(done.version).unwrap_or_default()
}

pub(super) fn check_tier(catalog: &Catalog, tier: &str) -> Result<(), OperatorError> {
    if catalog.base().code == tier {
        return Err(OperatorError::BaseTier(tier.to_owned()));
    }
    if catalog.tier(tier).is_none() {
        let known: Vec<&str> = catalog.tiers().iter().map(|tier| tier.code.as_str()).collect();
        return Err(OperatorError::UnknownTier { tier: tier.to_owned(), known: known.join(", ") });
    }
    Ok(())
}
