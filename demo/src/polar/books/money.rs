//! Polar's orders and refunds. A refund ends no subscription by itself
//! (<https://polar.sh/docs/features/refunds>).

use super::model::{Order, Refund, RefundReason, RefundStatus};
use super::{Books, new_id};
use crate::Timestamp;
use crate::polar::refusal::Refusal;
use crate::polar::render;

/// Money to give back.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    pub order: String,
    /// In minor units; `None`: all that is left.
    pub amount: Option<i64>,
    pub status: RefundStatus,
    #[serde(default)]
    pub reason: RefundReason,
}

impl Books {
    /// Writes down an order for the running period of a subscription, and tells nothing. A trial costs nothing.
    pub(super) fn write_order(&mut self, subscription: &str, reason: &'static str) -> String {
        let (id, created) = (new_id(), self.tick());
        let Some(own) = self.subscriptions.get(subscription) else { return id };
        let in_trial =
            own.trial.is_some_and(|trial| trial.start == own.period.start) && reason == "subscription_create";
        self.orders.insert(Order {
            id: id.clone(),
            customer: own.customer.clone(),
            product: own.product.clone(),
            subscription: Some(own.id.clone()),
            amount: if in_trial { 0 } else { own.product.amount },
            refunded: 0,
            reason,
            is_paid: false,
            created,
            modified: None,
            next_attempt: None,
            number: self.orders.len() + 1,
        });
        id
    }

    /// A product bought once, outside any subscription; answers the order's id.
    pub fn purchase(&mut self, customer: &str, product: &str) -> Result<String, Refusal> {
        self.check_room(1)?;
        self.customer(customer)?;
        let product = self.product(product)?.clone();
        let (id, created) = (new_id(), self.tick());
        let amount = product.amount;
        self.orders.insert(Order {
            id: id.clone(),
            customer: customer.to_owned(),
            product,
            subscription: None,
            amount,
            refunded: 0,
            reason: "purchase",
            is_paid: false,
            created,
            modified: None,
            next_attempt: None,
            number: self.orders.len() + 1,
        });
        self.tell_order(&id, "order.created");
        if self.has_good_card(customer) {
            self.pay_order(&id);
        }
        Ok(id)
    }

    pub(super) fn pay_order(&mut self, id: &str) {
        self.settle_order(id);
        self.tell_order(id, "order.updated");
        self.tell_order(id, "order.paid");
    }

    /// Writes down that an order is paid, and tells nothing.
    pub(super) fn settle_order(&mut self, id: &str) {
        let now = self.tick();
        if let Some(order) = self.orders.get_mut(id) {
            order.is_paid = true;
            order.next_attempt = None;
            order.modified = Some(now);
        }
    }

    pub(super) fn fail_order(&mut self, id: &str, next: Option<Timestamp>) {
        let now = self.tick();
        if let Some(order) = self.orders.get_mut(id) {
            order.next_attempt = next;
            order.modified = Some(now);
        }
        self.tell_order(id, "order.updated");
    }

    /// Gives money back; answers the refund's id. Only what succeeds counts against the order.
    pub fn give_back(&mut self, new: &NewRefund) -> Result<String, Refusal> {
        self.check_room(1)?;
        let order = self.order(&new.order)?;
        let left = if order.is_paid { order.amount - order.refunded } else { 0 };
        let amount = new.amount.unwrap_or(left);
        if amount <= 0 || amount > left {
            return Err(Refusal::invalid("amount", "Refund amount exceeds the remaining order balance."));
        }
        let (id, created) = (new_id(), self.tick());
        let order = self.order(&new.order)?;
        self.refunds.insert(Refund {
            id: id.clone(),
            order: order.id.clone(),
            customer: order.customer.clone(),
            subscription: order.subscription.clone(),
            amount,
            currency: order.product.currency.clone(),
            status: RefundStatus::Pending,
            reason: new.reason,
            created,
            modified: None,
        });
        if new.status == RefundStatus::Succeeded {
            self.decide(&id, new.status);
            self.tell_refund(&id, "refund.created");
            self.tell_refunded(&id);
        } else {
            self.tell_refund(&id, "refund.created");
            if new.status != RefundStatus::Pending {
                self.set_refund(&id, new.status)?;
            }
        }
        Ok(id)
    }

    /// A refund that was pending goes through, or does not.
    pub fn set_refund(&mut self, id: &str, status: RefundStatus) -> Result<(), Refusal> {
        if self.refund(id)?.status != RefundStatus::Pending {
            return Err(Refusal::invalid("status", "This refund is decided."));
        }
        self.decide(id, status);
        self.tell_refund(id, "refund.updated");
        if status == RefundStatus::Succeeded {
            self.tell_refunded(id);
        }
        Ok(())
    }

    fn decide(&mut self, id: &str, status: RefundStatus) {
        let now = self.tick();
        let Some(refund) = self.refunds.get_mut(id) else { return };
        refund.status = status;
        refund.modified = Some(now);
        if status == RefundStatus::Succeeded
            && let Some(order) = self.orders.get_mut(&refund.order)
        {
            order.refunded += refund.amount;
            order.modified = Some(now);
        }
    }

    fn tell_refunded(&mut self, refund: &str) {
        if let Some(order) = self.refunds.get(refund).map(|refund| refund.order.clone()) {
            self.tell_order(&order, "order.updated");
            self.tell_order(&order, "order.refunded");
        }
    }

    fn tell_refund(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.refunds.get(id).map(|refund| render::refund(refund, self)) {
            self.emit(kind, &object);
        }
    }

    pub(super) fn tell_order(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.orders.get(id).map(|order| render::order(order, self)) {
            self.emit(kind, &object);
        }
    }
}
