//! What an operator does under an id is done once, and what concerns several accounts is asked about.

use serde_json::json;

use super::*;
use crate::world::http::client;
use crate::world::{Arrangement, Setup, send};

const TOKEN: &str = "the admin token of the tests";

#[tokio::test]
async fn grant_and_revoke_under_an_id_are_done_once() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let account = unique("friend");
    let grant = ["grant", &account, "paid", "--reason", "a friend", "--days", "7", "--id", "ticket-1"];
    let first = world.tollgate(&grant).await;
    assert!(first.stderr.contains("nothing was known of the account"), "{first:?}");
    let again = world.tollgate(&grant).await;
    assert!(!again.stderr.contains("nothing was known"), "{again:?}");
    assert!(again.success().contains("it was done before"));
    let token = token(&account);
    world.everywhere("/premium/one", &token, 200).await;
    let credits = async || {
        let explained = world.tollgate(&["explain", "account", &account, "--json"]).await.success();
        let explained: Value = serde_json::from_str(&explained).expect("JSON");
        explained["credits"].as_array().expect("credits").len()
    };
    assert_eq!(credits().await, 1);
    for other in [
        ["grant", &account, "business", "--reason", "a friend", "--days", "7", "--id", "ticket-1"],
        ["grant", "another", "paid", "--reason", "a friend", "--days", "7", "--id", "ticket-1"],
        ["grant", &account, "paid", "--reason", "a friend", "--days", "8", "--id", "ticket-1"],
    ] {
        assert!(world.tollgate(&other).await.failure().contains("ticket-1"), "{other:?}");
    }
    assert!(world.tollgate(&["revoke", &account, "--id", "ticket-1"]).await.failure().contains("ticket-1"));
    world.tollgate(&["revoke", &account, "--id", "ticket-2"]).await.success();
    world.everywhere("/premium/one", &token, 402).await;
    let gone = world.tollgate(&grant).await.success();
    assert!(gone.contains("was taken back since") && !gone.contains(" has paid "), "{gone}");
    world.tollgate(&["grant", &account, "paid", "--reason", "again"]).await.success();
    world.everywhere("/premium/one", &token, 200).await;
    let again = world.tollgate(&["revoke", &account, "--id", "ticket-2"]).await.success();
    assert!(again.contains("it was done before"), "{again}");
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 200, "what was given since stays");
    assert!(world.tollgate(&["revoke", "never-seen"]).await.failure().contains("never-seen"));
}

#[tokio::test]
async fn the_admin_api_takes_an_id_too() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).environment("TOLLGATE_ADMIN_TOKEN", TOKEN)).await;
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let url = format!("http://{}/admin/accounts/{path}", world.billing().listen.admin);
        let request = client().request(method.parse().expect("a method"), url).bearer_auth(TOKEN);
        send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    };
    let credit = json!({ "tier": "paid", "reason": "an apology", "id": "a" });
    let first = ask("POST", "friend/credits", Some(credit.clone())).await;
    assert_eq!(
        (first.status, &first.json()["new_account"], &first.json()["repeated"]),
        (201, &json!(true), &json!(false))
    );
    let again = ask("POST", "friend/credits", Some(credit)).await;
    assert_eq!(
        (again.status, &again.json()["credit"], &again.json()["repeated"]),
        (200, &first.json()["credit"], &json!(true))
    );
    let other = ask("POST", "friend/credits", Some(json!({ "tier": "business", "reason": "x", "id": "a" }))).await;
    assert_eq!((other.status, other.code().as_str()), (409, "id_used"), "{other:?}");
    let one = format!("friend/credits/{}?id=b", first.json()["credit"]);
    assert_eq!(ask("DELETE", &one, None).await.json()["repeated"], false);
    assert_eq!(ask("DELETE", &one, None).await.json()["repeated"], true);
    assert_eq!(ask("DELETE", "friend/credits?id=b", None).await.code(), "id_used");
    let stranger = ask("DELETE", "stranger/credits", None).await;
    assert_eq!((stranger.status, stranger.code().as_str()), (404, "nothing_to_revoke"));
    assert!(stranger.body.contains("nothing is known of the account"), "{stranger:?}");
}

#[tokio::test]
async fn events_of_several_accounts_are_not_replayed_without_a_word() {
    let world = World::start(Arrangement::AllPostgres).await;
    buyers(&world, 2).await;
    let mut database = world.database.as_ref().expect("a database").connect().await;
    let kill = "update webhook_events set state = 'dead', reason = 'broken', finished_at = null";
    sqlx::query(kill).execute(&mut database).await.expect("they are dead");
    let asked = world.tollgate(&["events", "replay", "--state", "dead"]).await;
    assert!(asked.failure().contains("2 accounts") && asked.failure().contains("--yes"), "{asked:?}");
    let replayed = world.tollgate(&["events", "replay", "--state", "dead", "--yes"]).await.success();
    assert_eq!(replayed.trim(), "due again: 2");
}

#[tokio::test]
async fn check_says_when_every_account_would_become_another_one() {
    let world = World::start(Arrangement::AllPostgres).await;
    buyers(&world, 1).await;
    let checked = world.tollgate(&["check"]).await;
    assert!(!checked.stderr.contains("every account becomes another one"), "{checked:?}");
    let mut database = world.database.as_ref().expect("a database").connect().await;
    let other = "update account_naming set naming = 'org_id', ways = null";
    sqlx::query(other).execute(&mut database).await.expect("it was another claim");
    let checked = world.tollgate(&["check"]).await;
    assert!(checked.stderr.contains("every account becomes another one"), "{checked:?}");
    checked.success();
}
