//! A Redis that answers, and refuses: by a password, a right that is missing, or since it takes nothing in. Cause and right stand in
//! readiness and log, and what the documentation lists is enough.

use redis::{Client, Connection};

use super::scene::Reader;
use crate::world::servers::Postgres;
use crate::world::{Arrangement, World, eventually};

/// An ACL rule of the documentation, without `user` before it.
fn rule(user: &str) -> Vec<String> {
    let text = include_str!("../../docs/redis.md");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("user {user} "))).expect("the page has a rule");
    line.split(' ').map(str::to_owned).collect()
}

/// One billing and two proxies, each role as the user that the documentation gives it.
struct Restricted {
    world: World,
    redis: Connection,
}

impl Restricted {
    async fn start() -> Self {
        let world = World::start(Arrangement::Separate).await;
        let url = world.redis.as_ref().expect("this arrangement has one").url.clone();
        let redis = Client::open(url.as_str()).expect("a URL").get_connection().expect("Redis answers");
        let mut this = Self { world, redis };
        for user in ["tollgate-billing", "tollgate-proxy"] {
            this.acl(user, &rule(user).iter().map(String::as_str).collect::<Vec<_>>());
        }
        this.acl("default", &["resetpass", ">another"]);
        for index in 0..this.world.processes.len() {
            this.restart(index, "PASSWORD");
        }
        this
    }

    /// Changes the rights of a user, at once and for connections that are open.
    fn acl(&mut self, user: &str, rules: &[&str]) {
        redis::cmd("ACL").arg("SETUSER").arg(user).arg(rules).exec(&mut self.redis).expect("the rules are right");
    }

    fn configure(&mut self, words: &[&str]) {
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut self.redis).expect("Redis does as it is told");
    }

    fn restart(&mut self, index: usize, password: &str) {
        let url = self.world.redis.as_ref().expect("this arrangement has one").url.clone();
        let process = &mut self.world.processes[index];
        let user = format!("redis://tollgate-{}:{password}@", process.role);
        process.set("REDIS_URL", &url.replace("redis://", &user));
        process.restart();
    }

    /// Restarts a process with another database of Redis.
    fn database(&mut self, index: usize, number: u32) {
        let url = self.world.redis.as_ref().expect("this arrangement has one").url.clone();
        let process = &mut self.world.processes[index];
        let user = format!("redis://tollgate-{}:PASSWORD@", process.role);
        process.set("REDIS_URL", &format!("{}/{number}", url.trim_end_matches('/').replace("redis://", &user)));
        process.restart();
    }

    /// Waits until readiness of a process has this status and names all of this.
    async fn says(&self, index: usize, status: u16, texts: &[&str]) -> String {
        eventually(&format!("{status} with {texts:?}"), async || {
            let ready = self.world.processes[index].try_admin("/readyz").await?;
            (ready.status == status && texts.iter().all(|text| ready.body.contains(text))).then_some(ready.body)
        })
        .await
    }

    async fn is_well(&mut self) {
        for process in &mut self.world.processes {
            process.ready().await;
        }
        for index in 0..self.world.processes.len() {
            eventually("nothing is warned of", async || {
                let ready = self.world.processes[index].try_admin("/readyz").await?;
                (ready.status == 200 && ready.warnings().is_empty()).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn the_rights_that_are_documented_are_enough_and_each_that_is_missing_is_named() {
    let mut restricted = Restricted::start().await;
    restricted.is_well().await;
    let buyer = Reader::new();
    restricted.world.everywhere("/premium/before", &buyer.token, 402).await;
    restricted.world.accepted(&buyer.purchase()).await;
    restricted.world.everywhere("/premium/after", &buyer.token, 200).await;
    crate::outage::pushed(&restricted.world, 1.0).await;
    for (user, index, lacks, has, named) in [
        ("tollgate-billing", 0, "-get", "+get", "'get' command"),
        ("tollgate-billing", 0, "-getrange", "+getrange", "'getrange' command"),
        ("tollgate-billing", 0, "-set", "+set", "'set' command"),
        ("tollgate-billing", 0, "-publish", "+publish", "'publish' command"),
        ("tollgate-billing", 0, "-evalsha", "+evalsha", "'evalsha' command"),
        ("tollgate-billing", 0, "-expire", "+expire", "'expire' command"),
        ("tollgate-billing", 0, "-scan", "+scan", "'scan' command"),
        ("tollgate-billing", 0, "resetkeys", "~tollgate:*", "one of the keys"),
        ("tollgate-billing", 0, "resetchannels", "&tollgate:*", "one of the channels"),
        ("tollgate-proxy", 1, "-getrange", "+getrange", "'getrange' command"),
        ("tollgate-proxy", 1, "-subscribe", "+subscribe", "'subscribe' command"),
        ("tollgate-proxy", 1, "resetkeys", "~tollgate:*", "one of the keys"),
        ("tollgate-proxy", 1, "resetchannels", "&tollgate:*", "one of the channels"),
    ] {
        restricted.acl(user, &[lacks]);
        restricted.restart(index, "PASSWORD");
        // A proxy that cannot read asks billing, and is of use, as docs/redis.md says.
        let is_of_use = index > 0 && !["-subscribe", "resetchannels"].contains(&lacks);
        let status = if is_of_use { 200 } else { 503 };
        let body = restricted.says(index, status, &["lacks a right in Redis", named, "docs/redis.md"]).await;
        assert!(!body.contains("tollgate database accept"), "that would not help: {body}");
        eventually("the log says so", async || {
            let log = restricted.world.processes[index].process.log();
            (log.contains("Redis refuses") && log.contains(named)).then_some(())
        })
        .await;
        restricted.acl(user, &[has]);
        restricted.is_well().await;
    }
}

#[tokio::test]
async fn a_right_that_is_lost_while_a_process_runs_is_named_and_nothing_else_is_advised() {
    let mut restricted = Restricted::start().await;
    restricted.is_well().await;
    let buyer = Reader::new();
    restricted.world.accepted(&buyer.purchase()).await;
    restricted.world.everywhere("/premium/before", &buyer.token, 200).await;
    for (lacks, has, named) in [
        ("-get", "+get", "'get' command"),
        ("-getrange", "+getrange", "'getrange' command"),
        ("-set", "+set", "'set' command"),
    ] {
        restricted.acl("tollgate-billing", &[lacks]);
        let body = restricted.says(0, 200, &["lacks a right in Redis", named, "docs/redis.md"]).await;
        assert!(!body.contains("tollgate database accept"), "that would not help: {body}");
        let log = eventually("the log says so", async || {
            let log = restricted.world.processes[0].process.log();
            (log.contains("Redis refuses") && log.contains(named)).then_some(log)
        })
        .await;
        assert!(!log.contains("tollgate database accept"), "{log}");
        restricted.world.everywhere("/premium/meanwhile", &buyer.token, 200).await;
        restricted.acl("tollgate-billing", &[has]);
        restricted.is_well().await;
    }
}

#[tokio::test]
async fn users_may_be_kept_to_the_namespace_of_their_installation() {
    let mut restricted = Restricted::start().await;
    let (keys, channels) = ("~tollgate:shop:* ~tollgate:entitlement:*", "&tollgate:shop:* &tollgate:entitlements");
    let text = include_str!("../../docs/redis.md");
    assert!(text.contains(keys) && text.contains(channels));
    for user in ["tollgate-billing", "tollgate-proxy"] {
        let rules = format!("resetkeys {keys} resetchannels {channels}");
        restricted.acl(user, &rules.split(' ').collect::<Vec<_>>());
    }
    // The database is new under this namespace.
    let database = Postgres::shared().database().await;
    restricted.world.processes[0].set("DATABASE_URL", &database.url);
    restricted.world.database = Some(database);
    for process in &restricted.world.processes {
        process.rewrite(|text| format!("cache.namespace = \"shop\"\n{text}"));
    }
    let buyer = Reader::new();
    for bought in [false, true] {
        for index in 0..restricted.world.processes.len() {
            restricted.restart(index, "PASSWORD");
        }
        restricted.is_well().await;
        if !bought {
            restricted.world.accepted(&buyer.purchase()).await;
        }
        restricted.world.everywhere("/premium/shop", &buyer.token, 200).await;
    }
}

#[tokio::test]
async fn a_database_with_a_number_needs_a_right_that_is_named() {
    let mut restricted = Restricted::start().await;
    for (user, index) in [("tollgate-billing", 0), ("tollgate-proxy", 1)] {
        restricted.database(index, 3);
        let body = restricted.says(index, 503, &["lacks a right in Redis", "'select' command", "docs/redis.md"]).await;
        assert_eq!(body.matches("'select' command").count(), 1, "once: {body}");
        eventually("the log says so", async || {
            let log = restricted.world.processes[index].process.log();
            (log.contains("Redis refuses") && log.contains("'select' command")).then_some(())
        })
        .await;
        restricted.acl(user, &["+select"]);
        restricted.world.processes[index].ready().await;
    }
    // The other proxy is where it was; these two understand each other.
    restricted.world.processes.truncate(2);
    restricted.is_well().await;
    let buyer = Reader::new();
    restricted.world.accepted(&buyer.purchase()).await;
    restricted.world.everywhere("/premium/third", &buyer.token, 200).await;
}

#[tokio::test]
async fn a_cause_is_told_in_the_log_once_whatever_goes_well_beside_it() {
    let mut restricted = Restricted::start().await;
    restricted.is_well().await;
    restricted.acl("tollgate-billing", &["-publish"]);
    let buyer = Reader::new();
    restricted.world.accepted(&buyer.purchase()).await;
    restricted.says(0, 200, &["'publish' command"]).await;
    let failures = async |restricted: &Restricted| {
        restricted.world.processes[0].metric("tollgate_publish_failures_total", &[]).await
    };
    let before = failures(&restricted).await;
    eventually("it is tried again and again", async || {
        restricted.says(0, 200, &["'publish' command"]).await;
        restricted.world.get("/premium/again", Some(&Reader::new().token)).await;
        (failures(&restricted).await > before + 2.0).then_some(())
    })
    .await;
    let log = restricted.world.processes[0].process.log();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    // A script does not say which right it lacks, so that is found out after it.
    assert!((1..=2).contains(&count("\"Redis refuses\"")) && count("no longer") == 0, "{log}");
    assert_eq!(count("the cache is not told of them"), 1, "however many changes there are: {log}");
    restricted.acl("tollgate-billing", &["+publish"]);
    restricted.is_well().await;
    eventually("the log says that it is over", async || {
        restricted.world.processes[0].process.log().contains("the cache has been told of every change").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_away_is_not_said_to_refuse() {
    let mut restricted = Restricted::start().await;
    let nobody = format!("redis://{}", crate::world::ports::free());
    restricted.world.processes[0].set("REDIS_URL", &nobody);
    restricted.world.processes[0].restart();
    let away = nobody.trim_start_matches("redis://").to_owned();
    let body = restricted.says(0, 503, &["Redis has not answered yet", &away, "refused"]).await;
    assert!(!body.contains("see the warnings") && !body.contains("whose records"), "{body}");
    let log = eventually("the log has the address and the cause", async || {
        let log = restricted.world.processes[0].process.log();
        log.lines().any(|line| line.contains(&away) && line.contains("refused")).then_some(log)
    })
    .await;
    assert!(!log.contains(" - Io"), "{log}");
    // Billing answers a proxy that starts meanwhile: it is Redis that is away.
    restricted.world.processes[1].set("REDIS_URL", &nobody);
    restricted.world.processes[1].restart();
    let body = restricted.says(1, 503, &["there is no connection to Redis", &away, "billing answers"]).await;
    assert!(!body.contains("is it running"), "{body}");
    let log = eventually("its log has them, too", async || {
        let log = restricted.world.processes[1].process.log();
        log.lines()
            .any(|line| line.contains("not pushed") && line.contains(&away) && line.contains("refused"))
            .then_some(log)
    })
    .await;
    assert!(!log.contains("redis failed"), "{log}");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let mut restricted = Restricted::start().await;
    for index in [0, 1] {
        restricted.restart(index, "wr0ng-passw0rd");
        let body = restricted.says(index, 503, &["refuses the user or the password of REDIS_URL"]).await;
        let log = eventually("the log says so", async || {
            let log = restricted.world.processes[index].process.log();
            log.contains("refuses the user or the password").then_some(log)
        })
        .await;
        assert!(!body.contains("passw0rd") && !log.contains("passw0rd"), "{body}\n{log}");
        // The right one.
        restricted.restart(index, "PASSWORD");
    }
    restricted.is_well().await;
    let url = restricted.world.redis.as_ref().expect("this arrangement has one").url.clone();
    restricted.world.processes[0].set("REDIS_URL", &url);
    restricted.world.processes[0].restart();
    restricted.says(0, 503, &["Redis asks for a password, and REDIS_URL has none"]).await;
}

#[tokio::test]
async fn a_redis_that_asks_for_a_password_is_what_changes_wait_for() {
    let mut restricted = Restricted::start().await;
    let url = restricted.world.redis.as_ref().expect("this arrangement has one").url.clone();
    restricted.world.processes[1].set("REDIS_URL", &url);
    restricted.world.processes[1].restart();
    let body = restricted.says(1, 503, &["not pushed yet: Redis refuses", "Redis asks for a password"]).await;
    assert!(!body.contains("billing uses"), "that is not the cause: {body}");
    restricted.restart(1, "PASSWORD");
    restricted.is_well().await;
    // A change that cannot be told: the log says where, and why.
    restricted.acl("tollgate-billing", &["-publish", "-evalsha"]);
    restricted.world.accepted(&Reader::new().purchase()).await;
    let at = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
    eventually("the log has the address and the cause", async || {
        let log = restricted.world.processes[0].process.log();
        log.lines()
            .any(|line| {
                line.contains("the cache lacks changes") && line.contains(&at) && line.contains("lacks a right")
            })
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_takes_nothing_in_is_a_warning_until_it_does() {
    let mut restricted = Restricted::start().await;
    restricted.is_well().await;
    let nobody = crate::world::ports::free().port().to_string();
    for (breaks, mends, said) in [
        (vec!["CONFIG", "SET", "maxmemory", "1"], vec!["CONFIG", "SET", "maxmemory", "0"], "Redis is full"),
        (vec!["REPLICAOF", "127.0.0.1", &nobody], vec!["REPLICAOF", "NO", "ONE"], "leads to a replica"),
        (
            vec!["CONFIG", "SET", "min-replicas-to-write", "1"],
            vec!["CONFIG", "SET", "min-replicas-to-write", "0"],
            "too few replicas",
        ),
    ] {
        let before = restricted.world.processes[0].process.log().lines().count();
        restricted.configure(&breaks);
        restricted.world.accepted(&Reader::new().purchase()).await;
        restricted.says(0, 200, &[said]).await;
        eventually("the log has this cause", async || {
            let log = restricted.world.processes[0].process.log();
            let mut told = log.lines().skip(before).filter(|line| line.contains("the cache lacks changes"));
            told.any(|line| line.contains(said)).then_some(())
        })
        .await;
        // A start is no reason to refuse webhooks.
        restricted.restart(0, "PASSWORD");
        restricted.says(0, 200, &[said]).await;
        restricted.configure(&mends);
        restricted.is_well().await;
        let log = restricted.world.processes[0].process.log();
        assert!(!log.contains("Redis has gone back"), "what was refused is not missed: {log}");
    }
}
