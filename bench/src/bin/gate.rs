//! Tollgate's proxy by itself: every account has paid, nothing is below it. Its instructions are counted and kept, so it is
//! quick to build: neither billing nor a database is in it. What a warm request goes through is the same.
//!
//!     gate LISTEN UPSTREAM          (with TOLLGATE_JWT_SECRET and TOLLGATE_ASSERTION_KEY in the environment)

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::authorize::{Policy, Requirement};
use entitlement::login::Login;
use entitlement::record::{Entitlement, Namespace};
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use proxy::routes::{Pattern, Route};
use proxy::{Answer, Below, BelowError, Gate, Limits, LogRequests, Settings, Stopping, identity, ladder, upstream};
use tokio::sync::{broadcast, oneshot};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SITE: &str = "https://read.example";
const AUDIENCE: &str = "read.example";
/// Rules before the one that is measured, as a site would have.
const OTHER_ROUTES: u32 = 9;

/// Everybody has paid.
struct Paid;

#[async_trait]
impl Below for Paid {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        let plan = Plan {
            includes: ["free".into(), "paid".into()].into(),
            tier: "paid".into(),
            features: ["alerts".into(), "archive".into()].into(),
            limits: Default::default(),
            levels: Default::default(),
        };
        let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: None };
        let timeline = Timeline::try_from(vec![segment]).map_err(|error| BelowError::Failed(error.into()))?;
        Ok(Entitlement { account: account.clone(), version: 1, timeline }.into())
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else { bail!("usage: gate LISTEN UPSTREAM") };
    let settings = settings(listen.parse().context("LISTEN")?, upstream.parse().context("UPSTREAM")?)?;
    let io = tokio::runtime::Runtime::new()?;
    // Nothing is ever told on it; while it is open, what was read once stays fresh.
    let (_changes, local) = broadcast::channel(1);
    let gate = Gate::new(settings, io.handle().clone(), Arc::new(Paid), Some(local))?;
    let (_stop, stopped) = oneshot::channel();
    gate.run_until(stopped);
    Ok(())
}

fn settings(listen: SocketAddr, upstream: SocketAddr) -> Result<Settings> {
    let secret = |name: &'static str| std::env::var(name).context(name);
    let route = |pattern: &str, require| {
        anyhow::Ok(Route::new(Pattern::parse(pattern)?, Policy { require, ..Policy::public() }))
    };
    let others = (0..OTHER_ROUTES).map(|n| route(&format!("/section-{n}/**"), Requirement::SignedIn));
    let routes = others.chain([route("/premium/**", Requirement::Tier("paid".into()))]).collect::<Result<_>>()?;
    Ok(Settings {
        site_url: SITE.into(),
        also: Vec::new(),
        login: Login::default(),
        pricing_url: "/billing/pricing".into(),
        pages: proxy::respond::Pages::default(),
        listen,
        upstream: upstream::Settings::of(vec![upstream.into()]),
        // Nobody listens there, and nothing is sent there.
        billing: SocketAddr::from(([127, 0, 0, 1], 1)),
        identity: identity::Settings::of(identity::Way::simple(
            Some("session"),
            (SITE, AUDIENCE),
            Duration::from_secs(2),
            identity::Keys::Fixed(vec![identity::Key::hs256(&secret("TOLLGATE_JWT_SECRET")?)?]),
        )),
        assertion_audience: AUDIENCE.into(),
        assertion: AssertionKey::parse(&secret("TOLLGATE_ASSERTION_KEY")?)?,
        cache: ladder::Settings {
            max_staleness: Duration::from_secs(5),
            stale_if_error: Duration::from_secs(600),
            capacity: 1_000_000,
            redis_deadline: Duration::from_millis(50),
            billing_deadline: Duration::from_millis(200),
            redis_url: None,
            namespace: ladder::Namespaced::Made(Namespace::parse(SITE)?),
        },
        routes,
        default: Policy::public(),
        readings: proxy::readings::Readings::default(),
        log_requests: LogRequests::Denied,
        trusted_proxies: Default::default(),
        fast_path: true,
        decide: Default::default(),
        threads: 1,
        limits: Limits::default(),
        certificate: None,
        stopping: Stopping { delay: Duration::ZERO, grace: Duration::from_secs(1) },
    })
}
