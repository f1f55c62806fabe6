//! Requests that ask for the same at once: one of them changes the account, and says so.

use futures_util::future::join_all;

use super::accounts::of;
use super::setup;
use crate::world::stripe::unique;
use crate::world::{Arrangement, World};

#[tokio::test]
async fn of_several_requests_at_once_one_changes_the_account() {
    let world = World::with(setup(Arrangement::Separate)).await;
    let account = unique("buyer");
    world.tollgate(&["grant", &account, "paid", "--reason", "a gift"]).await.success();
    for (method, rest, body) in [("POST", "/block", None), ("DELETE", "/block", None), ("DELETE", "", None)] {
        let answers = join_all((0..3).map(|_| of(&world, method, &account, rest, body))).await;
        let changed = answers.iter().filter(|answer| answer.json()["changed"] == true).count();
        assert!(answers.iter().all(|answer| answer.status == 200) && changed == 1, "{method} {rest}: {answers:?}");
    }
    let copy = of(&world, "GET", &account, "/export", None).await;
    assert_eq!((copy.status, copy.code().as_str()), (404, "unknown_account"), "it stays erased");
}
