//! Who is connected: bounds how many, and knows when nothing is in flight any more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::Notify;

/// The connections of this process.
pub(crate) struct Census {
    connections: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
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
}

impl Census {
    pub(crate) fn new(gauge: IntGauge, live_gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            addresses: Mutex::default(),
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
            let mut addresses = self.addresses.lock();
            let count = addresses.entry(address).or_default();
            if *count >= places.per_address {
                drop(addresses);
                return Err("connections_per_address");
            }
            *count += 1;
            counted.what = What::Connection(Some(address));
        }
        Ok(counted)
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
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
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
