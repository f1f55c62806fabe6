//! The additions of a row to an account that is known: nothing is changed here.

use std::collections::{BTreeSet, HashMap};

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::{ImportRow, RefusedRow};
use crate::ops::{OperatorError, check_no_pseudonym};
use crate::provider::no_customer;
use crate::shell::shell_word;
use crate::store::StoreError;
use crate::store::gone::{self, Gone, Name};
use crate::store::imports::{self, Known};

/// A value that is to be added to an account.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a, T> {
    pub account: &'a AccountId,
    pub it: T,
}

/// The additions of a batch of rows.
#[derive(Debug, Default)]
pub struct Additions<'a> {
    /// That have no row yet, each once.
    pub accounts: BTreeSet<&'a AccountId>,
    pub customers: Vec<(Provider, &'a str, &'a AccountId)>,
    pub credits: Vec<Given<'a, Timestamp>>,
    pub trials: Vec<Given<'a, Timestamp>>,
    pub codes: Vec<Given<'a, &'a str>>,
    /// Of the referee, with its referrer.
    pub referrals: Vec<Given<'a, AccountId>>,
    pub unchanged: usize,
    pub credits_over: usize,
    pub referrals_late: usize,
    pub refused: Vec<RefusedRow>,
}

/// The whole table, and what of it is settled.
pub struct Judge<'a> {
    /// The accounts of the table.
    accounts: BTreeSet<&'a AccountId>,
    /// The codes of the table.
    codes: HashMap<&'a str, &'a AccountId>,
    /// The referrers of accounts, by the rows so far.
    referrers: HashMap<&'a AccountId, AccountId>,
    /// Accounts that have a row by the rows so far.
    made: BTreeSet<&'a AccountId>,
    now: Timestamp,
}

/// The database, as far as a batch speaks of it.
struct Stored {
    accounts: HashMap<AccountId, Known>,
    owners: HashMap<(Provider, String), AccountId>,
    inviters: HashMap<String, AccountId>,
    gone: Gone,
}

impl<'a> Judge<'a> {
    pub fn new(rows: &'a [ImportRow], now: Timestamp) -> Self {
        let codes = rows.iter().filter_map(|row| Some((row.referral_code.as_deref()?, &row.account)));
        Self {
            accounts: rows.iter().map(|row| &row.account).collect(),
            codes: codes.collect(),
            referrers: HashMap::new(),
            made: BTreeSet::new(),
            now,
        }
    }

    /// Says what a batch adds to what is stored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn judge(&self, conn: &mut PgConnection, batch: &'a [ImportRow]) -> Result<Additions<'a>, StoreError> {
        let told = batch.iter().filter_map(|row| row.referred_by.as_deref());
        let told_accounts = told.clone().filter(|told| AccountId::parse(told).is_ok());
        let accounts: BTreeSet<&str> = batch.iter().map(|row| row.account.as_str()).chain(told_accounts).collect();
        let customers: Vec<(Provider, &str)> =
            batch.iter().flat_map(|row| &row.customers).map(|(provider, id)| (*provider, id.as_str())).collect();
        let lower: Vec<String> = told.map(str::to_ascii_lowercase).collect();
        let by_code = lower.iter().filter_map(|code| self.codes.get(code.as_str()).copied());
        let named = accounts.iter().filter_map(|account| AccountId::parse(account).ok()).chain(by_code.cloned());
        let named: BTreeSet<Name> = named.map(|account| Name::account(&account)).collect();
        let codes = batch.iter().filter_map(|row| row.referral_code.as_deref());
        let codes: Vec<&str> = codes.chain(lower.iter().map(String::as_str)).collect();
        let stored = Stored {
            accounts: imports::known(conn, &accounts.into_iter().collect::<Vec<_>>()).await?,
            owners: imports::owners(conn, &customers).await?,
            inviters: imports::inviters(conn, &codes).await?,
            gone: gone::find(conn, &named).await?,
        };
        let mut additions = Additions::default();
        for row in batch {
            self.judge_row(row, &stored, &mut additions);
        }
        Ok(additions)
    }

    /// Notes that a batch is done, for those that follow.
    pub fn settle(&mut self, done: Additions<'a>) {
        self.referrers.extend(done.referrals.into_iter().map(|given| (given.account, given.it)));
        self.made.extend(done.accounts);
    }

    /// All of a row that agrees with what is known; each field that does not is named.
    fn judge_row(&self, row: &'a ImportRow, stored: &Stored, additions: &mut Additions<'a>) {
        let account = &row.account;
        if let Err(why) = check_present(account, &stored.gone) {
            let account = Some(account.clone());
            additions.refused.push(RefusedRow { line: row.line, account, field: None, why });
            return;
        }
        let unknown = Known::default();
        let known = stored.accounts.get(account).unwrap_or(&unknown);
        let mut refused = Vec::new();
        let customers: Vec<_> = row
            .customers
            .iter()
            .filter_map(|told| kept(customer(account, told, stored), customer_column(told.0), &mut refused))
            .collect();
        let is_over = row.credit_until.is_some_and(|until| until <= self.now);
        let credit = kept(self.credit(row, known), "credit_until", &mut refused);
        let is_over = is_over && refused.iter().all(|(field, _)| field != "credit_until");
        let code = kept(code(row, known, stored), "referral_code", &mut refused);
        let referrer = kept(self.referrer(row, stored, additions), "referred_by", &mut refused);
        let trial = row.trial_used_at.filter(|_| !known.has_trial);
        let is_late = referrer.is_some() && known.has_bought;
        let referrer = referrer.filter(|_| !is_late);

        additions.credits_over += usize::from(is_over);
        additions.referrals_late += usize::from(is_late);
        let has_more =
            !customers.is_empty() || credit.is_some() || trial.is_some() || code.is_some() || referrer.is_some();
        // An account of which nothing is known is not noted for the sake of a contradiction.
        let is_noted = has_more || refused.is_empty();
        let is_new = is_noted && !known.is_known && !self.made.contains(account) && additions.accounts.insert(account);
        additions.unchanged += usize::from(refused.is_empty() && !is_new && !has_more);
        additions.customers.extend(customers);
        additions.credits.extend(credit.map(|it| Given { account, it }));
        additions.trials.extend(trial.map(|it| Given { account, it }));
        additions.codes.extend(code.map(|it| Given { account, it }));
        additions.referrals.extend(referrer.map(|it| Given { account, it }));
        let line = row.line;
        additions.refused.extend(refused.into_iter().map(|(field, why)| RefusedRow {
            line,
            account: Some(account.clone()),
            field: Some(field),
            why,
        }));
    }

    /// The credit that it does not have yet, or that ends later than what was imported before.
    fn credit(&self, row: &ImportRow, known: &Known) -> Result<Option<Timestamp>, String> {
        let Some(until) = row.credit_until else { return Ok(None) };
        match known.credit_until {
            Some(given) if given == until => Ok(None),
            Some(given) if until < given => Err(format!(
                "it has an imported credit until {} already: `tollgate grant` and `tollgate revoke` change that",
                crate::clock::written(given)
            )),
            Some(_) if known.is_credit_revoked => {
                Err("its imported credit was taken back: `tollgate grant` gives another one".to_owned())
            }
            _ => Ok(Some(until).filter(|until| *until > self.now)),
        }
    }

    /// The account that invited it, unless that is known.
    fn referrer(
        &self,
        row: &ImportRow,
        stored: &Stored,
        additions: &Additions<'a>,
    ) -> Result<Option<AccountId>, String> {
        let Some(told) = &row.referred_by else { return Ok(None) };
        let account = &row.account;
        let referrer = self.invited_by(told, stored)?;
        check_present(&referrer, &stored.gone).map_err(|why| format!("`referred_by`: {why}"))?;
        if referrer == *account {
            return Err("nobody invites themselves".to_owned());
        }
        let of = |account: &AccountId| -> Option<AccountId> {
            let in_batch =
                additions.referrals.iter().find(|given| given.account == account).map(|given| given.it.clone());
            let stored = stored.accounts.get(account).and_then(|known| known.referrer.clone());
            stored.or_else(|| self.referrers.get(account).cloned()).or(in_batch)
        };
        match of(account) {
            Some(known) if known == referrer => return Ok(None),
            Some(known) => return Err(format!("{known} has invited it already")),
            None => {}
        }
        if of(&referrer).as_ref() == Some(account) {
            return Err(format!("it has invited {referrer} itself"));
        }
        Ok(Some(referrer))
    }

    /// An account that is known, or in the table, goes before a code; what is neither is an account that is gone.
    fn invited_by(&self, told: &str, stored: &Stored) -> Result<AccountId, String> {
        let account = AccountId::parse(told).map_err(|error| format!("`referred_by`: {error}"))?;
        let is_account =
            self.accounts.contains(&account) || stored.accounts.get(&account).is_some_and(|known| known.is_known);
        if is_account {
            return Ok(account);
        }
        let code = told.to_ascii_lowercase();
        let owner = stored.inviters.get(&code).or_else(|| self.codes.get(code.as_str()).copied());
        Ok(owner.cloned().unwrap_or(account))
    }
}

/// The addition of a field, or nothing and the reason among the refused.
fn kept<T>(
    judged: Result<Option<T>, String>,
    field: impl Into<String>,
    refused: &mut Vec<(String, String)>,
) -> Option<T> {
    judged.unwrap_or_else(|why| {
        refused.push((field.into(), why));
        None
    })
}

fn customer_column(provider: Provider) -> String {
    format!("{provider}_customer")
}

/// The customer that is not linked yet.
fn customer<'a>(
    account: &'a AccountId,
    (provider, customer): &'a (Provider, String),
    stored: &Stored,
) -> Result<Option<(Provider, &'a str, &'a AccountId)>, String> {
    match stored.owners.get(&(*provider, customer.clone())) {
        None => match no_customer(*provider, customer) {
            Some(why) => Err(why),
            None => Ok(Some((*provider, customer.as_str(), account))),
        },
        Some(owner) if owner == account => Ok(None),
        Some(owner) => Err(format!(
            "the customer {customer} is of {owner} already: `tollgate link {} {provider}:{customer}` says otherwise",
            shell_word(account.as_str())
        )),
    }
}

/// That an account is neither gone nor a pseudonym: a file brings nobody back.
fn check_present(account: &AccountId, gone: &Gone) -> Result<(), String> {
    check_no_pseudonym(account).map_err(|error| error.to_string())?;
    if let Some(to) = gone.moved(account) {
        return Err(OperatorError::Moved { account: account.clone(), to: to.clone() }.to_string());
    }
    if gone.is_erased(&Name::account(account)) {
        return Err(format!(
            "`{account}` was erased: `tollgate grant`, `tollgate link` or `tollgate account move` brings it back"
        ));
    }
    Ok(())
}

/// The code that it does not have yet.
fn code<'a>(row: &'a ImportRow, known: &Known, stored: &Stored) -> Result<Option<&'a str>, String> {
    let Some(code) = row.referral_code.as_deref() else { return Ok(None) };
    match (&known.code, stored.inviters.get(code)) {
        (Some(known), _) if known == code => Ok(None),
        (Some(known), _) => Err(format!("it has the code {known} already")),
        (None, Some(owner)) => Err(format!("the code {code} is that of {owner} already")),
        (None, None) => Ok(Some(code)),
    }
}
