//! Invitations: who has become an account that pays, and whose first payment went back.

use entitlement::account::AccountId;
use entitlement::catalog::Sold;
use entitlement::subscription::{State, Subscription};
use sqlx::PgConnection;

use super::Effects;
use crate::referral::{convert, take_back};
use crate::settings::ConvertOn;
use crate::store::{StoreError, trials};

impl Effects<'_> {
    /// A subscription of the account stands as it was told: a trial has been had, and an invitation may be worth
    /// something now.
    pub(super) async fn note_purchase(
        &mut self,
        conn: &mut PgConnection,
        account: &AccountId,
        (seen, is_new): (&Subscription, bool),
    ) -> Result<(), StoreError> {
        if matches!(seen.state, State::Trialing { .. }) {
            trials::begun(conn, account, &seen.id, seen.started_at).await?;
        }
        let gives = matches!(seen.state, State::Trialing { .. } | State::Active { .. });
        let is_candidate = match self.attempt.referral.convert_on {
            // Its bill may have been told before.
            ConvertOn::Payment => is_new,
            ConvertOn::Tier => gives && self.buys_a_tier(seen),
        };
        if is_candidate {
            self.buyers.insert(account.clone());
        }
        Ok(())
    }

    fn buys_a_tier(&self, seen: &Subscription) -> bool {
        let catalog = &self.attempt.rules.catalog;
        seen.prices.iter().any(|price| matches!(catalog.sold(seen.id.provider, price), Some(Sold::Tier(_))))
    }

    /// Rewards invitations, and takes rewards back.
    pub(super) async fn weigh_referrals(&mut self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let (terms, rules, now) = (self.attempt.referral, self.attempt.rules, self.attempt.now);
        for account in std::mem::take(&mut self.buyers) {
            for (account, detail) in convert(conn, &account, terms, rules, now).await? {
                self.changed(&account, detail);
            }
        }
        for account in std::mem::take(&mut self.paid_back) {
            for (account, detail) in take_back(conn, &account, terms, now).await? {
                self.changed(&account, detail);
            }
        }
        Ok(())
    }
}
