//! What must hold behind every gateway, whoever forwards the request.

use std::net::SocketAddr;

use crate::world::http::{RawAnswer, client, raw, send};
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

/// Where a shipped configuration says its addresses, and those of this world.
pub fn placed(configuration: &str, listen: (&str, String), world: &World) -> String {
    let (from, to) = listen;
    for known in [from, "127.0.0.1:8080", "127.0.0.1:3000"] {
        assert!(configuration.contains(known), "the shipped configuration no longer says {known}");
    }
    let configuration = configuration.replace(from, &to);
    let configuration = configuration.replace("127.0.0.1:8080", &world.proxy().listen.public.to_string());
    configuration.replace("127.0.0.1:3000", &world.upstream.address.to_string())
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

/// Goes through everything: verdicts, where browsers are sent, and what the site received.
pub async fn holds(world: &World, gateway: SocketAddr) {
    eventually("the gateway listens", async || tokio::net::TcpStream::connect(gateway).await.ok().map(drop)).await;
    let (buyer, free) = (unique("buyer"), unique("free"));
    let subscription = Subscription { metadata: Some(buyer.clone()), ..Subscription::of(&unique("cus")) };
    // The webhooks come through the gateway too.
    let event = subscription.event("created");
    let delivery = client().post(format!("http://{gateway}/api/stripe/webhook"));
    let signed = signature(&event.body(), in_seconds(0), &SECRETS[..1]);
    let delivery = delivery.header("stripe-signature", signed).body(event.body());
    assert_eq!(send(delivery).await.status, 200);
    let (buyer, free) = (bearer(&buyer), bearer(&free));
    let (html, spoof) = ("Accept: text/html", "X-Entitlement-Tier: business");
    let cases: [(&str, &str, &[&str], u16, &str); 13] = [
        ("GET", "/open/page", &[], 200, ""),
        ("GET", "/premium/page", &[], 401, ""),
        ("GET", "/premium/page", &["Authorization: Bearer nonsense"], 401, ""),
        ("GET", "/premium/page", &[&free], 402, ""),
        ("GET", "/premium/page", &[&free, spoof], 402, ""),
        ("GET", "/premium/page", &[&buyer], 200, ""),
        ("POST", "/premium/page", &[&buyer, "Content-Length: 0"], 402, ""),
        ("GET", "/staff/page", &[&buyer], 403, ""),
        ("GET", "/team/page", &[&buyer], 200, ""),
        ("GET", "/premium/page?a=b", &[html], 303, "/login?next=%2Fpremium%2Fpage%3Fa%3Db"),
        ("GET", "/premium/page", &[&free, html], 303, "/billing/pricing?next=%2Fpremium%2Fpage"),
        ("GET", "/premium/page", &[&free, "X-Forwarded-Uri: /open/page", "X-Original-URI: /open"], 402, ""),
        ("GET", "/premium/page", &[&free, "X-Forwarded-Method: POST", "X-Forwarded-Host: a.test"], 402, ""),
    ];
    for (method, target, lines, status, location) in cases {
        let answer = asked(gateway, method, target, lines).await;
        assert_eq!(answer.status, status, "{method} {target} {lines:?}: {answer:?}");
        assert!(header(&answer, "location").ends_with(location), "{method} {target} {lines:?}: {answer:?}");
    }
    let through = asked(gateway, "GET", "/premium/seen?q=%41", &[&buyer, spoof, "X_Entitlement_Tier: business"]).await;
    assert_eq!(through.status, 200, "{through:?}");
    let seen = world.upstream.only("/premium/seen");
    assert_eq!(seen.target, "/premium/seen?q=%41", "the site gets what was judged");
    assert_eq!(seen.header("x-entitlement-tier"), Some("paid"), "{seen:?}");
    assert!(seen.header("x-entitlement-assertion").is_some(), "{seen:?}");
    assert!(seen.identity().iter().all(|(name, _)| !name.contains('_')), "{seen:?}");
    let anonymous = asked(gateway, "GET", "/open/seen", &[spoof, "X-Entitlement-Account: x"]).await;
    assert_eq!(anonymous.status, 200, "{anonymous:?}");
    assert_eq!(world.upstream.only("/open/seen").identity(), [], "nothing of the client's is left");
    for target in ["/open/../premium/page", "/open/%2e%2e/premium/page", "//premium/page", "/open%2f..%2fpremium/page"]
    {
        let before = world.upstream.received().len();
        let answer = asked(gateway, "GET", target, &[]).await;
        assert!(answer.status >= 300, "{target}: {answer:?}");
        assert_eq!(world.upstream.received().len(), before, "{target} reached the site");
    }
}

pub fn bearer(account: &str) -> String {
    format!("Authorization: Bearer {}", token(account))
}
