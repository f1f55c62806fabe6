//! An account that pays twice for the same is told to an operator.

use std::collections::BTreeSet;

use entitlement::account::AccountId;
use entitlement::event::{Fact, Object};
use entitlement::subscription::{Subscription, SubscriptionId};
use sqlx::PgConnection;

use super::{Effects, Lesson, Look};
use crate::apply::note;
use crate::metrics;
use crate::publish;
use crate::store::{StoreError, links, snapshot, subscriptions};

impl Effects<'_> {
    /// Whether what an event is about is paid for twice, now that its checkout had time to come.
    pub(super) async fn look_again(&mut self, conn: &mut PgConnection, lessons: &[Lesson]) -> Result<(), StoreError> {
        let provider = self.attempt.provider;
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for Lesson { event, .. } in lessons {
            for object in &event.objects {
                if let Object::Subscription(id) = object {
                    ids.insert(id.clone());
                }
            }
            for fact in &event.facts {
                if let Fact::Running { subscriptions, .. } = fact {
                    ids.extend(subscriptions.iter().map(|seen| seen.id.id.clone()));
                }
            }
        }
        for id in ids {
            let id = SubscriptionId { provider, id };
            if let (Some(account), Some(known)) = links::find_subscription(conn, &id, "", None).await? {
                self.warn_of_double_payment(conn, &account, &known.subscription).await?;
            }
        }
        Ok(())
    }

    /// Two tabs, or a second purchase by mistake: somebody has to give the money for one of them back. Of two of one customer the
    /// checkout of the new one may still say that it is for another account, whatever its metadata names.
    pub(super) async fn warn_of_double_payment(
        &mut self,
        conn: &mut PgConnection,
        account: &AccountId,
        new: &Subscription,
    ) -> Result<(), StoreError> {
        let is_told = self.attempt.look == Look::Second && self.note.is_some();
        if is_told || !note::is_paid_for(new) {
            return Ok(());
        }
        let beside = subscriptions::running_beside(conn, account, &new.id).await?;
        if beside.is_empty() {
            return Ok(());
        }
        // A price that was given back is not paid for.
        let snapshot = snapshot::read_one(conn, account).await?;
        let (rules, now) = (self.attempt.rules, self.attempt.now);
        let paid = |id: &SubscriptionId, prices: &[String]| -> Vec<String> {
            let own = snapshot.subscriptions.iter().find(|own| own.id == *id);
            let back = own.map(|own| publish::to_be_bought_again(own, &snapshot, rules, now)).unwrap_or_default();
            prices.iter().filter(|price| !back.contains(price)).cloned().collect()
        };
        let bought = paid(&new.id, &new.prices);
        let same = beside.into_iter().find(|other| {
            let others = paid(&other.id, &other.prices);
            note::buys_the_same((new.id.provider, &bought), (other.id.provider, &others), rules)
        });
        let Some(other) = same else { return Ok(()) };
        let may_be_for_another = self.attempt.look == Look::First
            && (new.id.provider, &new.customer) == (other.id.provider, &other.customer);
        if may_be_for_another && !links::is_claimed(conn, &new.id).await? {
            self.is_in_doubt = true;
            return Ok(());
        }
        let (new, other) = (&new.id.id, other.id.id);
        metrics::count_double_payment();
        tracing::error!(%account, subscription = new, other, "an account pays twice for the same: refund one of the two");
        self.note = Some(format!("the account already pays for the same by {other}"));
        Ok(())
    }
}
