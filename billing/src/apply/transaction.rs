//! Events of one transaction: all of them take effect, or none. A killed process leaves them as they were.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::binding::{self, Turn};
use entitlement::decide::Evidence;
use entitlement::event::{Event, Fact, Object};
use sqlx::PgConnection;

use super::answered::{dated, without_answered};
use super::ask::{Asked, Question};
use super::effect::{self, Attempt, Effects, Lesson, Look, Outcome};
use super::plan::{self, Plan, Work};
use super::{ATTEMPTS_MAX, Fate, delay};
use crate::component::Billing;
use crate::metrics;
use crate::provider;
use crate::store::accounts::{self, Change};
use crate::store::catalogs::Rules;
use crate::store::endings::{self, Body, Ended, Ending, FOREIGN};
use crate::store::erasure::ERASED;
use crate::store::events::{self, Claimed};
use crate::store::{self, StoreError, customers, foreign, keys};

/// How long a parked event is tried again by itself; after that only a link wakes it.
const PARKED_RETRIES: Duration = Duration::days(30);

/// How often an event that waits for another key is looked at without being woken.
const KEY_LOOK: Duration = Duration::hours(1);

/// How long the checkout of a subscription has to say for which account it was bought: both are told at the same moment.
const CHECKOUT_COMES: Duration = Duration::seconds(5);

/// Why an event that was applied is due once more.
const LOOK_AGAIN: &str = "applied; it is looked at again, as the account seems to pay twice for the same, unless the checkout says that it is for another account";

/// Why an event that carries nothing waits, when nobody can be asked.
const NOBODY_TO_ASK: &str = "the event names an object of its provider, and does not say readably how it stands, or whose it is: set the provider's API key, so that it can be asked for";

/// What is written at the end of a transaction, for all of its events in one go.
#[derive(Default)]
struct Closing {
    supersedes: bool,
    changes: Vec<(AccountId, String, String)>,
    ended: Vec<Ended>,
}

impl Billing {
    /// Claims events, decides what each and the provider's answers mean, writes that, and commits. `asked` is about the
    /// first of them. Returns what became of those that nobody else has, in the order in which they arrived.
    ///
    /// # Errors
    /// When anything fails: then nothing has happened.
    pub(crate) async fn transact(&self, ids: &[i64], asked: Asked, now: Timestamp) -> Result<Vec<Fate>, StoreError> {
        let mut tx = self.pool().begin().await?;
        let claimed = events::claim(&mut tx, ids).await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let rules = self.rules(&mut tx).await?;
        let mut asked = Some(asked);
        let mut plans = Vec::with_capacity(claimed.len());
        for claimed in &claimed {
            let asked = asked.take().unwrap_or_default();
            // What is live counts anyway.
            let is_live_stored =
                claimed.livemode == Some(false) && keys::is_live_stored(&mut tx, claimed.provider).await?;
            plans.push(match binding::turn(claimed.livemode, asked.key.verdict(), is_live_stored) {
                Turn::Apply => self.plan(claimed, self.read_with_customer(&mut tx, claimed).await?, asked),
                Turn::Ignore(why) => Plan::ignore(why),
                Turn::Wait(reason) => Plan::WaitForKey { reason },
            });
        }
        let lessons = claimed.iter().zip(&plans).filter_map(|(claimed, plan)| match plan {
            Plan::Learn(work) => Some((claimed.provider, work.lessons.as_slice())),
            _ => None,
        });
        let lessons: Vec<_> = lessons.collect();
        effect::lock(&mut tx, &lessons).await?;
        plan::settle(&mut tx, &claimed, &mut plans).await?;
        let mut closing = Closing::default();
        let mut fates = Vec::with_capacity(claimed.len());
        for (claimed, plan) in claimed.iter().zip(plans) {
            fates.push(self.carry_out(&mut tx, claimed, plan, (&rules, now), &mut closing).await?);
        }
        closing.write(&mut tx, now).await?;
        tx.commit().await?;
        if fates.iter().any(|fate| matches!(fate, Fate::Applied { .. })) {
            // A new link may have woken events that waited for it.
            self.shared().event_due.notify_one();
        }
        if closing.supersedes {
            self.shared().checkout_superseded.notify_one();
        }
        Ok(fates)
    }

    /// What the event means. Of one without a body its customer is left, about which everything is to be asked.
    pub(super) fn read(&self, claimed: &Claimed) -> Result<Event, provider::Unreadable> {
        if let (Some(customer), true) = (&claimed.customer, claimed.body.is_empty()) {
            let objects = vec![Object::Customer(customer.clone())];
            return Ok(Event {
                customer: Some(customer.clone()),
                objects,
                livemode: claimed.livemode,
                ..Event::default()
            });
        }
        let event = provider::interpret(claimed.provider, &claimed.body, claimed.received_at, self.settings())?;
        Ok(Event { livemode: claimed.livemode, ..event })
    }

    /// The meaning of the event. Where its object names no customer, the customer is the one of the subscription or the invoice that is
    /// stored, else the one as which the account buys that the event names.
    async fn read_with_customer(
        &self,
        conn: &mut PgConnection,
        claimed: &Claimed,
    ) -> Result<Result<Event, provider::Unreadable>, StoreError> {
        let event = match self.read(claimed) {
            Ok(event) if event.customer.is_none() => event,
            read => return Ok(read),
        };
        let [Object::Subscription(id) | Object::Invoice(id)] = event.objects.as_slice() else { return Ok(Ok(event)) };
        let customer = match (customers::customer_of_object(conn, claimed.provider, id).await?, &event.claim) {
            (None, Some(claim)) => {
                let moved = store::gone::moved_to(conn, claim.account()).await?;
                customers::customer_of(conn, claimed.provider, moved.as_ref().unwrap_or(claim.account())).await?
            }
            (customer, _) => customer,
        };
        let Some(customer) = customer else { return Ok(Ok(event)) };
        let body = provider::with_customer(claimed.provider, &claimed.body, &customer);
        Ok(self.read(&Claimed { body, ..claimed.clone() }))
    }

    /// Decides without looking anything up.
    fn plan(&self, claimed: &Claimed, read: Result<Event, provider::Unreadable>, asked: Asked) -> Plan {
        let event = match read {
            Ok(event) => event,
            Err(unreadable) => return Plan::Bury { reason: unreadable.to_string() },
        };
        let of_answers = || asked.answers.iter().find_map(|answer| answer.customer.clone());
        let customer = event.customer.clone().or_else(|| asked.customer.clone()).or_else(of_answers);
        let nothing = event.nothing;
        let named = event.claim.as_ref().map(|claim| claim.account().clone());
        let objects = effect::gone::objects_of(claimed.provider, &event);
        if event.is_nothing() {
            return Plan::Ignore { why: nothing, account: named, customer, objects };
        }
        let is_unknown = asked.answers.iter().any(|answer| answer.nothing == provider::UNKNOWN_STATUS);
        let nothing = if nothing.is_empty() && is_unknown { provider::UNKNOWN_STATUS } else { nothing };
        let account = asked.key.account().map(str::to_owned);
        let Asked { question, answers, observation, stranger, trouble, .. } = asked;
        if event.facts.is_empty() && answers.is_empty() && trouble.is_none() {
            let why = match (question, nothing) {
                (Question::None, "") => return Plan::Wait { account: named, objects },
                (Question::Foreign, "") => FOREIGN,
                (Question::Answered, "") => "its provider has been asked about it since it arrived",
                (Question::Asked, "") => "its provider has no such object",
                (_, why) => why,
            };
            return Plan::Ignore { why, account: named, customer, objects };
        }
        let answers = dated(answers, &event);
        let told = without_answered(event, &answers);
        let told = Lesson { event: told, evidence: Evidence::Told { arrival: claimed.arrival } };
        let answers = answers.into_iter().map(|event| Lesson { event, evidence: Evidence::Asked { observation } });
        // A customer's own word on its account comes before the word of a checkout of it.
        let (customers, others): (Vec<Lesson>, Vec<Lesson>) = answers.partition(|lesson| says_whose(&lesson.event));
        let lessons = customers.into_iter().chain([told]).chain(others).collect();
        let cause = format!("{} {}", claimed.provider, claimed.event_id);
        let is_asked = question != Question::None;
        Plan::Learn(Work { cause, lessons, customer, nothing, trouble, stranger, is_asked, account })
    }

    async fn carry_out(
        &self,
        conn: &mut PgConnection,
        claimed: &Claimed,
        plan: Plan,
        (rules, now): (&Rules, Timestamp),
        closing: &mut Closing,
    ) -> Result<Fate, StoreError> {
        let body = self.body_of(claimed);
        let Work { cause, lessons, customer, nothing, trouble, stranger, is_asked, account } = match plan {
            Plan::Learn(work) => work,
            Plan::Wait { .. } => {
                return self.park(conn, claimed, claimed.customer.as_deref(), NOBODY_TO_ASK, now).await;
            }
            Plan::WaitForKey { reason } => return wait_for_key(conn, claimed, &reason, now).await,
            Plan::Bury { reason } => return bury(conn, claimed, &reason).await,
            Plan::Ignore { why, account, customer, .. } => {
                warn_of_unknown_status(claimed, why, account.as_ref());
                let body = if account.is_some() { Body::Kept } else { body };
                // Else it is the account's of its customer.
                let account = account.filter(|_| customer.is_none());
                closing.ended.push(Ended { id: claimed.id, ending: ending_of(why), account, customer, body });
                return Ok(Fate::Ignored);
            }
        };
        let is_second = claimed.reason.as_deref() == Some(LOOK_AGAIN);
        let look = if is_second { Look::Second } else { Look::First };
        let mut effects = Effects::new(Attempt {
            look,
            provider: claimed.provider,
            account: account.as_deref(),
            cause: &cause,
            rules,
            referral: &self.settings().referral,
            now,
        });
        effects.learn(conn, &lessons).await?;
        if let Some(customer) = stranger.filter(|_| trouble.is_none()) {
            // Nothing is noted of one that was named just now.
            foreign::note(conn, claimed.provider, &customer, now).await?;
        }
        if let Some(customer) = effects.waits_for.clone() {
            let is_answered = is_asked && trouble.is_none();
            return self.set_aside(conn, claimed, (customer, is_answered), closing, now).await;
        }
        let outcome = effects.close();
        effect::tell(claimed.provider, &outcome.disputes);
        let is_in_doubt = outcome.is_in_doubt;
        // Changes that were applied at the first look stay.
        let outcome = Outcome { is_news: outcome.is_news || is_second, ..outcome };
        let changed: Vec<AccountId> = outcome.changed().into_iter().collect();
        closing.supersedes |= outcome.supersedes;
        closing
            .changes
            .extend(outcome.changes.iter().map(|(account, detail)| (account.clone(), cause.clone(), detail.clone())));
        let about = (outcome.account.as_ref(), outcome.customer.as_deref().or(customer.as_deref()));
        if is_in_doubt {
            events::ask_again_at(conn, claimed.id, about, LOOK_AGAIN, now + CHECKOUT_COMES).await?;
            return Ok(Fate::Applied { changed, has_effect: outcome.has_effect });
        }
        if let Some(trouble) = trouble.filter(|_| claimed.attempts + 1 < ATTEMPTS_MAX) {
            let reason = format!("applied as it was told; its provider is asked again: {trouble}");
            events::ask_again_at(conn, claimed.id, about, &reason, now + delay(claimed.attempts + 1)).await?;
            let has_effect = outcome.has_effect;
            return Ok(if changed.is_empty() { Fate::Failed } else { Fate::Applied { changed, has_effect } });
        }
        let has_effect = outcome.has_effect;
        warn_of_unknown_status(claimed, nothing, outcome.account.as_ref());
        let fate = if outcome.is_news { Fate::Applied { changed, has_effect } } else { Fate::Ignored };
        closing.ended.push(ended(claimed, outcome, (customer, body), nothing));
        Ok(fate)
    }

    /// The fate of an event's body. With a key, events of others have no worth once they have ended: a link asks for everything anew.
    fn body_of(&self, claimed: &Claimed) -> Body {
        if provider::can_ask(&self.providers(), claimed.provider) { Body::OfCustomers } else { Body::Kept }
    }

    /// Ends an event whose customer is of no account, when its provider has answered: nobody can say more, and what is not ours is not
    /// kept. Else it waits.
    async fn set_aside(
        &self,
        conn: &mut PgConnection,
        claimed: &Claimed,
        (customer, is_answered): (String, bool),
        closing: &mut Closing,
        now: Timestamp,
    ) -> Result<Fate, StoreError> {
        if is_answered {
            tracing::info!(customer, "an event is ignored: its customer is of no account here");
            let ending = Ending::Emptied(FOREIGN);
            let (customer, body) = (Some(customer), Body::OfCustomers);
            closing.ended.push(Ended { id: claimed.id, ending, account: None, customer, body });
            return Ok(Fate::Ignored);
        }
        let reason = format!("account not known: customer {customer}");
        tracing::info!(customer, "an event is parked: nobody has said which account this customer is");
        self.park(conn, claimed, Some(&customer), &reason, now).await
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
        // Without a body it is about a customer that is linked: nothing else will wake it.
        let again = age < PARKED_RETRIES || customer.is_none() || claimed.body.is_empty();
        let next = again.then(|| now + age.clamp(Duration::minutes(1), Duration::days(1)));
        events::park(conn, claimed.id, customer, reason, next).await?;
        Ok(Fate::Parked)
    }
}

/// Whether it is a customer that names its account.
fn says_whose(event: &Event) -> bool {
    matches!(event.facts.as_slice(), [Fact::Linked { subscription: None }])
}

/// How an event ends that changes nothing.
fn ending_of(why: &'static str) -> Ending {
    if why == ERASED || why == FOREIGN { Ending::Emptied(why) } else { Ending::Ignored(why) }
}

/// Tells the operator of a subscription whose status this build does not know: nothing of it changes access, and nothing is sold
/// beside it.
fn warn_of_unknown_status(claimed: &Claimed, why: &str, account: Option<&AccountId>) {
    if why != provider::UNKNOWN_STATUS {
        return;
    }
    metrics::count_unknown_status(claimed.provider);
    let status = provider::status_of(&claimed.body).unwrap_or_default();
    let account = account.map(AccountId::as_str);
    tracing::error!(provider = %claimed.provider, event_id = claimed.event_id, account, customer = claimed.customer, told_status = status, "a subscription has a status that this build does not know, and its access stays as it was: update Tollgate, then run `tollgate reconcile`");
}

/// How an event ends of which something was learnt.
fn ended(
    claimed: &Claimed,
    outcome: Outcome,
    (customer, body): (Option<String>, Body),
    nothing: &'static str,
) -> Ended {
    let ending = match (outcome.is_news, outcome.note, outcome.ignored) {
        (true, note, _) => Ending::Applied(note),
        (false, _, Some(why)) => Ending::Ignored(why),
        (false, _, None) if nothing.is_empty() => Ending::Ignored("everything in it was known already"),
        (false, _, None) => Ending::Ignored(nothing),
    };
    Ended { id: claimed.id, ending, account: outcome.account, customer: outcome.customer.or(customer), body }
}

impl Closing {
    async fn write(&self, conn: &mut PgConnection, now: Timestamp) -> Result<(), StoreError> {
        let changes = self.changes.iter().map(|(account, cause, detail)| (account, Change { cause, detail }));
        let changes: Vec<_> = changes.collect();
        accounts::each_changed(conn, &changes, now).await?;
        endings::finish(conn, &self.ended).await
    }
}

/// Sets an event aside until the key fits it, which wakes it; it is looked at now and then, in case nobody did.
async fn wait_for_key(
    conn: &mut PgConnection,
    claimed: &Claimed,
    reason: &str,
    now: Timestamp,
) -> Result<Fate, StoreError> {
    events::park(conn, claimed.id, claimed.customer.as_deref(), reason, Some(now + KEY_LOOK)).await?;
    keys::wait(conn, claimed.id, claimed.provider).await?;
    tracing::warn!(provider = %claimed.provider, event_id = claimed.event_id, kind = claimed.kind, reason, "an event is parked until the key fits it, and is then applied by itself");
    Ok(Fate::Parked)
}

/// An event that cannot be read will not be readable later; a newer build may read it when it is replayed.
async fn bury(conn: &mut PgConnection, claimed: &Claimed, reason: &str) -> Result<Fate, StoreError> {
    events::failed(conn, claimed.id, reason).await?;
    events::retry_at(conn, claimed.id, None).await?;
    tracing::error!(
        provider = %claimed.provider,
        event_id = claimed.event_id,
        kind = claimed.kind,
        reason,
        "an event is dead: `tollgate events show` has its body, and `tollgate events replay` tries it again after an update"
    );
    Ok(Fate::Dead)
}
