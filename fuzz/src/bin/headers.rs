//! What the site gets of a client's headers. Input: lines as `name:value`; a first line `trusted` makes the peer a proxy
//! whose word counts.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use proxy::forwarded::TrustedProxies;
use proxy::fuzzing::rewritten;
use proxy::headers::nominates_ours;

const PEER: &str = "203.0.113.9";

fuzz_target!(|input: &[u8]| {
    let rest = input.strip_prefix(b"trusted\n");
    let trusted = TrustedProxies::parse(if rest.is_some() { &[PEER][..] } else { &[] }).expect("an address");
    let mut lines = HeaderMap::new();
    for line in rest.unwrap_or(input).split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            lines.append(name, value);
        }
    }
    let _ = nominates_ours(&lines);
    let peer: IpAddr = PEER.parse().expect("an address");
    let told = rewritten(&lines, SocketAddr::new(peer, 40_000), &trusted).expect("it can be kept");
    for name in told.keys() {
        let folded = name.as_str().replace(|sign: char| !sign.is_ascii_alphanumeric(), "-");
        assert!(!folded.starts_with("x-entitlement-"), "{name} is ours");
        assert!(!["proxy", "forwarded", "x-original-url", "x-http-method-override"].contains(&&*folded), "{name}");
        assert!(!folded.starts_with("x-forwarded-") || folded == name.as_str(), "{name} is an odd spelling");
    }
    let only = |name: &str| {
        let values: Vec<&HeaderValue> = told.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0].to_str().unwrap_or_default().to_owned()
    };
    let client: IpAddr = only("x-real-ip").parse().expect("an address");
    let scheme = only("x-forwarded-proto");
    assert!(["http", "https"].contains(&scheme.as_str()), "{scheme}");
    if rest.is_none() {
        assert_eq!((client, only("x-forwarded-for").as_str(), scheme.as_str()), (peer, PEER, "http"));
    } else {
        assert!(told["x-forwarded-for"].as_bytes().ends_with(PEER.as_bytes()), "it is the last hop");
    }
    assert!(told.get_all("cookie").iter().count() <= 1, "one line of cookies");
});
