//! The same attacks over HTTP/2, and those that only HTTP/2 makes possible.

use tempfile::TempDir;

use super::case::{Case, Verdict};
use super::frames::{Connection, Field, Outcome};
use super::targets;
use crate::protocols::secure::Identity;
use crate::world::stripe::{self, Subscription, unique};
use crate::world::{Arrangement, Received, Setup, World, eventually, in_seconds, send, token};

/// A world whose public listener speaks TLS.
pub(super) struct Secure {
    world: World,
    identity: Identity,
    _files: TempDir,
}

impl Secure {
    async fn start() -> Self {
        Self::with(|setup| setup).await
    }

    /// One that is set up in another way.
    pub(super) async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (files, identity) = (tempfile::tempdir().expect("a directory"), Identity::new());
        identity.write(files.path());
        let path = |name: &str| format!("{:?}", files.path().join(name));
        let setup = Setup::new(Arrangement::AllPostgres)
            .key("tls.certificate", &path("site.pem"))
            .key("tls.key", &path("site.key"));
        Self { world: World::with(change(setup)).await, identity, _files: files }
    }

    pub(super) async fn open(&self) -> Connection {
        Connection::open(self.world.proxy().listen.public, &self.identity).await
    }

    /// A GET of this path with more fields.
    pub(super) async fn get(&self, path: &str, fields: &[Field<'_>]) -> Outcome {
        self.open().await.ask(&[&request("GET", path)[..], fields].concat()).await
    }

    /// What the site has received when an honest request passes.
    async fn passes(&self, path: &str, fields: &[Field<'_>]) -> Received {
        assert_eq!(self.get(path, fields).await, Outcome::Passed, "{path} {fields:?}");
        self.world.upstream.only(path)
    }

    /// An account that has paid: its `authorization`. The provider delivers to billing itself, as nobody here trusts our
    /// certificate.
    async fn paying(&self) -> String {
        let account = unique("payer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        let body = subscription.event("created").body();
        let signature = stripe::signature(&body, in_seconds(0), &stripe::SECRETS[..1]);
        let billing = format!("http://{}/api/stripe/webhook", self.world.billing().listen.billing);
        let request = crate::world::http::client().post(billing).header("content-type", "application/json");
        let answer = send(request.header("stripe-signature", signature).body(body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let bearer = format!("Bearer {}", token(&account));
        eventually("who has paid is let in", async || {
            (self.get("/premium/hello", &[("authorization", &bearer)]).await == Outcome::Passed).then_some(())
        })
        .await;
        bearer
    }
}

/// The pseudo-header fields of a request.
pub(super) fn request<'a>(method: &'a str, path: &'a str) -> [Field<'a>; 4] {
    [(":method", method), (":scheme", "https"), (":authority", "site.test"), (":path", path)]
}

#[tokio::test]
async fn a_target_is_matched_as_the_site_receives_it_or_refused() {
    let secure = Secure::start().await;
    let mut wrong = Vec::new();
    let absolute = targets::ABSOLUTE.map(|case| Case { verdict: Verdict::Refused, ..case });
    for Case { name, target, verdict } in targets::CASES.into_iter().chain(absolute) {
        let before = secure.world.upstream.received().len();
        let outcome = secure.get(target, &[]).await;
        let received: Vec<String> =
            secure.world.upstream.received()[before..].iter().map(|request| request.target.clone()).collect();
        let holds = match (verdict, &outcome) {
            (Verdict::Sent(sent), Outcome::Passed) => received == [sent],
            // The protocol has no such target: some never reach the gate.
            (Verdict::Denied(400) | Verdict::Refused, Outcome::Denied(400) | Outcome::Refused) => received.is_empty(),
            (Verdict::Denied(status), Outcome::Denied(answered)) => status == *answered && received.is_empty(),
            (Verdict::Sent("/"), Outcome::Refused) => received.is_empty(),
            _ => false,
        };
        if !holds {
            wrong.push(format!("{name}: {target:?} has to be {verdict:?}, is {outcome:?}, sent {received:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_no_request_never_becomes_one() {
    let secure = Secure::start().await;
    let get = request("GET", "/welcome/odd");
    let with = |fields: &[Field<'static>]| [&get[..], fields].concat();
    let of = |fields: &[Field<'static>]| fields.to_vec();
    let (method, scheme, authority, path) = (get[0], get[1], get[2], get[3]);
    let odd = [
        ("no path", of(&[method, scheme, authority])),
        ("an empty path", of(&[method, scheme, authority, (":path", "")])),
        ("two paths", with(&[(":path", "/premium/one")])),
        (
            "a path of two lines",
            of(&[method, scheme, authority, (":path", "/welcome HTTP/1.1\r\nX-Entitlement-Tier: paid\r\n\r\n")]),
        ),
        ("a path with a blank", of(&[method, scheme, authority, (":path", "/welcome /premium")])),
        ("no method", of(&[scheme, authority, path])),
        ("two methods", with(&[(":method", "POST")])),
        (
            "a method of two words",
            of(&[(":method", "GET /premium/one HTTP/1.1\r\nA: b\r\n\r\nGET"), scheme, authority, path]),
        ),
        ("a method in small letters", of(&[(":method", "get"), scheme, authority, path])),
        ("TRACE", of(&[(":method", "TRACE"), scheme, authority, path])),
        ("CONNECT", of(&[(":method", "CONNECT"), authority])),
        ("CONNECT with a protocol", of(&[(":method", "CONNECT"), (":protocol", "websocket"), scheme, authority, path])),
        ("no authority", of(&[method, scheme, path])),
        ("an empty authority", of(&[method, scheme, (":authority", ""), path])),
        ("userinfo", of(&[method, scheme, (":authority", "a@site.test"), path])),
        ("a path in the authority", of(&[method, scheme, (":authority", "site.test/premium"), path])),
        ("two authorities", with(&[(":authority", "other.test")])),
        ("another host", with(&[("host", "other.test")])),
        ("two hosts", with(&[("host", "site.test"), ("host", "site.test")])),
        ("another pseudo-header", with(&[(":entitlement", "paid")])),
        ("a pseudo-header behind a header", of(&[method, scheme, authority, ("a", "b"), path])),
        ("capitals", with(&[("X-Entitlement-Tier", "paid")])),
        ("a blank in a name", with(&[("x-entitlement-tier ", "paid")])),
        ("a colon in a name", with(&[("x-entitlement-tier:", "paid")])),
        ("a line end in a name", with(&[("a: b\r\nx-entitlement-tier", "paid")])),
        ("a line end in a value", with(&[("a", "b\r\nX-Entitlement-Tier: paid")])),
        ("a line feed in a value", with(&[("a", "b\nX-Entitlement-Tier: paid")])),
        ("a null in a value", with(&[("a", "b\0c")])),
        ("an empty name", with(&[("", "paid")])),
        ("a connection", with(&[("connection", "x-entitlement-tier")])),
        ("a transfer encoding", with(&[("transfer-encoding", "chunked")])),
        ("an upgrade", with(&[("upgrade", "websocket")])),
        ("keep-alive", with(&[("keep-alive", "5")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")])),
        ("a length that is none", with(&[("content-length", "+5")])),
    ];
    for (name, fields) in odd {
        let outcome = secure.open().await.ask(&fields).await;
        assert!(matches!(outcome, Outcome::Refused | Outcome::Denied(400 | 405)), "{name}: {outcome:?}");
    }
    assert!(secure.world.upstream.received().is_empty(), "{:?}", secure.world.upstream.received());
}

#[tokio::test]
async fn a_body_is_as_long_as_it_is_and_no_second_request() {
    let secure = Secure::start().await;
    let hidden = "GET /premium/smuggled HTTP/1.1\r\nHost: site.test\r\nX-Entitlement-Tier: paid\r\n\r\n";
    for length in ["0", "5", "1000"] {
        let fields = [&request("POST", "/welcome/short")[..], &[("content-length", length)]].concat();
        secure.open().await.ask_with(&fields, hidden, &[]).await;
    }
    let path = format!("/welcome/{}", unique("body"));
    let outcome = secure.open().await.ask_with(&request("POST", &path), hidden, &[]).await;
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(secure.world.upstream.only(&path).body, hidden.as_bytes());
    let trailers = [("x-entitlement-tier", "business"), ("authorization", "Bearer x")];
    let path = format!("/welcome/{}", unique("trailer"));
    secure.open().await.ask_with(&request("POST", &path), "hello", &trailers).await;
    for received in secure.world.upstream.received() {
        assert!(!received.target.contains("smuggled"), "{}", received.head);
        assert_eq!(received.identity(), [], "{}", received.head);
        assert_eq!(received.header("authorization"), None, "{}", received.head);
    }
}

#[tokio::test]
async fn identity_is_the_gates_word_over_http2_too() {
    let secure = Secure::start().await;
    let paying = secure.paying().await;
    let bearer = ("authorization", paying.as_str());
    let spoofs: [&[Field<'_>]; 7] = [
        &[("x-entitlement-tier", "business")],
        &[("x_entitlement_tier", "business")],
        &[("x.entitlement.tier", "business")],
        &[("x-entitlement_account", "business")],
        &[("x-entitlement-tier", "paid"), ("x-entitlement-tier", "business")],
        &[("x-forwarded-for", "business"), ("forwarded", "for=business"), ("x-real-ip", "business")],
        &[("proxy", "business"), ("x-original-url", "/business"), ("x-http-method-override", "business")],
    ];
    for spoof in spoofs {
        let public = secure.passes(&format!("/welcome/{}", unique("spoof")), spoof).await;
        assert_eq!(public.identity(), [], "{spoof:?}");
        let gated = secure.passes(&format!("/premium/{}", unique("spoof")), &[spoof, &[bearer]].concat()).await;
        assert_eq!(gated.header("x-entitlement-tier"), Some("paid"), "{spoof:?}");
        for received in [public, gated] {
            assert!(!received.head.contains("business"), "{spoof:?}: {}", received.head);
        }
    }
    assert_eq!(secure.get("/premium/one", &[]).await, Outcome::Denied(401));
    assert_eq!(secure.get("/premium/one", &[bearer, bearer]).await, Outcome::Denied(401), "CVE-2021-32777 Envoy");
}

#[tokio::test]
async fn cookies_in_crumbs_are_the_same_cookies_for_gate_and_site() {
    let secure = Secure::start().await;
    let paying = secure.paying().await;
    let session = format!("session={}", paying.trim_start_matches("Bearer "));
    let crumbs = [("cookie", "a=1"), ("cookie", session.as_str()), ("cookie", "b=2")];
    let received = secure.passes(&format!("/premium/{}", unique("crumbs")), &crumbs).await;
    assert_eq!(received.header("cookie"), Some(format!("a=1; {session}; b=2").as_str()));
    // Of several values of one name the one that verifies counts.
    let two = [("cookie", session.as_str()), ("cookie", "session=x")];
    assert_eq!(secure.get("/premium/one", &two).await, Outcome::Passed);
}

#[tokio::test]
async fn the_site_is_told_of_tls_and_of_the_authority() {
    let secure = Secure::start().await;
    // Spelled in an odd way, so that the target is written anew: the host must not be lost with it.
    for target in ["/welcome/plain", "/welcome/%6fdd"] {
        let claims = [("x-forwarded-proto", "http"), ("x-forwarded-host", "evil.test")];
        assert_eq!(secure.get(target, &claims).await, Outcome::Passed, "{target}");
        let received = secure.world.upstream.only(&target.replace("%6f", "o"));
        let told = ["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for"];
        let told = told.map(|name| received.header(name).unwrap_or_default().to_owned());
        assert_eq!(told, ["site.test", "site.test", "https", "127.0.0.1"], "{target}: {}", received.head);
    }
}
