//! Events of the inbox that have ended: why, about whom they were, and what is kept of them.

use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::{StoreError, reason_of};

/// How an event ended for good.
#[derive(Clone, Debug)]
pub enum Ending {
    /// With an effect; the note is for the operator.
    Applied(Option<String>),
    /// Without one, and why.
    Ignored(&'static str),
    /// Without one, and why: nothing of it is kept but that it came.
    Emptied(&'static str),
}

/// Why an event of a customer that is of no account here is ignored. A link makes it due again, without its body.
pub const FOREIGN: &str = "its customer is of no account here, as far as its provider says: when the customer is linked, everything of it is compared";

/// An event that has ended, and whom it was about.
#[derive(Clone, Debug)]
pub struct Ended {
    pub id: i64,
    pub ending: Ending,
    pub account: Option<AccountId>,
    pub customer: Option<String>,
    pub body: Body,
}

/// The fate of the body of an event that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Kept,
    /// Kept where its customer is linked: of others nothing personal is.
    OfCustomers,
}

/// Ends claimed events for good. The moment of it is the database's: only the age of a body is counted from there, in
/// days.
///
/// # Errors
/// When a row is gone, or the database fails.
pub async fn finish(conn: &mut PgConnection, ended: &[Ended]) -> Result<(), StoreError> {
    let Some(first) = ended.first() else { return Ok(()) };
    let (mut ids, mut states, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let (mut emptied, mut of_customers) = (Vec::new(), Vec::new());
    for Ended { id, ending, account, body, .. } in ended {
        let (state, reason) = match ending {
            Ending::Applied(note) => ("applied", note.as_deref()),
            Ending::Ignored(why) | Ending::Emptied(why) => ("ignored", Some(*why)),
        };
        ids.push(*id);
        states.push(state);
        reasons.push(reason.map(reason_of));
        emptied.push(matches!(ending, Ending::Emptied(_)));
        of_customers.push(*body == Body::OfCustomers && account.is_none());
    }
    let accounts: Vec<Option<&str>> = ended.iter().map(|one| one.account.as_ref().map(AccountId::as_str)).collect();
    let customers: Vec<Option<&str>> = ended.iter().map(|one| one.customer.as_deref()).collect();
    let query = sqlx::query!(
        r#"
        update webhook_events w
        set state = e.state, reason = e.reason, account = e.account, customer_id = e.customer, next_attempt_at = null,
            finished_at = now(), body = case when e.is_emptied then '' else w.body end,
            body_pruned_at = case when e.is_emptied then now() end
        from (
            select t.id, t.state, t.reason, t.account, t.customer, t.is_emptied or (
                t.is_of_customer and t.customer is not null and not exists (
                    select from webhook_events o
                    join provider_customers c on c.provider = o.provider and c.customer_id = t.customer
                    where o.id = t.id
                )
            ) as is_emptied
            from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::boolean[])
                t (id, state, reason, account, customer, is_emptied, is_of_customer)
        ) e
        where w.id = e.id
        "#,
        &ids,
        &states as _,
        &reasons as _,
        &accounts as _,
        &customers as _,
        &emptied,
        &of_customers
    );
    match usize::try_from(query.execute(conn).await?.rows_affected()) {
        Ok(rows) if rows == ended.len() => Ok(()),
        _ => Err(StoreError::missing("webhook_events", first.id)),
    }
}
