//! What a cache between client and gate may keep: nothing of a gated page, and no denial.

use crate::world::http::{RawAnswer, raw};
use crate::world::{Arrangement, World};

/// What the site says of a page, and what a client is told of its caching.
struct Page {
    name: &'static str,
    status: &'static str,
    /// The site's own lines, each with its end.
    says: &'static str,
    control: &'static str,
    vary: &'static str,
}

const BOTH: &str = "Cookie, Authorization";

const PAGES: [Page; 12] = [
    Page { name: "plain", status: "200 OK", says: "", control: "private", vary: BOTH },
    Page {
        name: "public",
        status: "200 OK",
        says: "Cache-Control: public, max-age=60, s-maxage=600\r\n",
        control: "private, max-age=60",
        vary: BOTH,
    },
    Page { name: "no-store", status: "200 OK", says: "Cache-Control: no-store\r\n", control: "no-store", vary: BOTH },
    Page {
        name: "varies",
        status: "200 OK",
        says: "Vary: Accept-Encoding\r\nVary: Origin\r\n",
        control: "private",
        vary: "Accept-Encoding, Origin, Cookie, Authorization",
    },
    Page { name: "varies-by-all", status: "200 OK", says: "Vary: *\r\n", control: "private", vary: "*" },
    Page {
        name: "for-cdns",
        status: "200 OK",
        says: "CDN-Cache-Control: max-age=600\r\nSurrogate-Control: max-age=600\r\nX-Accel-Expires: 600\r\nCloudflare-CDN-Cache-Control: max-age=1\r\n",
        control: "private",
        vary: BOTH,
    },
    Page {
        name: "fields",
        status: "200 OK",
        says: "Cache-Control: private=\"set-cookie\", max-age=5\r\n",
        control: "private, private=\"set-cookie\", max-age=5",
        vary: BOTH,
    },
    Page {
        name: "not-modified",
        status: "304 Not Modified",
        says: "ETag: \"1\"\r\nCache-Control: public, max-age=60\r\n",
        control: "private, max-age=60",
        vary: BOTH,
    },
    Page { name: "moved", status: "301 Moved", says: "Location: /\r\n", control: "private", vary: BOTH },
    Page {
        name: "not-found",
        status: "404 Not Found",
        says: "Cache-Control: max-age=9\r\n",
        control: "private, max-age=9",
        vary: BOTH,
    },
    Page { name: "gone", status: "410 Gone", says: "", control: "private", vary: BOTH },
    Page {
        name: "in-two-lines",
        status: "200 OK",
        says: "Cache-Control: max-age=9\r\nCache-Control: s-maxage=9\r\n",
        control: "private, max-age=9",
        vary: BOTH,
    },
];

#[tokio::test]
async fn a_gated_page_is_kept_by_nobody_but_its_reader() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    let cookie = format!("Cookie: session={}", paying.rsplit(' ').next().expect("a token"));
    for Page { name, status, says, control, vary } in PAGES {
        let body = if status.starts_with("304") { "\r\n".to_owned() } else { "Content-Length: 0\r\n\r\n".to_owned() };
        world.upstream.answer(&format!("/page/{name}?"), &format!("HTTP/1.1 {status}\r\n{says}{body}"));
        let expected: u16 = status[..3].parse().expect("a status");
        for method in ["GET", "HEAD"] {
            for credential in [&paying, &cookie] {
                let path = format!("/premium/page/{name}?");
                let answer = ask(&world, method, &path, &format!("{credential}\r\nIf-None-Match: \"1\"\r\n")).await;
                assert_eq!(answer.status, expected, "{method} {name}: {answer:?}");
                assert_eq!(lines(&answer, "cache-control"), [control], "{method} {name}: {answer:?}");
                assert_eq!(lines(&answer, "vary"), [vary], "{method} {name}: {answer:?}");
                for other in
                    ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "x-accel-expires"]
                {
                    assert!(lines(&answer, other).is_empty(), "{method} {name}: {answer:?}");
                }
            }
            // A public page is the site's own business.
            let answer = ask(&world, method, &format!("/welcome/page/{name}?"), "If-None-Match: \"1\"\r\n").await;
            let said = says.lines().filter(|line| line.starts_with("Cache-Control")).count();
            assert_eq!(lines(&answer, "cache-control").len(), said, "{method} {name}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_denial_is_kept_by_nobody() {
    let world = World::start(Arrangement::AllPostgres).await;
    let free = format!("Authorization: Bearer {}\r\n", crate::world::token("nobody-special"));
    let html = "Accept: text/html\r\n".to_owned();
    let cases = [
        ("/premium/one", String::new(), 401),
        ("/premium/one", "Authorization: Bearer x\r\n".to_owned(), 401),
        ("/premium/one", free.clone(), 402),
        ("/premium/one", html.clone(), 303),
        ("/premium/one", format!("{html}{free}"), 303),
        // A stranger that claims to know the page is told nothing of it.
        ("/premium/one", "If-None-Match: *\r\nIf-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_owned(), 401),
        ("/premium/one", "Range: bytes=0-1\r\n".to_owned(), 401),
        ("//premium/one", String::new(), 400),
        ("//premium/one", html.clone(), 400),
    ];
    for (path, lines_sent, status) in cases {
        let mut lengths = Vec::new();
        for method in ["GET", "HEAD"] {
            // A HEAD is never a navigation.
            if method == "HEAD" && status == 303 {
                continue;
            }
            let answer = ask(&world, method, path, &lines_sent).await;
            assert_eq!(answer.status, status, "{method} {path} {lines_sent:?}: {answer:?}");
            assert_eq!(lines(&answer, "cache-control"), ["no-store"], "{method} {path} {lines_sent:?}: {answer:?}");
            lengths.push(lines(&answer, "content-length"));
            let body = answer.text.split_once("\r\n\r\n").expect("a head").1;
            assert!(method == "GET" || body.is_empty(), "{answer:?}");
        }
        assert!(lengths.windows(2).all(|two| two[0] == two[1]), "HEAD as GET: {lengths:?}");
    }
    assert!(world.upstream.received().is_empty());
}

async fn ask(world: &World, method: &str, path: &str, lines: &str) -> RawAnswer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n{lines}\r\n");
    RawAnswer::parse(raw(world.proxy().listen.public, request).await)
}

/// All values of a header, in order.
fn lines(answer: &RawAnswer, name: &str) -> Vec<String> {
    let head = answer.text.split("\r\n\r\n").next().expect("a head");
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_verdict_holds_for_one_account_and_one_rule() {
    // CVE-2021-32701 and CVE-2026-33496 Oathkeeper: what was decided for one question was the answer to another.
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    let free = format!("Authorization: Bearer {}", crate::world::token("nobody-special"));
    for _ in 0..3 {
        let cases = [("/premium/one", &paying, 200), ("/premium/one", &free, 402), ("/business/one", &paying, 402)];
        for (path, credential, status) in cases {
            let answer = ask(&world, "GET", path, &format!("{credential}\r\n")).await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
        }
        assert_eq!(ask(&world, "GET", "/premium/one", "").await.status, 401);
    }
}
