//! What an operator does: the functions behind the command line and the admin interface.

mod accounts;
mod block;
pub(crate) mod catalog;
mod consents;
mod credits;
mod database;
mod events;
mod explain;
mod import;
mod link;
mod live;
mod naming;
mod passing;

pub use accounts::{
    AccountError, Cancel, EraseWish, Erased, Exported, Merge, MoveWish, MovedAccount, Rehearsal, Shown,
};
pub use block::{Asker, Block, Blocked, Unknown};
pub(crate) use catalog::HeldBack;
pub use catalog::{CatalogPlan, CatalogReport, Considered, Losses, Origin, Proposal, Word, tallied};
pub use credits::{Granted, Revoked};
pub use database::AcceptPlan;
pub use events::Replayed;
pub use explain::{
    Explained, ExplainedItem, ExplainedSegment, Held as HeldRecord, ReturnedMoney, UnseenSince, Waiting,
};
pub use import::{Doing, ImportRow, Imported, RefusedRow};
pub use link::LinkedBy;
pub use live::{GoingLive, WentLive};
pub(crate) use naming::Naming;
pub use naming::{NamingPlan, names_held_back, renamed_accounts};
pub use passing::{Asked, ShutOut};

use entitlement::account::AccountId;
use http::StatusCode;
use sqlx::PgConnection;

use crate::component::Billing;
use crate::problem::Problem;
use crate::store::migration::MigrationError;
use crate::store::{StoreError, erasure, gone};

/// Why an operator's wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the catalog has no tier `{tier}`: it has {known}")]
    UnknownTier { tier: String, known: String },
    #[error("no tier is known that a credit could give: put a catalog in force (`tollgate catalog apply`)")]
    NoTier,
    #[error("the accounts change while they are looked at: run it again")]
    Moving,
    #[error("everybody has the tier `{0}` already")]
    BaseTier(String),
    #[error("the end must lie in the future")]
    EndsInThePast,
    #[error("a credit by the day has 1 to 36500 days")]
    BadDays,
    #[error("say why, in 1 to 500 characters: somebody will ask")]
    NoReason,
    #[error("{0} accounts would lose something by the catalog: a person has to agree")]
    TakesAccess(u64),
    #[error("another catalog has come in force meanwhile: look at what would change once more")]
    CatalogMoved,
    #[error(
        "meanwhile {now} accounts would lose something by it, and {told} were agreed to: nothing is done, so look at it once more"
    )]
    MoreLose { told: u64, now: u64 },
    #[error("nothing is known of the account `{0}`: is it the right one?")]
    UnknownAccount(String),
    #[error(
        "PostgreSQL knows nothing of the account `{0}`, and what was told of it before the restore may serve: `tollgate explain account` shows it, `tollgate reconcile` asks the providers, `tollgate database accept` takes the database's word for all"
    )]
    HeldAccount(String),
    #[error("`{account}` goes by `{to}` now: name that one")]
    Moved { account: AccountId, to: AccountId },
    #[error("`{0}` is the pseudonym of an account that was erased: nothing can be done with it")]
    Pseudonym(AccountId),
    #[error("the id `{id}` was used for something else: {wish}")]
    IdUsed { id: String, wish: String },
    #[error("an id has 1 to 255 bytes")]
    BadId,
    #[error("there is nothing to revoke: `{0}` has no such credit that still gives something")]
    NothingToRevoke(String),
    #[error("event {0} cannot be replayed: its body is pruned, so there is nothing left to apply")]
    BodyPruned(i64),
    #[error(transparent)]
    Schema(MigrationError),
    #[error("STRIPE_API_KEY is a test key: set the live one first")]
    TestKey,
    #[error("REDIS_URL is not set: nothing is held in the place of what the database says")]
    NoRedis,
    #[error("the cache cannot be used")]
    Cache(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// That no more lose something than a person was told of.
const fn check_told(told: u64, now: u64) -> Result<(), OperatorError> {
    if now > told { Err(OperatorError::MoreLose { told, now }) } else { Ok(()) }
}

/// That an account has not left this id for another one.
async fn check_not_moved(conn: &mut PgConnection, account: &AccountId) -> Result<(), OperatorError> {
    match gone::moved_to(conn, account).await? {
        Some(to) => Err(OperatorError::Moved { account: account.clone(), to }),
        None => Ok(()),
    }
}

/// That it is an account, and not the pseudonym of one.
fn check_no_pseudonym(account: &AccountId) -> Result<(), OperatorError> {
    if erasure::is_pseudonym(account) { Err(OperatorError::Pseudonym(account.clone())) } else { Ok(()) }
}

impl Billing {
    /// Why an account without a row cannot be dealt with.
    async fn unknown(&self, account: &AccountId) -> OperatorError {
        if self.is_held_back().await {
            OperatorError::HeldAccount(account.to_string())
        } else {
            OperatorError::UnknownAccount(account.to_string())
        }
    }
}

impl From<sqlx::Error> for OperatorError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        let (status, code) = match error {
            OperatorError::Store(error) => return error.into(),
            OperatorError::UnknownTier { .. } => (StatusCode::BAD_REQUEST, "unknown_tier"),
            OperatorError::NoTier => (StatusCode::CONFLICT, "no_tier"),
            OperatorError::Moving => (StatusCode::CONFLICT, "moving"),
            OperatorError::BaseTier(_) => (StatusCode::BAD_REQUEST, "base_tier"),
            OperatorError::EndsInThePast => (StatusCode::BAD_REQUEST, "ends_in_the_past"),
            OperatorError::BadDays => (StatusCode::BAD_REQUEST, "bad_request"),
            OperatorError::NoReason => (StatusCode::BAD_REQUEST, "no_reason"),
            OperatorError::TakesAccess(_) => (StatusCode::CONFLICT, "takes_access"),
            OperatorError::CatalogMoved => (StatusCode::CONFLICT, "catalog_moved"),
            OperatorError::MoreLose { .. } => (StatusCode::CONFLICT, "more_lose"),
            // Whatever the reason, there is nothing to revoke.
            OperatorError::UnknownAccount(_) | OperatorError::HeldAccount(_) => {
                (StatusCode::NOT_FOUND, "nothing_to_revoke")
            }
            OperatorError::Moved { .. } => (StatusCode::CONFLICT, "account_moved"),
            OperatorError::Pseudonym(_) => (StatusCode::CONFLICT, "account_erased"),
            OperatorError::IdUsed { .. } => (StatusCode::CONFLICT, "id_used"),
            OperatorError::BadId => (StatusCode::BAD_REQUEST, "bad_request"),
            OperatorError::NothingToRevoke(_) => (StatusCode::NOT_FOUND, "nothing_to_revoke"),
            OperatorError::Schema(_) => (StatusCode::CONFLICT, "other_schema"),
            OperatorError::TestKey => (StatusCode::CONFLICT, "test_key"),
            OperatorError::NoRedis => (StatusCode::CONFLICT, "no_redis"),
            OperatorError::Cache(_) => (StatusCode::SERVICE_UNAVAILABLE, "cache_unavailable"),
            OperatorError::BodyPruned(_) => (StatusCode::CONFLICT, "body_pruned"),
        };
        Self::new(status, code, error.to_string())
    }
}
