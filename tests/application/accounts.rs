//! Accounts that are moved, given out as a copy, and erased: by the application, and by a person.

use demo::provider::{Fault, FaultKind, Shape};
use serde_json::{Value, json};

use super::{TOKEN, ask, setup};
use crate::world::http::client;
use crate::world::stripe::{Bill, Subscription, checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Answer, Arrangement, World, eventually, send, token};

const PREMIUM: &str = "/premium/page";

/// An account that has paid by an event.
struct Payer {
    account: String,
    token: String,
    subscription: Subscription,
}

impl Payer {
    async fn new(world: &World) -> Self {
        Self::called(world, &unique("payer")).await
    }

    async fn called(world: &World, account: &str) -> Self {
        let subscription = Subscription { metadata: Some(account.to_owned()), ..Subscription::of(&unique("cus")) };
        world.accepted(&subscription.event("created")).await;
        world.settled(&Bill::of(&subscription).paid()).await;
        let token = token(account);
        world.everywhere(PREMIUM, &token, 200).await;
        Self { account: account.to_owned(), token, subscription }
    }
}

/// A call of the application about an account.
pub(super) async fn of(world: &World, method: &str, account: &str, rest: &str, body: Option<&Value>) -> Answer {
    ask(world, Some(TOKEN), (method, &format!("/app/v1/accounts/{account}{rest}")), body).await
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_moved_account_has_access_by_its_new_id_alone_on_every_proxy() {
    for arrangement in [Arrangement::Separate, Arrangement::AllPostgres] {
        let world = World::with(setup(arrangement).key("cache.max_staleness", "\"10m\"")).await;
        for by in ["the application", "an operator"] {
            let payer = Payer::new(&world).await;
            let (new, other) = (unique("new"), Payer::new(&world).await);
            let new_token = token(&new);
            // It is kept everywhere that the new id has nothing.
            world.everywhere(PREMIUM, &new_token, 402).await;
            let moved = match by {
                "the application" => {
                    of(&world, "POST", &payer.account, "/move", Some(&json!({ "to": new }))).await.json()
                }
                _ => {
                    let command = ["account", "move", &payer.account, &new, "--json"];
                    let unasked = world.tollgate(&command).await;
                    assert!(unasked.failure().contains("say --yes"), "{unasked:?}");
                    let planned = parsed(&world.tollgate(&[&command[..], &["--dry-run"]].concat()).await.success());
                    assert_eq!((&planned["changed"], &planned["published"]), (&json!(true), &json!(false)));
                    world.everywhere(PREMIUM, &payer.token, 200).await;
                    parsed(&world.tollgate(&[&command[..], &["--yes"]].concat()).await.success())
                }
            };
            assert_eq!(
                (&moved["account"], &moved["to"], &moved["changed"]),
                (&json!(payer.account), &json!(new), &json!(true))
            );
            assert_eq!(
                (&moved["moved"]["subscriptions"], &moved["moved"]["customers"]),
                (&json!(1), &json!(1)),
                "{by}"
            );
            world.everywhere(PREMIUM, &new_token, 200).await;
            world.everywhere(PREMIUM, &payer.token, 402).await;
            world.everywhere(PREMIUM, &other.token, 200).await;
            let again = of(&world, "POST", &payer.account, "/move", Some(&json!({ "to": new }))).await;
            assert_eq!((again.status, &again.json()["changed"]), (200, &json!(false)), "{by}");
            // Events go on to name the old id, and are the new one's.
            let dearer = Subscription { price: "price_annual".to_owned(), ..payer.subscription.clone() };
            world.accepted(&dearer.event("updated")).await;
            let second = Subscription::of(&unique("cus"));
            world.accepted(&checkout_completed(Some(&payer.account), &second.customer, &second.id)).await;
            world.accepted(&second.event("created")).await;
            world.accepted(&payer.subscription.ended().event("deleted")).await;
            world.everywhere(PREMIUM, &new_token, 200).await;
            world.everywhere(PREMIUM, &payer.token, 402).await;
            let shown = parsed(&world.tollgate(&["account", "show", &new, "--json"]).await.success());
            assert_eq!(
                (&shown["aliases"], shown["subscriptions"].as_array().map(Vec::len)),
                (&json!([payer.account]), Some(2))
            );
            let gone = world.tollgate(&["account", "show", &payer.account]).await;
            assert!(gone.failure().contains(&format!("goes by `{new}` now")), "{gone:?}");
            let changes = world.tollgate(&["explain", "account", &new]).await.success();
            let actor = if by == "an operator" { "operator" } else { "application" };
            assert!(changes.contains(&format!("{actor}: everything of account {} came", payer.account)), "{changes}");
        }
    }
}

#[tokio::test]
async fn an_erased_account_has_nothing_anywhere_and_no_event_brings_it_back() {
    for arrangement in [Arrangement::Separate, Arrangement::AllPostgres] {
        let world = World::with(setup(arrangement).key("cache.max_staleness", "\"10m\"")).await;
        for by in ["the application", "an operator"] {
            let payer = Payer::new(&world).await;
            let copy = of(&world, "GET", &payer.account, "/export", None).await;
            assert_eq!((copy.status, copy.header("cache-control")), (200, "no-store"));
            let tables = copy.json()["tables"].clone();
            for (table, rows) in [("subscriptions", 1), ("webhook_events", 2), ("invoices", 1), ("payments", 1)] {
                assert_eq!(tables[table].as_array().map(Vec::len), Some(rows), "{table}: {tables}");
            }
            let refused = of(&world, "DELETE", &payer.account, "", None).await;
            assert_eq!((refused.status, refused.code().as_str()), (409, "subscription_running"), "{refused:?}");
            world.accepted(&payer.subscription.ended().event("deleted")).await;
            world.everywhere(PREMIUM, &payer.token, 402).await;
            world
                .tollgate(&["grant", &payer.account, "paid", "--reason", "a gift", "--id", &unique("wish")])
                .await
                .success();
            world.everywhere(PREMIUM, &payer.token, 200).await;
            let erased = match by {
                "the application" => of(&world, "DELETE", &payer.account, "", None).await.json(),
                _ => {
                    let command = ["account", "erase", &payer.account, "--json"];
                    assert!(world.tollgate(&command).await.failure().contains("say --yes"));
                    let planned = parsed(&world.tollgate(&[&command[..], &["--dry-run"]].concat()).await.success());
                    assert_eq!(planned["subscriptions"], 1);
                    world.everywhere(PREMIUM, &payer.token, 200).await;
                    parsed(&world.tollgate(&[&command[..], &["--yes"]].concat()).await.success())
                }
            };
            // A command tells no process of its own where there is no Redis.
            let is_told = by == "the application" || arrangement.has_redis();
            assert_eq!((&erased["changed"], &erased["published"]), (&json!(true), &json!(is_told)), "{by}: {erased}");
            assert_eq!(
                (&erased["kept_invoices"], &erased["kept_payments"], &erased["credits"]),
                (&json!(1), &json!(1), &json!(1))
            );
            world.everywhere(PREMIUM, &payer.token, 402).await;
            for late in [
                payer.subscription.event("updated"),
                checkout_completed(Some(&payer.account), &unique("cus"), &unique("sub")),
                Subscription { metadata: Some(payer.account.clone()), ..Subscription::of(&unique("cus")) }
                    .event("created"),
            ] {
                let (state, reason) = world.settled(&late).await;
                assert!(state == "ignored" && reason.starts_with("erased"), "{state}: {reason}");
            }
            world.everywhere(PREMIUM, &payer.token, 402).await;
            let again = of(&world, "DELETE", &payer.account, "", None).await;
            assert_eq!((again.status, &again.json()["changed"]), (200, &json!(false)));
            let copy = of(&world, "GET", &payer.account, "/export", None).await;
            assert_eq!((copy.status, copy.code().as_str()), (404, "unknown_account"));
            let found = world.tollgate(&["account", "find", &payer.account]).await;
            assert!(found.failure().contains("nothing is called"), "{found:?}");
            // An account that pays anew is a payer, above every version that any proxy was told.
            world.tollgate(&["grant", &payer.account, "paid", "--reason", "back again"]).await.success();
            world.everywhere(PREMIUM, &payer.token, 200).await;
        }
    }
}

#[tokio::test]
async fn what_runs_is_ended_at_the_provider_before_anything_is_erased() {
    let world = World::with(setup(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("a provider");
    let account = unique("buyer");
    let token = token(&account);
    let buy = async || world.post("/api/billing/checkout", &token, &json!({ "cadence": "monthly" })).await;
    assert_eq!(buy().await.status, 200);
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere(PREMIUM, &token, 200).await;
    let failing = Fault { kind: FaultKind::ServerError, path: "DELETE /v1/subscriptions".to_owned(), count: 100 };
    provider.fail_calls(failing).expect("there is room");
    let failed = of(&world, "DELETE", &account, "?cancel=true", None).await;
    assert_eq!((failed.status, failed.code().as_str()), (502, "provider_unavailable"), "{failed:?}");
    super::is_told_to_operators(&world, &account, &failed).await;
    world.everywhere(PREMIUM, &token, 200).await;
    provider.heal_calls();
    let erased = of(&world, "DELETE", &account, "?cancel=true", None).await;
    assert_eq!((erased.status, &erased.json()["changed"]), (200, &json!(true)), "{erased:?}");
    assert_eq!(erased.json()["canceled"][0]["state"], "active", "as it ran: {erased:?}");
    world.everywhere(PREMIUM, &token, 402).await;
    assert!(provider.subscriptions().iter().all(|subscription| subscription["status"] == "canceled"));
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere(PREMIUM, &token, 402).await;
    // The same person buys again, and goes by a command.
    assert_eq!(buy().await.status, 200);
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere(PREMIUM, &token, 200).await;
    let command = ["account", "erase", &account, "--cancel"];
    let planned = world.tollgate(&[&command[..], &["--dry-run"]].concat()).await.success();
    assert!(planned.contains("it pays for stripe:"), "{planned}");
    let done = world.tollgate(&[&command[..], &["--yes"]].concat()).await.success();
    assert!(done.contains("has been ended") && !done.contains("it pays for"), "{done}");
    provider.settled(DEADLINE).await.expect("told");
    // And goes with an open checkout: it takes no payment any more.
    assert_eq!(buy().await.status, 200);
    let open = |sessions: Vec<Value>| sessions.iter().filter(|session| session["status"] == "open").count();
    assert_eq!(open(provider.sessions()), 1);
    assert_eq!(of(&world, "DELETE", &account, "", None).await.status, 200);
    assert_eq!(open(provider.sessions()), 0);
}

#[tokio::test]
async fn an_erasure_that_was_killed_says_until_when_another_one_has_to_wait() {
    let world = World::with(setup(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("a provider");
    let account = unique("buyer");
    let bought = world.post("/api/billing/checkout", &token(&account), &json!({ "cadence": "monthly" })).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere(PREMIUM, &token(&account), 200).await;
    let hanging = Fault { kind: FaultKind::Hang, path: "DELETE /v1/subscriptions".to_owned(), count: 100 };
    provider.fail_calls(hanging).expect("there is room");
    let command = ["account", "erase", &account, "--cancel", "--yes"];
    let asks = || provider.calls().keys().any(|call| call.starts_with("DELETE"));
    tokio::select! {
        done = world.tollgate(&command) => panic!("its provider has not answered: {done:?}"),
        // Whoever is not waited for any more is killed.
        () = eventually("it is in the middle", async || asks().then_some(())) => {}
    }
    provider.heal_calls();
    let refused = world.tollgate(&command).await;
    assert!(refused.failure().contains("The account is free again at 2"), "{refused:?}");
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let until: String = sqlx::query_scalar(
        "select to_char(leased_until at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from checkouts",
    )
    .fetch_one(&mut connection)
    .await
    .expect("a lease");
    assert!(refused.failure().contains(&until), "{until}: {refused:?}");
    world.everywhere(PREMIUM, &token(&account), 200).await;
    // Its time is over.
    sqlx::query("update checkouts set leased_until = now()").execute(&mut connection).await.expect("a lease");
    world.tollgate(&command).await.success();
    world.everywhere(PREMIUM, &token(&account), 402).await;
}

#[tokio::test]
async fn the_checkout_of_an_account_that_moves_is_closed_and_nothing_more_is_sold_to_it() {
    let world = World::with(setup(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("a provider");
    let (old, new) = (unique("buyer"), unique("buyer"));
    let buy = async |account: &str| {
        world.post("/api/billing/checkout", &token(account), &json!({ "cadence": "monthly" })).await
    };
    assert_eq!(buy(&old).await.status, 200);
    assert_eq!(of(&world, "POST", &old, "/move", Some(&json!({ "to": new }))).await.status, 200);
    let session = provider.sessions().pop().expect("a session");
    assert_eq!(session["status"], "expired");
    let refused = buy(&old).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "account_moved"), "{refused:?}");
    assert_eq!(buy(&new).await.status, 200);
    assert_eq!(provider.customers().len(), 1, "it buys as the same customer");
    let session = provider.sessions().pop().expect("a session");
    provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
    provider.settled(DEADLINE).await.expect("told");
    world.everywhere(PREMIUM, &token(&new), 200).await;
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    let (one, two) = (Payer::new(&world).await.account, Payer::new(&world).await.account);
    let (nobody, moved) = (unique("nobody"), Payer::new(&world).await.account);
    assert_eq!(of(&world, "POST", &moved, "/move", Some(&json!({ "to": unique("new") }))).await.status, 200);
    let pseudonym = format!("erased:{}", "0a".repeat(16));
    let to = |account: &str| Some(json!({ "to": account }));
    let long = "x".repeat(256);
    for (method, account, rest, body, (status, code)) in [
        ("POST", one.as_str(), "/move", to(&one), (400, "same_account")),
        ("POST", &one, "/move", to(&two), (409, "target_not_empty")),
        ("POST", &one, "/move", to(&moved), (409, "account_moved")),
        ("POST", &moved, "/move", to(&two), (409, "account_moved")),
        ("POST", &nobody, "/move", to(&one), (404, "unknown_account")),
        ("POST", &one, "/move", to(""), (400, "invalid_account")),
        ("POST", &one, "/move", to(&long), (400, "invalid_account")),
        ("POST", &one, "/move", None, (400, "bad_request")),
        ("POST", &one, "/move", Some(json!({ "to": "x", "force": true })), (400, "bad_request")),
        ("POST", &one, "/move", Some(json!({ "to": "x".repeat(2 << 20) })), (413, "too_large")),
        ("POST", &long, "/move", to(&one), (400, "invalid_account")),
        ("POST", "%FF", "/move", to(&one), (400, "invalid_account")),
        ("POST", "%00", "/block", None, (400, "invalid_account")),
        ("POST", "%FF", "/block", None, (400, "invalid_account")),
        ("DELETE", &long, "", None, (400, "invalid_account")),
        ("DELETE", &one, "", None, (409, "subscription_running")),
        ("DELETE", &one, "?cancel=true", None, (503, "not_configured")),
        ("DELETE", &one, "?cancel=perhaps", None, (400, "bad_request")),
        ("DELETE", &one, "?force=true", None, (400, "bad_request")),
        ("DELETE", &nobody, "", None, (404, "unknown_account")),
        ("DELETE", &moved, "", None, (409, "account_moved")),
        ("GET", &nobody, "/export", None, (404, "unknown_account")),
        ("GET", &moved, "/export", None, (409, "account_moved")),
        ("GET", "%20", "/export", None, (400, "invalid_account")),
        ("DELETE", &one, "/move", None, (405, "method_not_allowed")),
        ("GET", &one, "", None, (405, "method_not_allowed")),
        ("POST", &pseudonym, "/move", to(&one), (409, "account_erased")),
        ("POST", &one, "/move", to(&pseudonym), (409, "account_erased")),
        ("POST", &pseudonym, "/block", None, (409, "account_erased")),
        ("DELETE", &pseudonym, "", None, (409, "account_erased")),
    ] {
        let answer = of(&world, method, account, rest, body.as_ref()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {account} {rest}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {rest}");
    }
    let url = format!("http://{}/app/v1/accounts/{one}/move", world.billing().listen.billing);
    let text = send(client().post(url).bearer_auth(TOKEN).body("to=x")).await;
    assert_eq!((text.status, text.code().as_str()), (400, "bad_request"));
    let both = of(&world, "POST", &one, "/move", Some(&json!({ "to": two, "merge": true }))).await;
    assert_eq!((both.status, &both.json()["moved"]["subscriptions"]), (200, &json!(1)), "{both:?}");
}

#[tokio::test]
async fn an_id_of_any_form_is_named_in_a_path() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    for (id, path) in [("auth0|a b/c", "auth0%7Ca%20b%2Fc"), ("ä?#%2F", "%C3%A4%3F%23%252F"), ("..", "%2E%2E")] {
        let id = format!("{id}{}", unique("-"));
        let path = format!("{path}{}", id.rsplit_once('-').map_or(String::new(), |(_, rest)| format!("-{rest}")));
        let payer = Payer::called(&world, &id).await;
        let copy = of(&world, "GET", &path, "/export", None).await;
        assert_eq!((copy.status, &copy.json()["account"]), (200, &json!(id)), "{copy:?}");
        let blocked = of(&world, "POST", &path, "/block", None).await;
        assert_eq!((blocked.status, &blocked.json()["account"]), (200, &json!(id)));
        let moved = of(&world, "POST", &path, "/move", Some(&json!({ "to": format!("{id}/2") }))).await;
        assert_eq!(moved.status, 200, "{moved:?}");
        world.everywhere(PREMIUM, &token(&format!("{id}/2")), 403).await;
        world.everywhere("/signed-in/page", &payer.token, 403).await;
    }
}

#[tokio::test]
async fn a_person_finds_an_account_by_what_is_at_hand_and_gets_a_copy_of_it() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    let payer = Payer::new(&world).await;
    let Payer { account, subscription, .. } = &payer;
    let part = account.split_at(2).1;
    for (text, by) in [
        (account.as_str(), ""),
        (part, ""),
        (&subscription.customer, "customer stripe:"),
        (&format!("stripe:{}", subscription.customer), "customer stripe:"),
        (&subscription.id, "subscription stripe:"),
    ] {
        let found = world.tollgate(&["account", "find", text]).await.success();
        assert!(found.lines().any(|line| line.starts_with(account.as_str()) && line.contains(by)), "{text}: {found}");
    }
    let found = parsed(&world.tollgate(&["account", "find", &subscription.id, "--json"]).await.success());
    assert_eq!(found[0]["account"], json!(account));
    let nobody = unique("nobody");
    for command in [
        vec!["account", "find", &nobody],
        vec!["account", "show", &nobody],
        vec!["account", "export", &nobody],
        vec!["account", "move", &nobody, account, "--yes"],
        vec!["account", "erase", &nobody, "--yes"],
    ] {
        let failed = world.tollgate(&command).await;
        let told = failed.failure();
        assert!(
            told.contains("nothing is known of the account") || told.contains("nothing is called"),
            "{command:?}: {told}"
        );
    }
    let shown = world.tollgate(&["account", "show", account]).await.success();
    for line in ["has       paid (active)", "customer  stripe:", "subscription stripe:", "events    2"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let file = world.dir().join("copy.json");
    let path = file.to_str().expect("UTF-8");
    let written = world.tollgate(&["account", "export", account, "--output", path]).await.success();
    assert!(written.contains("rows are written to"), "{written}");
    let copy = parsed(&std::fs::read_to_string(&file).expect("readable"));
    assert_eq!(copy["tables"]["subscriptions"][0]["subscription_id"], json!(subscription.id));
    let printed = parsed(&world.tollgate(&["account", "export", account]).await.success());
    assert_eq!(printed["tables"], copy["tables"], "the same on standard output");
    let again = world.tollgate(&["account", "export", account, "--output", path]).await;
    assert!(again.failure().contains("nothing is overwritten"), "{again:?}");
    let once = ["account", "move", account, "elsewhere", "--yes", "--id", "once"];
    world.tollgate(&once).await.success();
    world.tollgate(&["account", "move", "elsewhere", account, "--yes"]).await.success();
    let repeated = world.tollgate(&once).await.success();
    assert!(repeated.contains("as it was before"), "{repeated}");
    world.everywhere(PREMIUM, &payer.token, 200).await;
    let other = world.tollgate(&["account", "move", account, "beyond", "--yes", "--id", "once"]).await;
    assert!(other.failure().contains("was used for something else"), "{other:?}");
}
