//! `kill -9` in the middle of a stream of webhooks: what was acknowledged is applied, and nothing twice.

use std::collections::BTreeSet;

use crate::world::http::{client, try_send};
use crate::world::stripe::{Event, SECRETS, Subscription, signature, unique};
use crate::world::{Arrangement, World, eventually, in_seconds, token};

const ROUNDS: usize = 3;
const EVENTS: usize = 120;
/// How many are acknowledged before the process is killed, while others are on their way.
const KILL_AFTER: usize = 40;
const SENDERS: usize = 8;

#[tokio::test]
async fn no_acknowledged_event_is_lost_and_none_is_applied_twice() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let mut accounts = Vec::new();
    for round in 0..ROUNDS {
        let purchases: Vec<(String, Event)> = (0..EVENTS)
            .map(|_| {
                let account = unique("buyer");
                let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
                (account, subscription.event("created"))
            })
            .collect();
        let acknowledged = deliver_until_killed(&mut world, &purchases).await;
        assert!(acknowledged.len() >= KILL_AFTER && acknowledged.len() < EVENTS, "the kill hit the stream");
        world.processes[0].restart();
        world.processes[0].ready().await;
        for (account, event) in &purchases {
            if acknowledged.contains(&event.id) {
                world.everywhere("/premium/one", &token(account), 200).await;
            }
        }
        // The provider repeats what was not acknowledged, and now and then what was.
        for (number, (_, event)) in purchases.iter().enumerate() {
            if number % 5 == 0 || !acknowledged.contains(&event.id) {
                world.accepted(event).await;
            }
        }
        for (account, _) in &purchases {
            world.everywhere("/premium/one", &token(account), 200).await;
        }
        accounts.extend(purchases.into_iter().map(|(account, _)| account));
        nothing_twice(&world, (round + 1) * EVENTS).await;
    }
    assert_eq!(accounts.len(), ROUNDS * EVENTS);
}

/// Sends the events from several senders and kills the process in the midst of it; the ids that were acknowledged.
async fn deliver_until_killed(world: &mut World, purchases: &[(String, Event)]) -> BTreeSet<String> {
    let url = format!("{}/api/stripe/webhook", world.url);
    let (done, mut answers) = tokio::sync::mpsc::channel(1);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let events: Vec<Event> =
            purchases.iter().skip(sender).step_by(SENDERS).map(|(_, event)| event.clone()).collect();
        let (client, url, done) = (client(), url.clone(), done.clone());
        senders.spawn(async move {
            for event in events {
                let body = event.body();
                let signature = signature(&body, in_seconds(0), &SECRETS[..1]);
                let answer = try_send(client.post(&url).header("stripe-signature", signature).body(body)).await;
                if answer.is_ok_and(|answer| answer.status == 200) && done.send(event.id).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(done);
    let mut acknowledged = BTreeSet::new();
    while let Some(id) = answers.recv().await {
        acknowledged.insert(id);
        if acknowledged.len() == KILL_AFTER {
            world.processes[0].process.kill();
        }
    }
    senders.join_all().await;
    acknowledged
}

/// Every event has one row that is done, and every purchase one subscription.
async fn nothing_twice(world: &World, expected: usize) {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    eventually("the inbox is worked off", async || {
        let open: i64 = count(&mut connection, "select count(*) from webhook_events where state <> 'applied'").await;
        (open == 0).then_some(())
    })
    .await;
    let expected = i64::try_from(expected).expect("a small number");
    for (what, query) in [
        ("events", "select count(*) from webhook_events"),
        ("events by id", "select count(distinct event_id) from webhook_events"),
        ("subscriptions", "select count(*) from subscriptions"),
    ] {
        assert_eq!(count(&mut connection, query).await, expected, "{what}");
    }
    // Every account has lived through the same one event. Its version may be higher where Redis lacked the last of what a killed process
    // had told: then all is told again, in new versions.
    let changes = "select count(distinct changes) from \
         (select count(audit_log.id) filter (where cause <> 'catalog') as changes from accounts left join audit_log using (account) group by account) counted";
    assert_eq!(count(&mut connection, changes).await, 1, "an event changed an account more often than another did");
}

async fn count(connection: &mut sqlx::PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}
