//! Invoices, payments, refunds and disputes: stored for themselves, and weighed once all of an event is stored.

use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::Fact;
use entitlement::payment::{Dispute, DisputeState};
use sqlx::PgConnection;

use super::Effects;
use crate::store::StoreError;
use crate::store::money::{self, Stored};

/// The payment of which a fact tells that something goes back.
pub fn returned_payment(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Payment(payment) if payment.refunded > 0 => Some(&payment.id),
        Fact::Refund(refund) => Some(&refund.payment),
        Fact::Dispute(dispute) => Some(&dispute.payment),
        _ => None,
    }
}

impl Effects<'_> {
    pub(super) async fn store_money(&mut self, conn: &mut PgConnection, fact: &Fact) -> Result<(), StoreError> {
        let provider = self.attempt.provider;
        let stored = match fact {
            Fact::Invoice(invoice) => money::put_invoice(conn, provider, invoice.clone()).await?,
            Fact::Payment(payment) => money::put_payment(conn, provider, payment.clone()).await?,
            Fact::Refund(refund) => money::put_refund(conn, provider, refund.clone()).await?,
            Fact::Dispute(dispute) => money::put_dispute(conn, provider, dispute.clone()).await?,
            _ => Stored::Known,
        };
        if stored == Stored::News {
            (self.is_news, self.has_effect) = (true, true);
            self.money_news.push(fact.clone());
        }
        Ok(())
    }

    /// Finds the accounts for which what is new about money may matter: those whose payments went back, at least in
    /// part.
    pub(super) async fn weigh_money(&mut self, conn: &mut PgConnection) -> Result<(), StoreError> {
        for fact in std::mem::take(&mut self.money_news) {
            let payments = match &fact {
                Fact::Invoice(invoice) => money::returned_of_invoice(conn, self.attempt.provider, &invoice.id).await?,
                Fact::Payment(payment) => vec![payment.id.clone()],
                Fact::Refund(refund) => vec![refund.payment.clone()],
                Fact::Dispute(dispute) => vec![dispute.payment.clone()],
                _ => Vec::new(),
            };
            let account = self.account_of_money(conn, &fact, &payments).await?;
            if let Fact::Dispute(dispute) = &fact {
                self.disputes.push(Disputed { account: account.clone(), dispute: dispute.clone() });
            }
            if let (Fact::Invoice(invoice), Some(account)) = (&fact, &account)
                && invoice.paid > 0
            {
                self.buyers.insert(account.clone());
            }
            if let (Fact::Invoice(invoice), Some(account)) = (&fact, &account)
                && money::is_weighed(conn, self.attempt.provider, &invoice.subscription).await?
            {
                self.changed(account, described(&fact));
            }
            for payment in payments {
                if !money::is_returned(conn, self.attempt.provider, &payment).await? {
                    continue;
                }
                match &account {
                    Some(account) => {
                        self.changed(account, described(&fact));
                        self.paid_back.insert(account.clone());
                    }
                    None => self.note = Some(format!("kept until it is known what the payment {payment} was for")),
                }
            }
            self.account = self.account.take().or(account);
        }
        Ok(())
    }

    async fn account_of_money(
        &self,
        conn: &mut PgConnection,
        fact: &Fact,
        payments: &[String],
    ) -> Result<Option<AccountId>, StoreError> {
        if let Fact::Invoice(invoice) = fact {
            return money::account_of_invoice(conn, self.attempt.provider, &invoice.id).await;
        }
        match payments.first() {
            Some(payment) => money::placed(conn, self.attempt.provider, payment).await,
            None => Ok(None),
        }
    }
}

/// A dispute, and whose the payment was; none where nothing known says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disputed {
    account: Option<AccountId>,
    dispute: Dispute,
}

/// Tells of disputes: a person has to answer the bank in time.
pub(crate) fn tell(provider: Provider, disputes: &[Disputed]) {
    disputes.iter().for_each(|disputed| alert(provider, disputed));
}

fn alert(provider: Provider, Disputed { account, dispute }: &Disputed) {
    let (id, payment, amount) = (&dispute.id, &dispute.payment, dispute.amount);
    let account = account.as_ref().map(AccountId::as_str).unwrap_or_default();
    match dispute.state {
        DisputeState::Open => tracing::error!(
            %provider,
            account,
            dispute = id,
            payment,
            amount,
            "a payment is disputed: answer it at the provider before its deadline"
        ),
        DisputeState::Lost => tracing::error!(
            %provider,
            account,
            dispute = id,
            payment,
            amount,
            "a dispute is lost: the money is gone, and nothing is left to do"
        ),
        DisputeState::Inquiry => tracing::warn!(
            %provider,
            account,
            dispute = id,
            payment,
            amount,
            "a bank asks about a payment: answer it at the provider, before it becomes a dispute"
        ),
        DisputeState::Won => tracing::info!(%provider, account, dispute = id, payment, "a dispute is won"),
    }
}

/// One line for the audit log.
fn described(fact: &Fact) -> String {
    match fact {
        Fact::Invoice(invoice) => format!("invoice {} is for subscription {}", invoice.id, invoice.subscription),
        Fact::Payment(payment) if payment.refunded > 0 => {
            format!("{} of {} went back of payment {}", payment.refunded, payment.amount, payment.id)
        }
        Fact::Payment(payment) => format!("payment {} is known", payment.id),
        Fact::Refund(refund) => {
            format!("refund {} of {} for payment {} is {:?}", refund.id, refund.amount, refund.payment, refund.state)
                .to_lowercase()
        }
        Fact::Dispute(dispute) => {
            format!("dispute {} about payment {} is {:?}", dispute.id, dispute.payment, dispute.state).to_lowercase()
        }
        _ => String::new(),
    }
}
