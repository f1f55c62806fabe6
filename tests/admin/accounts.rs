//! Accounts over HTTP, whatever they are called: why they have what they have, and what an operator gives them.

use serde_json::{Value, json};

use super::{of_account, operator, setup};
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, World, now, token};

#[tokio::test]
async fn an_account_is_explained_and_its_changes_are_listed() {
    let world = World::with(setup(Arrangement::AllPostgresRedis)).await;
    let operator = operator(&world);
    let account = unique("buyer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.applied(&subscription.event("created")).await;
    world.everywhere("/premium/one", &token(&account), 200).await;
    let at = (now() + chrono::Duration::days(3)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let over_http = operator.get(&of_account(&account, &format!("?at={at}"))).await;
    let command = ["explain", "account", &account, "--json", "--at", &at];
    let at_the_command_line: Value =
        serde_json::from_str(&world.tollgate(&command).await.success()).expect("the command prints JSON");
    assert_eq!(over_http, at_the_command_line);
    assert_eq!(over_http["account"], account.as_str());
    let holds = |explained: &Value| {
        let segments = explained["segments"].as_array().expect("segments").iter();
        segments.filter(|segment| segment["holds"] == true).map(|segment| segment["tier"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(holds(&over_http), [json!("paid")]);
    let later = operator.get(&of_account(&account, "?at=2999-01-01T00:00:00Z")).await;
    assert_eq!(holds(&later), [json!("free")], "the future is asked about, not now");

    for tier in ["paid", "business"] {
        let credit = json!({ "tier": tier, "reason": "a gift" });
        operator.post(&of_account(&account, "/credits"), Some(&credit)).await;
    }
    let all = operator.get(&of_account(&account, "/audit")).await;
    let details = |page: &Value| page["changes"].as_array().expect("changes").clone();
    assert_eq!((details(&all).len(), &all["next"]), (3, &Value::Null));
    assert!(details(&all)[0]["detail"].as_str().is_some_and(|detail| detail.contains("business")), "the newest first");
    let first = operator.get(&of_account(&account, "/audit?limit=2")).await;
    let second = operator.get(&of_account(&account, &format!("/audit?limit=2&before={}", first["next"]))).await;
    assert_eq!([details(&first), details(&second)].concat(), details(&all));
}

#[tokio::test]
async fn a_credit_opens_the_gate_and_its_end_closes_it_whatever_the_account_is_called() {
    for arrangement in [Arrangement::AllEmbedded, Arrangement::Separate] {
        let world = World::with(setup(arrangement)).await;
        let operator = operator(&world);
        for account in ["plain", "team/7?x=1#y", "a b%2Fc", "Zoë 漢字 🦀", "../credits"] {
            let token = token(account);
            world.everywhere("/premium/one", &token, 402).await;
            let credit = json!({ "tier": "paid", "reason": "an apology", "days": 7 });
            let granted = operator.post(&of_account(account, "/credits"), Some(&credit)).await;
            assert_eq!(granted["published"], true, "{granted}");
            world.everywhere("/premium/one", &token, 200).await;
            let explained = operator.get(&of_account(account, "")).await;
            assert_eq!((&explained["account"], &explained["credits"][0]["id"]), (&json!(account), &granted["credit"]));
            assert_eq!(operator.get(&of_account(account, "/audit")).await["changes"][0]["cause"], "operator");
            let one = of_account(account, &format!("/credits/{}", granted["credit"]));
            assert_eq!(operator.ask("DELETE", &one, None).await.json()["credits"], json!([granted["credit"]]));
            world.everywhere("/premium/one", &token, 402).await;
            assert_eq!(operator.ask("DELETE", &one, None).await.code(), "nothing_to_revoke", "once");
            operator.post(&of_account(account, "/credits"), Some(&credit)).await;
            operator.post(&of_account(account, "/credits"), Some(&credit)).await;
            let all = operator.ask("DELETE", &of_account(account, "/credits"), None).await.json();
            assert_eq!(all["credits"].as_array().map(Vec::len), Some(2));
            world.everywhere("/premium/one", &token, 402).await;
        }
    }
}

#[tokio::test]
async fn a_credit_that_makes_no_sense_is_refused_with_a_reason() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    let operator = operator(&world);
    let credits = of_account("friend", "/credits");
    let (soon, past) = ("2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z");
    let cases = [
        (json!({ "tier": "platinum", "reason": "x" }), "unknown_tier"),
        (json!({ "tier": "free", "reason": "x" }), "base_tier"),
        (json!({ "tier": "paid", "reason": " " }), "no_reason"),
        (json!({ "tier": "paid", "reason": "x", "until": past }), "ends_in_the_past"),
        (json!({ "tier": "paid", "reason": "x", "until": soon, "days": 1 }), "bad_request"),
        (json!({ "tier": "paid", "reason": "x", "days": 0 }), "bad_request"),
        (json!({ "tier": "paid", "reason": "x", "day": 7 }), "bad_request"),
        (json!({ "tier": "paid" }), "bad_request"),
        (json!([]), "bad_request"),
    ];
    for (credit, code) in cases {
        let answer = operator.ask("POST", &credits, Some(&credit)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{credit}: {answer:?}");
    }
    let large = json!({ "tier": "paid", "reason": "x".repeat(20_000) });
    assert_eq!(operator.ask("POST", &credits, Some(&large)).await.code(), "too_large");
    assert_eq!(operator.ask("POST", &credits, None).await.code(), "not_json");
    assert_eq!(operator.get(&of_account("friend", "")).await["version"], 0, "nothing was written");
}
