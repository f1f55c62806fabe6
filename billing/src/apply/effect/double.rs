//! An account that pays twice for the same is told to an operator.

use entitlement::account::AccountId;
use entitlement::subscription::Subscription;
use sqlx::PgConnection;

use super::{Effects, Look};
use crate::apply::note;
use crate::metrics;
use crate::store::{StoreError, links, subscriptions};

impl Effects<'_> {
    /// Two tabs, or a second purchase by mistake: somebody has to give the money for one of them back. Of two of one customer the
    /// checkout of the new one may still say that it is for another account.
    pub(super) async fn warn_of_double_payment(
        &mut self,
        conn: &mut PgConnection,
        account: &AccountId,
        new: &Subscription,
        is_certain: bool,
    ) -> Result<(), StoreError> {
        let is_told = self.attempt.look == Look::Second && self.note.is_some();
        if is_told || !note::is_paid_for(new) {
            return Ok(());
        }
        let beside = subscriptions::running_beside(conn, account, &new.id).await?;
        let same = beside.into_iter().find(|other| {
            note::buys_the_same((new.id.provider, &new.prices), (other.id.provider, &other.prices), self.attempt.rules)
        });
        let Some(other) = same else { return Ok(()) };
        let may_be_for_another = self.attempt.look == Look::First
            && !is_certain
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
