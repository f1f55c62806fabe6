//! A customer's invoices as they are shown to the customer, with the provider's own pages and PDFs.

use entitlement::Timestamp;
use serde::Serialize;

use super::{Client, ProviderError, checked_id};

/// Most invoices that are shown of one customer.
const BILLS_MAX: u8 = 24;

/// An invoice for its payer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bill {
    pub id: String,
    /// As it stands on the invoice; none while it is a draft.
    pub number: Option<String>,
    /// The provider's word: such as `paid` or `open`.
    pub status: String,
    pub created_at: Timestamp,
    /// Minor units.
    pub total: i64,
    /// Minor units.
    pub paid: i64,
    /// Three lower-case letters (ISO 4217).
    pub currency: String,
    /// The provider's page of it.
    pub url: Option<String>,
    pub pdf: Option<String>,
}

#[derive(Serialize)]
struct OfCustomer<'a> {
    customer: &'a str,
    limit: u8,
}

impl Client {
    /// The newest invoices of a customer, newest first; none when the provider has no such customer.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn bills(&self, customer: &str) -> Result<Vec<Bill>, ProviderError> {
        let query = OfCustomer { customer: checked_id(customer)?, limit: BILLS_MAX };
        let answer = match self.get_value("/invoices", &query).await {
            Err(ProviderError::UnknownCustomer) => return Ok(Vec::new()),
            answer => answer?,
        };
        let rows = answer["data"].as_array().ok_or_else(|| ProviderError::Unusable("a list without rows".into()))?;
        Ok(rows.iter().filter_map(bill).collect())
    }
}

/// A draft is no bill yet; what has no id or date is none at all.
fn bill(row: &serde_json::Value) -> Option<Bill> {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let status = text("status").filter(|status| status != "draft")?;
    Some(Bill {
        id: text("id")?,
        number: text("number"),
        status,
        created_at: Timestamp::from_timestamp(row["created"].as_i64()?, 0)?,
        total: row["total"].as_i64().unwrap_or(0),
        paid: row["amount_paid"].as_i64().unwrap_or(0),
        currency: text("currency").unwrap_or_default(),
        url: text("hosted_invoice_url"),
        pdf: text("invoice_pdf"),
    })
}
