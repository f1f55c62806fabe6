//! Invitations: a code for each account, who was brought by whom, and the days that both sides get for it.

pub mod bind;
mod convert;
pub mod cookie;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use http::HeaderMap;
use rand::Rng;
use serde::Serialize;

use crate::Billing;
use crate::checkout::links;
use crate::credits;
use crate::settings::Settings;
use crate::store::{StoreError, referrals, snapshot};

pub use bind::{at_first_sight, bind};
pub use convert::{convert, take_back, tier};

/// Where a code is captured.
pub const LINK_PATH: &str = "/billing/r/";

/// Characters of a code. Without those that are taken for one another.
const ALPHABET: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// Enough that nobody finds one by trying: 49 bits.
const CODE_CHARS: usize = 10;

/// How an account stands as one who invites others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub code: String,
    /// To be passed on.
    pub link: String,
    /// How many have paid who were brought by it, and whose payment can still be taken back.
    pub converted: u64,
    /// What each of them gives to both sides, in days.
    pub credit_days: u32,
    /// Whole days of credit that the account itself has left, from whatever source; a day that has begun counts.
    pub credit_days_left: u64,
}

/// How an account stands; its code is made when it is first asked for.
///
/// # Errors
/// When the database fails.
pub async fn standing(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<Standing, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    let code = code(&mut conn, account, now).await?;
    let converted = referrals::converted(&mut conn, account, now).await?;
    let snapshot = snapshot::read_one(&mut conn, account).await?;
    let rules = billing.rules_of(&mut conn, snapshot.catalog).await?;
    let seconds = credits::left(&snapshot, &rules, now).num_seconds().max(0);
    let settings = billing.settings();
    Ok(Standing {
        link: links::on_site(&settings.site_url, &settings.own_paths().of(&format!("{LINK_PATH}{code}"))),
        code,
        converted: converted.unsigned_abs(),
        credit_days: settings.referral.credit_days,
        credit_days_left: seconds.unsigned_abs().div_ceil(86_400),
    })
}

/// Whether an account was invited, and what it gets for that is still to come when it has bought nothing yet.
///
/// # Errors
/// When the database fails.
pub async fn is_invited(billing: &Billing, account: &AccountId) -> Result<bool, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    Ok(referrals::referrer_of(&mut conn, account).await?.is_some())
}

/// Whether a browser remembers an invitation.
#[must_use]
pub fn is_remembered(headers: &HeaderMap, settings: &Settings, now: Timestamp) -> bool {
    cookie::code(headers, settings, now).is_some()
}

async fn code(conn: &mut sqlx::PgConnection, account: &AccountId, now: Timestamp) -> Result<String, StoreError> {
    if let Some(code) = referrals::code_of(conn, account).await? {
        return Ok(code);
    }
    // A code that somebody else has is left out, and the next one tried.
    for _ in 0..3 {
        referrals::add_code(conn, account, &new_code(), now).await?;
        if let Some(code) = referrals::code_of(conn, account).await? {
            return Ok(code);
        }
    }
    Err(StoreError::missing("referral_codes", account))
}

fn new_code() -> String {
    let mut random = rand::rng();
    (0..CODE_CHARS).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}
