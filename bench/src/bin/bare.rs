//! A bare Pingora: passes every request to one upstream and decides nothing. What Tollgate costs is measured against it,
//! so it is built the same way, with the same allocator, and its server, connections and timeouts are set as those of
//! Tollgate's proxy are, by the means that Pingora has. As `plain` it is Pingora as it comes.
//!
//!     bare LISTEN UPSTREAM same|plain

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::modules::http::HttpModules;
use pingora::modules::http::compression::ResponseCompressionBuilder;
use pingora::prelude::{HttpPeer, ProxyHttp, Server, Session, http_proxy_service};
use pingora::server::configuration::{Opt, ServerConf};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: bare LISTEN UPSTREAM same|plain";

// As in Tollgate's proxy.
const CONNECT: Duration = Duration::from_secs(2);
const READ: Duration = Duration::from_secs(300);
const WRITE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS_MAX: usize = 1024;
const REQUESTS_PER_CONNECTION_MAX: u32 = 100_000;
const TRIES_MAX: usize = 3;
const KEEPALIVE_SECONDS: u64 = 75;

struct Bare {
    peer: HttpPeer,
    settings: Settings,
}

/// Whose settings the server has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settings {
    /// Tollgate's.
    Same,
    /// Pingora's own.
    Plain,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, modules: &mut HttpModules) {
        // Pingora's own default; Tollgate changes no body.
        if self.settings == Settings::Plain {
            modules.add_module(ResponseCompressionBuilder::enable(0));
        }
    }

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> pingora::Result<bool> {
        if self.settings == Settings::Same {
            if session.get_keepalive().is_some() {
                session.set_keepalive(Some(KEEPALIVE_SECONDS));
            }
            session.set_write_timeout(Some(WRITE));
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, settings] = arguments.as_slice() else { bail!(USAGE) };
    let settings = match settings.as_str() {
        "same" => Settings::Same,
        "plain" => Settings::Plain,
        _ => bail!(USAGE),
    };
    let upstream = upstream.parse().context("UPSTREAM")?;
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, configuration(settings));
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { peer: peer(upstream, settings), settings });
    if let (Settings::Same, Some(proxy)) = (settings, service.app_logic_mut()) {
        let mut options = HttpServerOptions::default();
        options.keepalive_request_limit = Some(REQUESTS_PER_CONNECTION_MAX);
        proxy.server_options = Some(options);
    }
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever();
}

fn configuration(settings: Settings) -> ServerConf {
    let plain = ServerConf { threads: 1, grace_period_seconds: Some(0), ..ServerConf::default() };
    match settings {
        Settings::Plain => plain,
        Settings::Same => ServerConf {
            work_stealing: true,
            upstream_keepalive_pool_size: IDLE_CONNECTIONS_MAX,
            max_retries: TRIES_MAX,
            ..plain
        },
    }
}

fn peer(upstream: SocketAddr, settings: Settings) -> HttpPeer {
    let mut peer = HttpPeer::new(upstream, false, String::new());
    if settings == Settings::Same {
        peer.options.connection_timeout = Some(CONNECT);
        peer.options.total_connection_timeout = Some(CONNECT);
        peer.options.read_timeout = Some(READ);
        peer.options.write_timeout = Some(WRITE);
        peer.options.idle_timeout = Some(IDLE);
    }
    peer
}
