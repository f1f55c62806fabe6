//! Where a browser is sent to sign in or to pay, and from there back: never to another site.

use crate::world::http::{RawAnswer, raw};
use crate::world::{Arrangement, World};

/// Targets whose way back must not leave the site, by the advisory of who let it.
const TARGETS: [(&str, &str); 24] = [
    ("CVE-2020-4037 oauth2-proxy", "/premium/x?rd=//evil.test"),
    ("CVE-2020-5233 oauth2-proxy", "/premium/\\evil.test"),
    ("CVE-2020-5233, in front", "/\\evil.test"),
    ("CVE-2020-11053 oauth2-proxy", "/premium/x?rd=/%09/evil.test"),
    ("CVE-2021-21291 oauth2-proxy", "//evil.test/premium/x"),
    ("CVE-2026-83589 OpenShift", "/\\\\evil.test/premium"),
    ("CVE-2026-83589, a tab", "/\t/evil.test/premium"),
    ("an encoded tab", "/%09/evil.test/premium"),
    ("an encoded slash", "/%2fevil.test/premium"),
    ("an encoded backslash", "/%5cevil.test/premium"),
    ("absolute", "http://evil.test/premium/x"),
    ("a script", "javascript:alert(1)"),
    ("a line end", "/premium/x%0d%0aLocation:%20http://evil.test"),
    ("a line end in the query", "/premium/x?y=%0d%0aLocation:%20http://evil.test"),
    ("a userinfo", "/premium/@evil.test"),
    ("another next", "/premium/x?next=http://evil.test"),
    ("next twice", "/premium/x&next=//evil.test"),
    ("a fragment", "/premium/x#//evil.test"),
    ("an encoded fragment", "/premium/x%23//evil.test"),
    ("markup", "/premium/<script>\"'"),
    ("raw bytes in the query", "/premium/x?\u{fc}=\u{2028}"),
    ("the parameters of the login page", "/premium/x?next=%2F&prompt=none&login=1"),
    ("a dot", "/./evil.test/premium"),
    ("long", "/premium/?LONG"),
];

#[tokio::test]
async fn the_way_back_stays_on_the_site() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    for (name, target) in TARGETS {
        let target = target.replace("LONG", &"a".repeat(6000));
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: site.test\r\nAccept: text/html\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(public, request).await;
        let answer = RawAnswer::parse(answer);
        let head = answer.text.split("\r\n\r\n").next().expect("a head").to_owned();
        let locations: Vec<&str> = head.lines().filter(|line| line.to_lowercase().starts_with("location:")).collect();
        if answer.status == 400 {
            assert!(locations.is_empty(), "{name}: {head}");
            continue;
        }
        assert_eq!((answer.status, locations.len()), (303, 1), "{name}: {head}");
        let location = locations[0].split_once(": ").expect("a value").1;
        let next = location.strip_prefix("/login?next=").unwrap_or_else(|| panic!("{name}: {location}"));
        assert!(
            next.starts_with("%2F") && !next[3..].starts_with("%2F") && !next[3..].starts_with("%5C"),
            "{name}: {next}"
        );
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        assert!(next.bytes().all(plain), "{name}: {next}");
        // A browser that follows it, and then `next`, is still here.
        let base = url::Url::parse("https://site.test/any/page").expect("a URL");
        let login = base.join(location).expect("a URL");
        assert_eq!(login.origin(), base.origin(), "{name}: {location}");
        let parameters: Vec<_> = login.query_pairs().collect();
        assert_eq!(parameters.len(), 1, "{name}: nothing is added to the login page's parameters: {location}");
        assert_eq!(base.join(&parameters[0].1).expect("a URL").origin(), base.origin(), "{name}: {location}");
    }
    assert!(world.upstream.received().is_empty(), "{:?}", world.upstream.received());
}
