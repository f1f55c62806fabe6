//! nginx: alone, with `auth_request`, with Lua.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::contender::{Missing, READY_LIMIT, Running};
use super::others::{auth, uvicorn};
use super::stage::{Stage, fill, spelled};
use crate::process::{Cpus, Process, free_address};

const CONFIGURATION: &str = include_str!("../../peers/nginx.conf");
const MODULES: &str = "/usr/lib/nginx/modules";

/// From where the gate in Lua has the tiers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tiers {
    Redis,
    /// From Redis, and then for half a minute from memory.
    Cached,
}

/// What stands in nginx's configuration beside what all of them have.
#[derive(Default)]
struct Parts {
    modules: String,
    http: String,
    server: &'static str,
    gate: String,
}

pub async fn bare(stage: &Stage<'_>) -> Result<Running> {
    nginx(stage, Parts::default(), Vec::new()).await
}

pub async fn auth_request_rust(stage: &Stage<'_>) -> Result<Running> {
    let (auth, address) = auth(stage).await?;
    Ok(nginx(stage, asking(&address), vec![auth]).await?.with([stage.world.servers.redis_id()]))
}

pub async fn auth_request_fastapi(stage: &Stage<'_>) -> Result<Running> {
    let (service, address) = uvicorn(stage, "service", "/auth", 401).await?;
    Ok(nginx(stage, asking(&address.to_string()), vec![service]).await?.with([stage.world.servers.redis_id()]))
}

pub async fn lua(stage: &Stage<'_>, tiers: Tiers) -> Result<Running> {
    let modules = ["ndk_http_module.so", "ngx_http_lua_module.so"].map(|file| format!("{MODULES}/{file}"));
    if !modules.iter().all(|module| Path::new(module).is_file()) {
        return Err(Missing("nginx's Lua module").into());
    }
    let directory = stage.world.directory().to_str().ok_or_else(|| anyhow!("a path that is not text"))?;
    std::fs::write(stage.world.directory().join("gate.lua"), include_str!("../../peers/gate.lua"))?;
    let secret = &stage.world.secrets.jwt;
    let blanks = [("DIRECTORY", directory), ("SECRET", secret), ("REDIS_PORT", stage.redis_port())];
    let is_cached = (tiers == Tiers::Cached).to_string();
    let parts = Parts {
        modules: modules.map(|module| format!("load_module {module};\n")).concat(),
        http: fill(include_str!("../../peers/lua.http.conf"), &blanks),
        server: "",
        gate: fill(include_str!("../../peers/lua.gate.conf"), &[("CACHED", &is_cached)]),
    };
    Ok(nginx(stage, parts, Vec::new()).await?.with([stage.world.servers.redis_id()]))
}

/// Asks a service about each request.
fn asking(auth: &str) -> Parts {
    Parts {
        http: fill(include_str!("../../peers/auth_request.http.conf"), &[("AUTH", auth)]),
        server: include_str!("../../peers/auth_request.server.conf"),
        gate: include_str!("../../peers/auth_request.gate.conf").to_owned(),
        ..Parts::default()
    }
}

async fn nginx(stage: &Stage<'_>, parts: Parts, mut own: Vec<Process>) -> Result<Running> {
    let program = stage.program("nginx")?;
    let target = free_address()?;
    let (listen, upstream) = (spelled(target).0, spelled(stage.world.upstream).0);
    let text = fill(
        CONFIGURATION,
        &[
            ("MODULES", &parts.modules),
            ("HTTP", &parts.http),
            ("SERVER", parts.server),
            ("GATE", &parts.gate),
            ("LISTEN", &listen),
            ("UPSTREAM", &upstream),
        ],
    );
    let directory = stage.world.directory();
    std::fs::write(directory.join("nginx.conf"), text)?;
    let launch = stage.launch("nginx", &program);
    let file = directory.join("nginx.conf");
    // The first thing that it does is to open its log, before it has read where that is.
    let words =
        ["-e".as_ref(), "stderr".as_ref(), "-p".as_ref(), directory.as_os_str(), "-c".as_ref(), file.as_os_str()];
    let mut process = launch.args(words).start(Cpus::Measured)?;
    process.listening(target, READY_LIMIT).await?;
    own.push(process);
    Ok(Running::new(target, own))
}
