//! One event, one transaction. A killed process leaves the event as it was.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::decide::Evidence;
use entitlement::event::{Event, Fact};
use sqlx::PgConnection;

use super::ask::{Asked, Question};
use super::effect::{Attempt, Effects, Lesson};
use super::{ATTEMPTS_MAX, Fate, delay};
use crate::component::Billing;
use crate::provider;
use crate::store::StoreError;
use crate::store::events::{self, Claimed, Ending};

/// How long a parked event is tried again by itself; after that only a link wakes it.
const PARKED_RETRIES: Duration = Duration::days(30);

/// Why an event that carries nothing waits, when nobody can be asked.
const NOBODY_TO_ASK: &str =
    "the event only names an object of its provider: set the provider's API key, so that it can be asked for";

impl Billing {
    /// Claims an event, decides what it and the provider's answers mean, writes that, and commits.
    ///
    /// # Errors
    /// When anything fails: then nothing has happened.
    pub(crate) async fn transact(&self, id: i64, asked: Asked, now: Timestamp) -> Result<Fate, StoreError> {
        let mut tx = self.pool().begin().await?;
        let Some(claimed) = events::claim(&mut tx, id).await? else { return Ok(Fate::Taken) };
        let fate = match self.read(&claimed) {
            Ok(Ok(event)) => self.work_off(&mut tx, &claimed, event, asked, now).await?,
            Ok(Err(why)) => ignore(&mut tx, &claimed, why, None).await?,
            Err(unreadable) => {
                bury(&mut tx, &claimed, &unreadable.to_string()).await?;
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
    pub(super) fn read(&self, claimed: &Claimed) -> Result<Result<Event, &'static str>, provider::Unreadable> {
        match (provider::livemode(claimed.provider, self.settings()), claimed.livemode) {
            (Some(true), Some(false)) => return Ok(Err("a test event, but the API key is a live one")),
            (Some(false), Some(true)) => return Ok(Err("a live event, but the API key is a test one")),
            _ => {}
        }
        provider::interpret(claimed.provider, &claimed.body, claimed.received_at, self.settings()).map(Ok)
    }

    async fn work_off(
        &self,
        conn: &mut PgConnection,
        claimed: &Claimed,
        event: Event,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Fate, StoreError> {
        if event.is_nothing() {
            return ignore(conn, claimed, event.nothing, event.customer.as_deref()).await;
        }
        let Asked { question, answers, observation, trouble } = asked;
        if event.facts.is_empty() && answers.is_empty() && trouble.is_none() {
            let why = match (question, event.nothing) {
                (Question::None, "") => return self.park(conn, claimed, None, NOBODY_TO_ASK, now).await,
                (Question::Answered, "") => "its provider has been asked about it since it arrived",
                (Question::Asked, "") => "its provider has no such object",
                (_, why) => why,
            };
            return ignore(conn, claimed, why, event.customer.as_deref()).await;
        }
        let customer = event.customer.clone();
        let nothing = event.nothing;
        let cause = format!("{} {}", claimed.provider, claimed.event_id);
        let rules = self.rules(conn).await?;
        let attempt = Attempt { provider: claimed.provider, cause: &cause, rules: &rules, now };
        let told = without_answered(event, &answers);
        let told = Lesson { event: told, evidence: Evidence::Told { arrival: claimed.arrival } };
        let answers = answers.into_iter().map(|event| Lesson { event, evidence: Evidence::Asked { observation } });
        let lessons: Vec<Lesson> = std::iter::once(told).chain(answers).collect();
        let mut effects = Effects::new(attempt);
        effects.learn(conn, &lessons).await?;
        if let Some(customer) = effects.waits_for.clone() {
            let reason = format!("account not known: customer {customer}");
            tracing::info!(customer, "an event is parked: nobody has said which account this customer is");
            return self.park(conn, claimed, Some(&customer), &reason, now).await;
        }
        let outcome = effects.close(conn).await?;
        if let Some(trouble) = trouble.filter(|_| claimed.attempts + 1 < ATTEMPTS_MAX) {
            let reason = format!("applied as it was told; its provider is asked again: {trouble}");
            events::ask_again_at(conn, claimed.id, &reason, now + delay(claimed.attempts + 1)).await?;
            return Ok(if outcome.changed.is_empty() { Fate::Failed } else { outcome.into_fate() });
        }
        let ending = match (outcome.is_news, outcome.note.as_deref(), outcome.ignored) {
            (true, note, _) => Ending::Applied(note),
            (false, _, Some(why)) => Ending::Ignored(why),
            (false, _, None) if nothing.is_empty() => Ending::Ignored("everything in it was known already"),
            (false, _, None) => Ending::Ignored(nothing),
        };
        let account = outcome.account.clone();
        let customer = outcome.customer.clone().or(customer);
        events::finish(conn, claimed.id, ending, account.as_ref(), customer.as_deref()).await?;
        Ok(if outcome.is_news { outcome.into_fate() } else { Fate::Ignored })
    }

    /// Sets an event aside until somebody says whose customer it is about. Tried again at ever longer intervals, in
    /// case the link was made by other means.
    async fn park(
        &self,
        conn: &mut PgConnection,
        claimed: &Claimed,
        customer: Option<&str>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Fate, StoreError> {
        let age = (now - claimed.received_at).max(Duration::zero());
        let again = age < PARKED_RETRIES || customer.is_none();
        let next = again.then(|| now + age.clamp(Duration::minutes(1), Duration::days(1)));
        events::park(conn, claimed.id, customer, reason, next).await?;
        Ok(Fate::Parked)
    }
}

/// The event without the subscriptions that the provider has just been asked about: its answer is newer.
fn without_answered(event: Event, answers: &[Event]) -> Event {
    let is_answered = |fact: &Fact| {
        let Fact::Subscription(told) = fact else { return false };
        let facts = answers.iter().flat_map(|answer| &answer.facts);
        facts.into_iter().any(|fact| matches!(fact, Fact::Subscription(answered) if answered.id == told.id))
    };
    let facts = event.facts.into_iter().filter(|fact| !is_answered(fact)).collect();
    Event { facts, ..event }
}

async fn ignore(
    conn: &mut PgConnection,
    claimed: &Claimed,
    why: &str,
    customer: Option<&str>,
) -> Result<Fate, StoreError> {
    events::finish(conn, claimed.id, Ending::Ignored(why), None, customer).await?;
    Ok(Fate::Ignored)
}

/// An event that cannot be read will not be readable later; a newer build may read it when it is replayed.
async fn bury(conn: &mut PgConnection, claimed: &Claimed, reason: &str) -> Result<(), StoreError> {
    events::failed(conn, claimed.id, reason).await?;
    events::retry_at(conn, claimed.id, None).await?;
    tracing::error!(event_id = claimed.event_id, kind = claimed.kind, reason, "an event is dead");
    Ok(())
}
