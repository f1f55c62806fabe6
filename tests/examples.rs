//! The shipped examples, run behind the gate as they stand, with the libraries that they name.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::world::process::Process;
use crate::world::stripe::{Subscription, unique};
use crate::world::token::AUDIENCE;
use crate::world::{ASSERTION_KEY, Answer, Arrangement, Setup, World, eventually, in_seconds, ports, send, token};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples");

/// Another Ed25519 key. Made for this test alone.
const FOREIGN_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFb0cyoLPXkP0PIXx2EW2RKGo+koJ6Fuk27R/fUatHPb\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn the_fastapi_example_serves_who_paid_and_refuses_who_comes_past_the_gate() {
    let address = ports::free();
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(address)).await;
    let dir = installed(&example("fastapi"), "requirements.txt", |dir| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir.join("venv")));
        run(Command::new(dir.join("venv/bin/pip"))
            .args(["install", "--quiet", "-r", "requirements.txt"])
            .current_dir(dir));
    });
    let port = address.port().to_string();
    let mut command = Command::new(dir.join("venv/bin/uvicorn"));
    command.args(["app:app", "--host", "127.0.0.1", "--port", &port, "--no-access-log"]);
    let _site = start(&world, &mut command, &dir);
    serves_who_paid(&world, address).await;
}

#[tokio::test]
async fn the_express_example_serves_who_paid_and_refuses_who_comes_past_the_gate() {
    let address = ports::free();
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(address)).await;
    let dir = installed(&example("express"), "package.json", |dir| {
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(dir));
    });
    let mut command = Command::new("node");
    command.arg("app.js").env("PORT", address.port().to_string());
    let _site = start(&world, &mut command, &dir);
    serves_who_paid(&world, address).await;
}

#[tokio::test]
async fn the_axum_example_serves_who_paid_and_refuses_who_comes_past_the_gate() {
    let address = ports::free();
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(address)).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-example-axum"));
    command.env("PORT", address.port().to_string());
    let _site = start(&world, &mut command, world.dir());
    serves_who_paid(&world, address).await;
}

#[tokio::test]
async fn the_go_example_serves_who_paid_and_refuses_who_comes_past_the_gate() {
    let address = ports::free();
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(address)).await;
    let dir = installed(&example("go"), "main.go", |dir| {
        run(Command::new("go").args(["build", "-o", "site"]).current_dir(dir));
    });
    let mut command = Command::new(dir.join("site"));
    command.env("PORT", address.port().to_string());
    let _site = start(&world, &mut command, &dir);
    serves_who_paid(&world, address).await;
}

/// What every example promises.
async fn serves_who_paid(world: &World, site: SocketAddr) {
    eventually("the example answers through the gate", async || {
        (world.get("/", None).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(world.get("/", None).await.json()["greeting"], "Welcome, stranger!");
    let account = unique("reader");
    let token = token(&account);
    assert_eq!(world.get("/", Some(&token)).await.json()["greeting"], "Welcome, free!");
    assert_eq!(world.get("/premium/report", Some(&token)).await.status, 402);

    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/report", &token, 200).await;
    let report = world.get("/premium/report", Some(&token)).await.json();
    assert_eq!((&report["account"], &report["tier"]), (&json!(account), &json!("paid")), "{report}");
    assert_eq!(report["features"], json!(["alerts", "archive"]), "{report}");
    assert!(report["until"].is_string(), "{report}");

    for headers in [
        [("x-entitlement-tier", ""), ("x-entitlement-assertion", "")],
        [("x-entitlement-tier", "paid"), ("x_entitlement_tier", "paid")],
    ] {
        let request = crate::world::http::client().get(format!("http://{site}/"));
        let home = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        assert_eq!(send(home).await.json()["greeting"], "Welcome, stranger!", "{headers:?}");
    }
    let headers =
        [("x-entitlement-tier", "paid"), ("x-entitlement-account", &account), ("x-entitlement-features", "archive")];
    let spoofed = past_the_gate(site, &headers).await;
    assert_eq!(spoofed.status, 401, "headers without an assertion: {spoofed:?}");
    let keys = world.get("/.well-known/tollgate/jwks.json", None).await.json();
    let kid = keys["keys"][0]["kid"].as_str().expect("a key id");
    let claims = json!({
        "iss": world.url, "aud": AUDIENCE, "sub": account, "iat": in_seconds(0), "exp": in_seconds(60),
        "tier": "paid", "status": "active", "features": ["archive"],
    });
    let changed = |claim: &str, value: Value| {
        let mut changed = claims.clone();
        changed[claim] = value;
        changed
    };
    for (what, assertion, status) in [
        ("a good one", signed(&claims, ASSERTION_KEY, kid), 200),
        ("another key", signed(&claims, FOREIGN_KEY, kid), 401),
        ("another key id", signed(&claims, ASSERTION_KEY, "another"), 401),
        ("another audience", signed(&changed("aud", json!("tollgate-billing")), ASSERTION_KEY, kid), 401),
        ("another issuer", signed(&changed("iss", json!("https://evil.test")), ASSERTION_KEY, kid), 401),
        ("expired", signed(&changed("exp", json!(in_seconds(-300))), ASSERTION_KEY, kid), 401),
        ("no feature", signed(&changed("features", json!([])), ASSERTION_KEY, kid), 403),
        ("no signature", crate::world::token::unsigned(&claims), 401),
        ("a shared secret", crate::world::token::signed(&claims, &keys.to_string()), 401),
    ] {
        let answer = past_the_gate(site, &[("x-entitlement-assertion", &assertion)]).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
}

async fn past_the_gate(site: SocketAddr, headers: &[(&str, &str)]) -> Answer {
    let request = crate::world::http::client().get(format!("http://{site}/premium/report"));
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn signed(claims: &Value, pem: &str, kid: &str) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key");
    jsonwebtoken::encode(&header, claims, &key).expect("it signs")
}

fn example(name: &str) -> PathBuf {
    Path::new(EXAMPLES).join(name)
}

/// Copies a site below `target/` and installs what it names there, once for each content of its list.
pub fn installed(source: &Path, list: &str, install: impl Fn(&Path)) -> PathBuf {
    let name = source.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("it is ours");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples").join(name);
    std::fs::create_dir_all(&dir).expect("a directory");
    for entry in std::fs::read_dir(source).expect("the example is there") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, dir.join(path.file_name().expect("a name"))).expect("it is copied");
    }
    let mut hasher = DefaultHasher::new();
    std::fs::read(source.join(list)).expect("the list is there").hash(&mut hasher);
    let (marker, wanted) = (dir.join("installed"), format!("{:x}", hasher.finish()));
    if std::fs::read_to_string(&marker).ok().as_deref() != Some(&wanted) {
        install(&dir);
        std::fs::write(marker, wanted).expect("it is noted");
    }
    dir
}

pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts the example behind this world.
fn start(world: &World, command: &mut Command, dir: &Path) -> Process {
    command.current_dir(dir).env("SITE_URL", &world.url).env("AUDIENCE", AUDIENCE);
    Process::start("example", command, world.dir().join("example.log"))
}
