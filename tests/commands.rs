//! What an operator does at the command line, against a running world.

use std::time::Duration;

use crate::world::setup::CATALOG;
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::tollgate::tollgate;
use crate::world::{Arrangement, World, eventually, now, token};

/// The demo plays a whole story.
const STORY_LIMIT: Duration = Duration::from_secs(300);

#[tokio::test]
async fn every_command_has_a_help_that_says_what_it_is_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let help = async |arguments: &[&str]| {
        tollgate(dir.path(), &[], Duration::from_secs(30), &[arguments, &["--help"]].concat()).await.success()
    };
    let overview = help(&[]).await;
    for command in
        ["demo", "run", "check", "healthcheck", "migrate", "explain", "catalog", "events", "grant", "revoke", "token"]
    {
        assert!(overview.lines().any(|line| line.trim_start().starts_with(command)), "{command} in {overview}");
        let text = help(&[command]).await;
        assert!(
            text.contains("Usage:") && text.lines().next().is_some_and(|line| line.len() > 10),
            "{command}: {text}"
        );
    }
    for command in [["explain", "route"], ["explain", "account"], ["catalog", "plan"], ["catalog", "apply"]] {
        assert!(help(&command).await.contains("Usage:"), "{command:?}");
    }
    for command in [&["help", "--json"][..], &["--json", "help", "account"], &["account", "help", "--json", "find"]] {
        let told = tollgate(dir.path(), &[], Duration::from_secs(30), command).await.success();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
        assert!(told["help"].as_str().is_some_and(|help| help.contains("Usage:")), "{command:?}: {told}");
    }
    let unknown = tollgate(dir.path(), &[], Duration::from_secs(30), &["gibberish"]).await;
    assert!(unknown.code != 0 && unknown.stderr.contains("gibberish"), "{unknown:?}");
}

#[tokio::test]
async fn the_configuration_may_be_named_at_the_end_of_every_command() {
    let world = World::start(Arrangement::AllPostgres).await;
    let config = world.dir().join("tollgate.toml");
    let config = ["--config", config.to_str().expect("a path in UTF-8")];
    let commands: [&[&str]; 7] = [
        &["check"],
        &["migrate"],
        &["explain", "route", "GET", "/premium/one"],
        &["explain", "account", "somebody"],
        &["events", "list"],
        &["catalog", "plan", "catalog.toml"],
        &["token", "somebody"],
    ];
    for command in commands {
        world.tollgate(&[command, &config].concat()).await.success();
    }
}

#[tokio::test]
async fn check_prints_the_rules_that_hold_and_migrate_may_run_again() {
    let world = World::start(Arrangement::AllPostgres).await;
    let checked = world.tollgate(&["check"]).await.success();
    for text in ["/premium/**", "tier paid", "/archive/**", "feature archive", "shadow", "free < paid < business"] {
        assert!(checked.contains(text), "{text} in {checked}");
    }
    for _ in 0..2 {
        world.tollgate(&["migrate"]).await.success();
    }
    assert_eq!(world.get("/welcome", None).await.status, 200, "the running process goes on");
}

#[tokio::test]
async fn explain_says_which_rule_decides_and_how() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let account = unique("buyer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/one", &token(&account), 200).await;
    let after = (now() + chrono::Duration::days(400)).to_rfc3339();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["GET", "/welcome"], &["pass"]),
        (&["GET", "/premium/one"], &["/premium/**", "401 sign_in"]),
        (&["GET", "/%70remium/one"], &["/premium/one", "401 sign_in"]),
        (&["GET", "/welcome/../premium/one"], &["400 ambiguous_target"]),
        (&["GET", "/premium%3Fone"], &["400 ambiguous_target", "another rule"]),
        (&["GET", "/premium/one", "--tier", "free"], &["402 payment_required", "has free"]),
        (&["GET", "/premium/one", "--tier", "business"], &["pass"]),
        (&["GET", "/premium/one", "--account", &account], &["pass"]),
        (&["GET", "/premium/one", "--account", &account, "--at", &after], &["402 payment_required"]),
    ];
    for (arguments, expected) in cases {
        let output = world.tollgate(&[&["explain", "route"], arguments].concat()).await.success();
        for text in expected {
            assert!(output.contains(text), "{arguments:?}: {text:?} in {output}");
        }
    }
    let explained = world.tollgate(&["explain", "account", &account]).await.success();
    for text in [account.as_str(), &subscription.id, "paid", "active", "customer.subscription.created"] {
        assert!(explained.contains(text), "{text} in {explained}");
    }
    let unknown = world.tollgate(&["explain", "account", "nobody-knows-me"]).await.success();
    assert!(unknown.contains("free"), "{unknown}");
}

#[tokio::test]
async fn grant_opens_the_gate_and_revoke_closes_it() {
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let world = World::start(arrangement).await;
        let account = unique("friend");
        let token = token(&account);
        world.everywhere("/premium/one", &token, 402).await;
        world
            .tollgate(&["grant", &account, "paid", "--reason", "a friend of the house", "--days", "7"])
            .await
            .success();
        world.everywhere("/premium/one", &token, 200).await;
        let explained = world.tollgate(&["explain", "account", &account]).await.success();
        assert!(explained.contains("a friend of the house") && explained.contains("credit"), "{explained}");
        world.tollgate(&["revoke", &account]).await.success();
        world.everywhere("/premium/one", &token, 402).await;
        for wrong in [["grant", "somebody", "platinum", "--reason", "x"], ["revoke", "nobody", "--credit", "99", "--"]]
        {
            let wrong: Vec<&str> = wrong.into_iter().filter(|word| *word != "--").collect();
            world.tollgate(&wrong).await.failure();
        }
    }
}

#[tokio::test]
async fn revoke_leaves_what_is_paid_for() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let subscription = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    world.accepted(&subscription.event("created")).await;
    let token = token(&account);
    world.tollgate(&["grant", &account, "business", "--reason", "a trial of the larger plan"]).await.success();
    world.everywhere("/business/one", &token, 200).await;
    world.tollgate(&["revoke", &account]).await.success();
    world.everywhere("/business/one", &token, 402).await;
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn a_changed_catalog_is_shown_then_applied_to_everybody() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let account = unique("buyer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    let token = token(&account);
    world.everywhere("/archive/one", &token, 200).await;
    let smaller = world.dir().join("smaller.toml");
    let without = CATALOG.replacen("features = [\"archive\", \"alerts\"]", "features = [\"alerts\"]", 1);
    std::fs::write(&smaller, without).expect("it is written");
    let file = smaller.to_str().expect("a path in UTF-8");

    let planned = world.tollgate(&["catalog", "plan", file]).await.success();
    assert!(planned.contains("archive") && planned.contains("paid"), "{planned}");
    assert_eq!(world.get("/archive/one", Some(&token)).await.status, 200, "a plan changes nothing");
    world.tollgate(&["catalog", "apply", file, "--yes"]).await.success();
    world.everywhere("/archive/one", &token, 402).await;
    world.everywhere("/premium/one", &token, 200).await;
    let again = world.tollgate(&["catalog", "plan", file]).await.success();
    assert!(again.contains("nothing changes"), "{again}");
}

#[tokio::test]
async fn the_inbox_can_be_read_and_an_event_replayed() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let subscription = Subscription::of(&customer);
    let early = subscription.event("created");
    world.settled(&early).await;
    let parked = world.tollgate(&["events", "list", "--state", "parked"]).await.success();
    assert!(parked.contains(&early.id), "{parked}");
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    let token = token(&account);
    world.everywhere("/premium/one", &token, 200).await;

    let listed = world.tollgate(&["events", "list", "--account", &account, "--provider", "stripe"]).await.success();
    assert!(listed.contains(&early.id) && listed.contains("applied"), "{listed}");
    let of_another = world.tollgate(&["events", "list", "--provider", "polar"]).await.success();
    assert_eq!(of_another, "");
    let shown = world.tollgate(&["events", "show", &early.id]).await.success();
    assert!(shown.contains("customer.subscription.created") && shown.contains(&subscription.id), "{shown}");
    world.tollgate(&["events", "replay", &early.id]).await.success();
    eventually("the event is worked off again", async || {
        let pending = world.tollgate(&["events", "list", "--state", "pending"]).await.success();
        (!pending.contains(&early.id)).then_some(())
    })
    .await;
    world.everywhere("/premium/one", &token, 200).await;
    assert!(world.tollgate(&["events", "show", "evt_of_nobody"]).await.failure().contains("evt_of_nobody"));
}

#[tokio::test]
async fn a_long_inbox_is_read_page_by_page_and_what_is_stuck_is_replayed_together() {
    let world = World::start(Arrangement::AllPostgres).await;
    let (account, customer) = (unique("buyer"), unique("cus"));
    let subscription = Subscription::of(&customer);
    let events = [checkout_completed(Some(&account), &customer, &subscription.id), subscription.event("created")];
    for event in &events {
        world.applied(event).await;
    }
    let first = world.tollgate(&["events", "list", "--limit", "1"]).await;
    assert!(first.stdout.contains(&events[1].id) && !first.stdout.contains(&events[0].id), "{first:?}");
    let before = first.stderr.split_once("--before ").expect("it says how to go on").1.trim();
    let second = world.tollgate(&["events", "list", "--before", before]).await;
    assert!(second.stdout.contains(&events[0].id) && !second.stdout.contains(&events[1].id), "{second:?}");
    assert!(!second.stderr.contains("--before"), "that was all: {second:?}");

    let mut database = world.database.as_ref().expect("a database").connect().await;
    let kill = "update webhook_events set state = 'dead', reason = 'broken', finished_at = null";
    sqlx::query(kill).execute(&mut database).await.expect("they are dead");
    let dead = world.tollgate(&["events", "list", "--state", "dead"]).await.success();
    assert_eq!(dead.matches("(broken)").count(), 2, "with the reason: {dead}");
    let replay = async |more: &[&str]| world.tollgate(&[&["events", "replay"], more].concat()).await;
    assert_eq!(replay(&["--state", "dead", "--account", "nobody"]).await.success().trim(), "due again: 0");
    let kind = ["--state", "dead", "--type", "customer.subscription.created"];
    assert_eq!(replay(&kind).await.success().trim(), "due again: 1");
    assert_eq!(replay(&["--state", "dead"]).await.success().trim(), "due again: 1", "the other one");
    eventually("both are worked off again", async || {
        let waiting = "select count(*) from webhook_events where state in ('dead', 'pending')";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut database).await.expect("it is counted");
        (waiting == 0).then_some(())
    })
    .await;
    for wrong in [&[] as &[&str], &["--state", "applied"], &["1", "--state", "dead"], &["1", "--type", "x"]] {
        assert!(replay(wrong).await.code != 0, "{wrong:?}");
    }
}

#[tokio::test]
async fn the_demo_plays_its_story_to_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let told = tollgate(dir.path(), &[], STORY_LIMIT, &["demo", "--script"]).await.success();
    assert!(told.lines().count() > 5, "it tells what it does: {told}");
}

#[tokio::test]
async fn the_health_check_says_whether_the_process_is_ready_and_what_is_missing() {
    let mut world = World::start(Arrangement::Separate).await;
    let of_proxy = ["healthcheck", "--config", "tollgate-1.toml"];
    for command in [&of_proxy[..1], &of_proxy[..]] {
        assert_eq!(world.tollgate(command).await.success(), "ready\n");
    }
    world.processes[0].process.kill();
    let dead = world.tollgate(&["healthcheck"]).await;
    assert!(dead.failure().contains("is Tollgate running here?"), "{dead:?}");
    world.processes[1].restart();
    let missing = eventually("the proxy misses billing", async || {
        let told = world.tollgate(&of_proxy).await;
        told.stderr.contains("not ready").then_some(told)
    })
    .await;
    assert!(missing.failure().contains("not ready: billing has not answered yet"), "{missing:?}");
    assert!(world.tollgate(&[&["--json"][..], &of_proxy[..]].concat()).await.stdout.contains("\"ready\": false"));
}
