//! Accounts that are taken over from a system that sold before: their customers, credits, trials and invitations.

mod judge;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use serde::Serialize;
use sqlx::PgConnection;

use self::judge::{Additions, Given, Judge};
use super::OperatorError;
use super::credits::check_tier;
use crate::clock;
use crate::component::Billing;
use crate::referral;
use crate::store::accounts::{self, Change};
use crate::store::links::{self, Placing};
use crate::store::{first_links, imports, victims};

/// Rows of one transaction: locks are held for a fraction of a second.
const BATCH: usize = 500;

/// How often a batch is looked at once more whose accounts have changed meanwhile.
const TRIES: usize = 3;

/// One row of a table that is taken over. An absent field stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// By which it is told of.
    pub line: u64,
    pub account: AccountId,
    pub customers: Vec<(Provider, String)>,
    pub credit_until: Option<Timestamp>,
    pub trial_used_at: Option<Timestamp>,
    /// In lower case.
    pub referral_code: Option<String>,
    /// An account, or the code of one.
    pub referred_by: Option<String>,
}

/// Whether it is done, or only said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Show,
    Apply,
}

/// A row that is left out, or one field of it, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    pub line: u64,
    pub account: Option<AccountId>,
    /// The column of what is left out; `None`: the whole row.
    pub field: Option<String>,
    pub why: String,
}

/// The result of an import, done or only shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Rows that were looked at.
    pub rows: u64,
    /// Accounts of which nothing was known.
    pub accounts: u64,
    /// Customers that are linked.
    pub customers: u64,
    /// Credits that are given.
    pub credits: u64,
    /// Trials that are written down.
    pub trials: u64,
    pub codes: u64,
    pub referrals: u64,
    /// Rows that hold nothing new.
    pub unchanged: u64,
    /// Credits whose end is past: nothing is given.
    pub credits_over: u64,
    /// Invited accounts that have bought something already: no account is rewarded for them.
    pub referrals_late: u64,
    /// The tier of the credits, if there are any.
    pub tier: Option<String>,
    pub refused: Vec<RefusedRow>,
    /// Whether the cache knows already.
    pub published: bool,
}

impl Billing {
    /// Takes accounts over, in the order of their rows; what is known already stays, and a field that contradicts it is left out.
    /// Credits give `tier`; without one, what invitations give. `progress` is told how many rows are looked at.
    ///
    /// # Errors
    /// When a credit is to be given and no catalog says of which tier, or the database fails: what `progress` was told of is done.
    pub async fn import_accounts(
        &self,
        rows: &[ImportRow],
        tier: Option<&str>,
        doing: Doing,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Imported, OperatorError> {
        let now = clock::now();
        let tier = self.tier_of_credits(rows, tier, now).await?;
        let mut report = Imported { tier: tier.clone(), published: true, ..Imported::default() };
        let mut judge = Judge::new(rows, now);
        for batch in rows.chunks(BATCH) {
            let additions = match doing {
                Doing::Show => {
                    let mut conn = self.pool().acquire().await?;
                    judge.judge(&mut conn, batch).await?
                }
                Doing::Apply => {
                    let (additions, published) = self.add_batch(&mut judge, batch, tier.as_deref()).await?;
                    report.published &= published;
                    additions
                }
            };
            report.count(batch, &additions);
            judge.settle(additions);
            progress(report.rows);
        }
        Ok(report)
    }

    /// Of which tier the credits are; `None` where none is to be given.
    async fn tier_of_credits(
        &self,
        rows: &[ImportRow],
        tier: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, OperatorError> {
        if !rows.iter().any(|row| row.credit_until.is_some_and(|until| until > now)) {
            return Ok(None);
        }
        let mut conn = self.pool().acquire().await?;
        let catalog = self.rules(&mut conn).await?.catalog.clone();
        match tier {
            Some(tier) => {
                check_tier(&catalog, tier)?;
                Ok(Some(tier.to_owned()))
            }
            None => {
                let tier = referral::tier(&catalog, &self.settings().referral);
                tier.map(|tier| Some(tier.code.clone())).ok_or(OperatorError::NoTier)
            }
        }
    }

    async fn add_batch<'a>(
        &self,
        judge: &mut Judge<'a>,
        batch: &'a [ImportRow],
        tier: Option<&str>,
    ) -> Result<(Additions<'a>, bool), OperatorError> {
        for _ in 0..TRIES {
            let now = clock::now();
            let additions = match self.add_in_database(judge, batch, tier, now).await {
                Ok(Some(additions)) => additions,
                Ok(None) => continue,
                Err(error) if victims::is_victim(&error) => continue,
                Err(error) => return Err(error),
            };
            self.shared().event_due.notify_one();
            let credited: Vec<AccountId> = additions.credits.iter().map(|given| given.account.clone()).collect();
            let published = credited.is_empty() || self.publish_at_once(credited, now).await;
            return Ok((additions, published));
        }
        Err(OperatorError::Moving)
    }

    /// Writes what is to be added, in one transaction; nothing when an account has got a code, or a trial, since it was looked at.
    async fn add_in_database<'a>(
        &self,
        judge: &Judge<'a>,
        batch: &'a [ImportRow],
        tier: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Additions<'a>>, OperatorError> {
        let mut tx = self.pool().begin().await?;
        imports::lock(&mut tx).await?;
        let customers = batch.iter().flat_map(|row| &row.customers);
        links::lock(&mut tx, customers.map(|(provider, id)| (*provider, id.as_str())), Placing::Adds).await?;
        let additions = judge.judge(&mut tx, batch).await?;
        if !add(&mut tx, &additions, tier, now).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(additions))
    }
}

/// Writes what is added; answers whether nothing of it was there already.
async fn add(
    conn: &mut PgConnection,
    additions: &Additions<'_>,
    tier: Option<&str>,
    now: Timestamp,
) -> Result<bool, OperatorError> {
    let Additions { accounts, customers, credits, trials, codes, referrals, .. } = additions;
    let accounts: Vec<&str> = accounts.iter().map(|account| account.as_str()).collect();
    imports::add_accounts(conn, &accounts, now).await?;
    if !customers.is_empty() {
        first_links::assign_new(conn, customers, now).await?;
    }
    let trials: Vec<_> = trials.iter().map(|given| (given.account.as_str(), given.it)).collect();
    let codes: Vec<_> = codes.iter().map(|given| (given.account.as_str(), given.it)).collect();
    let referrals: Vec<_> = referrals.iter().map(|given| (given.account.as_str(), given.it.as_str())).collect();
    let (asked, added) = (
        (trials.len() + codes.len() + referrals.len()) as u64,
        imports::add_trials(conn, &trials).await?
            + imports::add_codes(conn, &codes, now).await?
            + imports::add_referrals(conn, &referrals, now).await?,
    );
    if let Some(tier) = tier.filter(|_| !credits.is_empty()) {
        give(conn, credits, tier, now).await?;
    }
    Ok(added == asked)
}

async fn give(
    conn: &mut PgConnection,
    credits: &[Given<'_, Timestamp>],
    tier: &str,
    now: Timestamp,
) -> Result<(), OperatorError> {
    let given: Vec<_> = credits.iter().map(|given| (given.account.as_str(), given.it)).collect();
    imports::add_credits(conn, tier, &given, now).await?;
    let told: Vec<String> = credits
        .iter()
        .map(|given| format!("a credit gives {tier} until {}: {}", crate::clock::written(given.it), imports::REASON))
        .collect();
    let changes = credits.iter().zip(&told);
    let changes: Vec<_> =
        changes.map(|(given, detail)| (given.account, Change { cause: imports::REASON, detail })).collect();
    accounts::each_changed(conn, &changes, now).await?;
    Ok(())
}

impl Imported {
    fn count(&mut self, batch: &[ImportRow], additions: &Additions<'_>) {
        let Additions { accounts, customers, credits, trials, codes, referrals, .. } = additions;
        let sums = [
            (&mut self.rows, batch.len()),
            (&mut self.accounts, accounts.len()),
            (&mut self.customers, customers.len()),
            (&mut self.credits, credits.len()),
            (&mut self.trials, trials.len()),
            (&mut self.codes, codes.len()),
            (&mut self.referrals, referrals.len()),
            (&mut self.unchanged, additions.unchanged),
            (&mut self.credits_over, additions.credits_over),
            (&mut self.referrals_late, additions.referrals_late),
        ];
        for (sum, more) in sums {
            *sum += more as u64;
        }
        self.refused.extend(additions.refused.iter().cloned());
    }
}
