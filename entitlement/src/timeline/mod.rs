//! The merge of an account's grants: segments of time, each with what holds in it.
//!
//! A timeline is a pure function of the catalog and the grants, whatever their order. It covers all of time, so the
//! end of a trial, a period or a grace takes effect at the gate by time alone.

mod early;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::catalog::{Catalog, Tier};
use crate::subscription::SubscriptionId;

/// How an account comes by its tier, best first: where two grants of one tier overlap, the better word is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A paid subscription that goes on.
    Active,
    /// In a trial that goes on.
    Trialing,
    /// Ends at a known date.
    Canceling,
    /// A renewal failed; grace runs.
    PastDue,
    /// Access that no subscription pays for.
    Credit,
    /// No grant at all.
    None,
}

impl Status {
    /// The word in `X-Entitlement-Status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::Canceling => "canceling",
            Self::PastDue => "past_due",
            Self::Credit => "credit",
            Self::None => "none",
        }
    }
}

/// What a grant rests on. Ending one source never removes what another grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Subscription(SubscriptionId),
    /// A complimentary or earned credit, by the id of its row.
    Credit(i64),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscription(id) => write!(f, "{}:{}", id.provider, id.id),
            Self::Credit(id) => write!(f, "credit:{id}"),
        }
    }
}

/// One independent reason to hold a tier for an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub source: Source,
    /// A tier's code; one that the catalog no longer has grants nothing.
    pub tier: String,
    pub status: Status,
    pub from: Timestamp,
    /// Open when `None`.
    pub until: Option<Timestamp>,
}

impl Grant {
    fn holds_at(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// What an account may use: the same for all accounts with the same grants, so it is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The highest tier that is granted.
    pub tier: Arc<str>,
    /// Every tier whose rank is reached, so that the gate needs no catalog. A blocked account reaches none, not even that of everybody:
    /// in this way builds that know of no blocks open nothing that is paid for, either.
    pub includes: Arc<[Arc<str>]>,
    /// Sorted.
    pub features: Arc<[Arc<str>]>,
    /// The most generous limit of the granted tiers; a metric that is absent is unlimited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Arc<str>, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<Arc<str>, u64>,
}

impl Plan {
    /// Whether a person has blocked the account: no gated route passes.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.includes.is_empty()
    }

    /// Whether everything that `other` lets do is let by this plan, too.
    #[must_use]
    pub fn gives_as_much_as(&self, other: &Self) -> bool {
        let allows = |ours: &BTreeMap<Arc<str>, u64>, theirs: &BTreeMap<Arc<str>, u64>| {
            ours.iter().all(|(metric, limit)| theirs.get(metric).is_some_and(|theirs| theirs <= limit))
        };
        other.includes.iter().all(|tier| self.includes.contains(tier))
            && other.features.iter().all(|feature| self.features.contains(feature))
            && allows(&self.limits, &other.limits)
            && allows(&self.levels, &other.levels)
    }
}

/// A stretch of time in which nothing changes; it begins where the one before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Open when `None`: then it is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    pub status: Status,
    pub plan: Arc<Plan>,
    /// The grants that hold, for an operator's eyes; not part of the cached record, of which there may be a million.
    #[serde(skip)]
    pub sources: Option<Arc<BTreeSet<Source>>>,
}

/// Segments in order of time; the last one is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Segment>", into = "Vec<Segment>")]
pub struct Timeline {
    segments: Vec<Segment>,
}

/// Why segments are not a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    #[error("a timeline ends with an open segment, and only that one is open")]
    NotOpenEnded,
    #[error("the segments of a timeline are in order of time")]
    Unordered,
}

impl Timeline {
    /// The timeline of a blocked account, whatever it has paid for.
    #[must_use]
    pub fn blocked(catalog: &Catalog) -> Self {
        let plan = Plan { includes: [].into(), features: [].into(), ..plan_of(catalog, &[]) };
        Self { segments: vec![Segment { until: None, status: Status::None, plan: Arc::new(plan), sources: None }] }
    }

    /// The segment in which `now` lies.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> &Segment {
        let holds = |segment: &&Segment| segment.until.is_none_or(|until| now < until);
        let last = self.segments.len() - 1;
        self.segments.iter().find(holds).unwrap_or(&self.segments[last])
    }

    /// All segments, in order of time.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The timeline as it is cached: without what is over at `now`, and without the sources, so that neighbours
    /// which differ in them alone become one.
    #[must_use]
    pub fn cacheable(self, now: Timestamp) -> Self {
        let mut segments: Vec<Segment> = Vec::with_capacity(self.segments.len());
        for segment in self.segments.into_iter().filter(|segment| segment.until.is_none_or(|until| now < until)) {
            match segments.last_mut() {
                Some(last) if last.status == segment.status && last.plan == segment.plan => last.until = segment.until,
                _ => segments.push(Segment { sources: None, ..segment }),
            }
        }
        Self { segments }
    }
}

impl TryFrom<Vec<Segment>> for Timeline {
    type Error = TimelineError;

    fn try_from(segments: Vec<Segment>) -> Result<Self, Self::Error> {
        let open = segments.iter().position(|segment| segment.until.is_none());
        if open.is_none() || open != segments.len().checked_sub(1) {
            return Err(TimelineError::NotOpenEnded);
        }
        let ends: Vec<_> = segments.iter().filter_map(|segment| segment.until).collect();
        if !ends.is_sorted_by(|a, b| a < b) {
            return Err(TimelineError::Unordered);
        }
        Ok(Self { segments })
    }
}

impl From<Timeline> for Vec<Segment> {
    fn from(timeline: Timeline) -> Self {
        timeline.segments
    }
}

/// Merges grants into a timeline. The result does not depend on their order.
#[must_use]
pub fn timeline(catalog: &Catalog, grants: &[Grant]) -> Timeline {
    let starts = grants.iter().map(|grant| grant.from);
    let edges: BTreeSet<Timestamp> = starts.chain(grants.iter().filter_map(|grant| grant.until)).collect();
    let mut segments: Vec<Segment> = Vec::with_capacity(edges.len() + 1);
    // Before the first edge nothing holds; from each edge on, what holds at that edge.
    let mut current = segment_of(catalog, Vec::new());
    for edge in edges {
        let holding = grants.iter().filter(|grant| grant.holds_at(edge)).collect();
        let next = segment_of(catalog, holding);
        if next != current {
            current.until = Some(edge);
            segments.push(std::mem::replace(&mut current, next));
        }
    }
    segments.push(current);
    Timeline { segments }
}

/// What holds while exactly these grants do.
fn segment_of(catalog: &Catalog, holding: Vec<&Grant>) -> Segment {
    let mut granted: Vec<(&Tier, &Grant)> =
        holding.into_iter().filter_map(|grant| Some((catalog.tier(&grant.tier)?, grant))).collect();
    granted.sort_by_key(|(tier, grant)| (std::cmp::Reverse(tier.rank), grant.status, &grant.source));
    let status = granted.first().map_or(Status::None, |(_, grant)| grant.status);
    let sources = Some(Arc::new(granted.iter().map(|(_, grant)| grant.source.clone()).collect()));
    let tiers: Vec<&Tier> = granted.iter().map(|(tier, _)| *tier).collect();
    Segment { until: None, status, plan: Arc::new(plan_of(catalog, &tiers)), sources }
}

/// Merges tiers, highest first, the most generous value of each winning. Everybody's features are always included; everybody's
/// limits hold only for those who have nothing else.
fn plan_of(catalog: &Catalog, granted: &[&Tier]) -> Plan {
    let base = catalog.base();
    let top = granted.first().copied().unwrap_or(base);
    let counted: &[&Tier] = if granted.is_empty() { &[base] } else { granted };
    let features: BTreeSet<&String> = granted.iter().chain([&base]).flat_map(|tier| &tier.features).collect();
    let reached = catalog.tiers().iter().filter(|tier| tier.rank <= top.rank);
    // A route may still ask for a tier by the code that it had before.
    let includes = reached.flat_map(|tier| [Some(tier.code.as_str()), tier.renamed_from.as_deref()]).flatten();
    Plan {
        tier: top.code.as_str().into(),
        includes: includes.map(Into::into).collect(),
        features: features.into_iter().map(|feature| feature.as_str().into()).collect(),
        limits: most_generous(counted, |tier| &tier.limits),
        levels: most_generous(counted, |tier| &tier.levels),
    }
}

/// A metric is limited only when every tier limits it, and then by the highest of them.
fn most_generous(tiers: &[&Tier], limits: impl Fn(&Tier) -> &BTreeMap<String, u64>) -> BTreeMap<Arc<str>, u64> {
    let Some((first, rest)) = tiers.split_first() else { return BTreeMap::new() };
    let merged = limits(first).iter().filter_map(|(metric, limit)| {
        let others: Option<Vec<u64>> = rest.iter().map(|tier| limits(tier).get(metric).copied()).collect();
        let most = others?.into_iter().chain([*limit]).max()?;
        Some((metric.as_str().into(), most))
    });
    merged.collect()
}

#[cfg(test)]
mod tests;
