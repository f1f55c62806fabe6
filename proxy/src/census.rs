//! Who is connected: bounds how many, and knows when nothing is in flight any more.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::Notify;
use tracing::warn;

use crate::clock;

/// The connections of this process.
pub(crate) struct Census {
    connections: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, Crowd>>,
    /// When an address with many connections was warned of last, in seconds.
    warned: AtomicI64,
    /// Requests under way that hold a connection to the site.
    upstream: AtomicUsize,
    /// What may have a request in flight: connections of HTTP/1 and streams of HTTP/2.
    flights: AtomicUsize,
    /// Of those, what streams for an unknown time.
    live: AtomicUsize,
    gauge: IntGauge,
    live_gauge: IntGauge,
    /// Whether somebody waits for the end.
    draining: AtomicBool,
    ended: Notify,
}

/// The connections of one address.
#[derive(Default)]
struct Crowd {
    count: usize,
    is_warned_of: bool,
}

/// Most connections; 0 is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) all: usize,
    pub(crate) per_address: usize,
}

/// What is counted for as long as this exists.
pub(crate) struct Counted {
    census: Arc<Census>,
    what: What,
}

enum What {
    Connection(Option<IpAddr>),
    Flight,
    Live,
    Upstream,
}

impl Census {
    pub(crate) fn new(gauge: IntGauge, live_gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            addresses: Mutex::default(),
            warned: AtomicI64::new(i64::MIN),
            upstream: AtomicUsize::new(0),
            flights: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            gauge,
            live_gauge,
            draining: AtomicBool::new(false),
            ended: Notify::new(),
        })
    }

    /// A place for a connection; none when there are too many, with the bound that says so.
    pub(crate) fn connection(self: &Arc<Self>, from: Option<IpAddr>, places: Places) -> Result<Counted, &'static str> {
        let before = self.connections.fetch_add(1, Ordering::AcqRel);
        self.gauge.inc();
        let mut counted = Counted { census: Arc::clone(self), what: What::Connection(None) };
        if places.all != 0 && before >= places.all {
            return Err("connections");
        }
        if let Some(address) = from.filter(|_| places.per_address != 0) {
            let place = place(address);
            let mut addresses = self.addresses.lock();
            let crowd = addresses.entry(place).or_default();
            if crowd.count >= places.per_address {
                drop(addresses);
                return Err("connections_per_address");
            }
            crowd.count += 1;
            counted.what = What::Connection(Some(place));
            if !crowd.is_warned_of && crowd.count >= places.warning() {
                crowd.is_warned_of = true;
                drop(addresses);
                self.warn_of(address, places);
            }
        }
        Ok(counted)
    }

    /// Names an address that has nearly as many connections as it may: it may be a load balancer that nobody has named.
    fn warn_of(&self, address: IpAddr, places: Places) {
        let (now, last) = (clock::moment().time.timestamp(), self.warned.load(Ordering::Relaxed));
        // An attacker with many addresses fills no log.
        if now == last || self.warned.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        warn!(
            %address,
            bound = places.per_address,
            "{address} has three quarters of the connections that limits.connections_per_address allows: a load balancer \
             that all clients come through belongs into proxy.trusted_proxies"
        );
    }

    /// A place among the requests that hold a connection to the site; none when there are `max` already.
    pub(crate) fn upstream(self: &Arc<Self>, max: usize) -> Option<Counted> {
        let before = self.upstream.fetch_add(1, Ordering::AcqRel);
        let counted = Counted { census: Arc::clone(self), what: What::Upstream };
        (before < max).then_some(counted)
    }

    pub(crate) fn flight(self: &Arc<Self>) -> Counted {
        self.flights.fetch_add(1, Ordering::AcqRel);
        Counted { census: Arc::clone(self), what: What::Flight }
    }

    /// A flight that streams for an unknown time: nobody waits for its end.
    pub(crate) fn live(self: &Arc<Self>) -> Counted {
        self.live.fetch_add(1, Ordering::AcqRel);
        self.live_gauge.inc();
        let counted = Counted { census: Arc::clone(self), what: What::Live };
        self.tell();
        counted
    }

    /// Waits until nothing is in flight but what would go on for ever.
    pub(crate) async fn quiet(&self) {
        self.draining.store(true, Ordering::Release);
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.flights.load(Ordering::Acquire) <= self.live.load(Ordering::Acquire) {
                return;
            }
            ended.await;
        }
    }

    /// Waits until nobody is connected.
    pub(crate) async fn empty(&self) {
        self.draining.store(true, Ordering::Release);
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// How many flights, and how many of them stream for an unknown time.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        (self.flights.load(Ordering::Acquire), self.live.load(Ordering::Acquire))
    }

    fn tell(&self) {
        if self.draining.load(Ordering::Acquire) {
            self.ended.notify_waiters();
        }
    }

    fn leave(&self, address: IpAddr) {
        let mut addresses = self.addresses.lock();
        if let Some(crowd) = addresses.get_mut(&address) {
            crowd.count -= 1;
            if crowd.count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

impl Places {
    /// The connections of one address from which on it is warned of.
    const fn warning(self) -> usize {
        self.per_address - self.per_address / 4
    }
}

/// What is counted as one address: of IPv6 a network of 64 bits, all of whose addresses one client has (RFC 6177).
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        match self.what {
            What::Connection(address) => {
                if let Some(address) = address {
                    self.census.leave(address);
                }
                self.census.connections.fetch_sub(1, Ordering::AcqRel);
                self.census.gauge.dec();
            }
            What::Flight => drop(self.census.flights.fetch_sub(1, Ordering::AcqRel)),
            What::Upstream => drop(self.census.upstream.fetch_sub(1, Ordering::AcqRel)),
            What::Live => {
                self.census.live.fetch_sub(1, Ordering::AcqRel);
                self.census.live_gauge.dec();
            }
        }
        self.census.tell();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn census() -> Arc<Census> {
        let gauge = |name| IntGauge::new(name, name).expect("a gauge");
        Census::new(gauge("connections"), gauge("live"))
    }

    #[test]
    fn places_are_bounded_in_all_and_for_each_address() {
        let (census, places) = (census(), Places { all: 3, per_address: 2 });
        let [one, other]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        let first = census.connection(Some(one), places).expect("a place");
        let second = census.connection(Some(one), places).expect("a place");
        assert_eq!(census.connection(Some(one), places).err(), Some("connections_per_address"));
        let third = census.connection(Some(other), places).expect("a place");
        assert_eq!(census.connection(None, places).err(), Some("connections"));
        drop(first);
        let fourth = census.connection(Some(one), places).expect("one has left");
        drop((second, third, fourth));
        assert_eq!((census.connections.load(Ordering::Acquire), census.addresses.lock().len()), (0, 0));
    }

    #[test]
    fn an_address_is_a_network_of_ipv6_and_one_of_ipv4_however_it_is_written() {
        let (census, places) = (census(), Places { all: 0, per_address: 1 });
        let address = |text: &str| Some(text.parse().expect("an address"));
        let cases = [
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", false),
            ("2001:db8:0:2::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
        ];
        let all = cases.map(|(text, fits)| {
            let counted = census.connection(address(text), places);
            assert_eq!(counted.is_ok(), fits, "{text}");
            counted
        });
        drop(all);
        assert!(census.addresses.lock().is_empty());
    }

    #[test]
    fn an_address_is_warned_of_at_three_quarters() {
        for (per_address, warning) in [(1, 1), (2, 2), (4, 3), (10, 8), (5_000, 3_750)] {
            assert_eq!(Places { all: 0, per_address }.warning(), warning);
        }
    }

    #[test]
    fn requests_that_hold_a_connection_to_the_site_are_bounded() {
        let census = census();
        let first = census.upstream(2).expect("a place");
        let _second = census.upstream(2).expect("a place");
        assert!(census.upstream(2).is_none());
        drop(first);
        assert!(census.upstream(2).is_some());
    }

    #[test]
    fn no_bound_is_no_bound() {
        let (census, places) = (census(), Places { all: 0, per_address: 0 });
        let all: Vec<_> = (0..100).map(|_| census.connection(Some([10, 0, 0, 1].into()), places)).collect();
        assert!(all.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn it_is_quiet_when_only_what_never_ends_goes_on() {
        let census = census();
        let (request, socket, live) = (census.flight(), census.flight(), census.live());
        let mut quiet = Box::pin(census.quiet());
        assert!(quiet.as_mut().now_or_never().is_none());
        drop(request);
        quiet.await;
        drop((live, socket));
        census.empty().await;
        assert_eq!(census.in_flight(), (0, 0));
    }
}
