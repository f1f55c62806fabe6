//! Secrets that are replaced while deliveries come in: by their files and a SIGHUP, with no restart and no delivery lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tempfile::TempDir;

use crate::world::http::{client, try_send};
use crate::world::process::signal;
use crate::world::stripe::{Event, signature, unique};
use crate::world::{Arrangement, Setup, World, eventually, in_seconds, now, send};

const OLD: &str = "whsec_the_old_one";
const NEW: &str = "whsec_the_new_one";
const REPLACED: &str = "new ones are in force";
const KEPT: &str = "the old ones stay";

/// A world whose webhook secret stands in a file.
struct Rotation {
    world: World,
    secret: PathBuf,
    processes: Vec<u32>,
    _dir: TempDir,
}

impl Rotation {
    async fn of(arrangement: Arrangement) -> Self {
        Self::with(|_| Setup::new(arrangement)).await
    }

    /// The setup may name more files in the directory that it is given.
    async fn with(setup: impl FnOnce(&TempDir) -> Setup) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let secret = dir.path().join("stripe");
        std::fs::write(&secret, format!("{OLD}\n")).expect("it is written");
        let setup = setup(&dir)
            .environment("STRIPE_WEBHOOK_SECRET", "")
            .environment("STRIPE_WEBHOOK_SECRET_FILE", secret.to_str().expect("UTF-8"));
        let world = World::with(setup).await;
        let processes = world.processes.iter().map(|process| process.process.id()).collect();
        Self { world, secret, processes, _dir: dir }
    }

    fn write(&self, content: &str) {
        std::fs::write(&self.secret, content).expect("it is written");
    }

    /// Tells every process to read its secrets again.
    fn hang_up(&self) {
        for process in &self.processes {
            signal(*process, "HUP");
        }
    }

    /// The status of a delivery that is signed with a secret.
    async fn delivered(&self, secret: &str) -> u16 {
        let body = harmless().body();
        self.world.deliver_raw(&body, Some(&signature(&body, in_seconds(0), &[secret]))).await.status
    }

    fn lines(&self, part: &str) -> usize {
        self.world.billing().process.log().lines().filter(|line| line.contains(part)).count()
    }

    async fn has_lines(&self, part: &str, count: usize) {
        eventually(&format!("{part:?} is logged {count} times"), async || (self.lines(part) == count).then_some(()))
            .await;
    }

    /// Every process is the one that was started, answers, and has shown no secret.
    async fn runs_on(&mut self) {
        for process in &mut self.world.processes {
            assert!(process.process.ended().is_none(), "{} goes on", process.process.name);
            let log = process.process.log();
            assert!(!log.contains("whsec_") && !log.contains("sk_test_"), "{log}");
        }
        let now: Vec<u32> = self.world.processes.iter().map(|process| process.process.id()).collect();
        assert_eq!(now, self.processes);
        for proxy in self.world.proxies() {
            assert_eq!(send(self.world.request_to(proxy, "GET", "/welcome", None)).await.status, 200);
        }
    }
}

fn harmless() -> Event {
    Event::new("product.updated", json!({ "id": "prod_1", "object": "product" }))
}

/// A sender that goes on until it is told to stop; then the statuses that it got.
struct Sender {
    stop: Arc<AtomicBool>,
    sending: tokio::task::JoinHandle<Vec<u16>>,
}

impl Sender {
    fn start(world: &World, secret: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, client, url) = (Arc::clone(&stop), client(), format!("{}/api/stripe/webhook", world.url));
        let sending = tokio::spawn(async move {
            let mut statuses = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let body = harmless().body();
                let signature = signature(&body, in_seconds(0), &[secret]);
                let answer = try_send(client.post(&url).header("stripe-signature", signature).body(body)).await;
                statuses.push(answer.map_or(0, |answer| answer.status));
            }
            statuses
        });
        Self { stop, sending }
    }

    async fn all_taken(self) {
        self.stop.store(true, Ordering::Relaxed);
        let statuses = self.sending.await.expect("it sends");
        assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
}

#[tokio::test]
async fn a_webhook_secret_is_rotated_under_deliveries() {
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let mut rotation = Rotation::of(arrangement).await;
        assert_eq!((rotation.delivered(OLD).await, rotation.delivered(NEW).await), (200, 401), "before");

        let sender = Sender::start(&rotation.world, OLD);
        rotation.write(&format!("{OLD},{NEW}\n"));
        rotation.hang_up();
        eventually("the new one is taken", async || (rotation.delivered(NEW).await == 200).then_some(())).await;
        assert_eq!(rotation.delivered(OLD).await, 200, "the old one still is");
        sender.all_taken().await;
        rotation.has_lines(REPLACED, 1).await;

        let sender = Sender::start(&rotation.world, NEW);
        rotation.write(NEW);
        rotation.hang_up();
        eventually("the old one is refused", async || (rotation.delivered(OLD).await == 401).then_some(())).await;
        sender.all_taken().await;
        rotation.has_lines(REPLACED, 2).await;
        assert_eq!(rotation.lines("\"secrets\":\"STRIPE_WEBHOOK_SECRET\""), 2, "it is named, and alone");
        rotation.runs_on().await;
    }
}

/// The status of a Polar delivery that is signed with a secret, as Standard Webhooks does it.
async fn delivered_by_polar(world: &World, secret: &str) -> u16 {
    let (id, second) = (unique("msg"), in_seconds(0).to_string());
    let body = json!({ "type": "product.updated", "timestamp": now().to_rfc3339(), "data": {} }).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("{id}.{second}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let request = world.request("POST", "/api/polar/webhook", None).header("webhook-id", id);
    let request = request.header("webhook-timestamp", second).header("webhook-signature", signature);
    send(request.body(body)).await.status
}

#[tokio::test]
async fn polars_webhook_secret_is_rotated_alone() {
    let mut rotation = Rotation::with(|dir| {
        let polar = dir.path().join("polar");
        std::fs::write(&polar, OLD).expect("it is written");
        Setup::new(Arrangement::AllPostgres).environment("POLAR_WEBHOOK_SECRET_FILE", polar.to_str().expect("UTF-8"))
    })
    .await;
    let polar = rotation.secret.with_file_name("polar");
    for (content, expected) in
        [(OLD.to_owned(), (200, 401)), (format!("{OLD}, {NEW}"), (200, 200)), (NEW.to_owned(), (401, 200))]
    {
        std::fs::write(&polar, &content).expect("it is written");
        rotation.hang_up();
        eventually("the secrets in the file are in force", async || {
            let world = &rotation.world;
            let seen = (delivered_by_polar(world, OLD).await, delivered_by_polar(world, NEW).await);
            (seen == expected).then_some(())
        })
        .await;
        assert_eq!(rotation.delivered(OLD).await, 200, "Stripe's is as before");
    }
    rotation.has_lines("\"secrets\":\"POLAR_WEBHOOK_SECRET\"", 2).await;
    rotation.runs_on().await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_secrets() {
    let mut rotation = Rotation::with(|dir| {
        let api_key = dir.path().join("api");
        std::fs::write(&api_key, "sk_test_of_the_tests").expect("it is written");
        Setup::new(Arrangement::AllPostgres).environment("STRIPE_API_KEY_FILE", api_key.to_str().expect("UTF-8"))
    })
    .await;
    let api_key = rotation.secret.with_file_name("api");
    let broken: [(&str, &str, Option<&str>); 4] = [
        ("empty", "", Some("sk_test_of_the_tests")),
        ("without a secret", ",", Some("sk_test_of_the_tests")),
        // The others are good, but all of them are replaced or none is.
        ("no key", NEW, None),
        ("an unusable key", NEW, Some("sk_test_\u{1}")),
    ];
    for (count, (what, secret, key)) in broken.into_iter().enumerate() {
        rotation.write(secret);
        match key {
            Some(key) => std::fs::write(&api_key, key).expect("it is written"),
            None => std::fs::remove_file(&api_key).expect("it was there"),
        }
        rotation.hang_up();
        rotation.has_lines(KEPT, count + 1).await;
        assert_eq!((rotation.delivered(OLD).await, rotation.delivered(NEW).await), (200, 401), "{what}");
    }
    assert_eq!(rotation.lines(REPLACED), 0);
    std::fs::write(&api_key, "rk_test_of_the_tests").expect("it is written");
    rotation.hang_up();
    rotation.has_lines(REPLACED, 1).await;
    assert_eq!((rotation.delivered(OLD).await, rotation.delivered(NEW).await), (401, 200), "repaired");
    assert_eq!(rotation.lines("\"secrets\":\"STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET\""), 1);
    rotation.runs_on().await;
}

#[tokio::test]
async fn a_hangup_with_nothing_new_changes_nothing() {
    let mut rotation = Rotation::of(Arrangement::AllPostgres).await;
    for count in 1..=3 {
        rotation.hang_up();
        rotation.has_lines("none of those that can be replaced is new", count).await;
    }
    assert_eq!(rotation.delivered(OLD).await, 200);
    rotation.runs_on().await;
}

#[tokio::test]
async fn a_hangup_while_it_starts_does_not_end_it() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    world.processes[0].restart();
    let id = world.processes[0].process.id();
    // The signals that the process handles by itself, as a mask: proc_pid_status(5).
    let handles_hangup = || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
        (u64::from_str_radix(mask, 16).ok()? & 1 == 1).then_some(())
    };
    eventually("it handles SIGHUP", async || handles_hangup()).await;
    signal(id, "HUP");
    world.processes[0].ready().await;
    assert_eq!(world.processes[0].process.id(), id);
}

#[tokio::test]
async fn the_admin_token_is_rotated_and_what_needs_a_restart_is_said() {
    const JWT_SECRET: &str = "another secret with which the tested site signs";
    let place = |dir: &TempDir, name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("it is written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let mut rotation = Rotation::with(|dir| {
        Setup::new(Arrangement::AllPostgres)
            .environment("TOLLGATE_ADMIN_TOKEN_FILE", &place(dir, "admin", "the first admin token"))
            .environment("TOLLGATE_JWT_SECRET", "")
            .environment("TOLLGATE_JWT_SECRET_FILE", &place(dir, "jwt", crate::world::token::SECRET))
    })
    .await;
    let url = format!("http://{}/admin/events", rotation.world.billing().listen.admin);
    let asked = async |token: &str| send(client().get(&url).bearer_auth(token)).await.status;
    assert_eq!((asked("the first admin token").await, asked("the second admin token").await), (200, 401));
    std::fs::write(rotation.secret.with_file_name("admin"), "the second admin token").expect("it is written");
    std::fs::write(rotation.secret.with_file_name("jwt"), JWT_SECRET).expect("it is written");
    rotation.hang_up();
    rotation.has_lines(REPLACED, 1).await;
    assert_eq!((asked("the first admin token").await, asked("the second admin token").await), (401, 200));
    rotation.has_lines("need a restart", 1).await;
    assert_eq!(rotation.lines("\"secrets\":\"TOLLGATE_JWT_SECRET\""), 1);
    assert!(!rotation.world.billing().process.log().contains(JWT_SECRET));
    rotation.runs_on().await;
}

#[tokio::test]
async fn a_secret_that_is_given_twice_or_not_at_all_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("tollgate.toml"), "").expect("it is written");
    std::fs::write(dir.path().join("empty"), "\n").expect("it is written");
    let check = async |variables: &[(&str, &str)]| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let limit = std::time::Duration::from_secs(30);
        crate::world::tollgate::tollgate(dir.path(), &variables, limit, &["check"]).await
    };
    let twice = check(&[("POLAR_WEBHOOK_SECRET", "whsec_hidden"), ("POLAR_WEBHOOK_SECRET_FILE", "empty")]).await;
    let line = twice.failure();
    assert!(line.contains("POLAR_WEBHOOK_SECRET and POLAR_WEBHOOK_SECRET_FILE are both set"), "{line}");
    assert!(!format!("{twice:?}").contains("hidden"));
    for file in ["empty", "whsec_hidden"] {
        let refused = check(&[("STRIPE_WEBHOOK_SECRET_FILE", file)]).await;
        let line = refused.failure();
        assert!(line.contains("STRIPE_WEBHOOK_SECRET_FILE") && !line.contains("hidden"), "{line}");
    }
}
