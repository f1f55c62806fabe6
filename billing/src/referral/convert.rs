//! What an invitation is worth, given and taken back: in the transaction that learns of the money.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::{Catalog, Tier};
use entitlement::payment::{Part, Returned};
use entitlement::subscription::Setback;
use sqlx::PgConnection;

use crate::settings::{ConvertOn, Referral};
use crate::store::catalogs::Rules;
use crate::store::credits::{self, Term};
use crate::store::money::Money;
use crate::store::referrals::{self, Bill, Conversion, Due, Rewarded};
use crate::store::{StoreError, accounts, snapshot};

/// Accounts that get a new version, and what changed for them.
pub type Changes = Vec<(AccountId, String)>;

/// Rewards both sides when an invited account has become one that was brought, once.
///
/// # Errors
/// When the database fails.
pub async fn convert(
    conn: &mut PgConnection,
    referee: &AccountId,
    terms: &Referral,
    rules: &Rules,
    now: Timestamp,
) -> Result<Changes, StoreError> {
    let Some(due) = referrals::due(conn, referee, terms.min_amount).await? else { return Ok(Vec::new()) };
    let bill =
        due.bills.iter().find(|bill| bill.prices.iter().any(|id| rules.catalog.sold(bill.provider, id).is_some()));
    if bill.is_none() && terms.convert_on == ConvertOn::Payment {
        return Ok(Vec::new());
    }
    if let Some(bill) = bill
        && referrals::is_customer_of(conn, bill.provider, &bill.customer, &due.referrer).await?
    {
        tracing::info!(%referee, referrer = %due.referrer, "an invitation is worth nothing: its own referrer pays");
        return Ok(Vec::new());
    }
    let mut changes = reward(conn, &due, bill, (terms, rules), now).await?;
    // The money may have gone back before it was known what it was for.
    changes.extend(take_back(conn, referee, terms, now).await?);
    Ok(changes)
}

async fn reward(
    conn: &mut PgConnection,
    due: &Due,
    bill: Option<&Bill>,
    (terms, rules): (&Referral, &Rules),
    now: Timestamp,
) -> Result<Changes, StoreError> {
    let Due { referee, referrer, .. } = due;
    let rewarded = referrals::hold_referrer(conn, referrer).await?;
    let is_within = |count: i64| terms.rewards_max.is_none_or(|max| count < i64::from(max));
    let tier = tier(&rules.catalog, terms).filter(|_| terms.credit_days > 0);
    let mut changes = Vec::new();
    let mut credit_of = async |account: &AccountId, reason: String| -> Result<Option<i64>, StoreError> {
        let Some(tier) = tier else { return Ok(None) };
        accounts::ensure(conn, account, now).await?;
        let credit = credits::give(conn, account, &tier.code, &reason, Term::Days(terms.credit_days), now).await?;
        changes.push((
            account.clone(),
            format!("credit {credit} gives {} for {} days: {reason}", tier.code, terms.credit_days),
        ));
        Ok(Some(credit))
    };
    let referee_credit = credit_of(referee, format!("invited by {referrer}")).await?;
    let referrer_credit = match rewarded {
        Some(count) if is_within(count) => credit_of(referrer, format!("invited {referee}")).await?,
        _ => None,
    };
    let window_ends_at = now + TimeDelta::days(i64::from(terms.credit_days));
    let conversion = Conversion { referee, bill, referee_credit, referrer_credit, at: now, window_ends_at };
    referrals::convert(conn, conversion).await?;
    tracing::info!(%referee, %referrer, "an invitation has brought an account that pays");
    Ok(changes)
}

/// The tier of the days: as the terms say, else the lowest that is sold.
pub fn tier<'a>(catalog: &'a Catalog, terms: &Referral) -> Option<&'a Tier> {
    let named = terms.tier.as_ref().and_then(|code| catalog.tier(code));
    let above = || catalog.tiers().iter().filter(|tier| tier.rank > 0);
    named.or_else(|| above().find(|tier| tier.offers().next().is_some())).or_else(|| above().next())
}

/// Takes the reward back when so much of the payment that earned it has gone back in time that it would not earn it, and gives it again when that turns out
/// not to be so. What was used by then stays used.
///
/// # Errors
/// When the database fails.
pub async fn take_back(
    conn: &mut PgConnection,
    referee: &AccountId,
    terms: &Referral,
    now: Timestamp,
) -> Result<Changes, StoreError> {
    let Some(rewarded) = referrals::rewarded(conn, referee).await? else { return Ok(Vec::new()) };
    let snapshot = snapshot::read_one(conn, referee).await?;
    let is_back = went_back(&snapshot.returned, &rewarded, terms.min_amount.max(1));
    let (at, word) = match (is_back, rewarded.taken_back_at) {
        (true, None) => (Some(now), "taken back"),
        (false, Some(_)) => (None, "given again"),
        _ => return Ok(Vec::new()),
    };
    let accounts = referrals::set_taken_back(conn, referee, &rewarded, at).await?;
    tracing::info!(%referee, referrer = %rewarded.referrer, word, "the reward for an invitation");
    let change = |account| (account, format!("the credit for inviting {referee} is {word}: its first payment"));
    Ok(accounts.into_iter().map(change).collect())
}

/// Whether the payment is the one that earned the reward. One whose bill nobody has told is, when it was made by then.
fn is_of(money: &Money, rewarded: &Rewarded) -> bool {
    let Some((provider, invoice)) = &rewarded.bill else { return true };
    let is_first = money.payment.made_at.is_some_and(|at| at <= rewarded.converted_at);
    let is_billed = money.invoice.as_ref().map_or(is_first, |billed| billed.id == *invoice);
    money.provider == provider.as_str() && is_billed
}

/// Whether too little is left of a bill, all its payments together. A payment whose bill nobody has told stands alone.
fn went_back(returned: &[Money], rewarded: &Rewarded, least: i64) -> bool {
    let mut bills: BTreeMap<(&str, &str), Vec<&Money>> = BTreeMap::new();
    for money in returned.iter().filter(|money| is_of(money, rewarded)) {
        let bill = money.invoice.as_ref().map_or(&money.payment.id, |billed| &billed.id);
        bills.entry((&money.provider, bill)).or_default().push(money);
    }
    bills.values().any(|payments| is_too_little(payments, rewarded, least))
}

fn is_too_little(payments: &[&Money], rewarded: &Rewarded, least: i64) -> bool {
    let billed = payments.iter().find_map(|money| money.invoice.as_ref());
    let sum = || payments.iter().map(|money| money.payment.amount).fold(0, i64::saturating_add);
    let took_in = billed.map(|billed| billed.paid).filter(|paid| *paid > 0).unwrap_or_else(sum);
    let currency = billed.and_then(|billed| billed.currency.as_deref());
    let made_at = payments.iter().filter_map(|money| money.payment.made_at).min();
    let covers_from = made_at.unwrap_or(rewarded.converted_at);
    let parts = payments.iter().map(|money| {
        let Money { payment, refunds, disputes, .. } = money;
        Part { payment, refunds, disputes }
    });
    let parts: Vec<Part<'_>> = parts.collect();
    let loss = Returned { parts: &parts, took_in, currency, covers_from }.loss_below(least);
    loss.is_some_and(|loss| match loss {
        Setback::Refunded { at, .. } | Setback::Lost { at, .. } => at <= rewarded.window_ends_at,
        Setback::Disputed { .. } | Setback::WrittenOff { .. } | Setback::CustomerGone { .. } => false,
    })
}
