//! A proxy that has many accounts in its memory: each was in Redis, and each has asked once.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use redis::AsyncCommands;

use crate::http;
use crate::load::{Load, Until, lap};
use crate::report::progress;
use crate::webhooks::paid_account;
use crate::world::{PAID_PAGE, Tollgate, World};

/// Accounts that are prepared at a time.
const CHUNK: usize = 10_000;
/// How often a long filling says how far it is.
const TOLD_EVERY: usize = 100_000;
const CONNECTIONS: usize = 16;
/// Accounts that are asked for when the memory is full.
const SAMPLE: usize = 1_000;

/// The `n`th of many accounts.
pub fn account(n: usize) -> String {
    format!("grown-{n}")
}

/// Puts the record of a paid account into Redis under many names.
pub async fn seed(world: &World, accounts: usize) -> Result<()> {
    let mut redis = world.servers.redis().await?;
    let paid = paid_account(0);
    let records = world.servers.records().await?;
    let known: Option<String> = redis.get(format!("{records}{paid}")).await?;
    let known = known.context("the paid accounts are not in Redis")?;
    let name = format!("\"{paid}\"");
    ensure!(known.matches(&name).count() == 1, "a record that names its account once");
    for first in (0..accounts).step_by(CHUNK) {
        let mut pipe = redis::pipe();
        for n in first..(first + CHUNK).min(accounts) {
            let account = account(n);
            pipe.set(format!("{records}{account}"), known.replace(&name, &format!("\"{account}\""))).ignore();
        }
        pipe.exec_async(&mut redis).await?;
    }
    Ok(())
}

/// Asks for each of the first `accounts` once.
pub async fn fill(world: &World, proxy: &Tollgate, accounts: usize) -> Result<()> {
    for first in (0..accounts).step_by(CHUNK) {
        let last = (first + CHUNK).min(accounts);
        let load = load(proxy, requests(world, first..last)?, CONNECTIONS);
        lap(&load, Until::Count((last - first) as u64)).await?;
        if last.is_multiple_of(TOLD_EVERY) {
            progress(&format!("  {last} accounts"));
        }
    }
    Ok(())
}

/// The same number of accounts from all over the memory, however many are in it.
pub fn sample(world: &World, accounts: usize) -> Result<Arc<[Vec<u8>]>> {
    let step = (accounts / SAMPLE).max(1);
    requests(world, (0..accounts).step_by(step).take(SAMPLE))
}

pub fn load(proxy: &Tollgate, requests: Arc<[Vec<u8>]>, connections: usize) -> Load {
    Load { target: proxy.public, requests, connections, expected: 200 }
}

fn requests(world: &World, numbers: impl Iterator<Item = usize>) -> Result<Arc<[Vec<u8>]>> {
    numbers.map(|n| Ok(http::get(PAID_PAGE, Some(&world.secrets.token(&account(n))?)))).collect()
}
