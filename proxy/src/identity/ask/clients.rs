//! How many questions about unknown credentials one client may cause.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::ladder::budget::Budget;

/// Questions per second about unknown credentials of one client, and how many of them may come at once: an office behind one address
/// signs in within this, a flood is cut to it.
pub(super) const PER_SECOND: u64 = 20;
pub(super) const BURST: u64 = 100;

/// Most clients that are told apart.
const CLIENTS_MAX: usize = 16_384;

/// The budget of each client.
#[derive(Debug)]
pub(super) struct Clients(Cache<IpAddr, Arc<Budget>>);

impl Default for Clients {
    fn default() -> Self {
        Self(Cache::new(CLIENTS_MAX))
    }
}

impl Clients {
    /// Takes one question from the budget of a client at `now_ms`, if one is left. Clients without an address share a budget.
    pub(super) fn take(&self, client: Option<IpAddr>, now_ms: u64) -> bool {
        let client = client.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), network);
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::new(Budget::new(PER_SECOND, BURST)));
        let Ok(budget) = self.0.get_or_insert_with(&client, fresh);
        budget.take(now_ms)
    }
}

/// One client has one address of IPv4, or all of a network of IPv6 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_budget_and_one_network_of_ipv6_is_one() {
        let clients = Clients::default();
        let at_once = |address: Option<&str>| {
            let address = address.map(|address| address.parse().expect("an address"));
            (0..10 * BURST).filter(|_| clients.take(address, 1_000)).count() as u64
        };
        assert_eq!(at_once(Some("192.0.2.1")), BURST);
        assert_eq!(at_once(Some("::ffff:192.0.2.1")), 0, "the same client");
        assert_eq!(at_once(Some("192.0.2.2")), BURST);
        assert_eq!(at_once(Some("2001:db8:1:2::1")), BURST);
        assert_eq!(at_once(Some("2001:db8:1:2:ffff::9")), 0, "the same network");
        assert_eq!(at_once(Some("2001:db8:1:3::1")), BURST);
        assert_eq!(at_once(None), BURST);
        assert_eq!(at_once(None), 0);
    }
}
