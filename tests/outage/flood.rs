//! Many requests at once when something is missing: what is below must not notice how many they are.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Scene;
use super::scene::Reader;
use crate::world::relay::Relay;
use crate::world::stripe::unique;
use crate::world::{send, token};

/// Connections to billing that are not lookups: a proxy's question whether the cache is told, and its readiness.
const OTHERS: usize = 6;

/// Questions at once of each proxy: 24 about accounts that no cache knows, and 8 before denials.
const AT_ONCE: usize = 32;

/// Questions before denials that a proxy may ask billing about all accounts together: at once, and then in a second.
const BUDGET: (usize, usize) = (200, 100);

/// Asks all proxies for the page of each account, all at once, and returns the statuses.
async fn flood(scene: &Scene, tokens: &[String], times: usize) -> Vec<u16> {
    let requests = tokens.iter().flat_map(|token| {
        let of_proxy =
            |proxy| (0..times).map(move |_| scene.world.request_to(proxy, "GET", "/premium/flood", Some(token)));
        scene.world.proxies().flat_map(of_proxy).collect::<Vec<_>>()
    });
    let requests: Vec<_> = requests.collect();
    // Few enough for the sockets of this process.
    let places = Arc::new(tokio::sync::Semaphore::new(256));
    join_all(requests.into_iter().map(|request| {
        let places = Arc::clone(&places);
        async move {
            let _place = places.acquire().await.expect("never closed");
            send(request).await.status
        }
    }))
    .await
}

fn strangers(count: usize) -> Vec<String> {
    (0..count).map(|_| token(&unique("stranger"))).collect()
}

#[tokio::test]
async fn with_redis_dead_a_flood_of_unknown_accounts_reaches_billing_a_few_at_a_time() {
    let scene = Scene::start().await;
    scene.redis(Relay::refuse);
    scene.pushed(0.0).await;
    // Slow enough for questions to pile up, if they could.
    scene.lines().billing.slow(Duration::from_millis(5));
    let answers = flood(&scene, &strangers(400), 1).await;
    assert!(answers.iter().all(|status| [402, 503].contains(status)), "nobody is let in: {answers:?}");
    let most = scene.lines().billing.most();
    assert!(most <= 2 * AT_ONCE + OTHERS, "{most} connections to billing at once");
    assert!(answers.contains(&402), "and it goes on answering");
    scene.lines().heal();
    scene.reads_on().await;
    scene.recovers().await;
}

#[tokio::test]
async fn with_redis_dead_an_account_that_all_ask_for_is_asked_for_once_by_each_proxy() {
    let scene = Scene::start().await;
    scene.redis(Relay::refuse);
    scene.pushed(0.0).await;
    scene.lines().billing.slow(Duration::from_millis(100));
    let (before, stranger) = (scene.lines().billing.lookups(), strangers(1));
    let answers = flood(&scene, &stranger, 100).await;
    assert_eq!(answers, vec![402; 200]);
    // One to find it out, and before the denials one for all who came meanwhile; again when a second has passed.
    let lookups = scene.lines().billing.lookups() - before;
    assert!(lookups <= 2 * 12, "{lookups} lookups for 200 requests");
    scene.lines().heal();
    scene.recovers().await;
}

#[tokio::test]
async fn those_who_have_not_paid_cannot_turn_their_denials_into_load() {
    let scene = Scene::start().await;
    let free = strangers(4);
    flood(&scene, &free, 1).await;
    let before = scene.lines().billing.lookups();
    let start = std::time::Instant::now();
    let answers = flood(&scene, &free, 250).await;
    let seconds = start.elapsed().as_secs() as usize + 1;
    assert!(answers.iter().all(|status| *status == 402), "each of them is told to pay");
    // For each account and proxy one in 200 ms, however many ask.
    let lookups = scene.lines().billing.lookups() - before;
    let most = 2 * free.len() * (5 * seconds + 2);
    assert!(lookups <= most, "{lookups} lookups for {} denials in {seconds} s", answers.len());
    assert!(lookups * 5 <= answers.len(), "{lookups} lookups for {} denials", answers.len());
}

#[tokio::test]
async fn however_many_have_not_paid_together_they_cost_no_more_than_the_budget_and_who_pays_is_let_in() {
    // So that a busy machine does not take a late heartbeat for a loss.
    let scene = Scene::with(Scene::setup().key("cache.max_staleness", "\"20s\"")).await;
    let (free, buyers) = (strangers(300), [Reader::new(), Reader::new(), Reader::new()]);
    flood(&scene, &free, 1).await;
    for buyer in &buyers {
        scene.world.everywhere("/premium/before", &buyer.token, 402).await;
    }
    let (before, start) = (scene.lines().billing.lookups(), std::time::Instant::now());
    let flooding = async {
        let mut answers = Vec::new();
        // Each comes once in a round: nobody shares a question with anybody.
        for _ in 0..8 {
            answers.extend(flood(&scene, &free, 1).await);
        }
        answers
    };
    let buying = async {
        for buyer in &buyers {
            scene.world.applied(&buyer.purchase()).await;
            scene.told().await;
            for proxy in scene.world.proxies() {
                let (answer, _) = scene.ask(proxy, "premium", &buyer.token).await;
                assert_eq!(answer.status, 200, "in the midst of it: {answer:?}");
            }
        }
    };
    let (answers, ()) = tokio::join!(flooding, buying);
    assert!(answers.iter().all(|status| *status == 402), "each of them is told to pay");
    let (lookups, seconds) = (scene.lines().billing.lookups() - before, start.elapsed().as_secs() as usize + 1);
    let most = 2 * (BUDGET.0 + BUDGET.1 * seconds);
    assert!(lookups <= most, "{lookups} lookups for {} denials in {seconds} s, and {most} are allowed", answers.len());
}
