//! What was billed, with the documents, as the providers know it.

use std::time::Duration;

use cache::Sparing;
use entitlement::account::AccountId;

use crate::Billing;
use crate::api::invoices::{self, Billed};
use crate::pages::actions::is_safe;
use crate::pages::look::Texts;

/// How long the providers may take: the rest of the page does not wait longer for them.
const WAIT: Duration = Duration::from_secs(3);

/// The history of invoices, as far as it is known.
#[derive(Clone, Debug)]
pub enum Invoices {
    /// Nothing was billed.
    None,
    /// Newest first.
    Known(Vec<Line>),
    /// They could not be asked for, or not in time.
    Unavailable,
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub date: String,
    pub amount: String,
    pub status: String,
    /// Where it can be paid, at the provider.
    pub pay_url: Option<String>,
    /// Where its PDF is, at the provider.
    pub pdf_url: Option<String>,
}

impl Invoices {
    /// The date of the newest one that can be paid.
    pub fn unpaid(&self) -> Option<&str> {
        let Self::Known(lines) = self else { return None };
        lines.iter().find(|line| line.pay_url.is_some()).map(|line| line.date.as_str())
    }

    /// Asks the providers.
    pub async fn of(billing: &Billing, texts: &Texts, account: &AccountId) -> Self {
        match tokio::time::timeout(WAIT, invoices::of(billing, account)).await {
            Ok(Ok(billed)) if billed.is_empty() => Self::None,
            Ok(Ok(billed)) => Self::Known(billed.into_iter().map(|billed| line(texts, billed)).collect()),
            Ok(Err(problem)) => {
                static UNSHOWN: Sparing = Sparing::new();
                if let Some(untold) = UNSHOWN.tells(&problem.code()) {
                    tracing::warn!(%account, code = problem.code(), untold, "the invoices of an account cannot be shown: `code` says why");
                }
                Self::Unavailable
            }
            Err(_) => {
                static SLOW: Sparing = Sparing::new();
                if let Some(untold) = SLOW.tells(&"") {
                    tracing::warn!(%account, untold, "the invoices of an account cannot be shown: the provider takes too long");
                }
                Self::Unavailable
            }
        }
    }
}

fn line(texts: &Texts, billed: Billed) -> Line {
    let bill = billed.bill;
    let status = match bill.status.as_str() {
        "paid" => texts.account.invoice_paid.clone(),
        "open" | "pending" => texts.account.invoice_open.clone(),
        "uncollectible" => texts.account.invoice_written_off.clone(),
        "void" => texts.account.invoice_void.clone(),
        "refunded" => texts.account.invoice_refunded.clone(),
        "partially_refunded" => texts.account.invoice_partly_refunded.clone(),
        "charged_back" => texts.account.invoice_taken_back.clone(),
        other => other.replace('_', " "),
    };
    Line {
        date: texts.day(bill.created_at),
        amount: texts.common.locale.money(bill.total, &bill.currency),
        status,
        // A bill that is no longer collected can be paid all the same.
        pay_url: bill.url.filter(|url| matches!(bill.status.as_str(), "open" | "uncollectible") && is_safe(url)),
        // A link that is no page is left out rather than followed.
        pdf_url: bill.pdf.filter(|url| is_safe(url)),
    }
}

#[cfg(test)]
mod tests {
    use entitlement::catalog::Provider;

    use super::*;
    use crate::api::standing::examples::on;
    use crate::pages::examples;
    use crate::provider::client::Bill;

    #[test]
    fn a_bill_is_told_in_words_and_leads_to_nothing_but_a_page() {
        let told = |status: &str, pdf: &str| {
            let bill = Bill {
                id: "in_1".into(),
                number: None,
                status: status.into(),
                created_at: on(3, 1),
                total: 700,
                paid: 700,
                currency: "gbp".into(),
                url: Some(pdf.into()),
                pdf: Some(pdf.into()),
            };
            line(&examples::pages().texts, Billed { provider: Provider::Stripe, bill })
        };
        let paid = told("paid", "https://pay.stripe.com/invoice/in_1/pdf");
        assert_eq!((paid.date.as_str(), paid.amount.as_str(), paid.status.as_str()), ("1 March 2026", "£7", "Paid"));
        assert_eq!(paid.pdf_url.as_deref(), Some("https://pay.stripe.com/invoice/in_1/pdf"));
        assert_eq!(paid.pay_url, None, "it is paid");
        for status in ["open", "uncollectible"] {
            let url = told(status, "https://pay.stripe.com/i").pay_url;
            assert_eq!(url.as_deref(), Some("https://pay.stripe.com/i"), "{status}");
        }
        let unsafe_link = told("open", "javascript:alert(1)");
        assert_eq!((unsafe_link.pdf_url, unsafe_link.pay_url), (None, None));
        for (word, shown) in [
            ("open", "Open"),
            ("void", "Void"),
            ("uncollectible", "Not paid"),
            ("refunded", "Refunded"),
            ("partially_refunded", "Partly refunded"),
            ("charged_back", "Taken back by the bank"),
            ("of_tomorrow", "of tomorrow"),
        ] {
            assert_eq!(told(word, "").status, shown);
        }
    }
}
