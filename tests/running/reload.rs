//! SIGHUP: a new configuration is in force as a whole, or not at all, and no request is lost over it.

use super::load::Load;
use crate::protocols::client::{Client, events, status};
use crate::protocols::site::Site;
use crate::world::process::signal;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, eventually, token};

const APPLIED: &str = "the configuration was read again: it is in force";
const KEPT: &str = "the old ones stay";

/// One more rule, which stands before all others.
const RULE: &str = "[[route]]\npath = \"/new/**\"\nrequire = { signed_in = true }\n";

/// Tells a process to read its configuration again.
fn hang_up(world: &World) {
    signal(world.proxy().process.id(), "HUP");
}

fn lines(world: &World, part: &str) -> usize {
    world.proxy().process.log().lines().filter(|line| line.contains(part)).count()
}

async fn has_lines(world: &World, part: &str, count: usize) {
    eventually(&format!("{part:?} is logged {count} times"), async || (lines(world, part) == count).then_some(()))
        .await;
}

async fn status_of(world: &World, path: &str) -> u16 {
    world.get(path, None).await.status
}

#[tokio::test]
async fn routes_are_replaced_under_load_and_no_request_is_lost() {
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let world = World::start(arrangement).await;
        let load = Load::start(world.proxy().listen.public, "/welcome", 8);
        load.goes_on(50).await;
        for round in 1..=3 {
            assert_eq!(status_of(&world, "/new/page").await, 200, "the default is public");
            world.proxy().rewrite(|text| format!("{text}\n{RULE}"));
            hang_up(&world);
            eventually("the rule is in force", async || (status_of(&world, "/new/page").await == 401).then_some(()))
                .await;
            load.goes_on(50).await;
            world.proxy().rewrite(|text| text.replace(RULE, ""));
            hang_up(&world);
            eventually("it is gone again", async || (status_of(&world, "/new/page").await == 200).then_some(())).await;
            has_lines(&world, APPLIED, round * 2).await;
        }
        load.lost_nothing().await;
        let applied = world.proxy().metric("tollgate_config_reloads_total", &["outcome=\"applied\""]).await;
        assert_eq!(applied as usize, 6);
        assert!(world.proxy().metric("tollgate_config_loaded_timestamp_seconds", &[]).await > 1.0);
    }
}

#[tokio::test]
async fn what_is_wrong_or_needs_a_restart_changes_nothing_and_is_said() {
    let world = World::start(Arrangement::AllPostgres).await;
    let spoilt = [
        ("log.requests = \"al\"", "log.requests", "unknown value \\\"al\\\""),
        ("log.requst = \"all\"", "log.requests", "did you mean `requests`?"),
        ("site.upstream = []", "site.upstream", "site.upstream is empty"),
        ("site.upstream = [\"no address\"]", "site.upstream", "not an address"),
        ("listen.public = \"127.0.0.1:1\"", "listen.public", "listen.public cannot change while Tollgate runs"),
        ("cache.capacity = 5", "cache.capacity", "cache.capacity cannot change while Tollgate runs"),
        ("catalog = \"gone.toml\"", "catalog", "gone.toml"),
    ];
    let mut before = String::new();
    world.proxy().rewrite(|text| {
        before.clone_from(&text);
        text
    });
    for (count, (line, key, expected)) in spoilt.into_iter().enumerate() {
        // The rule beside it is good, but all of it is taken or nothing.
        let kept: Vec<&str> = before.lines().filter(|line| !line.starts_with(&format!("{key} ="))).collect();
        let text = format!("{line}\n{}\n{RULE}", kept.join("\n"));
        world.proxy().rewrite(|_| text);
        hang_up(&world);
        has_lines(&world, KEPT, count + 1).await;
        let log = world.proxy().process.log();
        let reason = log.lines().rfind(|line| line.contains(KEPT)).expect("it was logged");
        assert!(reason.contains(expected), "{reason} should contain {expected}");
        assert_eq!(status_of(&world, "/new/page").await, 200, "the rule beside {line} is not in force");
        assert_eq!(status_of(&world, "/premium/page").await, 401, "the old rules are");
    }
    let refused = world.proxy().metric("tollgate_config_reloads_total", &["outcome=\"refused\""]).await;
    assert_eq!(refused as usize, spoilt.len());
    world.proxy().rewrite(|_| format!("{before}\n{RULE}"));
    hang_up(&world);
    has_lines(&world, APPLIED, 1).await;
    assert_eq!(status_of(&world, "/new/page").await, 401, "repaired");
}

#[tokio::test]
async fn the_site_moves_to_another_address_and_streams_of_the_old_one_go_on() {
    let (old, new) = (Site::start().await, Site::start().await);
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(old.address)).await;
    let address = world.proxy().listen.public;
    let mut stream = events(address, "/open/events", None).await;
    let load = Load::start(address, "/page", 4);
    load.goes_on(20).await;
    let names = (format!("\"{}\"", old.address), format!("\"localhost:{}\"", new.address.port()));
    world.proxy().rewrite(|text| text.replace(&names.0, &names.1));
    hang_up(&world);
    eventually("the new one is asked", async || (new.requests() > 0).then_some(())).await;
    let asked = old.requests();
    load.goes_on(20).await;
    load.lost_nothing().await;
    assert!(old.requests() <= asked + 8, "the old one is asked no more");
    old.say("still here");
    stream.receives(b"data: still here\n\n").await;
}

#[tokio::test]
async fn who_is_known_changes_with_the_identity() {
    let world = World::start(Arrangement::AllPostgres).await;
    let visitor = token(&unique("visitor"));
    let asked = async || world.get("/signed-in/page", Some(&visitor)).await.status;
    assert_eq!(asked().await, 200);
    let (ours, other) = ("identity.issuer = \"https://site.test\"", "identity.issuer = \"https://other.test\"");
    world.proxy().rewrite(|text| text.replace(ours, other));
    hang_up(&world);
    eventually("a token of another issuer counts for nothing", async || (asked().await == 401).then_some(())).await;
    world.proxy().rewrite(|text| text.replace(other, ours));
    hang_up(&world);
    eventually("it counts again", async || (asked().await == 200).then_some(())).await;
}

#[tokio::test]
async fn a_request_goes_by_the_configuration_with_which_it_began() {
    let site = Site::start().await;
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(site.address)).await;
    let visitor = token(&unique("visitor"));
    let mut client = Client::connect(world.proxy().listen.public).await;
    client.ask("GET", "/signed-in/slow", Some(&visitor), &[]).await;
    eventually("it is at the site", async || (site.requests() == 1).then_some(())).await;
    world.proxy().rewrite(|text| {
        text.replace(
            "path = \"/signed-in/**\"\nrequire = { signed_in = true }",
            "path = \"/signed-in/**\"\nrequire = { tier = \"business\" }",
        )
    });
    hang_up(&world);
    has_lines(&world, APPLIED, 1).await;
    let mut later = Client::connect(world.proxy().listen.public).await;
    assert_eq!(later.get("/signed-in/page", Some(&visitor)).await.map(|(status, _)| status), Some(402));
    site.let_go(1);
    let head = client.head().await;
    assert_eq!(status(&head), 200, "{head}");
}
