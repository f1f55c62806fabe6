//! A proxy that loses its push channel and nothing else: it knows, and reads again.

use super::Scene;
use super::scene::{Reader, pushed_to};
use crate::world::Tollgate;
use crate::world::relay::Relay;

/// Breaks the channel of the first proxy alone, and heals it.
async fn is_noticed(break_it: impl Fn(&Relay)) {
    let scene = Scene::start().await;
    let leaver = Reader::new();
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    let proxies: Vec<&Tollgate> = scene.world.proxies().collect();
    break_it(&scene.lines().redis[2]);
    pushed_to(proxies[0], 0.0).await;
    pushed_to(proxies[1], 1.0).await;
    scene.world.accepted(&leaver.end()).await;
    scene.world.everywhere("/premium/after", &leaver.token, 402).await;
    // It goes on reading from Redis, which billing does not notice.
    scene.reads_on().await;
    assert!(proxies[0].metric("tollgate_lookups_total", &["layer=\"redis\"", "outcome=\"hit\""]).await > 0.0);
    scene.lines().redis[2].heal();
    scene.recovers().await;
}

#[tokio::test]
async fn a_proxy_whose_push_channel_is_cut_reads_again() {
    is_noticed(Relay::cut_push).await;
}

#[tokio::test]
async fn a_proxy_whose_push_channel_falls_silent_notices_and_reads_again() {
    is_noticed(Relay::silence_push).await;
}

#[tokio::test]
async fn what_was_pushed_while_all_were_cut_off_is_not_missed() {
    let scene = Scene::start().await;
    let leaver = Reader::new();
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    scene.redis(Relay::cut);
    scene.world.accepted(&leaver.end()).await;
    scene.redis(Relay::heal);
    scene.world.everywhere("/premium/after", &leaver.token, 402).await;
    scene.recovers().await;
}
