//! Of whom is spoken: what is learnt about them happens one after the other.

use std::collections::BTreeSet;

use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::{Claim, Fact};
use sqlx::PgConnection;

use super::{Lesson, money};
use crate::store::StoreError;
use crate::store::links::{self, Placing};

/// Makes everything about those that are spoken of happen one after the other, until the transaction ends. Once in a
/// transaction, before anything is learnt in it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn lock(conn: &mut PgConnection, lessons: &[(Provider, &[Lesson])]) -> Result<(), StoreError> {
    let mut names = BTreeSet::new();
    let mut placing = Placing::Adds;
    for (provider, lessons) in lessons {
        names.extend(customers(lessons).into_iter().map(|customer| (*provider, customer)));
        for payment in lessons.iter().flat_map(|lesson| &lesson.event.facts).filter_map(money::returned_payment) {
            // Money whose account nobody knows yet.
            if crate::store::money::placed(conn, *provider, payment).await?.is_none() {
                placing = Placing::Seeks;
            }
        }
    }
    links::lock(conn, names, placing).await
}

/// The accounts that are spoken of, as far as they are known before anything is learnt.
///
/// # Errors
/// When the database fails.
pub(crate) async fn accounts_of(
    conn: &mut PgConnection,
    provider: Provider,
    lessons: &[Lesson],
) -> Result<BTreeSet<AccountId>, StoreError> {
    let mut accounts = BTreeSet::new();
    for customer in customers(lessons) {
        accounts.extend(links::account_of_customer(conn, provider, customer).await?);
    }
    for Lesson { event, .. } in lessons {
        let named = event.claim.as_ref().and_then(Claim::of_metadata);
        for fact in &event.facts {
            if let Fact::Subscription(seen) = fact {
                accounts.extend(links::find_subscription(conn, &seen.id, &seen.customer, named).await?.0);
            }
            if let Some(payment) = money::returned_payment(fact) {
                accounts.extend(crate::store::money::placed(conn, provider, payment).await?);
            }
        }
    }
    Ok(accounts)
}

/// Every customer that is spoken of.
fn customers(lessons: &[Lesson]) -> BTreeSet<&str> {
    let mut customers = BTreeSet::new();
    for Lesson { event, .. } in lessons {
        customers.extend(event.customer.as_deref());
        for fact in &event.facts {
            customers.extend(match fact {
                Fact::Subscription(seen) => Some(seen.customer.as_str()),
                Fact::Running { customer, .. } | Fact::CustomerGone { customer, .. } => Some(customer.as_str()),
                Fact::Invoice(invoice) => Some(invoice.customer.as_str()),
                Fact::Linked { .. } | Fact::Payment(_) | Fact::Refund(_) | Fact::Dispute(_) => None,
            });
        }
    }
    customers
}
