//! A real gate on a real socket.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::authorize::{Policy, Requirement};
use entitlement::login::Login;
use entitlement::record::Entitlement;
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use http::Method;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tokio::sync::oneshot;

use crate::readings::Readings;
use crate::routes::{Pattern, Route};
use crate::{Answer, Below, BelowError, Gate, LogRequests, Settings, clock, identity, ladder, upstream};

pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Accounts by id, with the version and tier of their record.
#[derive(Default)]
pub(super) struct Billing(Mutex<HashMap<String, (u64, String)>>);

impl Billing {
    pub(super) fn holds(&self, account: &str, version: u64, tier: &str) {
        self.0.lock().expect("no panic").insert(account.to_owned(), (version, tier.to_owned()));
    }
}

#[async_trait]
impl Below for Billing {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        let known = self.0.lock().expect("no panic").get(account.as_str()).cloned();
        let (version, tier) = known.ok_or(BelowError::Status(503))?;
        let plan = Plan {
            includes: ["free".into(), tier.as_str().into()].into(),
            tier: tier.into(),
            features: ["alerts".into(), "archive".into()].into(),
            limits: Default::default(),
            levels: Default::default(),
        };
        let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: None };
        let timeline = Timeline::try_from(vec![segment]).expect("a timeline");
        Ok(Entitlement { account: account.clone(), version, timeline }.into())
    }
}

/// A free port of this host.
pub(super) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

pub(super) fn settings(listen: SocketAddr, upstreams: Vec<SocketAddr>, billing: SocketAddr) -> Settings {
    let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
    let signed_in = Policy { require: Requirement::SignedIn, ..Policy::public() };
    let route =
        |pattern, methods, policy| Route { methods, ..Route::new(Pattern::parse(pattern).expect("a pattern"), policy) };
    Settings {
        site_url: "https://read.example".into(),
        own_paths: entitlement::own_paths::OwnPaths::default(),
        also: Vec::new(),
        login: Login::default(),
        pricing_url: "/billing/pricing".into(),
        pages: crate::respond::Pages::default(),
        listen,
        upstream: upstream::Settings::of(upstreams.into_iter().map(Into::into).collect()),
        billing,
        identity: identity::Settings::of(identity::Way::simple(
            Some("session"),
            ("https://read.example", "read.example"),
            Duration::from_secs(30),
            identity::Keys::Fixed(vec![identity::Key::hs256(SECRET).expect("a key")]),
        )),
        assertion_audience: "read.example".into(),
        assertion: AssertionKey::parse(SECRET).expect("a key"),
        cache: ladder::Settings {
            max_staleness: Duration::from_secs(5),
            stale_if_error: Duration::from_secs(600),
            capacity: 1000,
            redis_deadline: Duration::from_millis(50),
            billing_deadline: Duration::from_millis(200),
            redis_url: None,
            namespace: ladder::Namespaced::Made(entitlement::record::Namespace::parse("tests").expect("a namespace")),
        },
        routes: vec![route("/premium/**", None, paid.clone()), route("/account", Some(vec![Method::GET]), signed_in)],
        default: Policy::public(),
        readings: Readings::default(),
        log_requests: LogRequests::All,
        trusted_proxies: Default::default(),
        fast_path: true,
        decide: Default::default(),
        threads: 1,
        limits: crate::Limits::default(),
        certificate: None,
        stopping: crate::Stopping { delay: Duration::ZERO, grace: Duration::from_secs(1) },
    }
}

/// Starts a gate, and waits until it serves. It ends when the sender is dropped.
pub(super) fn start(settings: Settings, billing: Arc<Billing>) -> (oneshot::Sender<()>, thread::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let running = thread::spawn(move || {
        let io = tokio::runtime::Runtime::new().expect("a runtime");
        let gate = Gate::new(settings, io.handle().clone(), billing, None).expect("a gate");
        ready.send(gate.readiness()).expect("somebody waits");
        gate.run_until(stopped);
    });
    let readiness = is_ready.recv().expect("a gate");
    while !readiness.missing().is_empty() {
        thread::yield_now();
    }
    (stop, running)
}

/// A token of an account that is valid for a minute.
pub(super) fn token(account: &str) -> String {
    let exp = clock::now().timestamp() + 60;
    let claims = json!({ "iss": "https://read.example", "aud": "read.example", "sub": account, "exp": exp });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("it signs")
}
