//! The other peers: Caddy, HAProxy, Envoy, Traefik, FastAPI, and the service that some of them ask.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::contender::{Missing, READY_LIMIT, Running};
use super::stage::{Stage, fill, spelled};
use crate::http;
use crate::process::{Cpus, Launch, Process, free_address};

const ENVOY: &str = include_str!("../../peers/envoy.yaml");

/// The Rust service, and where it is.
pub async fn auth(stage: &Stage<'_>) -> Result<(Process, String)> {
    let address = free_address()?;
    let launch = stage.launch("auth", &stage.auth).args([address.to_string(), stage.world.servers.redis_url.clone()]);
    let mut process = launch.start(Cpus::Measured)?;
    process.listening(address, READY_LIMIT).await?;
    Ok((process, address.to_string()))
}

pub async fn caddy(stage: &Stage<'_>) -> Result<Running> {
    let program = stage.program("caddy")?;
    let (auth, address) = auth(stage).await?;
    let (upstream, (target, port)) = (spelled(stage.world.upstream).0, target()?);
    let blanks = [("PORT", port.as_str()), ("AUTH", &address), ("UPSTREAM", &upstream)];
    let file = write(stage, "Caddyfile", &fill(include_str!("../../peers/Caddyfile"), &blanks))?;
    let home = stage.world.directory().to_string_lossy().into_owned();
    let launch = stage
        .launch("caddy", &program)
        .args(["run".as_ref(), "--config".as_ref(), file.as_os_str(), "--adapter".as_ref(), "caddyfile".as_ref()])
        .env("GOMAXPROCS", "1")
        .env("HOME", &home)
        .env("XDG_DATA_HOME", &home)
        .env("XDG_CONFIG_HOME", &home);
    gate(stage, launch, target, vec![auth]).await
}

pub async fn traefik(stage: &Stage<'_>) -> Result<Running> {
    let program = stage.program("traefik")?;
    let (auth, address) = auth(stage).await?;
    let (upstream, (target, _)) = (spelled(stage.world.upstream).0, target()?);
    let blanks = [("AUTH", address.as_str()), ("UPSTREAM", &upstream)];
    // Not `traefik.yml`: what has that name it takes for its own settings.
    let file = write(stage, "routes.yml", &fill(include_str!("../../peers/traefik.yml"), &blanks))?;
    let launch = stage.launch("traefik", &program).env("GOMAXPROCS", "1").args([
        format!("--entrypoints.web.address={target}"),
        format!("--providers.file.filename={}", file.display()),
        "--global.checknewversion=false".to_owned(),
        "--global.sendanonymoususage=false".to_owned(),
        "--log.level=ERROR".to_owned(),
        "--serverstransport.maxidleconnsperhost=256".to_owned(),
    ]);
    gate(stage, launch, target, vec![auth]).await
}

pub async fn haproxy(stage: &Stage<'_>) -> Result<Running> {
    let program = stage.program("haproxy")?;
    let (upstream, (target, _)) = (spelled(stage.world.upstream).0, target()?);
    let (listen, directory) = (target.to_string(), stage.world.directory().to_string_lossy());
    let blanks = [
        ("LISTEN", listen.as_str()),
        ("UPSTREAM", &upstream),
        ("SECRET", &stage.world.secrets.jwt),
        ("DIRECTORY", &directory),
    ];
    let file = write(stage, "haproxy.cfg", &fill(include_str!("../../peers/haproxy.cfg"), &blanks))?;
    let launch = stage.launch("haproxy", &program).args(["-db".as_ref(), "-f".as_ref(), file.as_os_str()]);
    let mut process = launch.start(Cpus::Measured)?;
    process.listening(target, READY_LIMIT).await?;
    Ok(Running::new(target, vec![process]))
}

pub async fn envoy_jwt(stage: &Stage<'_>) -> Result<Running> {
    let key = URL_SAFE_NO_PAD.encode(&stage.world.secrets.jwt);
    let filters = fill(include_str!("../../peers/envoy.jwt_authn.yaml"), &[("KEY", &key)]);
    // Nobody is asked.
    let mut running = envoy(stage, &filters, "127.0.0.1:1", Vec::new()).await?;
    running.shared.clear();
    Ok(running)
}

pub async fn envoy_authz(stage: &Stage<'_>) -> Result<Running> {
    stage.program("envoy")?;
    let (auth, address) = auth(stage).await?;
    let filters = fill(include_str!("../../peers/envoy.ext_authz.yaml"), &[("AUTH", &address)]);
    envoy(stage, &filters, &address, vec![auth]).await
}

async fn envoy(stage: &Stage<'_>, filters: &str, auth: &str, own: Vec<Process>) -> Result<Running> {
    let program = stage.program("envoy")?;
    let (target, port) = target()?;
    let auth_port = auth.rsplit(':').next().context("no port")?;
    let upstream_port = spelled(stage.world.upstream).1;
    let blanks =
        [("FILTERS", filters), ("PORT", port.as_str()), ("AUTH_PORT", auth_port), ("UPSTREAM_PORT", &upstream_port)];
    let file = write(stage, "envoy.yaml", &fill(ENVOY, &blanks))?;
    let words = ["--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"];
    let launch = stage.launch("envoy", &program).args(["-c".as_ref(), file.as_os_str()]).args(words);
    gate(stage, launch, target, own).await
}

/// The site itself.
pub async fn fastapi(stage: &Stage<'_>) -> Result<Running> {
    let (process, target) = uvicorn(stage, "readers", "/open/echo", 401).await?;
    Ok(Running::new(target, vec![process]).with([stage.world.servers.postgres_id()]))
}

/// An application in Python; it is there when a request without a token is answered `status`.
pub async fn uvicorn(
    stage: &Stage<'_>,
    module: &'static str,
    path: &str,
    status: u16,
) -> Result<(Process, SocketAddr)> {
    let program = stage.program("uvicorn").map_err(|_| Missing("FastAPI"))?;
    write(stage, "service.py", include_str!("../../peers/service.py"))?;
    write(stage, "readers.py", include_str!("../../peers/readers.py"))?;
    let (target, port) = target()?;
    let launch = stage
        .launch(module, &program)
        .args([&format!("{module}:app"), "--host", "127.0.0.1", "--port", &port, "--workers", "1"])
        .args(["--no-access-log", "--log-level", "warning", "--app-dir"])
        .args([stage.world.directory()])
        .env("REDIS_PORT", stage.redis_port())
        .env("SITE_DATABASE", stage.world.servers.database_url.replacen("postgres://", "postgresql+asyncpg://", 1));
    let mut process = launch.start(Cpus::Measured)?;
    let request = http::get(path, None);
    let answers = async || http::status(target, &request).await.is_ok_and(|answered| answered == status);
    process.until(READY_LIMIT, answers).await?;
    Ok((process, target))
}

/// Starts a proxy that may listen before it knows its routes: it is there when it turns away who has no token.
async fn gate(stage: &Stage<'_>, launch: Launch, target: SocketAddr, mut own: Vec<Process>) -> Result<Running> {
    let mut process = launch.start(Cpus::Measured)?;
    let request = http::get("/open/echo", None);
    let answers = async || http::status(target, &request).await.is_ok_and(|status| status == 401);
    process.until(READY_LIMIT, answers).await?;
    own.push(process);
    Ok(Running::new(target, own).with([stage.world.servers.redis_id()]))
}

/// A free address, and its port alone.
fn target() -> Result<(SocketAddr, String)> {
    let target = free_address()?;
    Ok((target, spelled(target).1))
}

fn write(stage: &Stage<'_>, name: &str, text: &str) -> Result<PathBuf> {
    let file = stage.world.directory().join(name);
    std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    Ok(file)
}
