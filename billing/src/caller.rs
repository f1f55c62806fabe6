//! Whom a request is for, so that what goes wrong far below can be told with the account that it went wrong for.

use std::cell::RefCell;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use entitlement::account::{AccountId, UserId};

tokio::task_local! {
    static CALLER: RefCell<Option<Caller>>;
}

/// The account that a request is for, and the user who acts for it, where that is another.
#[derive(Clone)]
struct Caller {
    account: AccountId,
    user: Option<UserId>,
}

/// Gives each request a place in which its account can be noted.
pub async fn kept(request: Request, next: Next) -> Response {
    CALLER.scope(RefCell::default(), next.run(request)).await
}

/// Does work for an account in a task of its own; the user is that of the current request.
pub fn on_behalf_of<T>(account: AccountId, work: impl Future<Output = T>) -> impl Future<Output = T> {
    CALLER.scope(RefCell::new(Some(Caller { account, user: user() })), work)
}

/// Notes the account that a request is for, and the user who acts for it.
pub fn note(account: &AccountId, user: Option<&UserId>) {
    let caller = Caller { account: account.clone(), user: user.cloned() };
    // Outside of a request nobody is to be noted.
    let _ = CALLER.try_with(|known| *known.borrow_mut() = Some(caller));
}

/// The account that the current request is for; empty where none is known.
pub fn account() -> String {
    let known = CALLER.try_with(|caller| caller.borrow().as_ref().map(|caller| caller.account.to_string()));
    known.ok().flatten().unwrap_or_default()
}

/// The user who acts for the account of the current request; none where that is the account itself, or no request.
pub fn user() -> Option<UserId> {
    CALLER.try_with(|caller| caller.borrow().as_ref().and_then(|caller| caller.user.clone())).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_is_known_within_its_request_alone() {
        let noted = CALLER.scope(RefCell::default(), async {
            let before = account();
            let id = |text| AccountId::parse(text).expect("an id");
            note(&id("a"), Some(&id("u")));
            let in_task = on_behalf_of(id("a"), async { (account(), user()) }).await;
            (before, account(), user(), in_task)
        });
        let user_of = |text| Some(AccountId::parse(text).expect("an id"));
        let a = "a".to_owned();
        assert_eq!(noted.await, (String::new(), a.clone(), user_of("u"), (a, user_of("u"))));
        note(&AccountId::parse("b").expect("an id"), None);
        assert_eq!((account(), user()), (String::new(), None));
    }
}
