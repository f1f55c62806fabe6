//! Plans that many accounts share, kept once: a million accounts have a handful of plans between them.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use entitlement::record::Entitlement;
use entitlement::timeline::{Plan, Segment, Timeline};

/// Most plans that are shared; what comes after is kept by each account itself.
const PLANS_MAX: usize = 4096;

/// The plans that were seen.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<HashSet<Shared>>);

/// A plan that is found by its content.
#[derive(Debug, PartialEq, Eq)]
struct Shared(Arc<Plan>);

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Plan { tier, includes, features, limits, levels } = &*self.0;
        (tier, includes, features, limits, levels).hash(state);
    }
}

impl Plans {
    /// The same record with its plans shared, in as little memory as it takes.
    pub(super) fn share(&self, record: Entitlement) -> Entitlement {
        let Entitlement { account, version, timeline } = record;
        let mut segments: Vec<Segment> = timeline.clone().into();
        for segment in &mut segments {
            segment.plan = self.shared(Arc::clone(&segment.plan));
        }
        segments.shrink_to_fit();
        let timeline = Timeline::try_from(segments).unwrap_or(timeline);
        Entitlement { account, version, timeline }
    }

    fn shared(&self, plan: Arc<Plan>) -> Arc<Plan> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = Shared(plan);
        if let Some(known) = plans.get(&plan) {
            return Arc::clone(&known.0);
        }
        if plans.len() < PLANS_MAX {
            plans.insert(Shared(Arc::clone(&plan.0)));
        }
        plan.0
    }
}
