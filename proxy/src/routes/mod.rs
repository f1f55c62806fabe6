//! Which rule a request falls under: the first route whose pattern, methods and hosts match, else the default.

mod allow;
mod cors;
mod fold;
mod glob;
mod host;
mod pattern;
mod table;
mod tree;

pub use allow::{Allow, Place, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN, Token};
pub(crate) use allow::{Guests, Read};
pub use cors::{Cors, OriginError};
pub use host::{HostPattern, HostPatternError};
pub use pattern::{Pattern, PatternError};
pub use table::{Rule, Table};

use std::sync::Arc;
use std::time::Duration;

use entitlement::authorize::{Policy, Requirement};
use entitlement::own_paths::OwnPaths;
use http::Method;

/// One `[[route]]` of the configuration.
#[derive(Clone, Debug)]
pub struct Route {
    pub pattern: Pattern,
    /// The methods that it is for; all when `None`. `GET` stands for `HEAD` too.
    pub methods: Option<Vec<Method>>,
    /// The hosts that it is for; all when `None`.
    pub hosts: Option<Vec<HostPattern>>,
    pub policy: Policy,
    pub cors: Cors,
    /// How long the site may be silent; the gate's own limit when `None`.
    pub timeout: Option<Duration>,
    /// Whether paths pass that have several readings, where none of these asks for anything.
    pub raw: bool,
    /// Whether its responses are the same for everybody: nobody's identity is read, and caching stays as the site says.
    pub shared: bool,
    /// The requests that it lets in although nobody is signed in.
    pub allow: Option<Arc<Allow>>,
    /// For a webhook whose provider delivers at this path: billing's own path for it.
    pub webhook: Option<&'static str>,
}

impl Route {
    /// A route for every method and host, called by no other origin, with the gate's own limits.
    #[must_use]
    pub fn new(pattern: Pattern, policy: Policy) -> Self {
        Self {
            pattern,
            methods: None,
            hosts: None,
            policy,
            cors: Cors::default(),
            timeout: None,
            raw: false,
            shared: false,
            allow: None,
            webhook: None,
        }
    }

    /// Whether it asks for anything.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.policy.require != Requirement::Public
    }

    /// A path at which a provider delivers, in the place of billing's own: `own` is one of [`WEBHOOKS`].
    #[must_use]
    pub fn webhook(pattern: Pattern, own: &'static str) -> Self {
        Self { webhook: Some(own), ..Self::new(pattern, Policy::public()) }
    }
}

/// Who serves a request that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The site behind the gate.
    Site,
    /// Tollgate's own billing component.
    Billing,
    /// Billing, for a provider's webhook: its signature is its credential, and a user's identity has no place there.
    Webhook,
}

/// The paths that billing serves on the public listener, by its names within Tollgate: nothing that a configuration says can take these away from it.
const BILLING: [&str; 6] = [
    "/api/billing/**",
    "/api/stripe/**",
    "/api/polar/**",
    "/billing",
    "/billing/**",
    "/.well-known/tollgate/jwks.json",
];

/// Where the providers deliver, by the names within Tollgate: Stripe, and Polar.
pub const WEBHOOKS: [&str; 2] = ["/api/stripe/webhook", "/api/polar/webhook"];

/// The routes that come before those of the configuration.
fn reserved(own: &OwnPaths) -> impl Iterator<Item = (Pattern, Destination)> {
    let webhooks = WEBHOOKS.map(|path| (path, Destination::Webhook));
    let billing = BILLING.map(|path| (path, Destination::Billing));
    // The test below holds that each of them is a pattern; the configuration, that its own paths are.
    webhooks.into_iter().chain(billing).filter_map(|(name, to)| Some((Pattern::parse(&own.of(name)).ok()?, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_route_is_a_pattern() {
        for own in [OwnPaths::default(), OwnPaths::new("https://a.example/app", "/app/plan")] {
            assert_eq!(reserved(&own).count(), BILLING.len() + WEBHOOKS.len());
        }
    }
}
