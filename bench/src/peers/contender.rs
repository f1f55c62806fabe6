//! Who is compared, and how each is started.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::stage::Stage;
use super::{nginx, others};
use crate::process::{Cpus, Process};
use crate::world::{PATIENT, Run, Tokens};

/// How long a contender may take until it answers.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// Less than one record: each request reads Redis.
const NO_MEMORY: &str = "[cache]\ncapacity = 1\n";

/// One way to let paying users through, or to let everybody through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Direct,
    NginxBare,
    Bare,
    Warm(Tokens),
    FromRedis,
    Cold,
    NginxRust,
    NginxFastApi,
    Lua,
    LuaCached,
    Caddy,
    HaProxy,
    EnvoyJwt,
    EnvoyAuthz,
    Traefik,
    FastApi,
}

/// All of them, in the order of the table.
pub const ALL: [(Who, &str); 18] = [
    (Who::Direct, "the site alone, nothing before it"),
    (Who::NginxBare, "nginx, no gate"),
    (Who::Bare, "bare Pingora, no gate"),
    (Who::Warm(Tokens::Hs256), "Tollgate"),
    (Who::Warm(Tokens::Rs256), "Tollgate, RS256 tokens"),
    (Who::Warm(Tokens::EdDsa), "Tollgate, EdDSA tokens"),
    (Who::FromRedis, "Tollgate, every record from Redis"),
    (Who::Cold, "Tollgate, every record from Postgres (16 connections)"),
    (Who::Lua, "nginx with Lua, Redis"),
    (Who::LuaCached, "nginx with Lua, 30 s old at most"),
    (Who::HaProxy, "HAProxy jwt_verify, a map read at start"),
    (Who::NginxRust, "nginx auth_request, Rust service, Redis"),
    (Who::EnvoyJwt, "Envoy jwt_authn, the tier in the token"),
    (Who::EnvoyAuthz, "Envoy ext_authz, Rust service, Redis"),
    (Who::Traefik, "Traefik forwardAuth, Rust service, Redis"),
    (Who::Caddy, "Caddy forward_auth, Rust service, Redis"),
    (Who::NginxFastApi, "nginx auth_request, FastAPI, Redis"),
    (Who::FastApi, "the site in FastAPI: PyJWT and a row by SQL"),
];

/// A program that is not installed.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not installed")]
pub struct Missing(pub &'static str);

/// A contender that answers.
pub struct Running {
    pub target: SocketAddr,
    /// Its own processes.
    pub own: Vec<Process>,
    /// Servers that it uses and that outlive it.
    pub shared: Vec<i32>,
}

impl Running {
    pub fn new(target: SocketAddr, own: Vec<Process>) -> Self {
        Self { target, own, shared: Vec::new() }
    }

    /// It uses these servers as well.
    pub fn with(mut self, shared: impl IntoIterator<Item = i32>) -> Self {
        self.shared.extend(shared);
        self
    }

    pub async fn stop(self) -> Result<()> {
        for process in self.own.into_iter().rev() {
            process.stop().await?;
        }
        Ok(())
    }
}

impl Who {
    /// Whether it turns away who has not paid.
    pub fn gates(self) -> bool {
        !matches!(self, Self::Direct | Self::NginxBare | Self::Bare)
    }

    pub fn is_tollgate(self) -> bool {
        matches!(self, Self::Warm(_) | Self::FromRedis | Self::Cold)
    }

    pub fn tokens(self) -> Tokens {
        if let Self::Warm(tokens) = self { tokens } else { Tokens::Hs256 }
    }

    /// What it is asked.
    pub fn requests(self, stage: &Stage<'_>) -> Arc<[Vec<u8>]> {
        Arc::clone(match self.tokens() {
            Tokens::Hs256 => &stage.hs256,
            Tokens::Rs256 => &stage.rs256,
            Tokens::EdDsa => &stage.eddsa,
        })
    }

    /// Starts it on the measured CPU.
    pub async fn start(self, stage: &Stage<'_>) -> Result<Running> {
        match self {
            Self::Direct => Ok(Running::new(stage.world.upstream, Vec::new())),
            Self::Bare => {
                let bare = stage.world.bare("same", Cpus::Measured, &[]).await?;
                Ok(Running::new(bare.public, vec![bare.process]))
            }
            Self::Warm(_) | Self::FromRedis | Self::Cold => self.tollgate(stage).await,
            Self::NginxBare => nginx::bare(stage).await,
            Self::NginxRust => nginx::auth_request_rust(stage).await,
            Self::NginxFastApi => nginx::auth_request_fastapi(stage).await,
            Self::Lua => nginx::lua(stage, nginx::Tiers::Redis).await,
            Self::LuaCached => nginx::lua(stage, nginx::Tiers::Cached).await,
            Self::Caddy => others::caddy(stage).await,
            Self::HaProxy => others::haproxy(stage).await,
            Self::EnvoyJwt => others::envoy_jwt(stage).await,
            Self::EnvoyAuthz => others::envoy_authz(stage).await,
            Self::Traefik => others::traefik(stage).await,
            Self::FastApi => others::fastapi(stage).await,
        }
    }

    async fn tollgate(self, stage: &Stage<'_>) -> Result<Running> {
        if self == Self::Cold {
            stage.forget().await?;
        }
        let extra = match self {
            Self::FromRedis => NO_MEMORY,
            Self::Cold => PATIENT,
            _ => "",
        };
        let run = Run { cpus: Cpus::Measured, tokens: self.tokens(), extra, ..Run::of("proxy-compared", "proxy") };
        let tollgate = stage.world.tollgate(run).await?;
        let servers = &stage.world.servers;
        let shared = [stage.billing, servers.redis_id(), servers.postgres_id()];
        Ok(Running::new(tollgate.public, vec![tollgate.process]).with(shared))
    }
}
