//! Thousands of idle WebSockets take little memory.

use super::client::{FRAME, websocket};
use super::site::Site;
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Setup, World, token};

/// How many are opened.
const SOCKETS: usize = 2_000;

/// The most that one may take in a build without optimization, in kB.
const EACH_KB_MAX: usize = 24;

#[tokio::test]
async fn an_idle_websocket_takes_little_memory() {
    let site = Site::start().await;
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(site.address)).await;
    let account = unique("listener");
    let subscription = Subscription::of(&unique("cus"));
    world.accepted(&checkout_completed(Some(&account), &subscription.customer, &subscription.id)).await;
    world.accepted(&subscription.event("created")).await;
    let token = token(&account);
    world.everywhere("/premium/page", &token, 200).await;
    let (address, process) = (world.proxy().listen.public, world.proxy().process.id());

    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(websocket(address, "/premium/socket", Some(&token)).await);
    }
    let before = resident_kb(process);
    for _ in 0..SOCKETS {
        sockets.push(websocket(address, "/premium/socket", Some(&token)).await);
    }
    for socket in &mut sockets {
        socket.send(&FRAME).await;
        socket.receives(&FRAME).await;
    }
    let each = (resident_kb(process).saturating_sub(before)) / SOCKETS;
    assert!(each <= EACH_KB_MAX, "{each} kB for each of {SOCKETS}");

    world.applied(&subscription.ended().event("deleted")).await;
    for socket in &mut sockets {
        socket.ends().await;
    }
}

/// The memory that a process holds, in kB: proc_pid_status(5).
pub fn resident_kb(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
