//! Which processes are away, which are coming back, and that nobody else ends.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::world::http::{client, try_send};
use crate::world::wait::within;
use crate::world::{Tollgate, World};

use super::weather::Kill;

/// How long all may take that were started again.
const LIMIT: Duration = Duration::from_secs(90);

/// Whoever is not there as usual.
#[derive(Default)]
pub struct Absent {
    killed: Vec<Kill>,
    /// Started again, but not seen ready yet: one that finds no Postgres at its start ends, and is started once more.
    starting: BTreeSet<usize>,
}

impl Absent {
    pub fn is_nobody(&self) -> bool {
        self.killed.is_empty() && self.starting.is_empty()
    }

    pub fn has(&self, process: usize) -> bool {
        self.starting.contains(&process) || self.killed.iter().any(|kill| kill.process == process)
    }

    /// `kill -9`.
    pub fn kill(&mut self, processes: &mut [Tollgate], kill: Kill) {
        processes[kill.process].process.kill();
        self.killed.push(kill);
    }

    /// A step is over and everything else is healed: whose time has come is started again, as by a supervisor. When
    /// nobody is missing any more, everybody is waited for: a proxy is not ready without billing.
    pub async fn step(&mut self, world: &mut World) {
        for kill in &mut self.killed {
            kill.steps = kill.steps.saturating_sub(1);
        }
        for kill in self.killed.extract_if(.., |kill| kill.steps == 0) {
            self.starting.insert(kill.process);
            world.processes[kill.process].restart();
        }
        for (number, process) in world.processes.iter_mut().enumerate() {
            let is_killed = self.killed.iter().any(|kill| kill.process == number);
            let ended = process.process.ended().filter(|_| !is_killed);
            assert!(ended.is_none() || self.has(number), "{} ended by itself: {ended:?}", process.process.name);
            if ended.is_some() {
                process.restart();
            }
        }
        if self.killed.is_empty() && !self.starting.is_empty() {
            for process in &mut world.processes {
                back(process).await;
            }
            self.starting.clear();
        }
    }

    /// Waits until everybody is back.
    pub async fn settle(&mut self, world: &mut World) {
        self.step(world).await;
        while !self.is_nobody() {
            self.step(world).await;
        }
        for process in &mut world.processes {
            process.ready().await;
        }
    }
}

/// Waits until a process is ready, and starts it again whenever it ends before.
async fn back(process: &mut Tollgate) {
    let (client, url) = (client(), format!("http://{}/readyz", process.listen.admin));
    within(LIMIT, "who was started again is ready", async || {
        if process.process.ended().is_some() {
            process.restart();
        }
        try_send(client.get(&url)).await.ok().filter(|answer| answer.status == 200)
    })
    .await;
}
