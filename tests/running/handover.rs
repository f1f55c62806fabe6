//! A new process relieves the one that runs: no request is lost, and nothing happens if the new one cannot start.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::load::Load;
use crate::protocols::client::events;
use crate::protocols::site::Site;
use crate::world::{Arrangement, Setup, World, eventually};

struct Relay {
    world: World,
    site: Site,
    _dir: tempfile::TempDir,
}

impl Relay {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("own/handover");
        let site = Site::start().await;
        let setup = Setup::new(Arrangement::AllPostgresRedis)
            .upstream(site.address)
            .key("shutdown.handover", &format!("{place:?}"))
            .key("shutdown.grace", "\"20s\"");
        let world = World::with(setup).await;
        eventually("the listeners are offered", async || place.exists().then_some(())).await;
        let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(place.parent().expect("a directory"))), (0o600, 0o700));
        Self { world, site, _dir: dir }
    }
}

#[tokio::test]
async fn new_processes_take_over_under_load_and_no_request_is_lost() {
    let mut relay = Relay::start().await;
    let address = relay.world.proxy().listen.public;
    let load = Load::start(address, "/page", 12);
    let mut stream = events(address, "/events", None).await;
    load.goes_on(100).await;
    for name in ["second", "third"] {
        let successor = relay.world.proxy().successor(name);
        let old = &mut relay.world.processes[0].process;
        let status = eventually("the old process ends", async || old.ended()).await;
        assert!(status.success(), "{status}: {}", old.log());
        assert!(old.log().contains("another process has taken over"));
        load.goes_on(200).await;
        relay.world.processes[0] = successor;
        assert!(relay.world.processes[0].process.ended().is_none());
    }
    load.lost_nothing().await;
    stream.ends().await;
    assert_eq!(relay.world.proxy().admin("/readyz").await.status, 200);
    drop(relay.site);
}

#[tokio::test]
async fn a_process_that_cannot_start_relieves_nobody() {
    let mut relay = Relay::start().await;
    let load = Load::start(relay.world.proxy().listen.public, "/page", 4);
    load.goes_on(20).await;
    relay.world.proxy().rewrite(|text| text.replace("log.requests = \"all\"", "log.requests = \"everything\""));
    let mut broken = relay.world.proxy().successor("broken");
    let status = eventually("it ends", async || broken.process.ended()).await;
    assert!(!status.success());
    // One that dies after it was given the listeners.
    relay.world.proxy().rewrite(|text| text.replace("log.requests = \"everything\"", "log.requests = \"all\""));
    let mut killed = relay.world.proxy().successor("killed");
    eventually("it was given the listeners", async || {
        relay.world.proxy().process.log().contains("another process takes over").then_some(())
    })
    .await;
    killed.process.kill();
    let log = || relay.world.proxy().process.log();
    let decided = eventually("it is known what became of it", async || {
        let log = log();
        let gone = log.contains("no process has taken over: this one goes on");
        (gone || log.contains("another process has taken over")).then_some(gone)
    })
    .await;
    if decided {
        load.goes_on(20).await;
        load.lost_nothing().await;
        assert!(relay.world.processes[0].process.ended().is_none(), "the old one goes on");
    }
}

#[tokio::test]
async fn a_place_that_others_can_reach_stops_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    let place = dir.path().join("handover");
    std::fs::write(dir.path().join("tollgate.toml"), format!("shutdown.handover = {place:?}\n"))
        .expect("it is written");
    let environment: Vec<(String, String)> = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("TOLLGATE_ASSERTION_KEY", crate::world::ASSERTION_KEY),
        ("TOLLGATE_JWT_SECRET", crate::world::token::SECRET),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let run = async |environment: &[(String, String)]| {
        crate::world::tollgate::tollgate(dir.path(), environment, Duration::from_secs(30), &["run"]).await
    };
    let output = run(&environment).await;
    assert!(output.failure().contains("chmod 700"), "{output:?}");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("ours");
    for missing in ["DATABASE_URL", "REDIS_URL", "TOLLGATE_ASSERTION_KEY"] {
        let fewer: Vec<_> = environment.iter().filter(|(name, _)| name != missing).cloned().collect();
        let output = run(&fewer).await;
        assert!(output.failure().contains(&format!("shutdown.handover needs {missing}")), "{output:?}");
    }
}
