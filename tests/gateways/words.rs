//! What a client says that only the gate or a proxy may say, in every spelling, never reaches the site behind a gateway.

use std::net::SocketAddr;

use proxy::headers::{IDENTITY, removed};

use super::ask::asked;
use crate::world::World;

/// What a client claims, where any text will do.
const CLAIM: &str = "spoofed";

/// What it claims where an address is expected, and would be kept.
const ADDRESS: &str = "203.0.113.66";

/// Most headers that one request has here: the gate takes a hundred.
const LINES: usize = 40;

/// What gateways say themselves.
const SAID: [(&str, &str); 3] =
    [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "site.test")];

pub async fn nothing_of_the_clients_is_left(world: &World, gateway: SocketAddr, buyer: &str) {
    let said = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];
    let names: Vec<&str> = IDENTITY.into_iter().chain(removed()).chain(said).collect();
    let spelled =
        names.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase(), name.replace('-', "_"), odd(name)]);
    let is_of_address = |name: &str| name.contains("ip") || name.contains("for");
    let lines: Vec<String> =
        spelled.map(|name| format!("{name}: {}", if is_of_address(&name) { ADDRESS } else { CLAIM })).collect();
    for (round, some) in lines.chunks(LINES).enumerate() {
        let lines: Vec<&str> = some.iter().map(String::as_str).collect();
        for place in ["/open/", "/assets/"] {
            let target = format!("{place}seen-{round}.css");
            let answer = asked(gateway, "GET", &target, &lines).await;
            // A name that no server should take may be refused as well.
            if answer.status == 400 {
                assert!(world.upstream.received_with(&target).is_empty(), "{answer:?}");
                assert!(lines.iter().any(|line| line.contains('!')), "{lines:?} {answer:?}");
                continue;
            }
            assert_eq!(answer.status, 200, "{lines:?} {answer:?}");
            let seen = world.upstream.only(&target);
            assert!(!seen.head.contains(CLAIM) && !seen.head.contains(ADDRESS), "{}", seen.head);
            assert!(seen.identity().iter().all(|(_, value)| value.is_empty()), "{}", seen.head);
            for (name, value) in SAID {
                assert_eq!(seen.header(name), Some(value), "{}", seen.head);
            }
            assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"), "{}", seen.head);
        }
    }
    // One name by itself: none is hidden by another that is refused.
    for name in
        ["X-Entitlement-Tier", "X_Entitlement_Tier", "X-Original-URL", "X-Forwarded-User", "X-Entitlement-Future"]
    {
        for place in ["/open/", "/assets/"] {
            let target = format!("{place}alone-{name}.css");
            let answer = asked(gateway, "GET", &target, &[&format!("{name}: {CLAIM}")]).await;
            assert!([200, 400].contains(&answer.status), "{name} {answer:?}");
            assert!(answer.status == 200 || name == "X-Entitlement-Future", "{name} {answer:?}");
            let seen = world.upstream.received_with(&target);
            // Where no question is asked, nginx cannot tell a name of the future.
            let may_stay = name == "X-Entitlement-Future" && place == "/assets/";
            assert!(may_stay || seen.iter().all(|seen| !seen.head.contains(CLAIM)), "{seen:?}");
        }
    }
    let spoof = ["X-Entitlement-Tier: business", "X_Entitlement_Tier: business", "X-Entitlement-User: spoofed"];
    let through = asked(gateway, "GET", "/premium/seen?q=%41&r=a+b", &[buyer, spoof[0], spoof[1], spoof[2]]).await;
    assert_eq!(through.status, 200, "{through:?}");
    let seen = world.upstream.only("/premium/seen");
    assert_eq!(seen.target, "/premium/seen?q=%41&r=a+b", "the site gets what was judged");
    assert_eq!(seen.header("x-entitlement-tier"), Some("paid"), "{seen:?}");
    assert!(seen.header("x-entitlement-assertion").is_some_and(|token| !token.is_empty()), "{seen:?}");
    assert!(seen.identity().iter().all(|(name, _)| !name.contains('_')), "{seen:?}");
    assert!(!seen.head.contains(CLAIM), "{seen:?}");
}

/// A client names in `Connection` what must not stay on its connection.
pub async fn no_header_is_left_out(world: &World, gateway: SocketAddr, buyer: &str) {
    for name in ["X-Entitlement-Assertion", "X-Forwarded-For", "X-Real-IP", "Authorization"] {
        let target = format!("/premium/nominated-{name}");
        let answer = asked(gateway, "GET", &target, &[buyer, &format!("Connection: {name}")]).await;
        let seen = world.upstream.received_with(&target);
        let is_whole = |name: &str| seen[0].header(name).is_some_and(|value| !value.is_empty());
        match answer.status {
            200 => assert!(
                ["x-entitlement-assertion", "x-forwarded-for", "x-real-ip"].into_iter().all(is_whole),
                "{seen:?}"
            ),
            status => assert!((400..500).contains(&status) && seen.is_empty(), "{name}: {answer:?}"),
        }
    }
}

/// A spelling that only the most careless server would take for the name.
fn odd(name: &str) -> String {
    name.replacen('-', ".", 1).replacen('-', "!", 1)
}
