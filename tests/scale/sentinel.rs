//! A master with two replicas that three Sentinels watch, and that is replaced.

use super::fleet::{Server, addresses};
use crate::freshness::version;
use crate::outage::{Reader, pushed};
use crate::world::{Arrangement, Setup, World};

struct Watched {
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

async fn watched(dir: &std::path::Path) -> Watched {
    let master = Server::start(dir, &[]);
    let port = master.address.port().to_string();
    let replicas = [0, 1].map(|_| Server::start(dir, &["--replicaof", "127.0.0.1", &port]));
    master.says(&["PING"], "PONG").await;
    for replica in &replicas {
        replica.says(&["INFO", "replication"], "master_link_status:up").await;
    }
    let lines = format!(
        "sentinel monitor shop 127.0.0.1 {port} 2\nsentinel down-after-milliseconds shop 1000\n\
         sentinel failover-timeout shop 5000\n"
    );
    let sentinels: Vec<Server> = (0..3).map(|_| Server::sentinel(dir, &lines)).collect();
    for sentinel in &sentinels {
        sentinel.says(&["SENTINEL", "MASTER", "shop"], "num-slaves\n2").await;
        sentinel.says(&["SENTINEL", "MASTER", "shop"], "num-other-sentinels\n2").await;
    }
    let servers = std::iter::once(master).chain(replicas).collect();
    Watched { servers, sentinels }
}

#[tokio::test]
async fn changes_are_cached_pushed_and_survive_a_failover() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut redis = watched(dir.path()).await;
    let url = format!("redis+sentinel://{}/shop", addresses(&redis.sentinels));
    let setup = Setup::new(Arrangement::Separate).environment("REDIS_URL", &url);
    let world = World::with(setup.key("cache.max_staleness", "\"2s\"")).await;
    pushed(&world, 1.0).await;
    let (first, second, third) = (Reader::new(), Reader::new(), Reader::new());
    for reader in [&first, &second, &third] {
        world.accepted(&reader.purchase()).await;
        world.everywhere("/premium/bought", &reader.token, 200).await;
    }
    redis.servers[0].process.kill();
    world.accepted(&first.end()).await;
    world.everywhere("/premium/ended", &first.token, 402).await;
    world.everywhere("/premium/still", &second.token, 200).await;
    // The others have a master again, and everybody goes over to it.
    pushed(&world, 1.0).await;
    world.accepted(&second.end()).await;
    world.everywhere("/premium/ended", &second.token, 402).await;
    let key = world.record_key(&second.account).await;
    let expected = format!("2:{}:", version(&world, &second.account).await.expect("it is known"));
    let mut stored = redis.servers[1..].iter().filter_map(|server| server.ask(&["GET", &key]));
    assert!(stored.any(|text| text.starts_with(&expected)), "it is stored there");
    // A master that is replaced while it lives: it becomes a replica, and nobody stays behind with it.
    redis.sentinels[0].says(&["SENTINEL", "FAILOVER", "shop"], "OK").await;
    world.accepted(&third.end()).await;
    world.everywhere("/premium/ended", &third.token, 402).await;
    pushed(&world, 1.0).await;
}
