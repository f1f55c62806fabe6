//! What is sold changes: nobody loses anything by it without a person who was told how many, and everybody else goes on.

mod change;
mod names;
mod once;
mod routes;
mod start;
mod telling;
mod unnamed;

use serde_json::Value;

use crate::world::process::signal;
use crate::world::setup::CATALOG;
use crate::world::stripe::{Subscription, unique};
use crate::world::{Tollgate, World, eventually, token};

/// What the log says of a catalog that is held back.
const HELD: &str = "a catalog is held back";

/// Accounts with a subscription: more than may lose something unasked.
const BUYERS: usize = 5;

/// The catalog with one thing replaced.
fn with(from: &str, to: &str) -> String {
    assert!(CATALOG.contains(from), "{from}");
    CATALOG.replace(from, to)
}

/// The catalog with another price by the month.
fn replaced() -> String {
    with("price_monthly", "price_monthly_2")
}

/// The catalog whose tier `paid` has another name.
fn renamed() -> String {
    with("code = \"paid\"", "code = \"basic\"")
}

/// The tokens of accounts that have subscribed by the month.
async fn buyers(world: &World, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        world.applied(&subscription.event("created")).await;
        tokens.push(token(&account));
    }
    for token in &tokens {
        world.everywhere("/premium/one", token, 200).await;
    }
    tokens
}

fn write(world: &World, catalog: &str) {
    std::fs::write(world.dir().join("catalog.toml"), catalog).expect("it is written");
}

/// Tells the process with billing to read its files again, and waits until it has.
async fn reload(world: &World) {
    let lines = || {
        let log = world.billing().process.log();
        log.lines()
            .filter(|line| line.contains("the configuration was read again") || line.contains("the old ones stay"))
            .count()
    };
    let before = lines();
    signal(world.billing().process.id(), "HUP");
    eventually("the files are read again", async || (lines() > before).then_some(())).await;
}

async fn restart(world: &mut World) {
    world.processes[0].restart();
    world.processes[0].ready().await;
}

async fn held_back(process: &Tollgate) -> usize {
    process.metric("tollgate_held_back_total", &["what=\"catalog\""]).await as usize
}

/// What readiness warns of: it is ready all the same.
async fn warnings(process: &Tollgate) -> Vec<String> {
    let answer = process.admin("/readyz").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.warnings()
}

async fn all_pass(world: &World, tokens: &[String], path: &str) {
    for token in tokens {
        let answer = world.get(path, Some(token)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

/// The digest that a plan prints.
fn digest(plan: &str) -> String {
    let line = plan.lines().find_map(|line| line.strip_prefix("digest ")).expect("a digest");
    line.split(':').next().expect("a word").to_owned()
}
