//! Transactions that PostgreSQL ends for the sake of others, as each waited for another one.
//!
//! Rows of several accounts are locked in the order of the accounts. What is left, such as a new account that two transactions make in other
//! orders, is tried again: of those that wait for each other one goes on.

use std::error::Error;

/// How often a transaction is tried.
const TRIES: usize = 3;

/// SQLSTATE of a deadlock's victim, and of a transaction that cannot be put in order with others.
const VICTIM: [&str; 2] = ["40P01", "40001"];

/// Runs a transaction, and again when it was ended for the sake of another one.
///
/// # Errors
/// When it fails for another reason, or each time.
pub async fn again<T, E, Fut>(transaction: impl Fn() -> Fut) -> Result<T, E>
where
    E: Error + 'static,
    Fut: Future<Output = Result<T, E>>,
{
    for _ in 1..TRIES {
        match transaction().await {
            Err(error) if is_victim(&error) => {
                tracing::info!("a transaction was ended for the sake of another one, and is tried again");
            }
            done => return done,
        }
    }
    transaction().await
}

/// Whether it is the end of a transaction for the sake of another one.
pub fn is_victim(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let codes = causes.filter_map(|error| error.downcast_ref::<sqlx::Error>()?.as_database_error()?.code());
    codes.into_iter().any(|code| VICTIM.contains(&&*code))
}
