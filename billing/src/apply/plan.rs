//! The plan for a claimed event, and the part of it that is left when names in it are gone.

use std::collections::BTreeSet;

use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::effect::{Lesson, gone};
use crate::store::erasure::ERASED;
use crate::store::events::Claimed;
use crate::store::gone::Name;
use crate::store::{self, StoreError};

/// The plan for a claimed event, before anything is looked up.
pub(super) enum Plan {
    Learn(Work),
    Ignore {
        why: &'static str,
        /// The account that it names.
        account: Option<AccountId>,
        customer: Option<String>,
        /// The objects that it names where it names no customer.
        objects: Vec<Name>,
    },
    /// Its names cannot be asked about.
    Wait {
        account: Option<AccountId>,
        objects: Vec<Name>,
    },
    /// It is of another mode or account than the key.
    WaitForKey {
        reason: String,
    },
    Bury {
        reason: String,
    },
}

impl Plan {
    /// Of an event about which nothing else is to be known.
    pub(super) const fn ignore(why: &'static str) -> Self {
        Self::Ignore { why, account: None, customer: None, objects: Vec::new() }
    }
}

/// The work that an event and the answers about it make.
pub(super) struct Work {
    /// For the audit log.
    pub cause: String,
    pub lessons: Vec<Lesson>,
    pub customer: Option<String>,
    pub nothing: &'static str,
    pub trouble: Option<String>,
    /// The customer whose account its provider was asked for.
    pub stranger: Option<String>,
    /// Whether its provider has been asked about it.
    pub is_asked: bool,
    /// The provider's account that answered.
    pub account: Option<String>,
}

/// Gives accounts that were moved their present id wherever an event names them, and takes out what was erased. After the customers are
/// locked: until the transaction ends nothing is moved or erased.
pub(super) async fn settle(conn: &mut PgConnection, claimed: &[Claimed], plans: &mut [Plan]) -> Result<(), StoreError> {
    let mut names = BTreeSet::new();
    for (claimed, plan) in claimed.iter().zip(&*plans) {
        match plan {
            Plan::Learn(work) => gone::names(claimed.provider, &work.lessons, &mut names),
            Plan::Ignore { account, customer, objects, .. } => {
                names.extend(account.as_ref().map(Name::account));
                names.extend(customer.as_ref().map(|customer| Name::customer(claimed.provider, customer)));
                names.extend(objects.iter().cloned());
            }
            Plan::Wait { account, objects } => {
                names.extend(account.as_ref().map(Name::account));
                names.extend(objects.iter().cloned());
            }
            Plan::WaitForKey { .. } | Plan::Bury { .. } => {}
        }
    }
    let gone = store::gone::find(conn, &names).await?;
    if gone.is_nothing() {
        return Ok(());
    }
    for (claimed, plan) in claimed.iter().zip(plans) {
        let is_erased = match plan {
            Plan::Learn(work) => gone::settle(claimed.provider, &mut work.lessons, &gone),
            Plan::Ignore { account, customer, objects, .. } => {
                let of_customer = customer.as_ref().map(|customer| Name::customer(claimed.provider, customer));
                let of_account = account.as_ref().map(Name::account);
                let is_erased = of_account.iter().chain(&of_customer).chain(&*objects).any(|name| gone.is_erased(name));
                *account = account.take().map(|account| gone.moved(&account).cloned().unwrap_or(account));
                is_erased
            }
            Plan::Wait { account, objects } => {
                account.as_ref().map(Name::account).iter().chain(&*objects).any(|name| gone.is_erased(name))
            }
            Plan::WaitForKey { .. } | Plan::Bury { .. } => false,
        };
        if is_erased {
            *plan = Plan::ignore(ERASED);
        }
    }
    Ok(())
}
