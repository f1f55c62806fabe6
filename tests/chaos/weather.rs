//! What goes wrong around Tollgate in one step, as chance decides.

use demo::provider::{Echo, EventForm, Fault, FaultKind, Provider, Telling};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::world::World;
use crate::world::relay::Relay;

use super::story::Story;

/// Everything that is wrong in one step.
#[derive(Clone, Debug)]
pub struct Weather {
    pub postgres: Outage,
    redis: Outage,
    /// Calls of the provider's API that fail.
    calls: Option<Fault>,
    pub kill: Option<Kill>,
    /// Whether an operator runs `tollgate reconcile` meanwhile.
    pub operator: Operator,
    form: EventForm,
    echo: Echo,
    telling: Telling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    None,
    Cut,
    Silent,
    /// It is started again, and has lost what it had.
    Forgets,
}

/// A process that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Its place in the world.
    pub process: usize,
    /// How many deliveries are made before.
    pub after: usize,
    /// In how many steps it comes back.
    pub steps: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Sleeps,
    Compares,
}

impl Weather {
    pub fn draw(random: &mut StdRng, processes: usize) -> Self {
        let postgres = match random.random_range(0..16) {
            0 | 1 => Outage::Cut,
            2 => Outage::Silent,
            _ => Outage::None,
        };
        let redis = match random.random_range(0..16) {
            0 | 1 => Outage::Cut,
            2 => Outage::Silent,
            3 => Outage::Forgets,
            _ => Outage::None,
        };
        let is_killed = random.random_bool(0.3);
        let kill = Kill {
            // Half of the time it is billing, which comes first.
            process: if random.random_bool(0.5) { 0 } else { random.random_range(0..processes) },
            after: random.random_range(0..8),
            steps: random.random_range(1..3),
        };
        let kinds = [
            FaultKind::TooManyRequests { retry_after_secs: 0 },
            FaultKind::ServerError,
            FaultKind::BadGateway,
            FaultKind::Hang,
        ];
        let kind = kinds.choose(random).expect("there are some").clone();
        let count = if kind == FaultKind::Hang { 1 } else { random.random_range(1..12) };
        let is_failing = random.random_bool(0.35);
        let compares = random.random_bool(0.15);
        Self {
            postgres,
            redis,
            calls: is_failing.then_some(Fault { kind, path: "/v1/".into(), count }),
            kill: is_killed.then_some(kill),
            operator: if compares { Operator::Compares } else { Operator::Sleeps },
            form: *[EventForm::Snapshot, EventForm::Snapshot, EventForm::Thin, EventForm::Both]
                .choose(random)
                .expect("there are some"),
            echo: if random.random_bool(0.2) { Echo::Twice } else { Echo::Once },
            telling: if random.random_bool(0.1) { Telling::Silent } else { Telling::Aloud },
        }
    }

    /// How the provider tells what happens in this step.
    pub fn set_manner(&self, provider: &Provider) {
        provider.set_event_form(self.form);
        provider.set_echo(self.echo);
        provider.set_telling(self.telling);
    }

    /// Makes it so. A process is not killed here, but in the midst of deliveries.
    pub fn begin(&self, world: &mut World, provider: &Provider, story: &Story) {
        story.tell(format!("{self:?}"));
        // A world has the relay to Postgres first.
        for (relay, outage) in world.relays.iter().zip([self.postgres, self.redis]) {
            match outage {
                Outage::None | Outage::Forgets => {}
                Outage::Cut => relay.cut(),
                Outage::Silent => relay.silence(),
            }
        }
        if self.redis == Outage::Forgets {
            world.redis.as_mut().expect("this world has one").restart();
        }
        if let Some(fault) = &self.calls {
            provider.fail_calls(fault.clone()).expect("there is room");
        }
    }

    /// Everything is well again.
    pub fn end(world: &World, provider: &Provider) {
        world.relays.iter().for_each(Relay::heal);
        provider.heal_calls();
    }
}
