//! What must hold behind every gateway, whoever forwards the request.

use std::net::SocketAddr;

use super::{away, site, words};
use crate::world::http::{RawAnswer, client, raw, send, try_send};
use crate::world::stripe::{SECRETS, Subscription, signature, unique};
use crate::world::{Arrangement, Setup, World, eventually, in_seconds, token};

/// A world whose gateway is believed.
pub async fn world() -> World {
    let routes = r#"
[[route]]
path = "/premium/**"
methods = ["POST"]
require = { tier = "business" }

[[route]]
path = "/team/**"
hosts = ["team.test"]
require = { tier = "business" }

[[route]]
path = "/staff/**"
require = { feature = "staff" }
"#;
    let routes = format!("{routes}{}", crate::world::setup::ROUTES);
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("decide.gateways", "[\"127.0.0.1\"]")
        .key("proxy.trusted_proxies", "[\"127.0.0.1\"]");
    World::with(setup.routes(&routes)).await
}

/// Where Tollgate and the site of this world are.
pub fn addresses(world: &World) -> (String, String) {
    (world.proxy().listen.public.to_string(), world.upstream.address.to_string())
}

/// Sends one request to a gateway.
pub async fn asked(gateway: SocketAddr, method: &str, target: &str, lines: &[&str]) -> RawAnswer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: site.test\r\n{lines}Connection: close\r\n\r\n");
    RawAnswer::parse(raw(gateway, request).await)
}

/// The value of a header of an answer; nothing when it has none.
pub fn header<'a>(answer: &'a RawAnswer, name: &str) -> &'a str {
    let lines = answer.text.lines().skip(1).take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    values.next().unwrap_or_default()
}

/// Goes through everything: verdicts, what the site is told, what sites do, and what is left when Tollgate is away.
pub async fn holds(world: &World, gateway: SocketAddr) {
    let answered = async |target: &str, token: &str, status: u16| {
        let request = client().get(format!("http://{gateway}{target}")).header("authorization", token);
        (try_send(request).await.ok()?.status == status).then_some(())
    };
    eventually("the gateway serves", async || answered("/assets/ready.css", "", 200).await).await;
    let (buyer, free) = (buyer(gateway).await, bearer(&unique("free")));
    for (account, status) in [(&buyer, 200), (&free, 402)] {
        let token = account.strip_prefix("Authorization: ").expect("a header");
        eventually("the account is known", async || answered("/premium/ready", token, status).await).await;
    }
    verdicts(world, gateway, (&buyer, &free)).await;
    words::nothing_of_the_clients_is_left(world, gateway, &buyer).await;
    words::no_header_is_left_out(world, gateway, &buyer).await;
    site::works(world, gateway, &buyer).await;
    away::closes(world, gateway, &buyer).await;
}

/// An account that has paid: the webhook comes through the gateway, too.
async fn buyer(gateway: SocketAddr) -> String {
    let buyer = unique("buyer");
    let subscription = Subscription { metadata: Some(buyer.clone()), ..Subscription::of(&unique("cus")) };
    let event = subscription.event("created");
    let delivery = client().post(format!("http://{gateway}/api/stripe/webhook"));
    let signed = signature(&event.body(), in_seconds(0), &SECRETS[..1]);
    let delivery = delivery.header("stripe-signature", signed).body(event.body());
    assert_eq!(send(delivery).await.status, 200);
    bearer(&buyer)
}

/// Method, target and headers of a request; the status and a header of its answer.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], u16, (&'a str, &'a str));

async fn verdicts(world: &World, gateway: SocketAddr, (buyer, free): (&str, &str)) {
    let (html, spoof) = ("Accept: text/html", "X-Entitlement-Tier: business");
    let (login, pricing) = (format!("{}/login?next=", world.url), format!("{}/billing/pricing?next=", world.url));
    let to = |place: &str, next: &str| format!("{place}{next}");
    let (sign_in, pay) = (to(&login, "%2Fpremium%2Fpage%3Fa%3Db"), to(&pricing, "%2Fpremium%2Fpage"));
    let (htmx, inertia) = ("HX-Request: true", "X-Inertia: true");
    let cases: [Case<'_>; 21] = [
        ("GET", "/open/page", &[], 200, ("location", "")),
        ("GET", "/premium/page", &[], 401, ("www-authenticate", "Bearer")),
        ("GET", "/premium/page", &["Authorization: Bearer nonsense"], 401, ("location", "")),
        ("GET", "/premium/page", &[free], 402, ("content-type", "application/problem+json")),
        ("GET", "/premium/page", &[free, spoof], 402, ("location", "")),
        ("GET", "/premium/page", &[buyer], 200, ("location", "")),
        ("HEAD", "/premium/page", &[buyer], 200, ("location", "")),
        ("HEAD", "/premium/page", &[free], 402, ("location", "")),
        ("POST", "/premium/page", &[buyer, "Content-Length: 0"], 402, ("location", "")),
        ("GET", "/staff/page", &[buyer], 403, ("location", "")),
        ("GET", "/team/page", &[buyer], 200, ("location", "")),
        ("GET", "/premium/page?a=b", &[html], 303, ("location", &sign_in)),
        ("GET", "/premium/page", &[free, html], 303, ("location", &pay)),
        ("GET", "/premium/page", &[free, htmx], 402, ("hx-redirect", &pay)),
        ("GET", "/premium/page", &[free, inertia], 409, ("x-inertia-location", &pay)),
        ("POST", "/premium/page", &[htmx, "Content-Length: 0"], 401, ("hx-redirect", &to(&login, "%2F"))),
        (
            "GET",
            "/premium/page",
            &[free, "X-Forwarded-Uri: /open/page", "X-Original-URI: /open"],
            402,
            ("location", ""),
        ),
        (
            "GET",
            "/premium/page",
            &[free, "X-Forwarded-Method: POST", "X-Forwarded-Host: a.test"],
            402,
            ("location", ""),
        ),
        // To a client, the path of decisions is the site's.
        ("GET", "/decide/premium/page", &[buyer], 200, ("x-entitlement-account", "")),
        ("GET", "/decide", &[buyer, "X-Forwarded-Uri: /premium/page"], 200, ("x-entitlement-account", "")),
        ("GET", "/billing/pricing", &[html], 200, ("location", "")),
    ];
    for (method, target, lines, status, (name, value)) in cases {
        let answer = asked(gateway, method, target, lines).await;
        assert_eq!(answer.status, status, "{method} {target} {lines:?}: {answer:?}");
        assert_eq!(header(&answer, name), value, "{method} {target} {lines:?}: {answer:?}");
        let is_once = |name: &str| answer.text.to_lowercase().matches(&format!("\n{name}:")).count() <= 1;
        assert!(is_once("www-authenticate") && is_once("location") && is_once("content-length"), "{answer:?}");
        assert_eq!(header(&answer, "x-entitlement-assertion"), "", "no client is told: {answer:?}");
    }
    for target in [
        "/open/../premium/page",
        "/open/%2e%2e/premium/page",
        "//premium/page",
        "/open%2f..%2fpremium/page",
        "/open;/premium/page",
        "/open/a%5cb",
        "/assets/../premium/page",
        "/assets/..%2fpremium/page",
        "/billing/..;/premium/page",
    ] {
        let before = world.upstream.received().len();
        let answer = asked(gateway, "GET", target, &[]).await;
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
        assert_eq!(world.upstream.received().len(), before, "{target} reached the site");
    }
}

pub fn bearer(account: &str) -> String {
    format!("Authorization: Bearer {}", token(account))
}
