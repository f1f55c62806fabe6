//! A Postgres that is stopped, and one that is killed, and started again on its data, while webhooks come all the time: what
//! was acknowledged is there, what was refused is taken when it is sent again, and nobody restarts anything else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::scene::{Reader, Scene, pushed};
use crate::world::own_postgres::OwnPostgres;
use crate::world::stripe::Event;
use crate::world::{World, eventually, send};

/// Who bought, in the order in which they did.
#[derive(Default)]
struct Sold {
    acknowledged: Mutex<Vec<(Reader, Event)>>,
    refused: Mutex<Vec<(Reader, Event)>>,
}

impl Sold {
    fn counts(&self) -> (usize, usize) {
        let count = |told: &Mutex<Vec<_>>| told.lock().expect("no panic").len();
        (count(&self.acknowledged), count(&self.refused))
    }

    /// Waits until more were acknowledged, or refused, than there are now.
    async fn grows(&self, what: &str, count: impl Fn((usize, usize)) -> usize) {
        let before = count(self.counts());
        eventually(what, async || (count(self.counts()) >= before + 3).then_some(())).await;
    }
}

/// Sells to one buyer after the other. Each webhook is sent once.
async fn sell(world: &World, sold: &Sold, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let buyer = Reader::new();
        let event = buyer.purchase();
        let answer = world.deliver(&event).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        let told = if answer.status == 200 { &sold.acknowledged } else { &sold.refused };
        told.lock().expect("no panic").push((buyer, event));
    }
}

/// Who has paid and is known reads on, whatever becomes of Postgres.
async fn reads_on(world: &World, reader: &Reader) {
    for _ in 0..5 {
        for proxy in world.proxies() {
            let answer = send(world.request_to(proxy, "GET", "/premium/on", Some(&reader.token))).await;
            assert_eq!(answer.status, 200, "who has paid is let in: {answer:?}");
        }
    }
}

/// Postgres is away until some webhooks were refused, then back until some were taken.
async fn away_and_back(world: &World, reader: &Reader, postgres: &mut OwnPostgres, sold: &Sold) {
    // A process that a killed server has just begun holds its place for a moment.
    eventually("nobody listens", async || postgres.is_away().then_some(())).await;
    sold.grows("webhooks are refused while it is away", |(_, refused)| refused).await;
    reads_on(world, reader).await;
    postgres.restart().await;
    sold.grows("webhooks are taken when it is back", |(acknowledged, _)| acknowledged).await;
    reads_on(world, reader).await;
}

#[tokio::test]
async fn whatever_was_acknowledged_outlives_a_postgres_that_is_stopped_or_killed_and_started_again() {
    let mut postgres = OwnPostgres::start().await;
    let setup = Scene::setup().environment("DATABASE_URL", &postgres.url);
    let mut world = World::with(setup).await;
    pushed(&world, 1.0).await;
    let reader = Reader::new();
    world.accepted(&reader.purchase()).await;
    world.everywhere("/premium/on", &reader.token, 200).await;
    let (sold, stop) = (Sold::default(), AtomicBool::new(false));
    let control = async {
        sold.grows("webhooks are taken", |(acknowledged, _)| acknowledged).await;
        postgres.stop().await;
        away_and_back(&world, &reader, &mut postgres, &sold).await;
        postgres.kill();
        away_and_back(&world, &reader, &mut postgres, &sold).await;
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(sell(&world, &sold, &stop), control);
    let (acknowledged, refused) = (sold.acknowledged.into_inner(), sold.refused.into_inner());
    let mut connection = postgres.connect().await;
    for (buyer, event) in acknowledged.expect("no panic") {
        let kept: i64 = sqlx::query_scalar("select count(*) from webhook_events where event_id = $1")
            .bind(&event.id)
            .fetch_one(&mut connection)
            .await
            .expect("the inbox can be read");
        assert_eq!(kept, 1, "{} was acknowledged", event.id);
        world.everywhere("/premium/acknowledged", &buyer.token, 200).await;
    }
    for (buyer, event) in refused.expect("no panic") {
        world.accepted(&event).await;
        world.everywhere("/premium/again", &buyer.token, 200).await;
    }
    pushed(&world, 1.0).await;
    for process in &mut world.processes {
        let ended = process.process.ended();
        assert!(ended.is_none(), "{} ended by itself: {ended:?}", process.process.name);
    }
}
