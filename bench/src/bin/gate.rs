//! Tollgate's proxy by itself: every account has paid, nothing is below it. Its instructions are counted and kept, so it is
//! quick to build: neither billing nor a database is in it. What a warm request goes through is the same.
//!
//!     gate LISTEN UPSTREAM [WAYS]   (with TOLLGATE_JWT_SECRET and TOLLGATE_ASSERTION_KEY in the environment)
//!
//! WAYS of knowing who asks: `one` (tokens), `several` (three ways with tokens, of which one is used), `asked` (the site is asked
//! whose a session is).

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
use hyper::header::HeaderValue;
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
    let (listen, upstream, ways) = match arguments.as_slice() {
        [listen, upstream] => (listen, upstream, "one"),
        [listen, upstream, ways] => (listen, upstream, ways.as_str()),
        _ => bail!("usage: gate LISTEN UPSTREAM [WAYS]"),
    };
    let upstream = upstream.parse().context("UPSTREAM")?;
    let settings = settings(listen.parse().context("LISTEN")?, upstream, identity(ways, upstream)?)?;
    let io = tokio::runtime::Runtime::new()?;
    // Nothing is ever told on it; while it is open, what was read once stays fresh.
    let (_changes, local) = broadcast::channel(1);
    let gate = Gate::new(settings, io.handle().clone(), Arc::new(Paid), Some(local))?;
    let (_stop, stopped) = oneshot::channel();
    gate.run_until(stopped);
    Ok(())
}

fn identity(ways: &str, upstream: SocketAddr) -> Result<identity::Settings> {
    let secret = std::env::var("TOLLGATE_JWT_SECRET").context("TOLLGATE_JWT_SECRET")?;
    let way = |name: &str, cookie: &str, issuer: &str, secret: &str| {
        let keys = identity::Keys::Fixed(vec![identity::Key::hs256(secret)?]);
        let way = identity::Way::simple(Some(cookie), (issuer, AUDIENCE), Duration::from_secs(2), keys);
        anyhow::Ok(identity::Way { name: name.to_owned(), ..way })
    };
    let other = |n: u32| {
        way(&format!("other-{n}"), &format!("session-{n}"), &format!("https://id-{n}.example"), &secret.repeat(2))
    };
    let asked = || {
        let way = way("session", "sessionid", SITE, &secret)?;
        let keys = identity::Keys::Asked(identity::AskSettings {
            location: format!("http://{upstream}/internal/session").parse()?,
            host: HeaderValue::from_static("read.example"),
            scheme: HeaderValue::from_static("https"),
            signature: identity::Signature::None,
            keep: Duration::from_secs(3600),
            deadline: Duration::from_secs(2),
            stale: Duration::from_secs(60),
        });
        let account = vec!["account".parse()?];
        anyhow::Ok(identity::Way { keys, account, user: None, issuers: Vec::new(), audiences: Vec::new(), ..way })
    };
    let one = way(identity::FLAT, "session", SITE, &secret)?;
    let ways = match ways {
        "one" => vec![one],
        "several" => vec![other(1)?, other(2)?, identity::Way { name: "browser".to_owned(), ..one }],
        "asked" => vec![asked()?],
        _ => bail!("there are no ways \"{ways}\": there are one, several and asked"),
    };
    Ok(identity::Settings { ways, buyers: Vec::new() })
}

fn settings(listen: SocketAddr, upstream: SocketAddr, identity: identity::Settings) -> Result<Settings> {
    let secret = |name: &'static str| std::env::var(name).context(name);
    let route = |pattern: &str, require| {
        anyhow::Ok(Route::new(Pattern::parse(pattern)?, Policy { require, ..Policy::public() }))
    };
    let others = (0..OTHER_ROUTES).map(|n| route(&format!("/section-{n}/**"), Requirement::SignedIn));
    let routes = others.chain([route("/premium/**", Requirement::Tier("paid".into()))]).collect::<Result<_>>()?;
    Ok(Settings {
        site_url: SITE.into(),
        own_paths: entitlement::own_paths::OwnPaths::default(),
        also: Vec::new(),
        login: Login::default(),
        pricing_url: "/billing/pricing".into(),
        pages: proxy::respond::Pages::default(),
        listen,
        upstream: upstream::Settings::of(vec![upstream.into()]),
        // Nobody listens there, and nothing is sent there.
        billing: SocketAddr::from(([127, 0, 0, 1], 1)),
        identity,
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
