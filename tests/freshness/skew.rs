//! Machines whose clocks are a minute apart, with real processes: what is bought opens every gate at once and what ends closes
//! it, no version goes backward, and every process believes the others.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{cached, version};
use crate::outage::{Reader, Scene};
use crate::world::servers::execute;
use crate::world::{Tollgate, eventually, in_seconds, send, token};

/// By how many seconds each clock is ahead: of two billing processes and two proxies.
type Ahead = [i64; 4];

/// A scene in which some clocks are wrong.
async fn apart(ahead: Ahead) -> Scene {
    let mut scene = Scene::with(Scene::setup().key("identity.leeway", "\"90s\"")).await;
    for (process, seconds) in scene.world.processes.iter_mut().zip(ahead).filter(|(_, seconds)| *seconds != 0) {
        process.restart_ahead(seconds).await;
    }
    scene.pushed(1.0).await;
    scene
}

/// Buys and leaves through every billing process, while somebody watches the version that Redis holds.
async fn no_version_goes_backward(scene: &Scene) {
    let (buyer, is_over) = (Reader::new(), AtomicBool::new(false));
    let changing = async {
        for round in 0..4 {
            // The load balancer takes the one and then the other.
            let subscriptions = [buyer.again(), buyer.again()];
            for subscription in &subscriptions {
                scene.world.applied(&subscription.event("created")).await;
            }
            stays(scene, &buyer.token, 200).await;
            for subscription in &subscriptions {
                scene.world.applied(&subscription.ended().event("deleted")).await;
            }
            stays(scene, &buyer.token, 402).await;
            scene.told().await;
            assert_eq!(
                cached(&scene.world, &buyer.account).await,
                version(&scene.world, &buyer.account).await,
                "{round}"
            );
        }
        is_over.store(true, Ordering::SeqCst);
    };
    let watching = async {
        let mut last = None;
        while !is_over.load(Ordering::SeqCst) {
            let now = cached(&scene.world, &buyer.account).await;
            assert!(now >= last, "{last:?} was there, and now {now:?} is");
            last = now;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(changing, watching);
}

/// Every proxy comes to this answer, and to no other any more.
async fn stays(scene: &Scene, token: &str, status: u16) {
    scene.world.everywhere("/premium/turn", token, status).await;
    for _ in 0..5 {
        for proxy in scene.world.proxies() {
            let answer = send(scene.world.request_to(proxy, "GET", "/premium/stay", Some(token))).await;
            assert_eq!(answer.status, status, "{}: {answer:?}", proxy.process.name);
        }
    }
}

/// A token of this very moment, and for the next half minute only, counts wherever it is shown; one that is over nowhere.
async fn tokens_are_read_with_leeway(scene: &Scene) {
    use crate::world::token::{SECRET, claims, signed};
    for proxy in scene.world.proxies() {
        for (expires, status) in [(in_seconds(30), 200), (in_seconds(-200), 401)] {
            let mut claims = claims(&scene.reader.account);
            claims["nbf"] = json!(in_seconds(0));
            claims["exp"] = json!(expires);
            let token = signed(&claims, SECRET);
            let answer = send(scene.world.request_to(proxy, "GET", "/premium/token", Some(&token))).await;
            assert_eq!(answer.status, status, "{}: {answer:?}", proxy.process.name);
        }
    }
}

/// Nothing shows that clocks differ.
async fn does_no_harm(ahead: Ahead) {
    let scene = apart(ahead).await;
    // Billing has to be asked about them, with an assertion that it believes.
    scene.strangers_pay().await;
    no_version_goes_backward(&scene).await;
    tokens_are_read_with_leeway(&scene).await;
    scene.recovers().await;
    for process in &scene.world.processes {
        let log = process.process.log();
        assert!(!log.contains("a question about an account was refused"), "{}", process.process.name);
    }
}

#[tokio::test]
async fn billing_may_be_a_minute_ahead_of_the_proxies() {
    does_no_harm([60, 60, 0, 0]).await;
}

#[tokio::test]
async fn billing_may_be_a_minute_behind_the_proxies() {
    does_no_harm([-60, -60, 0, 0]).await;
}

#[tokio::test]
async fn one_proxy_may_be_a_minute_ahead_of_all_others() {
    does_no_harm([0, 0, 60, 0]).await;
}

#[tokio::test]
async fn one_proxy_may_be_a_minute_behind_all_others() {
    does_no_harm([0, 0, 0, -60]).await;
}

#[tokio::test]
async fn two_billing_processes_may_be_two_minutes_apart() {
    does_no_harm([60, -60, 0, 0]).await;
}

/// The first billing process is gone for good, and the other is there, a minute behind it.
async fn is_succeeded(scene: &mut Scene) {
    scene.world.processes[0].process.kill();
    scene.lines().heal();
    scene.world.processes[1].restart_ahead(-60).await;
}

#[tokio::test]
async fn what_one_has_committed_and_could_not_tell_one_that_is_behind_tells() {
    let mut scene = apart([0, -60, 0, -60]).await;
    let (buyer, leaver) = (Reader::new(), Reader::new());
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    scene.world.processes[1].process.kill();
    scene.lines().redis[0].cut();
    scene.world.applied(&leaver.end()).await;
    scene.world.applied(&buyer.purchase()).await;
    is_succeeded(&mut scene).await;
    stays(&scene, &leaver.token, 402).await;
    stays(&scene, &buyer.token, 200).await;
    scene.told().await;
}

#[tokio::test]
async fn what_one_has_taken_in_and_not_applied_one_that_is_behind_applies() {
    let mut scene = apart([0, -60, 0, -60]).await;
    let buyer = Reader::new();
    scene.world.processes[1].process.kill();
    let mut beside = scene.world.database.as_ref().expect("this world has a database").connect().await;
    execute(&mut beside, "begin; lock table subscriptions in share row exclusive mode".to_owned()).await;
    let answer = scene.world.taken(&buyer.purchase()).await;
    assert_eq!(answer.json()["status"], "accepted", "it is durable, and waits");
    is_succeeded(&mut scene).await;
    execute(&mut beside, "rollback".to_owned()).await;
    stays(&scene, &buyer.token, 200).await;
}

#[tokio::test]
async fn a_proxy_further_behind_than_an_assertion_lasts_lets_nobody_in_whom_it_does_not_know() {
    let scene = apart([0, 0, 0, -150]).await;
    scene.reads_on().await;
    let proxy = scene.world.proxies().last().expect("two of them");
    let (answer, _) = scene.ask(proxy, "premium", &token("a-stranger")).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "entitlement_unknown"), "{answer:?}");
    eventually("billing says why", async || {
        let why = |it: &Tollgate| it.process.log().contains("the assertion has expired");
        scene.world.processes.iter().any(why).then_some(())
    })
    .await;
}
