//! The pseudonym of an account that is erased, where other accounts' rows name it.

use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::StoreError;

/// Lines in the log of other accounts, and reasons of their credits, that name this one: a party of an invitation, or a customer's former account.
///
/// # Errors
/// When the database fails.
pub async fn in_lines_of_others(
    conn: &mut PgConnection,
    names: &[String],
    pseudonym: &AccountId,
) -> Result<(), StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select account as "account!" from (
            select referrer as account from referrals where referee = any($1)
            union
            select referee from referrals where referrer = any($1)
            union
            select unnest(regexp_match(detail, ' went from account (.*) to (.*)$')) from audit_log
            where account = any($1) and detail like '% went from account %'
        ) partners
        where account <> all($1)
        "#,
        names
    );
    let partners = query.fetch_all(&mut *conn).await?;
    let query = sqlx::query!(
        r#"
        select id, detail as text from audit_log
        where account = any($2) and exists (select from unnest($1::text[]) name where position(name in detail) > 0)
        "#,
        names,
        &partners
    );
    for row in query.fetch_all(&mut *conn).await? {
        let text = renamed(&row.text, names, pseudonym.as_str());
        sqlx::query!("update audit_log set detail = $2 where id = $1", row.id, text).execute(&mut *conn).await?;
    }
    let query = sqlx::query!(
        r#"
        select c.id as "id!", c.reason as "text!" from referrals r
        join credits c on c.id in (r.referee_credit, r.referrer_credit)
        where (r.referee = any($1) or r.referrer = any($1)) and c.account <> all($1)
        "#,
        names
    );
    for row in query.fetch_all(&mut *conn).await? {
        let text = renamed(&row.text, names, pseudonym.as_str());
        sqlx::query!("update credits set reason = $2 where id = $1", row.id, text).execute(&mut *conn).await?;
    }
    Ok(())
}

/// The words that stand before an account in such a line.
const BEFORE: [&str; 5] = ["invited by ", "invited ", "inviting ", "account ", " to "];

/// A line with the pseudonym in the place of each name: only where an account stands, as an id may be no more than a digit.
fn renamed(text: &str, names: &[String], pseudonym: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_place = BEFORE.iter().any(|word| told.ends_with(word));
        let name = names.iter().filter(|name| is_place && rest.starts_with(name.as_str()) && ends(&rest[name.len()..]));
        if let Some(name) = name.max_by_key(|name| name.len()) {
            told.push_str(pseudonym);
            rest = &rest[name.len()..];
        } else {
            told.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    told
}

/// Whether a name may end before this.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', ';', ',', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_out_of_a_line_where_an_account_stands() {
        let names = ["1".to_owned(), "é x".to_owned()];
        for (text, expected) in [
            ("credit 1 gives paid for 1 days: invited 1", "credit 1 gives paid for 1 days: invited P"),
            ("credit 2 gives paid: invited by 1; 1 more", "credit 2 gives paid: invited by P; 1 more"),
            ("customer 1 went from account 1 to 12", "customer 1 went from account P to 12"),
            ("customer 1 went from account 2 to é x", "customer 1 went from account 2 to P"),
            ("the credit for inviting é x is taken back", "the credit for inviting P is taken back"),
            ("invited 11", "invited 11"),
            ("", ""),
        ] {
            assert_eq!(renamed(text, &names, "P"), expected);
        }
    }
}
