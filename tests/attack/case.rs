//! One attack: what is sent, and what has to become of it.

use std::net::SocketAddr;

use crate::world::World;
use crate::world::http::{RawAnswer, raw};

/// What has to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answered with this status by the gate; the site receives nothing.
    Denied(u16),
    /// Answered with any 4xx, or the connection is closed without a word; the site receives nothing.
    Refused,
    /// Passes: the site receives this target.
    Sent(&'static str),
}

/// A GET from a stranger.
pub struct Case {
    /// The advisory, or what is odd about it.
    pub name: &'static str,
    pub target: &'static str,
    pub verdict: Verdict,
}

/// A case as a table has it.
pub const fn case(name: &'static str, target: &'static str, verdict: Verdict) -> Case {
    Case { name, target, verdict }
}

/// Sends each of them on a connection of its own. All that went wrong is told at once.
pub async fn check(world: &World, cases: &[Case]) {
    let mut wrong = Vec::new();
    for Case { name, target, verdict } in cases {
        let request = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        if let Some(outcome) = differs(world, request.as_bytes(), *verdict).await {
            wrong.push(format!("{name}: {target:?} has to be {verdict:?}, but {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Sends these bytes; what became of them, when that is not the verdict.
pub async fn differs(world: &World, request: &[u8], verdict: Verdict) -> Option<String> {
    let before = world.upstream.received().len();
    let status = status(world.proxy().listen.public, request).await;
    let received: Vec<String> =
        world.upstream.received()[before..].iter().map(|request| request.target.clone()).collect();
    let holds = match verdict {
        Verdict::Denied(expected) => status == Some(expected) && received.is_empty(),
        Verdict::Refused => status.is_none_or(|status| (400..500).contains(&status)) && received.is_empty(),
        Verdict::Sent(target) => status == Some(200) && received == [target],
    };
    (!holds).then(|| format!("it was answered {status:?} and the site received {received:?}"))
}

/// The status of the first answer; none when the connection is closed without one.
pub async fn status(address: SocketAddr, request: &[u8]) -> Option<u16> {
    let answer = raw(address, request).await;
    (!answer.is_empty()).then(|| RawAnswer::parse(answer).status)
}
