//! The gate against servers that decode: whatever they make of a target, no stranger reaches a paid page.
//!
//! The targets are made up from a seed. `ATTACK_SEED` repeats one run, `ATTACK_TARGETS` makes it longer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::world::http::raw;
use crate::world::process::Process;
use crate::world::{Arrangement, Setup, World, eventually, ports};

const PIECES: [&str; 62] = [
    "/",
    "/",
    "/",
    "/",
    "/",
    "//",
    "/./",
    "/../",
    "/..",
    ".",
    "..",
    "%2e",
    "%2E",
    "%2e%2e",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "\\",
    ";",
    ";x=1",
    "%3b",
    "%00",
    "%",
    "%2",
    "%zz",
    "%25",
    "%252e",
    "%252f",
    "%25%32%66",
    "%c0%af",
    "%c0%ae",
    "%ef%bc%8f",
    "%e2%88%95",
    "?",
    "%3f",
    "%3F",
    "#",
    "%23",
    "%09",
    "%20",
    "%0d%0a",
    "+",
    "*",
    "~",
    "@",
    ":",
    "=",
    "&",
    "%u002f",
    "%7F",
    "%C3%A9",
    "premium",
    "premium",
    "premium",
    "%70remium",
    "premiu%6D",
    "%50REMIUM",
    "welcome",
    "welcome",
    "one",
    "a",
];

/// What is always among them: each is a paid page for one of the servers.
const KNOWN: [&str; 15] = [
    "/premium",
    "//premium/one",
    "/welcome/../premium",
    "/welcome%2f..%2fpremium",
    "/welcome/%2e%2e/premium",
    "/%2570remium",
    "/premium%252fone",
    "/premium;a/one",
    "/premium%5cone",
    "/premium%00x",
    "/premium%3Fx",
    "/premium%23x",
    "/premium%20",
    "/premium%3F/../../x",
    "/%70remium%2Fone",
];

fn seed() -> u64 {
    std::env::var("ATTACK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121)
}

fn count() -> usize {
    std::env::var("ATTACK_TARGETS").ok().and_then(|text| text.parse().ok()).unwrap_or(4000)
}

/// Targets for this seed, always the same. Half of them are a paid page in disguise.
fn targets() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed());
    let piece = |random: &mut StdRng| *PIECES.choose(random).expect("there are some");
    let mut made: Vec<String> = KNOWN.iter().map(|target| (*target).to_owned()).collect();
    while made.len() < count() {
        let mut target = String::from("/");
        for _ in 0..random.random_range(0..4) {
            target.push_str(piece(&mut random));
        }
        if random.random_bool(0.5) {
            target.push_str(piece(&mut random));
            target.push_str("/premium");
        }
        for _ in 0..random.random_range(0..4) {
            target.push_str(piece(&mut random));
        }
        made.push(target);
    }
    made
}

#[tokio::test]
async fn no_stranger_reaches_a_paid_page_of_a_python_site() {
    let address = ports::free();
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(address)).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attack/site.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(address.port().to_string());
    let _site = Process::start("python", &mut command, world.dir().join("site.log"));
    // Most of what is made up is refused.
    let passed = none_is_paid(&world, address).await;
    assert!(passed > count() / 20, "only {passed} targets passed: they tell nothing");
}

#[tokio::test]
async fn no_stranger_reaches_a_paid_page_behind_nginx() {
    let (address, second) = (ports::free(), ports::free());
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(address)).await;
    let _site = nginx(world.dir(), address, second);
    let passed = none_is_paid(&world, address).await;
    assert!(passed > count() / 20, "only {passed} targets passed: they tell nothing");
}

/// An nginx that serves pages, and hands what is not paid on to a second one in the way that is often seen: decoded.
fn nginx(dir: &Path, address: SocketAddr, second: SocketAddr) -> Process {
    let paid = "location = /premium { return 200 \"PAID: $uri\"; } location /premium/ { return 200 \"PAID: $uri\"; }";
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path nginx-temp;"));
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; default_type text/plain; {temp}\n\
         server {{ listen {address} backlog=511; {paid} location / {{ proxy_pass http://{second}$uri; }} }}\n\
         server {{ listen {second} backlog=511; {paid} location / {{ return 200 \"FREE\"; }} }} }}\n",
        temp = temp.join(" ")
    );
    std::fs::write(dir.join("nginx.conf"), config).expect("it is written");
    // Debian keeps it where only root looks.
    let debian = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if debian.exists() { debian } else { Path::new("nginx") });
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).args(["-e", "stderr"]);
    Process::start("nginx", &mut command, dir.join("nginx.log"))
}

/// Sends all targets without a credential: how many passed.
async fn none_is_paid(world: &World, site: SocketAddr) -> usize {
    let public = world.proxy().listen.public;
    eventually("the site answers", async || tokio::net::TcpStream::connect(site).await.ok().map(drop)).await;
    let mut given_away = 0;
    for target in KNOWN {
        given_away += usize::from(get(site, target).await.contains("PAID"));
    }
    assert!(given_away >= KNOWN.len() / 2, "past the gate the site gives away {given_away} of {}", KNOWN.len());
    let mut passed = 0;
    for batch in targets().chunks(64) {
        let answers = join_all(batch.iter().map(async |target| (target, get(public, target).await))).await;
        for (target, answer) in answers {
            assert!(!answer.contains("PAID"), "{target:?} (ATTACK_SEED={}): {answer}", seed());
            passed += usize::from(answer.contains("FREE"));
        }
    }
    passed
}

async fn get(address: SocketAddr, target: &str) -> String {
    raw(address, format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")).await
}
