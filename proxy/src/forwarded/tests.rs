//! What the site is told, by who says it.

use proptest::prelude::*;

use super::*;

fn write(origin: &Origin<'_>, parts: &mut http::request::Parts) {
    let way = origin.way(&parts.headers, &parts.uri);
    let replaced: Vec<_> = parts.headers.keys().filter(|name| way.replaces(name)).cloned().collect();
    for name in replaced {
        parts.headers.remove(name);
    }
    way.write(&mut parts.headers);
}

/// What is left of these lines when a peer sends them, with the client's own spelling of names.
fn told(peer: &str, lines: &[(&'static str, &str)]) -> Vec<(String, String)> {
    let trusted = TrustedProxies::parse(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).expect("networks");
    let peer = SocketAddr::new(peer.parse().expect("an address"), 40_000);
    let origin = Origin::new(Some(peer), Scheme::Http, &trusted);
    let mut parts = http::Request::new(()).into_parts().0;
    parts.headers.append("host", HeaderValue::from_static("Site.example:8080"));
    for (name, value) in lines {
        parts.headers.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    write(&origin, &mut parts);
    parts.headers.remove("host");
    let mut lines: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().expect("text").to_owned()))
        .collect();
    lines.sort();
    lines
}

fn header(lines: &[(String, String)], name: &str) -> String {
    lines.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" | ")
}

#[test]
fn the_peer_is_the_client_unless_it_is_trusted() {
    let expected = |address: &str| {
        [
            ("x-forwarded-for", address),
            ("x-forwarded-host", "Site.example:8080"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", address),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for address in ["203.0.113.9", "1.20.255.0", "2001:db9::1"] {
        assert_eq!(told(address, &[]), expected(address));
    }
    assert_eq!(told("::ffff:203.0.113.9", &[]), expected("203.0.113.9"), "an IPv4 client of an IPv6 listener");
}

#[test]
fn the_client_is_the_last_hop_that_is_not_trusted() {
    // Who says it, what it says, and who the client is then.
    let cases: [(&str, &[&str], &str); 12] = [
        ("10.1.2.3", &[], "10.1.2.3"),
        ("10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
        ("2001:db8::1", &["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", &["1.1.1.1", "203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        ("10.1.2.3", &["1.1.1.1,203.0.113.9 , 10.9.9.9,192.0.2.7"], "203.0.113.9"),
        ("10.1.2.3", &["203.0.113.9:5555, 10.9.9.9:80"], "203.0.113.9"),
        ("10.1.2.3", &["[2001:db9::5]:5555"], "2001:db9::5"),
        ("10.1.2.3", &["10.4.4.4, 10.5.5.5"], "10.4.4.4"),
        // Nothing can be said of what stands left of nonsense.
        ("10.1.2.3", &["203.0.113.9, unknown, 10.5.5.5"], "10.5.5.5"),
        ("10.1.2.3", &["203.0.113.9, "], "10.1.2.3"),
    ];
    for (peer, said, client) in cases {
        let lines: Vec<_> = said.iter().map(|value| ("x-forwarded-for", *value)).collect();
        let told = told(peer, &lines);
        assert_eq!(header(&told, "x-real-ip"), client, "{peer} says {said:?}");
        let peer = peer.trim_start_matches("::ffff:");
        let chain = said.iter().copied().chain([peer]).collect::<Vec<_>>().join(", ");
        assert_eq!(header(&told, "x-forwarded-for"), chain, "{peer} says {said:?}");
    }
}

#[test]
fn a_trusted_proxy_may_say_scheme_host_and_port_once_each() {
    let says = |lines: &[(&'static str, &str)]| {
        let told = told("10.1.2.3", lines);
        ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"].map(|name| header(&told, name))
    };
    let own = ["http", "Site.example:8080", ""];
    assert_eq!(says(&[]), own);
    let all = [("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "read.example"), ("x-forwarded-port", "443")];
    assert_eq!(says(&all), ["https", "read.example", "443"]);
    let nonsense = [
        [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "a, b"), ("x-forwarded-port", "443, 80")],
        [("x-forwarded-proto", "gopher"), ("x-forwarded-host", "a@b"), ("x-forwarded-port", "99999")],
        [("x-forwarded-proto", ""), ("x-forwarded-host", ""), ("x-forwarded-port", "+1")],
    ];
    for lines in nonsense {
        assert_eq!(says(&lines), own, "{lines:?}");
    }
    let twice: Vec<_> = all.iter().chain(&all).copied().collect();
    assert_eq!(says(&twice), own);
}

#[test]
fn a_request_without_a_host_header_is_told_by_its_authority() {
    let trusted = TrustedProxies::default();
    let mut parts = http::Request::new(()).into_parts().0;
    write(&Origin::new(None, Scheme::Https, &trusted), &mut parts);
    assert_eq!(parts.headers.len(), 1, "neither an address nor a host is known: {:?}", parts.headers);
    assert_eq!(parts.headers["x-forwarded-proto"], "https");
    parts.uri = "https://read.example:8443/a".parse().expect("a URI");
    write(&Origin::new(None, Scheme::Https, &trusted), &mut parts);
    assert_eq!(parts.headers["x-forwarded-host"], "read.example:8443");
}

#[test]
fn nobody_is_trusted_by_default_and_everybody_never() {
    let any: IpAddr = "127.0.0.1".parse().expect("an address");
    assert!(!TrustedProxies::default().include(any));
    for text in ["0.0.0.0/0", "::/0", "10.0.0.1/0"] {
        assert_eq!(TrustedProxies::parse(&[text]), Err(TrustError::Everybody(text.into())));
    }
    for text in ["", "localhost", "10.0.0", "10.0.0.0/33", "10.0.0.0/8/8", " 10.0.0.1", "10.0.0.1:80", "*"] {
        assert_eq!(TrustedProxies::parse(&[text]), Err(TrustError::NotANetwork(text.into())));
    }
    let one = TrustedProxies::parse(&["127.0.0.9/8", "::ffff:192.0.2.1"]).expect("networks");
    assert!(one.include(any) && one.include("::ffff:192.0.2.1".parse().expect("an address")));
    assert!(!one.include("192.0.2.2".parse().expect("an address")));
}

proptest! {
    #[test]
    fn an_address_is_written_as_it_is_read(octets: [u8; 4], groups: [u16; 8]) {
        for address in [IpAddr::from(octets), IpAddr::from(groups)] {
            let written = value(address);
            prop_assert_eq!(written.to_str().expect("text").parse::<IpAddr>(), Ok(address));
        }
    }

    #[test]
    fn nothing_that_a_trusted_proxy_says_makes_it_panic(line in "[ -~]{0,60}") {
        let told = told("10.1.2.3", &[("x-forwarded-for", &line), ("x-forwarded-host", &line)]);
        prop_assert!(header(&told, "x-real-ip").parse::<IpAddr>().is_ok());
    }
}
