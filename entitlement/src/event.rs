//! What a provider can tell us, in our words.

use crate::Timestamp;
use crate::account::AccountId;
use crate::subscription::Subscription;

/// How an event names the account that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Stated by the checkout that we sent the buyer to: it comes before everything else. Of two that name one customer
    /// differently, the one that was stated later counts, whatever the order in which they are told.
    Reference { account: AccountId, stated_at: Timestamp },
    /// Found in metadata: it counts when the customer is not known yet.
    Metadata(AccountId),
}

/// One provider event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The provider's customer id.
    pub customer: Option<String>,
    /// The account that the event itself names.
    pub claim: Option<Claim>,
    pub change: Change,
}

/// What an event changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the link between customer and account, and the subscription that this checkout bought, if it did.
    Linked { subscription: Option<String> },
    /// A subscription as it stood at one moment.
    Subscription(Box<Subscription>),
    /// Nothing that Tollgate acts on, and why.
    Nothing(&'static str),
}
