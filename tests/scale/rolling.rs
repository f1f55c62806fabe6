//! Every process is replaced, one after the other, while readers read and webhooks come: nothing is lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::outage::{Reader, pushed};
use crate::world::http::{client, try_send};
use crate::world::stripe::{SECRETS, signature};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, in_seconds, token};

/// What the load has met.
#[derive(Default)]
struct Met {
    read: AtomicUsize,
    sold: AtomicUsize,
}

/// Where a proxy listens: for readers, and for whoever asks whether it is ready.
type Proxy = (SocketAddr, SocketAddr);

/// A process that is asked to stop says so first, and still takes in what comes until its load balancer knows.
const DELAY: &str = "\"2s\"";

/// Reads from whichever proxy says that it is ready, as a load balancer chooses, until told to stop.
async fn read(proxies: &[Proxy], reader: &Reader, stop: &AtomicBool, met: &Met) {
    let client = client();
    while !stop.load(Ordering::SeqCst) {
        for (public, admin) in proxies {
            let ready = try_send(client.get(format!("http://{admin}/readyz"))).await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                let request = client.get(format!("http://{public}/premium/rolling")).bearer_auth(&reader.token);
                let answer = try_send(request).await.unwrap_or_else(|error| panic!("a ready proxy answers: {error:?}"));
                assert_eq!(answer.status, 200, "who has paid is let in: {answer:?}");
                met.read.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Sells to one buyer after the other: a webhook is sent again until it is taken, as the provider does. Returns who bought.
async fn sell(proxies: &[Proxy], stop: &AtomicBool, met: &Met) -> Vec<String> {
    let (client, mut sold) = (client(), Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let buyer = Reader::new();
        let body = buyer.purchase().body();
        'told: loop {
            for (public, _) in proxies {
                let request = client
                    .post(format!("http://{public}/api/stripe/webhook"))
                    .header("content-type", "application/json")
                    .header("stripe-signature", signature(&body, in_seconds(0), &SECRETS[..1]))
                    .body(body.clone());
                if try_send(request).await.is_ok_and(|answer| answer.status == 200) {
                    break 'told;
                }
            }
            tokio::task::yield_now().await;
        }
        sold.push(buyer.account);
        met.sold.fetch_add(1, Ordering::SeqCst);
    }
    sold
}

#[tokio::test]
async fn every_process_is_replaced_under_load_and_nothing_is_lost() {
    let setup = Setup::new(Arrangement::Replicated).key("shutdown.delay", DELAY).key("shutdown.grace", "\"10s\"");
    let mut world = World::with(setup).await;
    pushed(&world, 1.0).await;
    let reader = Reader::new();
    world.accepted(&reader.purchase()).await;
    world.everywhere("/premium/rolling", &reader.token, 200).await;
    let (stop, met) = (AtomicBool::new(false), Met::default());
    let proxies: Vec<_> = world.proxies().map(|proxy| (proxy.listen.public, proxy.listen.admin)).collect();
    let mut processes = std::mem::take(&mut world.processes);
    let rolling = async {
        for _ in 0..processes.len() {
            let before = (met.read.load(Ordering::SeqCst), met.sold.load(Ordering::SeqCst));
            let mut process = processes.remove(0);
            // Stops as it does when it is asked to, and another takes its place.
            let stopping = tokio::task::spawn_blocking(move || {
                let status = process.process.terminate(DEADLINE);
                assert!(status.success(), "{}: {status}", process.process.name);
                process
            });
            let mut process = stopping.await.expect("it stops");
            process.restart();
            process.ready().await;
            crate::world::eventually("the load goes on", async || {
                let now = (met.read.load(Ordering::SeqCst), met.sold.load(Ordering::SeqCst));
                (now.0 > before.0 && now.1 > before.1).then_some(())
            })
            .await;
            processes.push(process);
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (sold, (), ()) = tokio::join!(sell(&proxies, &stop, &met), read(&proxies, &reader, &stop, &met), rolling);
    world.processes = processes;
    assert!(sold.len() >= 4, "{} were sold to", sold.len());
    let last = tokio::time::timeout(Duration::from_secs(60), async {
        for account in &sold {
            world.everywhere("/premium/bought", &token(account), 200).await;
        }
    });
    last.await.expect("everybody who bought reads");
    pushed(&world, 1.0).await;
}
