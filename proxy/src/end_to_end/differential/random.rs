//! Random requests and answers, in random pieces: the same in each run.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{Case, Ways};

/// Where each run begins.
const SEED: u64 = 20_261_130;

const CASES: usize = 400;

const BEFORE: [&str; 12] = ["", "", "", "", "", "", "", "\n", "\n\n", "^", "\n^\n", "`\n"];

/// What most requests are made of, and what some are.
struct Menu<'a> {
    usual: &'a [&'a str],
    odd: &'a [&'a str],
}

impl Menu<'_> {
    fn one(&self, random: &mut StdRng) -> &str {
        let from = if random.random_ratio(1, 9) { self.odd } else { self.usual };
        one(random, from)
    }
}

const METHODS: Menu<'_> =
    Menu { usual: &["GET", "GET", "GET", "POST", "PUT", "OPTIONS", "DELETE"], odd: &["CONNECT", "get", "TRACE"] };

const TARGETS: Menu<'_> = Menu {
    usual: &["/a", "/a", "/b?c=d", "/premium/a", "/premium/%61", "/%61", "/account"],
    odd: &["//x", "/a b", "/a\"<b>", "*", "http://read.example/a", "/%2e%2e/premium"],
};

const LINES: Menu<'_> = Menu {
    usual: &[
        "$",
        "$",
        "$",
        "Accept: */*\n",
        "Accept: text/html\n",
        "Cookie: a=b\n",
        "Cookie: a=b\nCookie: c=d\n",
        "X-A: 1\n",
        "x-B:  2 \n",
        "X-A: 1^",
        "Keep-Alive: timeout=9\n",
        "TE: trailers\n",
        "TE: trailers\nConnection: TE\n",
        "Trailer: x\n",
        "Connection: keep-alive\n",
        "Connection: X-A\n",
        "Proxy-Connection: close\n",
        "Proxy-Authorization: Basic YQ==\n",
        "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAAA\n",
        "Expect: 100-continue\n",
        "X-Entitlement-Tier: business\n",
        "X_Entitlement_Tier: business\n",
        "X-Forwarded-For: 1.2.3.4\n",
        "Content_Length: 3\n",
        "Transfer_Encoding: chunked\n",
    ],
    odd: &[
        "Connection: close\n",
        "Connection: X-A, close\n",
        "Connection: keep-alive\nConnection: close\n",
        "Connection: authorization\n",
        "Connection: \"x\"\n",
        "Connection: a,b,c,d,e,f,g,h,i,j\n",
        "Host: other.example\n",
        "X-Long: LONG\n",
        " folded: x\n",
        "no header\n",
        "Space : x\n",
    ],
};

/// What says how long a body is, and, behind an empty line, the body.
const BODIES: Menu<'_> = Menu {
    usual: &[
        "\n",
        "\n",
        "\n",
        "Content-Length: 0\n\n",
        "Content-Length: 3\n\nabc",
        "Content-Length: 4\n\n\n\n",
        "Content-Length: 03\n\nabc",
        "Transfer-Encoding: chunked\n\n3\nabc\n0\n\n",
        "Transfer-Encoding: chunked\n\n1\na\n2;x=\"y\"\nbc\n0\nX: y\n\n",
        "Transfer-Encoding: chunked\n\n0\n\n",
        "Transfer-Encoding: gzip, chunked\n\n3\nabc\n0\n\n",
        "Content-Length: 3\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n",
    ],
    odd: &[
        "Content-Length: 3\nContent-Length: 3\n\nabc",
        "Content-Length: 3\nContent-Length: 4\n\nabcd",
        "Content-Length: +3\n\nabc",
        "Content-Length: 30\n\nabc",
        "Transfer-Encoding: chunked\n\n3;^abc\n0\n\n",
        "Transfer-Encoding: chunked\n\nzz\n",
        "Transfer-Encoding: chunked\n\n3\nab",
        "Transfer-Encoding: gzip\n\nabc",
    ],
};

/// What no request is.
const OTHERS: [&str; 6] =
    ["nonsense\n\n", "{\"a\": 1}", "\u{16}\u{3}\u{1}", "GET /a\n\n", "GET / HTTP/2.0\n\n", "GET /a HTTP/1.1\nHost"];

const INFORMATIONAL: [&str; 9] = [
    "",
    "",
    "",
    "",
    "HTTP/1.1 103 Early Hints\nLink: </a>\n\n",
    "HTTP/1.1 100 Continue\n\n",
    "HTTP/1.1 102 Processing\n\n",
    "HTTP/1.1 103 Early Hints\nCache-Control: public\nConnection: x\nX: 1\n\n",
    "HTTP/1.1 103 Early Hints\nContent-Length: 5\nTransfer-Encoding: gzip\n\n",
];

const STATUSES: [&str; 10] = [
    "HTTP/1.1 200 OK\n",
    "HTTP/1.1 200 OK\n",
    "HTTP/1.1 200 OK\n",
    "HTTP/1.1 200 Fine Indeed\n",
    "HTTP/1.0 200 OK\n",
    "HTTP/1.1 404 Not Found\n",
    "HTTP/1.1 500 \n",
    "HTTP/1.1 204 No Content\n",
    "HTTP/1.1 304 Not Modified\n",
    "HTTP/1.1 101 Switching Protocols\n",
];

const SAID: [&str; 20] = [
    "",
    "",
    "",
    "Cache-Control: public, max-age=60\n",
    "Cache-Control: private\nVary: *\n",
    "Vary: Accept\n",
    "CDN-Cache-Control: public\n",
    "Set-Cookie: a=b\nset-cookie: c=d\n",
    "Connection: keep-alive\nKeep-Alive: timeout=5\n",
    "Connection: close\n",
    "Connection: X-Hop\nX-Hop: 1\n",
    "Connection: close, x-other\nConnection: keep-alive\nX-Other: 1\n",
    "Upgrade: h2c\n",
    "Proxy-Connection: keep-alive\n",
    "X-Odd-CASE : 1\n",
    "X-Folded: a\n b\n",
    "X-Folded: a\n\tb^ c\n",
    "Connection: keep-alive\nConnection: close\n",
    "Trailer: X\n",
    "X-Bytes: \u{e9}\n",
];

/// How an answer is framed, its body, and whether the site has to close behind it.
const FRAMED: [(&str, &str, bool); 25] = [
    ("Content-Length: 5\n", "hello", false),
    ("Content-Length: 5\n", "hello", false),
    ("content-length: 0\n", "", false),
    ("Content-Length: 5, 5\n", "hello", false),
    ("Content-Length: 3\n", "and more", true),
    ("Content-Length: 10\n", "cut", true),
    ("Content-Length: 3\nContent-Length: 4\n", "abcd", true),
    ("Content-Length: -1\n", "abcd", true),
    ("Transfer-Encoding: chunked\n", "3\nabc\n2\nde\n0\n\n", false),
    ("Transfer-Encoding: chunked\n", "5;a=b\nhello\n0\n\n", false),
    ("Transfer-Encoding: chunked\n", "1\na\n0\nX: y\n\n", false),
    ("Transfer-Encoding: chunked\n", "0\n\n", false),
    ("Transfer-Encoding: chunked\n", "3\nabc\n5\nab", true),
    ("Transfer-Encoding: chunked\n", "zz\n", true),
    ("Transfer-Encoding: gzip, chunked\n", "1\na\n0\n\n", false),
    ("Transfer-Encoding: gzip\n", "until the end", true),
    ("Content-Length: 3\nTransfer-Encoding: chunked\n", "2\nab\n0\n\n", false),
    ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n", "1\na\n0\n\n", true),
    ("Transfer-Encoding: chunked, chunked\n", "1\na\n0\n\n", true),
    ("Transfer-Encoding: identity\nContent-Length: 5\n", "hello", true),
    ("Transfer-Encoding: chunked\n", "3;^x\nabc\n0\n\n", true),
    ("Transfer-Encoding: chunked\nTrailer: X\n", "1\na\n0\nX: y\nContent-Length: 9\n\n", false),
    ("Transfer-Encoding: chunked\n", "1\na\n0\nX y\n\n", true),
    ("", "until the end", true),
    ("", "", true),
];

/// What no answer is; each closes.
const NO_ANSWERS: [&str; 6] = [
    "",
    "nonsense\n\n",
    "HTTP/1.1 200 OK\nContent-Le",
    "HTTP/1.1 103 Early Hints\n\n",
    "HTTP/3 200 OK\n\n",
    "HTTP/1.1 20\n\n",
];

fn one<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

fn request(random: &mut StdRng, is_last: bool) -> String {
    let mut text = one(random, &BEFORE).to_owned();
    if is_last && random.random_ratio(1, 12) {
        return text + one(random, &OTHERS);
    }
    let method = if is_last && random.random_ratio(1, 8) { "HEAD" } else { METHODS.one(random) };
    let version = if random.random_ratio(1, 10) { "1.0" } else { "1.1" };
    text += &format!("{method} {} HTTP/{version}\nHost: read.example\n", TARGETS.one(random));
    for _ in 0..random.random_range(0..4) {
        text += LINES.one(random);
    }
    text + BODIES.one(random)
}

/// An answer. Only the first may be none: what follows may come on a connection that was used before, after whose end a
/// request is sent once more, and each way has connections of its own.
fn answer(random: &mut StdRng, is_first: bool) -> String {
    if is_first && random.random_ratio(1, 10) {
        return format!("{}!", one(random, &NO_ANSWERS));
    }
    let mut text = one(random, &INFORMATIONAL).to_owned() + one(random, &INFORMATIONAL);
    let status = one(random, &STATUSES);
    let (framing, body, closes) = FRAMED.choose(random).expect("some");
    let closes = *closes || status.contains("HTTP/1.0") || random.random_ratio(1, 8);
    // A site that closes without a word, or sends more than it says, may be asked once more, or not.
    let end = if closes { ("Connection: close\n", "!") } else { ("", "") };
    let body = if status.contains(" 304 ") && !closes { "" } else { *body };
    text += &format!("{status}{}", end.0);
    for _ in 0..random.random_range(0..3) {
        text += one(random, &SAID);
    }
    text + &format!("{framing}\n{body}{}", end.1)
}

/// The same text in pieces.
fn cut(random: &mut StdRng, text: &str) -> String {
    let pieces = *[1, 1, 2, 3, 6, 40].choose(random).expect("some");
    let mut cuts: Vec<usize> = (1..pieces).map(|_| random.random_range(0..=text.len())).collect();
    cuts.retain(|at| text.is_char_boundary(*at));
    cuts.sort_unstable();
    let mut parts = text.to_owned();
    cuts.iter().rev().for_each(|at| parts.insert(*at, '|'));
    parts
}

fn case(random: &mut StdRng) -> String {
    let count = *[1, 1, 1, 2, 3].choose(random).expect("some");
    let requests: String = (1..=count).map(|number| request(random, number == count)).collect();
    let mut text = cut(random, &requests.replace("LONG", &"x".repeat(1024)));
    for number in 0..count {
        let answer = answer(random, number == 0);
        let (answer, end) = answer.strip_suffix('!').map_or((answer.as_str(), ""), |answer| (answer, "!"));
        text += &format!("~{}{end}", cut(random, answer));
    }
    text
}

#[test]
fn the_same_comes_of_random_requests_and_answers_on_both_ways() {
    let seed = std::env::var("DIFFERENTIAL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let cases = std::env::var("DIFFERENTIAL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut answered, mut reached) = (0, 0);
    let mut different = Vec::new();
    for number in 0..cases {
        let text = case(&mut random);
        match Ways::get().compare(&Case::parse(text.as_bytes())) {
            Ok(seen) => {
                answered += usize::from(!seen.answers.is_empty());
                reached += usize::from(!seen.requests.is_empty());
            }
            Err(difference) => different.push(format!("case {number}: {text:?}\n{difference}")),
        }
    }
    assert!(different.is_empty(), "{} of {cases} differ:\n{}", different.len(), different.join("\n\n"));
    assert!(answered > cases * 9 / 10 && reached > cases / 3, "{answered} answered, {reached} at the site");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_on_both() {
    let framings = [
        "Transfer-Encoding: chunked\n\n3;^x\nabc\n0\n\n",
        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n",
        "Transfer-Encoding: chunked, chunked\n\n3\nabc\n0\n\n",
        "Transfer-Encoding: gzip, chunked\n\n3\nabc\n0\n\n",
        "Transfer-Encoding: identity\nContent-Length: 3\n\nabc",
        "Transfer-Encoding: chunked\n\n3\nabc\n0\nX y\n\n",
        " X: folded\nContent-Length: 3\n\nabc",
        "Content-Length: 3\nContent-Length: 03, 4\n\nabc",
    ];
    for framing in framings {
        let text = format!("GET /a HTTP/1.1\nHost: read.example\n\n~HTTP/1.1 200 OK\n{framing}");
        let seen = Ways::get().compare(&Case::parse(text.as_bytes())).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            seen.answers.iter().all(|answer| answer.body.as_deref() != Some("abc")),
            "{framing:?}: {}",
            seen.text()
        );
    }
}
