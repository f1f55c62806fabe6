//! Temporary.
use std::sync::Arc;
use std::time::Duration;
use async_trait::async_trait;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::authorize::{Policy, Requirement};
use entitlement::record::Entitlement;
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use proxy::routes::{Pattern, Route};
use proxy::*;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
struct B;
#[async_trait]
impl Below for B {
    async fn resolve(&self, account: &AccountId) -> Result<Entitlement, BelowError> {
        let plan = Plan { includes: ["free".into(), "paid".into()].into(), tier: "paid".into(), features: ["alerts".into(), "archive".into()].into(), limits: Default::default(), levels: Default::default() };
        let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: Vec::new() };
        Ok(Entitlement { account: account.clone(), version: 1, timeline: Timeline::try_from(vec![segment]).unwrap() })
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (tx, rx) = tokio::sync::broadcast::channel(10);
    let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
    let s = "0123456789abcdef0123456789abcdef";
    let settings = Settings {
        site_url: "https://read.example".into(), login_url: "/login".into(), pricing_url: "/billing/pricing".into(),
        listen: a[1].parse().unwrap(), upstreams: vec![a[2].parse().unwrap()], billing: "127.0.0.1:1".parse().unwrap(),
        identity: identity::Settings { cookie: Some("session".into()), issuer: "https://read.example".into(), audience: "read.example".into(), key: identity::Key::hs256(s).unwrap() },
        assertion: AssertionKey::parse(s).unwrap(),
        cache: ladder::Settings { max_staleness: Duration::from_secs(5), stale_if_error: Duration::from_secs(600), capacity: 1_000_000, redis_url: None },
        routes: vec![Route { pattern: Pattern::parse("/premium/**").unwrap(), methods: None, policy: paid }],
        default: Policy::public(), log_requests: LogRequests::Denied, threads: 1, grace_period: Duration::ZERO, graceful_shutdown_timeout: Duration::from_secs(1),
    };
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let gate = Gate::new(settings, io.handle().clone(), Arc::new(B), Some(rx)).unwrap();
    gate.run();
    drop(tx);
}
