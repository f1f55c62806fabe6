//! Accounts that are gone: the other id by which one goes, and the names of those that were erased.

use std::collections::{BTreeMap, BTreeSet};

use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// A name by which something of an account is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    kind: &'static str,
    text: String,
}

impl Name {
    #[must_use]
    pub fn account(account: &AccountId) -> Self {
        Self { kind: "account", text: account.to_string() }
    }

    #[must_use]
    pub fn customer(provider: Provider, id: &str) -> Self {
        Self { kind: "customer", text: format!("{provider}:{id}") }
    }

    #[must_use]
    pub fn subscription(provider: Provider, id: &str) -> Self {
        Self { kind: "subscription", text: format!("{provider}:{id}") }
    }

    #[must_use]
    pub fn invoice(provider: Provider, id: &str) -> Self {
        Self { kind: "invoice", text: format!("{provider}:{id}") }
    }

    #[must_use]
    pub fn payment(provider: Provider, id: &str) -> Self {
        Self { kind: "payment", text: format!("{provider}:{id}") }
    }

    /// Whether it is that of a customer.
    #[must_use]
    pub fn is_customer(&self) -> bool {
        self.kind == "customer"
    }
}

/// The names that are gone.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    aliases: BTreeMap<String, AccountId>,
    erased: BTreeSet<Name>,
}

impl Gone {
    /// The account that goes by another id now.
    #[must_use]
    pub fn moved(&self, account: &AccountId) -> Option<&AccountId> {
        self.aliases.get(account.as_str())
    }

    /// Whether it was erased.
    #[must_use]
    pub fn is_erased(&self, name: &Name) -> bool {
        self.erased.contains(name)
    }

    /// Whether none of the names is gone.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.aliases.is_empty() && self.erased.is_empty()
    }
}

/// Finds out which of these names are gone. A payment and an invoice are when their customer has a pseudonym.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn find(conn: &mut PgConnection, names: &BTreeSet<Name>) -> Result<Gone, StoreError> {
    if names.is_empty() {
        return Ok(Gone::default());
    }
    let kinds: Vec<&str> = names.iter().map(|name| name.kind).collect();
    let texts: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
    let query = sqlx::query!(
        r#"
        select n.place as "place!", a.account as "account?",
            (e.hash is not null or p.payment_id is not null or i.invoice_id is not null) as "erased!"
        from unnest($1::text[], $2::text[]) with ordinality n (kind, name, place)
        left join account_aliases a on n.kind = 'account' and a.alias = n.name
        left join erased e on e.hash = erasure_hash(n.kind, n.name)
        left join payments p on n.kind = 'payment' and p.provider = split_part(n.name, ':', 1)
            and p.payment_id = substr(n.name, strpos(n.name, ':') + 1) and p.customer_id like 'erased:%'
        left join invoices i on n.kind = 'invoice' and i.provider = split_part(n.name, ':', 1)
            and i.invoice_id = substr(n.name, strpos(n.name, ':') + 1) and i.customer_id like 'erased:%'
        where a.alias is not null or e.hash is not null or p.payment_id is not null or i.invoice_id is not null
        "#,
        &kinds as _,
        &texts as _
    );
    let mut gone = Gone::default();
    for row in query.fetch_all(conn).await? {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let Some(name) = names.iter().nth(place) else { continue };
        if let Some(account) = row.account {
            gone.aliases.insert(name.text.clone(), account_of("account_aliases", &account)?);
        }
        if row.erased {
            gone.erased.insert(name.clone());
        }
    }
    Ok(gone)
}

/// The account that this one goes by now, if it was moved.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn moved_to(conn: &mut PgConnection, account: &AccountId) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query_scalar!("select account from account_aliases where alias = $1", account.as_str());
    query.fetch_optional(conn).await?.map(|account| account_of("account_aliases", &account)).transpose()
}

/// The ids by which providers may still name an account.
///
/// # Errors
/// When the database fails.
pub async fn aliases_of(conn: &mut PgConnection, account: &AccountId) -> Result<Vec<String>, StoreError> {
    let query =
        sqlx::query_scalar!("select alias from account_aliases where account = $1 order by alias", account.as_str());
    Ok(query.fetch_all(conn).await?)
}

/// Lets no event be applied until the transaction ends: the next event finds the names as they are left here.
///
/// # Errors
/// When the database fails.
pub async fn hold_events(conn: &mut PgConnection) -> Result<(), StoreError> {
    super::links::lock(conn, [], super::links::Placing::Seeks).await
}
