//! A real gate on a real socket, with servers behind it that tell what reached them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::authorize::{Policy, Requirement};
use entitlement::record::Entitlement;
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use http::Method;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tokio::sync::oneshot;

use crate::readings::Readings;
use crate::routes::{Pattern, Route};
use crate::{Below, BelowError, Gate, LogRequests, Settings, clock, identity, ladder, upstream};

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
    async fn resolve(&self, account: &AccountId) -> Result<Entitlement, BelowError> {
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
        Ok(Entitlement { account: account.clone(), version, timeline })
    }
}

pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) billing: Arc<Billing>,
}

/// A free port of this host.
pub(super) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

/// A server that answers every request with 200 and the raw head of the request as its body.
fn echo(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                while let Some(head) = read_head(&mut stream) {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nServer: {name}\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{head}",
                        head.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// A head up to and with its empty line; none at the end of the connection.
pub(super) fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

pub(super) fn settings(listen: SocketAddr, upstreams: Vec<SocketAddr>, billing: SocketAddr) -> Settings {
    let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
    let signed_in = Policy { require: Requirement::SignedIn, ..Policy::public() };
    let route =
        |pattern, methods, policy| Route { methods, ..Route::new(Pattern::parse(pattern).expect("a pattern"), policy) };
    Settings {
        site_url: "https://read.example".into(),
        also: Vec::new(),
        login_url: "/login".into(),
        pricing_url: "/billing/pricing".into(),
        pages: crate::respond::Pages::default(),
        listen,
        upstream: upstream::Settings::of(upstreams.into_iter().map(Into::into).collect()),
        billing,
        identity: identity::Settings {
            cookie: Some("session".into()),
            issuer: "https://read.example".into(),
            audience: "read.example".into(),
            leeway: Duration::from_secs(30),
            keys: identity::Keys::Fixed(vec![identity::Key::hs256(SECRET).expect("a key")]),
        },
        assertion: AssertionKey::parse(SECRET).expect("a key"),
        cache: ladder::Settings {
            max_staleness: Duration::from_secs(5),
            stale_if_error: Duration::from_secs(600),
            capacity: 1000,
            redis_deadline: Duration::from_millis(50),
            billing_deadline: Duration::from_millis(200),
            redis_url: None,
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

/// One gate for all tests, for as long as they run.
pub(super) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (address, billing) = (free(), Arc::new(Billing::default()));
        let (stop, _) = start(settings(address, vec![echo("site")], echo("billing")), Arc::clone(&billing));
        std::mem::forget(stop);
        World { address, billing }
    })
}

/// A token of an account that is valid for a minute.
pub(super) fn token(account: &str) -> String {
    let exp = clock::now().timestamp() + 60;
    let claims = json!({ "iss": "https://read.example", "aud": "read.example", "sub": account, "exp": exp });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("it signs")
}

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of a header in a raw head.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A connection of a client.
pub(super) struct Client(TcpStream);

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self(stream)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it takes it");
    }

    /// Ends what it sends.
    pub(super) fn say_no_more(&self) {
        self.0.shutdown(std::net::Shutdown::Write).expect("it is open");
    }

    /// Waits until something has come, and reads none of it.
    pub(super) fn waits(&self) {
        assert_ne!(self.0.peek(&mut [0]).expect("something comes"), 0);
    }

    /// Whether these could be sent.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next response; none when the connection is closed.
    pub(super) fn receive(&mut self, method: &str) -> Option<Response> {
        let head = read_head(&mut self.0)?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.0.read_exact(&mut body).ok()?;
        Some(Response { status, head, body: String::from_utf8(body).ok()? })
    }

    /// One request without a body. `lines` are further header lines.
    pub(super) fn ask(&mut self, method: &str, target: &str, lines: &[&str]) -> Response {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: read.example\r\n{lines}\r\n").as_bytes());
        self.receive(method).expect("a response")
    }
}

/// One request on a connection of its own.
pub(super) fn ask(method: &str, target: &str, lines: &[&str]) -> Response {
    Client::new(world().address).ask(method, target, lines)
}
