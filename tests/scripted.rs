//! The command line as scripts use it: JSON, exit codes, dates, what is unknown, and what shells and manuals read.

use std::time::Duration;

use serde_json::Value;

use crate::world::stripe::{Subscription, unique};
use crate::world::token::{claims, signed};
use crate::world::tollgate::{Output, tollgate};
use crate::world::{Arrangement, World, token};

const LIMIT: Duration = Duration::from_secs(30);

fn json(output: Output) -> Value {
    let text = output.success();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn alone(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    tollgate(dir.path(), &[], LIMIT, arguments).await
}

#[tokio::test]
async fn every_command_that_answers_does_so_in_json_when_asked_to() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let account = unique("buyer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.applied(&subscription.event("created")).await;
    let run = async |arguments: &[&str]| json(world.tollgate(&[arguments, &["--json"]].concat()).await);
    let checked = run(&["check"]).await;
    assert_eq!((&checked["ok"], checked["warnings"].is_array()), (&Value::Bool(true), true), "{checked}");
    assert_eq!(run(&["migrate"]).await["migrated"], true);
    assert_eq!(run(&["explain", "route", "GET", "/premium/one"]).await["verdict"], "401 sign_in");
    assert_eq!(run(&["explain", "route", "GET", "/a/../premium"]).await["code"], "ambiguous_target");
    assert_eq!(run(&["explain", "account", &account]).await["account"], *account);
    let events = run(&["events", "list", "--account", &account, "--since", "1h"]).await;
    let event = events[0]["id"].to_string();
    assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
    assert_eq!(run(&["events", "list", "--since", "2999-01-01"]).await, Value::Array(Vec::new()));
    assert!(
        run(&["events", "show", &event]).await["body"].as_str().is_some_and(|body| body.contains(&subscription.id))
    );
    assert_eq!(run(&["events", "replay", &event]).await["due"], 1);
    assert_eq!(run(&["catalog", "plan", "catalog.toml"]).await["changes"], Value::Array(Vec::new()));
    assert_eq!(run(&["catalog", "apply", "catalog.toml"]).await["accounts"], 0);
    assert_eq!(run(&["consents", "--since", "2020-01-01"]).await, Value::Array(Vec::new()));
    assert_eq!(run(&["database", "accept"]).await["accounts"], 0);
    assert_eq!(run(&["link", &account, "stripe:cus_other", "--yes"]).await["published"], true);
    let friend = unique("friend");
    let until = ["grant", friend.as_str(), "paid", "--reason", "a friend", "--until", "2999-01-31"];
    assert_eq!(run(&until).await["new_account"], true);
    assert_eq!(run(&["revoke", &friend]).await["credits"].as_array().map(Vec::len), Some(1));
    let made = run(&["token", &friend]).await["token"].as_str().expect("a token").to_owned();
    assert_eq!(run(&["token", "verify", &made]).await["account"], *friend);
    // What is no answer stays on standard error, and a refusal ends with 1.
    let expired = signed(
        &{
            let mut claims = claims(&friend);
            claims["exp"] = 1.into();
            claims
        },
        crate::world::token::SECRET,
    );
    let refused = world.tollgate(&["token", "verify", &expired, "--json"]).await;
    let told: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!((refused.code, &told["reason"]), (1, &Value::from("expired")), "{refused:?}");
    assert!(!refused.stderr.contains(&expired), "no token is repeated");
    for slip in [["get", "/premium"], ["GET", "premium"]] {
        let refused = world.tollgate(&["explain", "route", slip[0], slip[1]]).await;
        assert!(refused.code == 1 && refused.failure().contains("is not a"), "{refused:?}");
    }
    for command in
        [&["explain", "route", "GET", "/premium/one", "--account", "nosuch"][..], &["link", "nosuch", "stripe:cus_x"]]
    {
        let told = world.tollgate(command).await;
        assert!(told.stderr.to_lowercase().contains("nothing is known of the account nosuch"), "{told:?}");
    }
    let run = world.tollgate(&["run", "--json"]).await;
    assert_eq!(run.code, 2, "{run:?}");
}

#[tokio::test]
async fn b18_with_json_one_document_stands_on_standard_output_whatever_becomes_of_a_command() {
    let world = World::start(Arrangement::AllPostgres).await;
    let cases: [(&[&str], Option<i32>); 36] = [
        (&["check"], Some(0)),
        (&["check", "--config", "nowhere.toml"], Some(1)),
        (&["check", "--role", "nobody"], Some(2)),
        (&["migrate"], Some(0)),
        (&["explain", "route", "GET", "/premium/one"], Some(0)),
        (&["explain", "route", "get", "/premium/one"], Some(1)),
        (&["explain", "route", "GET", "/premium/one", "--tier", "platinum"], Some(1)),
        (&["explain", "account", "nobody-knows-me"], Some(0)),
        (&["explain", "account"], Some(2)),
        (&["catalog", "plan", "catalog.toml"], Some(0)),
        (&["catalog", "plan", "nowhere.toml"], Some(1)),
        (&["events", "list"], Some(0)),
        (&["events", "list", "--limit", "0"], Some(2)),
        (&["events", "show", "evt_of_nobody"], Some(1)),
        (&["events", "replay", "999999"], Some(1)),
        (&["events", "replay", "--state", "dead"], Some(0)),
        (&["reconcile"], None),
        (&["reconcile", "--held-back"], Some(0)),
        (&["provider", "use-live"], None),
        (&["database", "accept"], None),
        (&["consents"], Some(0)),
        (&["link", "somebody", "cus_1"], Some(1)),
        (&["account", "block", "nobody-knows-me"], Some(1)),
        (&["grant", "somebody", "platinum", "--reason", "r"], Some(1)),
        (&["revoke", "nobody-knows-me"], Some(1)),
        (&["token", "somebody"], Some(0)),
        (&["token", "verify", "nonsense"], Some(1)),
        (&["completions", "bash"], Some(0)),
        (&["completions", "basic"], Some(2)),
        (&["man", "man1"], Some(0)),
        (&["--version"], Some(0)),
        (&["--help"], Some(0)),
        (&["explain", "account", "--help"], Some(0)),
        (&[], Some(2)),
        (&["run"], Some(2)),
        (&["gibberish"], Some(2)),
    ];
    let check = |arguments: &[&str], output: &Output| {
        let told: Value = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: one document and nothing else: {error}: {output:?}"));
        let error = told["error"].as_str().unwrap_or_default();
        assert_eq!(output.code != 0, !error.is_empty(), "{arguments:?}: {output:?}");
        // The text for a person says the same.
        assert!(output.stderr.contains(error) || output.code == 2, "{arguments:?}: {output:?}");
        for table in ["routes    the first", "verdict   ", "segments", "      id  state"] {
            assert!(!output.stderr.contains(table), "{arguments:?}: a table beside the answer: {output:?}");
        }
        told
    };
    for (arguments, code) in cases {
        let output = world.tollgate(&[arguments, &["--json"]].concat()).await;
        check(arguments, &output);
        assert!(code.is_none_or(|code| output.code == code), "{arguments:?}: {output:?}");
    }
    let away = ("DATABASE_URL", "postgres://tollgate:hunter2@127.0.0.1:9/tollgate");
    for arguments in [&["events", "list"][..], &["explain", "account", "x"], &["reconcile", "--held-back"]] {
        let output = world.tollgate_with(away, &[arguments, &["--json"]].concat()).await;
        check(arguments, &output);
        assert_eq!(output.code, 1, "{output:?}");
    }
    let stranger = world.tollgate(&["explain", "account", "nobody-knows-me", "--json"]).await;
    assert_eq!(check(&["explain", "account"], &stranger)["known"], false);
    assert!(stranger.stderr.contains("nothing is known of the account nobody-knows-me"), "{stranger:?}");
    world.tollgate(&["grant", "a-friend", "paid", "--reason", "r"]).await.success();
    let friend = world.tollgate(&["explain", "account", "a-friend", "--json"]).await;
    assert_eq!(check(&["explain", "account"], &friend)["known"], true);
    let checked = world.tollgate(&["check", "--json"]).await;
    let routes = check(&["check"], &checked)["routes"].as_array().map(Vec::len);
    assert!(routes.is_some_and(|routes| routes > 1), "the resolved routes: {checked:?}");
}

#[tokio::test]
async fn b18_with_json_an_error_is_whole_and_warnings_stand_in_the_answer() {
    let world = World::start(Arrangement::AllPostgres).await;
    let read = |output: &Output| serde_json::from_str::<Value>(&output.stdout).expect("one document");
    let missing = world.tollgate(&["explain", "account", "--json"]).await;
    let told = read(&missing);
    assert!(told["error"].as_str().is_some_and(|error| error.contains("<ID>")), "the whole sentence: {told}");
    assert!(told["usage"].as_str().is_some_and(|usage| usage.contains("explain account")), "{told}");
    let wrong = world.tollgate(&["events", "list", "--since", "yesterday", "--json"]).await;
    let told = read(&wrong);
    assert!(
        told["error"].as_str().is_some_and(|error| error.contains("yesterday") && !error.contains("--help")),
        "{told}"
    );
    assert!(told["usage"].as_str().is_some_and(|usage| usage.contains("tollgate events list")), "{told}");
    let linked = world.tollgate(&["link", "nobody-knows-me", "stripe:cus_1", "--yes", "--json"]).await;
    let warnings = read(&linked)["warnings"].clone();
    assert!(
        warnings[0].as_str().is_some_and(|warning| linked.stderr.contains(&format!("warning: {warning}"))),
        "what there is to warn of stands in both: {linked:?}"
    );
    let online = world.tollgate(&["check", "--online", "--json"]).await;
    assert_eq!(online.code, 1, "nobody can be asked: {online:?}");
    let told = read(&online);
    assert!(told["error"].as_str().is_some_and(|error| error.contains("`online` names each")), "{told}");
    let said = world.tollgate(&["check", "--online"]).await;
    assert!(said.failure().contains("begin with `differs` and `unasked`"), "{said:?}");
    let version = read(&alone(&["--version", "--json"]).await);
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"), "{version}");
}

#[tokio::test]
async fn lists_have_heads_and_unknown_accounts_are_called_unknown() {
    let world = World::start(Arrangement::AllPostgres).await;
    let account = unique("buyer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.applied(&subscription.event("created")).await;
    let listed = world.tollgate(&["events", "list"]).await.success();
    let head: Vec<&str> = listed.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(head, ["id", "state", "received", "provider", "type", "event", "account", "(reason)"]);
    let unknown = world.tollgate(&["explain", "account", "nobody-knows-me"]).await.success();
    assert!(unknown.contains("nothing is known of it: it has what everybody has"), "{unknown}");
    let known = world.tollgate(&["explain", "account", &account]).await.success();
    assert!(!known.contains("nothing is known of it"), "{known}");
    for list in [["events", "list", "--account"].as_slice(), &["consents", "--account"]] {
        let told = world.tollgate(&[list, &["nobody-knows-me"]].concat()).await;
        assert!(told.code == 0 && told.stderr.contains("nothing is known of the account nobody-knows-me"), "{told:?}");
    }
    for wrong in [
        ["grant", "x", "paid", "--reason", "r", "--days", "-3"].as_slice(),
        &["grant", "x", "paid", "--reason", "r", "--days", "0"],
        &["grant", "x", "paid", "--reason", "r", "--until", "soon"],
        &["events", "list", "--since", "a while"],
        &["explain", "account", "x", "--at", "31.01.2027"],
    ] {
        let told = world.tollgate(wrong).await;
        let says = ["1..=36500", "write it like 2027-01-31"].iter().any(|words| told.stderr.contains(words));
        assert!(told.code == 2 && says, "{wrong:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_token_is_checked_with_what_the_gate_checks_it_with() {
    let world = World::start(Arrangement::AllPostgres).await;
    let good = token("somebody");
    let copied =
        [format!("Authorization: Bearer {good}"), format!("session={good}"), format!("Cookie: a=b; session={good}")];
    for form in [good.clone(), format!("\"{good}\""), format!("Bearer {good}")].into_iter().chain(copied) {
        let told = world.tollgate(&["token", "verify", &form]).await.success();
        assert!(told.contains("accepts it") && told.contains("somebody"), "{told}");
    }
    let foreign = signed(&claims("somebody"), "a secret that is not the site's own secret");
    for (token, words) in [(foreign.as_str(), "bad_signature"), ("s%3Aopaque", "malformed"), ("-x", "malformed")] {
        let told = world.tollgate(&["token", "verify", token]).await;
        assert!(told.code == 1 && told.stderr.contains(words), "{token}: {told:?}");
    }
    let mut claims = claims("somebody");
    claims["iss"] = "http://site.test/".into();
    let elsewhere = signed(&claims, crate::world::token::SECRET);
    let told = world.tollgate(&["token", "verify", &elsewhere]).await;
    assert!(told.stderr.contains("wrong_issuer") && !told.stdout.contains(&elsewhere), "{told:?}");
    for words in ["iss \"http://site.test/\"", "alg \"HS256\"", "token wants: iss "] {
        assert!(told.stdout.contains(words), "both are shown: {told:?}");
    }
}

#[tokio::test]
async fn shells_manuals_and_metrics_know_the_build() {
    let version = alone(&["--version"]).await.success();
    // Sources without a checkout have no commit.
    let commit = version.trim().split_once(" (").map_or("", |(_, commit)| commit.trim_end_matches(')')).to_owned();
    let number = format!("tollgate {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&number) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}");
    assert!(commit.is_empty() || commit.len() >= 12, "{version}");
    for shell in ["bash", "zsh", "fish"] {
        let completions = alone(&["completions", shell]).await.success();
        assert!(completions.contains("reconcile") && completions.contains("config"), "{shell}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    tollgate(dir.path(), &[], LIMIT, &["man", "man1"]).await.success();
    let page = std::fs::read_to_string(dir.path().join("man1/tollgate-events-list.1")).expect("a page");
    assert!(page.contains(".TH") && page.contains("since"), "{page}");
    let world = World::start(Arrangement::AllPostgres).await;
    let build = world.proxy().metric("tollgate_build_info", &[&format!("commit=\"{commit}\"")]).await;
    assert_eq!(build, 1.0);
    assert!(world.proxy().metric("process_resident_memory_bytes", &[]).await > 1e6);
}
