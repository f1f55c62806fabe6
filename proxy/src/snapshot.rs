//! Everything that a configuration says to requests, as one value: a request uses the one that it began with to its end,
//! and a reload replaces all of it or nothing.

use std::sync::Arc;

use prometheus::IntCounter;

use crate::admission::Admission;
use crate::context::Context;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::metrics::{Metrics, Verdict};
use crate::respond::{Links, Pages};
use crate::routes::Rule;
use crate::routing::Routing;
use crate::settings::{LogRequests, Settings, Stopping};
use crate::upstream::Upstreams;

/// What requests go by.
pub(crate) struct Snapshot {
    pub(crate) routing: Routing,
    pub(crate) identity: Arc<Identity>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) upstreams: Upstreams,
    pub(crate) links: Links,
    /// The gate's own pages.
    pub(crate) pages: Pages,
    pub(crate) fast_path: bool,
    pub(crate) log_requests: LogRequests,
    pub(crate) limits: Limits,
    pub(crate) stopping: Stopping,
    /// What passing requests count, by the index of their rule.
    pub(crate) passed: Vec<IntCounter>,
}

/// The parts of a snapshot that have a life of their own.
pub(crate) struct Parts {
    pub(crate) identity: Arc<Identity>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) upstreams: Upstreams,
}

impl Snapshot {
    pub(crate) fn new(settings: Settings, parts: Parts, metrics: &Metrics) -> Self {
        let Parts { identity, admission, upstreams } = parts;
        let links = Links::new(&settings.site_url, &settings.also, settings.login.clone(), &settings.pricing_url);
        let routing = Routing::below(
            &settings.own_paths,
            (settings.routes, settings.default),
            settings.readings,
            settings.decide,
            settings.trusted_proxies,
        );
        let passed =
            routing.table.rules().iter().map(|rule| metrics.requests(&rule.label, Verdict::Pass, "met")).collect();
        Self {
            routing,
            identity,
            admission,
            upstreams,
            links,
            pages: settings.pages,
            fast_path: settings.fast_path,
            log_requests: settings.log_requests,
            limits: settings.limits,
            stopping: settings.stopping,
            passed,
        }
    }

    /// The rule of a request that has one.
    pub(crate) fn rule(&self, context: &Context) -> Option<&Rule> {
        self.routing.table.rules().get(context.rule?)
    }
}
