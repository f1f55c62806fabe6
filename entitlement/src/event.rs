//! What a provider can tell us, in our words.

use crate::Timestamp;
use crate::account::AccountId;
use crate::payment::{Dispute, Invoice, Payment, Refund};
use crate::subscription::Subscription;

/// How an event names the account that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Stated by the checkout that we sent the buyer to, or when the customer was made. Of two that name one customer
    /// differently, the customer is whom the earlier one named, whatever the order in which they are told; what the later one
    /// bought is for whom it names.
    Reference { account: AccountId, stated_at: Timestamp },
    /// Found in metadata: of a customer it counts when that is not known yet, of a subscription for the subscription itself.
    Metadata(AccountId),
}

impl Claim {
    /// The account that it names.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        match self {
            Self::Reference { account, .. } | Self::Metadata(account) => account,
        }
    }

    /// The account that metadata names.
    #[must_use]
    pub const fn of_metadata(&self) -> Option<&AccountId> {
        match self {
            Self::Reference { .. } => None,
            Self::Metadata(account) => Some(account),
        }
    }
}

/// One provider event: what it states, and about what the provider can be asked to learn more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The provider's customer id.
    pub customer: Option<String>,
    /// The account that the event itself names.
    pub claim: Option<Claim>,
    pub facts: Vec<Fact>,
    /// What the provider can be asked for, to know how it stands now and not only how it stood then.
    pub objects: Vec<Object>,
    /// The provider's clock when it was told.
    pub at: Option<Timestamp>,
    /// Whether real money is behind what it tells of; `None` when it does not say.
    pub livemode: Option<bool>,
    /// Why there is nothing to act on, when `facts` and `objects` are empty.
    pub nothing: &'static str,
}

/// Something that is so, or was so at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A checkout, or the customer itself, says whose customer this is; a checkout also, what it bought.
    Linked {
        subscription: Option<String>,
    },
    /// A subscription as it stood at one moment.
    Subscription(Box<Subscription>),
    /// Everything of a customer that ran at one moment: what is not in it did not run.
    Running {
        customer: String,
        subscriptions: Vec<Subscription>,
        at: Timestamp,
    },
    Invoice(Invoice),
    Payment(Payment),
    Refund(Refund),
    Dispute(Dispute),
    /// The provider no longer has the customer.
    CustomerGone {
        customer: String,
        at: Timestamp,
    },
}

/// Something that the provider can be asked for, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    Subscription(String),
    Customer(String),
    Invoice(String),
    Charge(String),
    Dispute(String),
    Checkout(String),
}

impl Object {
    /// The provider's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Subscription(id)
            | Self::Customer(id)
            | Self::Invoice(id)
            | Self::Charge(id)
            | Self::Dispute(id)
            | Self::Checkout(id) => id,
        }
    }
}

impl Event {
    /// An event that changes nothing, and why.
    #[must_use]
    pub fn nothing(customer: Option<String>, why: &'static str) -> Self {
        Self { customer, nothing: why, ..Self::default() }
    }

    /// Whether there is nothing to act on.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.facts.is_empty() && self.objects.is_empty()
    }
}
