//! Every way between the parts of a replicated world, each of which can be broken by itself.

use std::net::SocketAddr;

use super::relay::Relay;
use super::setup::Listen;

/// The relays of a world in which several proxies and several billing processes run.
pub struct Lines {
    /// From each billing process to Postgres.
    pub postgres: Vec<Relay>,
    /// From each process to Redis, in the order of the processes.
    pub redis: Vec<Relay>,
    /// From the proxies to whichever billing process answers, as a load balancer has it.
    pub billing: Relay,
    /// From billing to the provider's API.
    pub provider: Option<Relay>,
}

/// Where a process finds what it needs.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub database_url: Option<String>,
    pub redis_url: Option<String>,
    pub stripe_api: Option<String>,
}

impl Lines {
    /// Lays a line from each process to each server, and tells each where its own begins.
    pub fn lay(roles: &[&str], listens: &[Listen], servers: &Surroundings) -> (Self, Vec<Surroundings>) {
        let mut provider = None;
        let stripe_api = servers.stripe_api.clone().map(|mut url| {
            provider = Some(relayed(&mut url));
            url
        });
        let of_billing = || roles.iter().zip(listens).filter(|(role, _)| **role == "billing");
        let billing = Relay::among(of_billing().map(|(_, listen)| listen.billing).collect());
        let mut lines = Self { postgres: Vec::new(), redis: Vec::new(), billing, provider };
        let each = roles.iter().map(|role| {
            let mut surroundings = Surroundings { stripe_api: stripe_api.clone(), ..servers.clone() };
            if *role == "billing" {
                lines.postgres.extend(surroundings.database_url.as_mut().map(relayed));
            }
            lines.redis.extend(surroundings.redis_url.as_mut().map(relayed));
            surroundings
        });
        let each = each.collect();
        (lines, each)
    }

    /// Heals everything.
    pub fn heal(&self) {
        self.postgres.iter().chain(&self.redis).chain([&self.billing]).chain(&self.provider).for_each(Relay::heal);
    }
}

/// Puts a relay into a URL.
pub fn relayed(text: &mut String) -> Relay {
    let mut url = url::Url::parse(text).expect("a URL");
    let target: SocketAddr = url.socket_addrs(|| None).expect("it has a port")[0];
    let relay = Relay::to(target);
    url.set_ip_host(relay.address.ip()).expect("it has a host");
    url.set_port(Some(relay.address.port())).expect("it has a port");
    *text = url.to_string();
    relay
}
