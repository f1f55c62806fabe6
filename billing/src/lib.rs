//! The control plane: learns from providers what was bought, keeps it in Postgres, and tells the cache.
//!
//! A webhook is verified and made durable (`ingest`), applied in one transaction (`apply`), and what the account
//! then has is told to the cache (`publish`). Each step can be killed at any point and goes on from the rows.

mod component;
mod clock;
mod chain;
mod problem;
mod caller;
mod cookie;
mod settings;
mod credentials;
mod unset;
mod keys;
mod lineage;
mod takings;
mod metrics;
mod readiness;
mod connect;
mod serve;
mod ingest;
mod apply;
mod publish;
mod reconcile;
mod prices;
mod setup;
mod prune;
mod unread;
mod watch;
mod resolve;
mod shell;
mod credits;
mod referral;
mod internal;
mod ops;
mod provider;
mod store;
mod asks;
mod api;
mod app;
mod nothing;
mod origin;
mod pages;
mod checkout;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

pub use apply::Drained;
pub use component::Billing;
pub use connect::{ConnectError, check_database_url, check_providers};
pub use credentials::{Credentials, CredentialsError};
pub use lineage::Line;
pub use metrics::NAMES_HELD_BACK;
pub use ops::{
    AcceptPlan, AccountError, Asked, Asker, Block, Blocked, Cancel, CatalogPlan, CatalogReport, Considered, Doing,
    EraseWish, Erased, Explained, ExplainedItem, ExplainedSegment, Exported, GoingLive, Granted, HeldRecord, ImportRow,
    Imported, LinkedBy, Losses, Merge, MoveWish, MovedAccount, NamingPlan, OperatorError, Origin, Proposal, RefusedRow,
    Rehearsal, Replayed, ReturnedMoney, Revoked, Shown, ShutOut, Unknown, UnseenSince, Waiting, WentLive, Word,
    names_held_back, renamed_accounts, tallied,
};
pub use pages::{Image, Look, Pages, Texts, Translation, texts};
pub use prices::{Online, check_online};
pub use problem::Problem;
pub use provider::{is_metadata_key, no_amount, no_customer, no_price, trial_days_max};
pub use publish::{PublishError, Published};
pub use readiness::Readiness;
pub use reconcile::{
    Contradiction, Force, ImportStopped, ImportedFrom, Kind, PaidTwice, ReconcileError, Report, Unlinked,
    UnlinkedSubscription,
};
pub use resolve::{ResolveError, Resolved};
pub use settings::{
    ASSERTION_AUDIENCE, ConvertOn, POLAR_API_BASE, Polar, Reconcile, Referral, STRIPE_API_BASE, Secret, Settings,
    Stripe,
};
pub use setup::{
    Foreign, ImportedCatalog, Setup, SetupError, SetupWishes, Stopped, WebhookSecret, import_catalog, is_live_key,
};
pub use shell::shell_word;
pub use store::StoreError;
pub use store::audit::AuditLine;
pub use store::consents::Consent;
pub use store::credits::{Credit, Term};
pub use store::erasure::Running;
pub use store::inbox::{EventLine, Filter, Stuck, StuckState};
pub use store::search::Found;
pub use store::takings::{Held, Tally};
pub use store::unseen::Unseen;
pub use takings::Verdict;
/// The word to stop, for [`Billing::run`].
pub use tokio_util::sync::CancellationToken;
pub use unset::{Credentialed, unset};
