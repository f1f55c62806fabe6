//! A database that is restored, promoted, replaced or shared: what was told before goes on to serve, what is new counts, and the rest
//! waits for a person.

mod accepted;
mod beside;
mod dump;
mod empty;
mod lost;
mod older;
mod renamed;
mod replica;
mod running;

use crate::outage::Reader;
use crate::world::http::client;
use crate::world::servers::{Database, Postgres};
use crate::world::stripe::{Event, SECRETS, signature};
use crate::world::{Answer, Arrangement, Setup, Tollgate, World, eventually, in_seconds, send};

/// The command that every warning of this kind names.
const ACCEPT: &str = "tollgate database accept";

/// An arrangement in which billing may take the time that a shared machine takes.
fn of(arrangement: Arrangement) -> Setup {
    Setup::new(arrangement).key("cache.billing_deadline", "\"3s\"")
}

/// Writes everything of a database into a file of its world.
pub fn dump(world: &World, name: &str) -> String {
    let path = world.dir().join(name).display().to_string();
    let url = &world.database.as_ref().expect("this world has a database").url;
    shell(&format!("pg_dump --no-owner --dbname='{url}' --file='{path}'"));
    path
}

/// A database with what a dump holds.
pub async fn restored(dump: &str) -> Database {
    let database = Postgres::shared().database().await;
    let url = &database.url;
    shell(&format!("psql --quiet --set=ON_ERROR_STOP=1 --dbname='{url}' --file='{dump}'"));
    database
}

fn shell(script: &str) {
    let done = std::process::Command::new("sh").args(["-ec", script]).output().expect("a shell");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Until billing has looked how far the database is, as it does twice a second: it tells Redis, too.
pub async fn billing_remembers(world: &World) {
    let mut database = world.database.as_ref().expect("this world has a database").connect().await;
    let mark: i64 = sqlx::query_scalar("select max(id) from audit_log").fetch_one(&mut database).await.expect("a mark");
    let key = format!("tollgate:{}:owner", world.url);
    let redis = world.redis.as_ref().expect("this arrangement has one");
    let mut redis =
        redis::Client::open(redis.url.as_str()).expect("an address").get_connection().expect("a connection");
    eventually("it has looked", async || {
        let owner: String = redis::cmd("GET").arg(&key).query(&mut redis).expect("an owner");
        let known = owner.split(':').nth(4).and_then(|known| known.parse().ok());
        known.is_some_and(|known: i64| known >= mark).then_some(())
    })
    .await;
}

/// Starts the processes with billing again, on another database.
pub async fn move_to(world: &mut World, database: Database) {
    for process in world.processes.iter_mut().filter(|process| process.role != "proxy") {
        process.set("DATABASE_URL", &database.url);
        process.restart();
        process.ready().await;
    }
    world.database = Some(database);
}

/// The warnings of readiness: it is ready all the same.
pub async fn warnings(process: &Tollgate) -> Vec<String> {
    let answer = process.admin("/readyz").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.warnings()
}

async fn buys(world: &World) -> Reader {
    let reader = Reader::new();
    world.applied(&reader.purchase()).await;
    world.everywhere("/premium/bought", &reader.token, 200).await;
    reader
}

async fn ends(world: &World, reader: &Reader) {
    world.applied(&reader.end()).await;
    world.everywhere("/premium/ended", &reader.token, 402).await;
}

/// Every proxy answers this at once, and again.
pub async fn stays(world: &World, reader: &Reader, status: u16) {
    for round in 0..3 {
        for proxy in world.proxies() {
            let answer = send(world.request_to(proxy, "GET", "/premium/stays", Some(&reader.token))).await;
            assert_eq!(answer.status, status, "{} in round {round}: {answer:?}", proxy.process.name);
        }
    }
}

/// Delivers an event to one of several billing processes.
async fn deliver_to(billing: &Tollgate, event: &Event) -> Answer {
    let body = event.body();
    let request = client()
        .post(format!("http://{}/api/stripe/webhook", billing.listen.billing))
        .header("content-type", "application/json")
        .header("stripe-signature", signature(&body, in_seconds(0), &SECRETS[..1]));
    send(request.body(body)).await
}

/// Runs a command of an operator on the database that the world has now.
pub async fn operator(world: &World, arguments: &[&str]) -> crate::world::Output {
    let url = world.database.as_ref().expect("this world has a database").url.clone();
    world.tollgate_with(("DATABASE_URL", &url), arguments).await
}
