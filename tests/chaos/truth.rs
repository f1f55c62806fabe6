//! What an account may read, by nothing but the provider's own objects.

use demo::provider::Provider;
use serde_json::Value;

use super::life::Account;

/// Whether a page for this price's tier, or a higher one, is open.
pub fn opens(provider: &Provider, account: &Account, prices: &[&str]) -> bool {
    account.subscriptions.iter().any(|id| {
        let subscription = provider.subscription(id).expect("it was begun there");
        runs(&subscription)
            && sells(&subscription, prices)
            && !is_taken_back(provider, account, &subscription)
            && !was_never_paid(provider, &subscription)
    })
}

/// The test's clock stands behind the provider's, so that no grace is over yet: a payment that failed there failed for
/// us just now.
fn runs(subscription: &Value) -> bool {
    let status = subscription["status"].as_str().unwrap_or_default();
    matches!(status, "active" | "trialing" | "past_due") && subscription["pause_collection"].is_null()
}

/// Whether the charge after a trial is missing, and nothing was ever paid: no grace is given for that.
fn was_never_paid(provider: &Provider, subscription: &Value) -> bool {
    let Some(trial_end) = subscription["trial_end"].as_i64() else { return false };
    let invoices = provider.invoices();
    let mut own = invoices.iter().filter(|invoice| *subscription_of(invoice) == subscription["id"]);
    let is_paid = own.any(|invoice| invoice["amount_paid"].as_i64().unwrap_or(0) > 0);
    subscription["status"] == "past_due" && period_start(subscription) <= trial_end && !is_paid
}

fn sells(subscription: &Value, prices: &[&str]) -> bool {
    items(subscription)
        .any(|item| prices.iter().any(|price| item["price"]["id"] == *price || item["plan"]["id"] == *price))
}

fn items(subscription: &Value) -> impl Iterator<Item = &Value> {
    subscription["items"]["data"].as_array().into_iter().flatten()
}

/// Whether the money for its current period went back, or a bank holds any that was paid for it.
fn is_taken_back(provider: &Provider, account: &Account, subscription: &Value) -> bool {
    let invoices = provider.invoices();
    let paid_for = |id: &String| {
        let invoice = invoices.iter().find(|invoice| invoice["id"] == **id)?;
        (*subscription_of(invoice) == subscription["id"]).then_some(invoice)
    };
    let is_current = |invoice: &Value| starts(invoice_lines(invoice)) >= period_start(subscription);
    let given_back = |invoice: &Value| {
        let refunds = provider.refunds();
        let of_invoice = account.refunds.iter().filter(|(id, _)| invoice["id"] == **id);
        let made = of_invoice.filter_map(|(_, id)| {
            let refund = refunds.iter().find(|refund| refund["id"] == **id && refund["status"] == "succeeded")?;
            refund["amount"].as_i64()
        });
        made.sum::<i64>() >= invoice["amount_paid"].as_i64().unwrap_or(i64::MAX)
    };
    let refunded = account.refunds.iter().filter_map(|(id, _)| paid_for(id));
    if refunded.into_iter().any(|invoice| is_current(invoice) && given_back(invoice)) {
        return true;
    }
    let disputes = provider.disputes();
    account.disputes.iter().any(|(invoice, id)| {
        let Some(invoice) = paid_for(invoice) else { return false };
        let dispute = disputes.iter().find(|dispute| dispute["id"] == **id).expect("it was begun there");
        match dispute["status"].as_str().unwrap_or_default() {
            "needs_response" | "under_review" => true,
            "lost" => is_current(invoice),
            _ => false,
        }
    })
}

/// Whatever the shape: on the invoice, or below its parent.
fn subscription_of(invoice: &Value) -> &Value {
    let of_parent = &invoice["parent"]["subscription_details"]["subscription"];
    if of_parent.is_null() { &invoice["subscription"] } else { of_parent }
}

fn invoice_lines(invoice: &Value) -> impl Iterator<Item = &Value> {
    invoice["lines"]["data"].as_array().into_iter().flatten().map(|line| &line["period"]["start"])
}

/// Whatever the shape: on the subscription, or on its items.
fn period_start(subscription: &Value) -> i64 {
    let own = &subscription["current_period_start"];
    let of_items = starts(items(subscription).map(|item| &item["current_period_start"]));
    own.as_i64().unwrap_or(of_items)
}

fn starts<'a>(moments: impl Iterator<Item = &'a Value>) -> i64 {
    moments.filter_map(Value::as_i64).max().unwrap_or(0)
}
