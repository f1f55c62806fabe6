//! A Redis Cluster: three masters with a replica each, one of which takes over.

use std::process::Command;

use super::fleet::{Server, addresses};
use crate::outage::{Reader, pushed};
use crate::restored::{operator, stays};
use crate::world::servers::Postgres;
use crate::world::{Arrangement, Setup, World, ports};

/// Masters first, then their replicas.
async fn cluster(dir: &std::path::Path) -> Vec<Server> {
    let start = |number: usize| {
        let (nodes, bus) = (format!("nodes-{number}.conf"), ports::free().port().to_string());
        let options = ["--cluster-enabled", "yes", "--cluster-config-file", &nodes, "--cluster-node-timeout", "1500"];
        Server::start(dir, &[&options[..], &["--cluster-port", &bus]].concat())
    };
    let servers: Vec<Server> = (0..6).map(start).collect();
    for server in &servers {
        server.says(&["PING"], "PONG").await;
    }
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(servers.iter().map(|server| server.address.to_string()));
    let output = create.args(["--cluster-replicas", "1", "--cluster-yes"]).output().expect("redis-cli is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    for server in &servers {
        server.says(&["CLUSTER", "INFO"], "cluster_state:ok").await;
        server.says(&["CLUSTER", "INFO"], "cluster_known_nodes:6").await;
    }
    for server in servers.iter().filter(|server| role(server) == "slave") {
        server.says(&["INFO", "replication"], "master_link_status:up").await;
    }
    servers
}

fn role(server: &Server) -> String {
    server.ask(&["ROLE"]).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn changes_are_cached_pushed_and_survive_a_failover() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut servers = cluster(dir.path()).await;
    let url = format!("redis+cluster://{}", addresses(&servers[..2]));
    let setup = Setup::new(Arrangement::Separate).environment("REDIS_URL", &url);
    let world = World::with(setup.key("cache.max_staleness", "\"2s\"")).await;
    pushed(&world, 1.0).await;
    // Enough that every master has some.
    let readers: Vec<Reader> = (0..12).map(|_| Reader::new()).collect();
    for reader in &readers {
        world.everywhere("/premium/before", &reader.token, 402).await;
        world.accepted(&reader.purchase()).await;
    }
    for reader in &readers {
        world.everywhere("/premium/bought", &reader.token, 200).await;
    }
    let masters = || servers.iter().filter(|server| role(server) == "master");
    for master in masters() {
        let keys = master.ask(&["KEYS", "*"]).expect("it answers");
        assert!(!keys.is_empty(), "{} holds records", master.address);
    }
    // The pushes came; nobody had to ask again.
    let dead = servers.iter().position(|server| role(server) == "master").expect("there is a master");
    servers[dead].process.kill();
    for reader in &readers[..6] {
        world.accepted(&reader.end()).await;
    }
    for reader in &readers[..6] {
        world.everywhere("/premium/ended", &reader.token, 402).await;
    }
    for reader in &readers[6..] {
        world.everywhere("/premium/still", &reader.token, 200).await;
    }
    pushed(&world, 1.0).await;
    for reader in &readers[6..] {
        world.accepted(&reader.end()).await;
    }
    for reader in &readers[6..] {
        world.everywhere("/premium/ended", &reader.token, 402).await;
    }
}

#[tokio::test]
async fn what_another_database_had_told_is_held_and_counted_on_every_master() {
    let dir = tempfile::tempdir().expect("a directory");
    let servers = cluster(dir.path()).await;
    let url = format!("redis+cluster://{}", addresses(&servers[..2]));
    let mut world = World::with(Setup::new(Arrangement::AllPostgresRedis).environment("REDIS_URL", &url)).await;
    let readers: Vec<Reader> = (0..12).map(|_| Reader::new()).collect();
    for reader in &readers {
        world.accepted(&reader.purchase()).await;
        world.everywhere("/premium/bought", &reader.token, 200).await;
    }
    let empty = Postgres::shared().database().await;
    world.processes[0].set("DATABASE_URL", &empty.url);
    world.database = Some(empty);
    world.processes[0].restart();
    world.processes[0].ready().await;
    for reader in &readers {
        stays(&world, reader, 200).await;
    }
    let refused = operator(&world, &["database", "accept", "--yes"]).await;
    assert!(refused.failure().contains("12 accounts lose something"), "{refused:?}");
    operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
    for reader in &readers {
        world.everywhere("/premium/nothing", &reader.token, 402).await;
    }
}
