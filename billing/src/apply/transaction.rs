//! One event, one transaction. A killed process leaves the event as it was.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::decide::{Decision, decide};
use entitlement::event::{Change, Claim, Event};
use entitlement::subscription::{Subscription, SubscriptionId};
use sqlx::PgConnection;

use super::Fate;
use crate::component::Billing;
use crate::metrics;
use crate::provider;
use crate::store::accounts;
use crate::store::catalogs::Rules;
use crate::store::events::{self, Claimed, Ending};
use crate::store::links::{self, Link, Linked};
use crate::store::{StoreError, subscriptions};

/// How long a parked event is tried again by itself; after that only a link wakes it.
const PARKED_RETRIES: Duration = Duration::days(30);

/// Everything about one attempt that its steps need.
struct Attempt<'a> {
    event: &'a Claimed,
    /// For the audit log.
    cause: String,
    now: Timestamp,
}

impl Billing {
    /// Claims an event, decides what it means, writes that, and commits.
    ///
    /// # Errors
    /// When anything fails: then nothing has happened.
    pub(crate) async fn transact(&self, id: i64, now: Timestamp) -> Result<Fate, StoreError> {
        let mut tx = self.pool().begin().await?;
        let Some(claimed) = events::claim(&mut tx, id).await? else { return Ok(Fate::Taken) };
        let attempt = Attempt { event: &claimed, cause: format!("{} {}", claimed.provider, claimed.event_id), now };
        let fate = match self.read(&claimed) {
            Ok(Ok(event)) => self.effect(&mut tx, &attempt, event).await?,
            Ok(Err(why)) => ignore(&mut tx, &attempt, why, None).await?,
            Err(unreadable) => {
                bury(&mut tx, &attempt, &unreadable.to_string()).await?;
                Fate::Dead
            }
        };
        tx.commit().await?;
        if matches!(fate, Fate::Applied { .. }) {
            // A new link may have woken events that waited for it.
            self.shared().event_due.notify_one();
        }
        Ok(fate)
    }

    /// What the event means, or why it is not even looked at.
    fn read(&self, claimed: &Claimed) -> Result<Result<Event, &'static str>, provider::Unreadable> {
        match (provider::livemode(claimed.provider, self.settings()), claimed.livemode) {
            (Some(true), Some(false)) => return Ok(Err("a test event, but the API key is a live one")),
            (Some(false), Some(true)) => return Ok(Err("a live event, but the API key is a test one")),
            _ => {}
        }
        provider::interpret(claimed.provider, &claimed.body, claimed.received_at, self.settings()).map(Ok)
    }

    async fn effect(&self, conn: &mut PgConnection, attempt: &Attempt<'_>, event: Event) -> Result<Fate, StoreError> {
        let Event { customer, claim, change } = event;
        if let Change::Nothing(why) = change {
            return ignore(conn, attempt, why, customer.as_deref()).await;
        }
        let Some(customer) = customer else {
            return ignore(conn, attempt, "the event names no customer", None).await;
        };
        links::lock_customer(conn, attempt.event.provider, &customer).await?;
        match change {
            Change::Nothing(why) => ignore(conn, attempt, why, Some(&customer)).await,
            Change::Linked { subscription } => linked(conn, attempt, &customer, claim, subscription).await,
            Change::Subscription(seen) => self.subscribed(conn, attempt, claim, *seen).await,
        }
    }

    /// A subscription as it stood: it belongs to an account that is known by now, or the event waits.
    async fn subscribed(
        &self,
        conn: &mut PgConnection,
        attempt: &Attempt<'_>,
        claim: Option<Claim>,
        seen: Subscription,
    ) -> Result<Fate, StoreError> {
        let customer = seen.customer.clone();
        let account = match (links::account_of_subscription(conn, &seen.id, &customer).await?, claim) {
            (Some(account), _) => account,
            (None, Some(claim)) => {
                link(conn, attempt, &customer, &claim).await?;
                account_of_claim(&claim).clone()
            }
            (None, None) => return park(conn, attempt, &customer).await,
        };
        let known = subscriptions::find(conn, &seen.id).await?;
        let next = match decide(known.as_ref(), seen) {
            Decision::Apply(next) => next,
            Decision::Ignore(why) => {
                let ending = Ending::Ignored(why.reason());
                events::finish(conn, attempt.event.id, ending, Some(&account), Some(&customer)).await?;
                return Ok(Fate::Ignored);
            }
        };
        subscriptions::put(conn, &account, &next, attempt.now).await?;
        let rules = self.rules(conn).await?;
        let note = unknown_prices(&next, &rules);
        let detail = described(&next, note.as_deref());
        let change = accounts::Change { cause: &attempt.cause, detail: &detail };
        accounts::changed(conn, &account, change, attempt.now).await?;
        let ending = Ending::Applied(note.as_deref());
        events::finish(conn, attempt.event.id, ending, Some(&account), Some(&customer)).await?;
        Ok(Fate::Applied { changed: vec![account] })
    }
}

async fn ignore(
    conn: &mut PgConnection,
    attempt: &Attempt<'_>,
    why: &str,
    customer: Option<&str>,
) -> Result<Fate, StoreError> {
    events::finish(conn, attempt.event.id, Ending::Ignored(why), None, customer).await?;
    Ok(Fate::Ignored)
}

/// A checkout or a customer that names its account.
async fn linked(
    conn: &mut PgConnection,
    attempt: &Attempt<'_>,
    customer: &str,
    claim: Option<Claim>,
    subscription: Option<String>,
) -> Result<Fate, StoreError> {
    let Some(claim) = claim else {
        return ignore(conn, attempt, "the event names no account", Some(customer)).await;
    };
    let account = account_of_claim(&claim);
    let mut changed = Vec::new();
    if let (Claim::Reference { .. }, Some(id)) = (&claim, subscription) {
        accounts::ensure(conn, account, attempt.now).await?;
        let id = SubscriptionId { provider: attempt.event.provider, id };
        let from = links::claim_subscription(conn, &id, account, &attempt.cause, attempt.now).await?;
        changed.extend(from);
    }
    let linked = link(conn, attempt, customer, &claim).await?;
    let ending = match &linked {
        Linked::Kept => Ending::Applied(Some("the customer stays linked to another account")),
        Linked::New | Linked::Same | Linked::Moved { .. } => Ending::Applied(None),
    };
    events::finish(conn, attempt.event.id, ending, Some(account), Some(customer)).await?;
    if let Linked::Moved { from } = linked {
        tracing::warn!(customer, %from, to = %account, "a customer went from one account to another");
        changed.push(from);
    }
    if !changed.is_empty() {
        changed.push(account.clone());
    }
    changed.sort();
    changed.dedup();
    Ok(Fate::Applied { changed })
}

async fn link(
    conn: &mut PgConnection,
    attempt: &Attempt<'_>,
    customer: &str,
    claim: &Claim,
) -> Result<Linked, StoreError> {
    let (account, stated_at) = match claim {
        Claim::Reference { account, stated_at } => (account, Some(*stated_at)),
        Claim::Metadata(account) => (account, None),
    };
    let link = Link { provider: attempt.event.provider, customer, account, stated_at, cause: &attempt.cause };
    links::link(conn, link, attempt.now).await
}

const fn account_of_claim(claim: &Claim) -> &AccountId {
    match claim {
        Claim::Reference { account, .. } | Claim::Metadata(account) => account,
    }
}

/// Sets an event aside until somebody says whose customer it is about. Tried again at ever longer intervals, in case
/// the link was made by other means.
async fn park(conn: &mut PgConnection, attempt: &Attempt<'_>, customer: &str) -> Result<Fate, StoreError> {
    let age = (attempt.now - attempt.event.received_at).max(Duration::zero());
    let next = (age < PARKED_RETRIES).then(|| attempt.now + age.clamp(Duration::minutes(1), Duration::days(1)));
    let reason = format!("account not known: customer {customer}");
    events::park(conn, attempt.event.id, customer, &reason, next).await?;
    tracing::info!(customer, "an event is parked: nobody has said which account this customer is");
    Ok(Fate::Parked)
}

/// An event that cannot be read will not be readable later; a newer build may read it when it is replayed.
async fn bury(conn: &mut PgConnection, attempt: &Attempt<'_>, reason: &str) -> Result<(), StoreError> {
    events::failed(conn, attempt.event.id, reason).await?;
    events::retry_at(conn, attempt.event.id, None).await?;
    tracing::error!(event_id = attempt.event.event_id, kind = attempt.event.kind, reason, "an event is dead");
    Ok(())
}

/// What the operator must know when somebody pays for what no catalog names.
fn unknown_prices(subscription: &Subscription, rules: &Rules) -> Option<String> {
    let sold = |price: &&String| rules.catalog.sold(subscription.id.provider, price).is_none();
    let unknown: Vec<&str> = subscription.prices.iter().filter(sold).map(String::as_str).collect();
    let note = match unknown.as_slice() {
        [] if subscription.prices.is_empty() => "the subscription names no price".to_owned(),
        [] => return None,
        [price] => format!("no catalog names the price {price}"),
        prices => format!("no catalog names the prices {}", prices.join(", ")),
    };
    metrics::count_unknown_price();
    let subscription = &subscription.id.id;
    tracing::error!(subscription, note, "a subscription grants nothing for what it pays: add its price to the catalog");
    Some(note)
}

/// One line for the audit log.
fn described(subscription: &Subscription, note: Option<&str>) -> String {
    let state = subscriptions::state_name(subscription.state);
    let mut line = format!("subscription {} is {state}", subscription.id.id);
    if let Some(end) = subscription.cancel_at {
        line.push_str(&format!(", ends at {}", end.to_rfc3339()));
    }
    if let Some(note) = note {
        line.push_str(&format!("; {note}"));
    }
    line
}
