//! What was learnt becomes rows, and rows that matter become a new version of the account.

mod about;
mod double;
pub(crate) mod gone;
mod money;
mod referral;

use std::collections::{BTreeMap, BTreeSet};

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::decide::{Decision, Evidence, Known, decide};
use entitlement::event::{Claim, Event, Fact};
use entitlement::subscription::{State, Subscription, SubscriptionId};
use sqlx::PgConnection;

use super::note;
use crate::keys::{self, begin_live};
use crate::settings::Referral;
use crate::store::catalogs::Rules;
use crate::store::links::{self, Link, Linked};
use crate::store::subscriptions::Origin;
use crate::store::{StoreError, accounts, checkouts, subscriptions};

pub(crate) use about::{accounts_of, lock};
pub(crate) use money::{Disputed, returned_payment, tell};

/// Everything about one attempt that its steps need.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub provider: Provider,
    /// The provider's account that answers questions, where it is known.
    pub account: Option<&'a str>,
    /// For the audit log.
    pub cause: &'a str,
    pub rules: &'a Rules,
    /// What inviting others is worth.
    pub referral: &'a Referral,
    pub look: Look,
    pub now: Timestamp,
}

/// Whether what is learnt is looked at again, now that its checkout has had time to come, or was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    First,
    Second,
}

/// Something that was learnt, and how.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    pub event: Event,
    pub evidence: Evidence,
}

/// The effects of one transaction, as they come about.
pub(crate) struct Effects<'a> {
    attempt: Attempt<'a>,
    /// What changed for each account: one version, whatever the number of facts.
    changes: BTreeMap<AccountId, Vec<String>>,
    /// Accounts whose version the store has raised already.
    moved: BTreeSet<AccountId>,
    /// Whether anything was stored that was not known, or was confirmed by a checkout.
    is_news: bool,
    /// Whether anything is otherwise than before.
    has_effect: bool,
    /// What of it is about money.
    money_news: Vec<Fact>,
    /// Accounts that have bought something, or paid for it.
    buyers: BTreeSet<AccountId>,
    /// Whether an open checkout may sell what was bought.
    supersedes: bool,
    /// Accounts of whose payments something went back.
    paid_back: BTreeSet<AccountId>,
    /// Disputes that are news, and whose the payments were.
    disputes: Vec<Disputed>,
    /// The customer for whose account everything waits.
    pub waits_for: Option<String>,
    /// Whether it is to be looked at again: it seems to be paid twice, unless a checkout says that it is for another account.
    is_in_doubt: bool,
    ignored: Option<&'static str>,
    note: Option<String>,
    account: Option<AccountId>,
    customer: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Accounts that get a new version, and what changed for them: for [`crate::store::accounts::each_changed`].
    pub changes: BTreeMap<AccountId, String>,
    /// Accounts that have a new version already.
    pub moved: BTreeSet<AccountId>,
    pub is_news: bool,
    /// Whether anything is otherwise than before.
    pub has_effect: bool,
    /// Whether an open checkout is to be looked at.
    pub supersedes: bool,
    /// Whether it is to be looked at again: as in [`Effects`].
    pub is_in_doubt: bool,
    /// Disputes that are news: to be told once they are stored.
    pub disputes: Vec<Disputed>,
    /// Why nothing changed, if nothing did.
    pub ignored: Option<&'static str>,
    /// For the operator.
    pub note: Option<String>,
    pub account: Option<AccountId>,
    pub customer: Option<String>,
}

impl Outcome {
    /// Everybody of whom the cache must be told.
    pub fn changed(&self) -> BTreeSet<AccountId> {
        self.changes.keys().chain(&self.moved).cloned().collect()
    }
}

impl<'a> Effects<'a> {
    pub fn new(attempt: Attempt<'a>) -> Self {
        Self {
            attempt,
            changes: BTreeMap::new(),
            moved: BTreeSet::new(),
            is_news: false,
            has_effect: false,
            money_news: Vec::new(),
            buyers: BTreeSet::new(),
            supersedes: false,
            paid_back: BTreeSet::new(),
            disputes: Vec::new(),
            waits_for: None,
            is_in_doubt: false,
            ignored: None,
            note: None,
            account: None,
            customer: None,
        }
    }

    /// Stores what was learnt, after [`lock`]. When a subscription's account is not known, [`Self::waits_for`] says for
    /// whom to wait: everything else is stored, and storing it again changes nothing.
    pub async fn learn(&mut self, conn: &mut PgConnection, lessons: &[Lesson]) -> Result<(), StoreError> {
        for lesson in lessons {
            for fact in &lesson.event.facts {
                self.learn_fact(conn, lesson, fact).await?;
            }
        }
        if self.attempt.look == Look::Second {
            self.look_again(conn, lessons).await?;
        }
        self.weigh_money(conn).await?;
        self.weigh_referrals(conn).await
    }

    async fn learn_fact(&mut self, conn: &mut PgConnection, lesson: &Lesson, fact: &Fact) -> Result<(), StoreError> {
        let (event, evidence) = (&lesson.event, lesson.evidence);
        match fact {
            Fact::Linked { subscription } => self.linked(conn, event, subscription.as_deref()).await,
            Fact::Subscription(seen) => {
                let named = event.claim.as_ref().and_then(Claim::of_metadata);
                self.subscribed(conn, (event, named), Subscription::clone(seen), evidence).await
            }
            Fact::Running { customer, subscriptions, at } => {
                for seen in subscriptions {
                    // That it runs is as new as the list.
                    let seen = Subscription { as_of: seen.as_of.max(*at), ..seen.clone() };
                    self.subscribed(conn, (event, None), seen, evidence).await?;
                }
                self.lapse(conn, customer, subscriptions, *at).await
            }
            Fact::CustomerGone { customer, at } => self.gone(conn, event, customer, *at).await,
            Fact::Invoice(_) | Fact::Payment(_) | Fact::Refund(_) | Fact::Dispute(_) => {
                self.store_money(conn, fact).await
            }
        }
    }

    /// A subscription as it stood: it belongs to an account that is known by now, or everything waits. `named` is the account that
    /// its own metadata names.
    async fn subscribed(
        &mut self,
        conn: &mut PgConnection,
        (event, named): (&Event, Option<&AccountId>),
        seen: Subscription,
        evidence: Evidence,
    ) -> Result<(), StoreError> {
        let customer = seen.customer.clone();
        self.customer = Some(customer.clone());
        let (account, known) = links::find_subscription(conn, &seen.id, &customer, named).await?;
        let account = match (account, &event.claim) {
            (Some(account), _) if named == Some(&account) => {
                accounts::ensure(conn, &account, self.attempt.now).await?;
                account
            }
            (Some(account), _) => account,
            (None, Some(claim)) => {
                self.link(conn, &customer, claim).await?;
                claim.account().clone()
            }
            (None, None) => {
                self.waits_for = Some(customer);
                return Ok(());
            }
        };
        self.account = Some(account.clone());
        let is_shown = matches!(evidence, Evidence::Asked { .. });
        let answered_by = self.attempt.account.filter(|_| is_shown);
        let origin = Origin { livemode: event.livemode, account: answered_by, is_shown };
        let observation = match evidence {
            Evidence::Asked { observation } => observation,
            Evidence::Told { .. } => known.as_ref().map_or(0, |known| known.observation),
        };
        let Attempt { provider, rules, .. } = self.attempt;
        match decide(known.as_ref(), seen, evidence, |price| rules.catalog.rank_of(provider, price)) {
            Decision::Apply(subscription) => {
                let next = Known { subscription, observation };
                subscriptions::put(conn, &account, &next, origin, self.attempt.now).await?;
                self.count_live(conn, origin).await?;
                let unknown = note::unknown_prices(&account, &next.subscription, self.attempt.rules);
                self.note_purchase(conn, &account, (&next.subscription, known.is_none())).await?;
                let was_running = known.as_ref().is_some_and(|known| note::may_run(&known.subscription));
                if !was_running && note::may_run(&next.subscription) {
                    self.supersedes |= checkouts::supersede(conn, &account, self.attempt.now).await?;
                }
                let was_paid_for = known.as_ref().is_some_and(|known| note::is_paid_for(&known.subscription));
                if !was_paid_for {
                    self.warn_of_double_payment(conn, &account, &next.subscription).await?;
                }
                self.changed(&account, note::described(&next.subscription, unknown.as_deref()));
                self.note = unknown.or(self.note.take());
            }
            Decision::Confirm(subscription) => {
                let known = Known { subscription, observation };
                subscriptions::put(conn, &account, &known, origin, self.attempt.now).await?;
                self.count_live(conn, origin).await?;
                self.ignored = self.ignored.or(Some(entitlement::decide::Ignored::Unchanged.reason()));
            }
            Decision::Ignore(why) => self.ignored = self.ignored.or(Some(why.reason())),
        }
        Ok(())
    }

    /// Once one live subscription is stored, those of test mode grant nothing.
    async fn count_live(&mut self, conn: &mut PgConnection, origin: Origin<'_>) -> Result<(), StoreError> {
        if origin.livemode == Some(true) {
            for account in begin_live(conn, self.attempt.provider, self.attempt.now).await? {
                self.changed(&account, keys::DETAIL.to_owned());
            }
        }
        Ok(())
    }

    /// What ran of a customer and is not in the list of what runs at `at`, lapses. What did not run anyway, or was told
    /// later, stays.
    async fn lapse(
        &mut self,
        conn: &mut PgConnection,
        customer: &str,
        running: &[Subscription],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for Known { subscription, observation } in
            subscriptions::of_customer(conn, self.attempt.provider, customer).await?
        {
            let runs = matches!(subscription.state, State::Active { .. } | State::Trialing { .. });
            let is_listed = running.iter().any(|listed| listed.id == subscription.id);
            if !runs || is_listed || subscription.as_of > at {
                continue;
            }
            let next = Subscription { state: State::Lapsed { at }, before: None, ..subscription };
            let (owner, _) = links::find_subscription(conn, &next.id, customer, None).await?;
            let Some(account) = owner else { continue };
            let detail = note::described(&next, None);
            let next = Known { subscription: next, observation };
            subscriptions::put(conn, &account, &next, Origin::default(), self.attempt.now).await?;
            self.changed(&account, detail);
            self.account = Some(account);
        }
        Ok(())
    }

    async fn gone(
        &mut self,
        conn: &mut PgConnection,
        event: &Event,
        customer: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.customer = Some(customer.to_owned());
        let mut gone = links::customer_gone(conn, self.attempt.provider, customer, at).await?;
        // Never heard of, and gone already: what is told of it later must find that.
        if let (None, Some(claim)) = (&gone, &event.claim) {
            self.link(conn, customer, claim).await?;
            gone = links::customer_gone(conn, self.attempt.provider, customer, at).await?;
        }
        match gone {
            Some((account, true)) => {
                self.changed(&account, format!("the provider no longer has the customer {customer}"));
                self.account = Some(account);
            }
            Some((account, false)) => self.account = Some(account),
            None => self.waits_for = Some(customer.to_owned()),
        }
        Ok(())
    }

    /// A checkout or a customer that names its account.
    async fn linked(
        &mut self,
        conn: &mut PgConnection,
        event: &Event,
        subscription: Option<&str>,
    ) -> Result<(), StoreError> {
        let (Some(claim), Some(customer)) = (&event.claim, event.customer.as_deref()) else { return Ok(()) };
        let account = claim.account();
        self.account = Some(account.clone());
        // Only a checkout names a subscription.
        if let Some(id) = subscription {
            accounts::ensure(conn, account, self.attempt.now).await?;
            let id = SubscriptionId { provider: self.attempt.provider, id: id.to_owned() };
            let cause = self.attempt.cause;
            let from = links::claim_subscription(conn, &id, account, cause, self.attempt.now).await?;
            self.moved_from(from, account);
        }
        match self.link(conn, customer, claim).await? {
            Linked::Kept => self.note = Some("the customer stays linked to another account".into()),
            Linked::Moved { from } => {
                tracing::warn!(customer, %from, to = %account, "a customer went from one account to another");
                self.moved_from(Some(from), account);
            }
            Linked::New => self.has_effect = true,
            Linked::Same => {}
        }
        self.is_news = true;
        Ok(())
    }

    fn moved_from(&mut self, from: Option<AccountId>, to: &AccountId) {
        if let Some(from) = from {
            self.has_effect = true;
            self.moved.extend([from, to.clone()]);
        }
    }

    async fn link(&mut self, conn: &mut PgConnection, customer: &str, claim: &Claim) -> Result<Linked, StoreError> {
        let (account, stated_at) = match claim {
            Claim::Reference { account, stated_at } => (account, Some(*stated_at)),
            Claim::Metadata(account) => (account, None),
        };
        let Attempt { provider, cause, now, .. } = self.attempt;
        let linked = links::link(conn, Link { provider, customer, account, stated_at, cause }, now).await?;
        if let Linked::Moved { from } = &linked {
            self.moved_from(Some(from.clone()), account);
        }
        Ok(linked)
    }

    fn changed(&mut self, account: &AccountId, detail: String) {
        (self.is_news, self.has_effect) = (true, true);
        self.changes.entry(account.clone()).or_default().push(detail);
    }

    /// What came of all that was learnt. Whoever asks gives the changed accounts their new versions.
    pub fn close(self) -> Outcome {
        let joined = |(account, details): (AccountId, Vec<String>)| (account, details.join("; "));
        Outcome {
            changes: self.changes.into_iter().map(joined).collect(),
            moved: self.moved,
            is_news: self.is_news,
            has_effect: self.has_effect,
            supersedes: self.supersedes,
            is_in_doubt: self.is_in_doubt,
            disputes: self.disputes,
            ignored: self.ignored,
            note: self.note,
            account: self.account,
            customer: self.customer,
        }
    }
}
