//! `kill -9` before each single statement of an event: whatever was done by then, in the end it is done once and whole.
//!
//! A tripwire counts the statements on their way to Postgres and kills the process before the k-th gets there, for
//! k = 1, 2, … until the event goes through without meeting its k. What the server has got by then is what a crash
//! anywhere between two statements leaves behind.

use super::tripwire::Tripwire;
use crate::world::http::{client, try_send};
use crate::world::servers::Postgres;
use crate::world::stripe::{Bill, Event, SECRETS, Subscription, signature, unique};
use crate::world::{Arrangement, Setup, World, eventually, in_seconds, token};

/// Worlds that share the points among them, because each crash waits for a restart.
const LANES: usize = 4;

/// An event has more statements than this, or the crashes have missed it.
const STATEMENTS_MIN: usize = 12;
/// No event has so many.
const STATEMENTS_MAX: usize = 200;

/// What is crashed upon, and what must come of it.
struct Case {
    account: String,
    event: Event,
    /// What the page answers in the end.
    answers: u16,
    /// Of the account, when the event comes.
    before: Counts,
}

/// What is counted of an account; both grow once with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    version: i64,
    audited: i64,
}

#[tokio::test]
async fn a_crash_before_any_statement_of_a_purchase_changes_nothing_in_the_end() {
    crash_everywhere(async |_| {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        let before = Counts { version: 0, audited: 0 };
        Case { account, event: subscription.event("created"), answers: 200, before }
    })
    .await;
}

#[tokio::test]
async fn a_crash_before_any_statement_of_a_refund_changes_nothing_in_the_end() {
    crash_everywhere(async |world| {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        let bill = Bill::of(&subscription);
        world.applied(&subscription.event("created")).await;
        world.applied(&bill.paid()).await;
        world.everywhere("/premium/one", &token(&account), 200).await;
        let before = counts(world, &account).await;
        Case { account, event: bill.refunded(bill.amount), answers: 402, before }
    })
    .await;
}

/// Goes through all points in several worlds at once. What an event adds must not depend on where it was crashed upon.
async fn crash_everywhere(case: impl AsyncFn(&World) -> Case) {
    let lanes: [Lane; LANES] = tokio::join!(lane(0, &case), lane(1, &case), lane(2, &case), lane(3, &case)).into();
    let points = lanes.iter().map(|lane| lane.crashes).sum::<usize>();
    assert!(points > STATEMENTS_MIN, "only {points} statements were met");
    let mut added: Vec<Counts> = lanes.into_iter().flat_map(|lane| lane.added).collect();
    added.dedup();
    assert_eq!(added.len(), 1, "a crash made more or fewer changes of it: {added:?}");
    assert!(added[0].version > 0 && added[0].audited > 0, "{added:?}");
}

/// What came of the points of one world.
struct Lane {
    crashes: usize,
    /// What each event added.
    added: Vec<Counts>,
}

/// Every point whose number has this remainder.
async fn lane(remainder: usize, case: &impl AsyncFn(&World) -> Case) -> Lane {
    let mut scene = Scene::set().await;
    let mut lane = Lane { crashes: 0, added: Vec::new() };
    for point in (1..STATEMENTS_MAX).filter(|point| point % LANES == remainder) {
        let case = case(&scene.world).await;
        let was_killed = scene.deliver_and_crash(&case.event, point).await;
        lane.crashes += usize::from(was_killed);
        lane.added.push(settled(&scene.world, &case, point).await);
        if !was_killed {
            return lane;
        }
    }
    panic!("an event has no end of statements");
}

/// A world whose Postgres is behind a tripwire.
struct Scene {
    world: World,
    tripwire: Tripwire,
}

impl Scene {
    async fn set() -> Self {
        let database = Postgres::shared().database().await;
        let mut url = url::Url::parse(&database.url).expect("a URL");
        let tripwire = Tripwire::to(url.socket_addrs(|| None).expect("it has a port")[0]);
        url.set_ip_host(tripwire.address.ip()).expect("it has a host");
        url.set_port(Some(tripwire.address.port())).expect("it has a port");
        let setup = Setup::new(Arrangement::AllPostgresRedis).environment("DATABASE_URL", url.as_str());
        let mut world = World::with(setup).await;
        world.database = Some(database);
        Self { world, tripwire }
    }

    /// Delivers an event and kills the process before the `point`-th statement, then starts it again. Answers whether
    /// the event had so many.
    async fn deliver_and_crash(&mut self, event: &Event, point: usize) -> bool {
        self.tripwire.arm(point, self.world.processes[0].process.id());
        let body = event.body();
        let signature = signature(&body, in_seconds(0), &SECRETS[..1]);
        let url = format!("{}/api/stripe/webhook", self.world.url);
        let answer = try_send(client().post(url).header("stripe-signature", signature).body(body)).await;
        let is_done = answer.is_ok_and(|answer| answer.status == 200 && answer.json()["status"] == "ok");
        if !is_done {
            // A busy machine answers before it is done: the worker goes on, and meets the point or the end.
            let mut connection = self.world.database.as_ref().expect("a database").connect().await;
            let done = "select count(*) from webhook_events where event_id = $1 and state = 'applied'
                and not exists (select from outbox)";
            eventually("it is worked off or crashed upon", async || {
                let is_done = number(&mut connection, done, &event.id).await == 1;
                (is_done || self.tripwire.is_tripped()).then_some(())
            })
            .await;
        }
        let was_killed = self.tripwire.disarm();
        if was_killed {
            self.world.processes[0].restart();
            self.world.processes[0].ready().await;
        }
        was_killed
    }
}

/// The provider repeats what did not become durable, and nothing else: what did must go on by itself. Answers what the
/// event added.
async fn settled(world: &World, case: &Case, point: usize) -> Counts {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let rows = "select count(*) from webhook_events where event_id = $1";
    if number(&mut connection, rows, &case.event.id).await == 0 {
        world.accepted(&case.event).await;
    }
    eventually(&format!("the event is applied after a crash at {point}"), async || {
        let applied = "select count(*) from webhook_events where event_id = $1 and state = 'applied'";
        (number(&mut connection, applied, &case.event.id).await == 1).then_some(())
    })
    .await;
    eventually(&format!("it is told after a crash at {point}"), async || {
        let untold = "select count(*) from outbox where account = $1";
        (number(&mut connection, untold, &case.account).await == 0).then_some(())
    })
    .await;
    world.everywhere("/premium/one", &token(&case.account), case.answers).await;
    let after = counts(world, &case.account).await;
    // Once more, as a provider that has not heard the answer.
    assert_eq!(world.deliver(&case.event).await.json()["status"], "duplicate", "after a crash at {point}");
    assert_eq!(counts(world, &case.account).await, after, "after a crash at {point}");
    assert_eq!(number(&mut connection, rows, &case.event.id).await, 1, "after a crash at {point}");
    Counts { version: after.version - case.before.version, audited: after.audited - case.before.audited }
}

async fn counts(world: &World, account: &str) -> Counts {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    Counts {
        version: number(&mut connection, "select version from accounts where account = $1", account).await,
        audited: number(&mut connection, "select count(*) from audit_log where account = $1", account).await,
    }
}

async fn number(connection: &mut sqlx::PgConnection, query: &'static str, about: &str) -> i64 {
    let number = sqlx::query_scalar(query).bind(about).fetch_one(connection).await;
    number.unwrap_or_else(|error| panic!("{query}: {error}"))
}
