//! Whom a request is for, so that what goes wrong far below can be told with the account that it went wrong for.

use std::cell::RefCell;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use entitlement::account::AccountId;

tokio::task_local! {
    static CALLER: RefCell<Option<AccountId>>;
}

/// Gives each request a place in which its account can be noted.
pub async fn kept(request: Request, next: Next) -> Response {
    CALLER.scope(RefCell::default(), next.run(request)).await
}

/// Does work for an account in a task of its own.
pub fn on_behalf_of<T>(account: AccountId, work: impl Future<Output = T>) -> impl Future<Output = T> {
    CALLER.scope(RefCell::new(Some(account)), work)
}

/// Notes the account that a request is for.
pub fn note(account: &AccountId) {
    // Outside of a request nobody is to be noted.
    let _ = CALLER.try_with(|caller| *caller.borrow_mut() = Some(account.clone()));
}

/// The account that the current request is for; empty where none is known.
pub fn account() -> String {
    let known = CALLER.try_with(|caller| caller.borrow().as_ref().map(ToString::to_string));
    known.ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_is_known_within_its_request_alone() {
        let noted = CALLER.scope(RefCell::default(), async {
            let before = account();
            note(&AccountId::parse("a").expect("an id"));
            (before, account())
        });
        assert_eq!(noted.await, (String::new(), "a".to_owned()));
        note(&AccountId::parse("b").expect("an id"));
        assert_eq!(account(), "");
    }
}
