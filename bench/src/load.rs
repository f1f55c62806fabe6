//! The load: requests over keep-alive connections, back to back, each of which must be answered as expected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::stats;

/// What is sent, and where.
#[derive(Clone)]
pub struct Load {
    pub target: SocketAddr,
    /// Whole requests, sent in turn.
    pub requests: Arc<[Vec<u8>]>,
    pub connections: usize,
    /// The status of every answer.
    pub expected: u16,
}

/// When a lap ends.
#[derive(Clone, Copy)]
pub enum Until {
    Count(u64),
    Elapsed(Duration),
    /// As [`Self::Elapsed`], with so much time at least from one request of a connection to its next.
    Paced(Duration, Duration),
}

/// What a lap did.
pub struct Lap {
    pub requests: u64,
    pub elapsed: Duration,
    /// Microseconds from the first byte sent to the last byte received, ascending.
    pub latencies_us: Vec<f64>,
}

impl Lap {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile of the latency, in milliseconds.
    pub fn latency_ms(&self, q: f64) -> f64 {
        stats::quantile(&self.latencies_us, q) / 1e3
    }
}

/// Sends until the lap ends.
pub async fn lap(load: &Load, until: Until) -> Result<Lap> {
    let start = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(drive(load.clone(), until, start, Arc::clone(&sent)));
    }
    let mut latencies_us = Vec::new();
    while let Some(one) = connections.join_next().await {
        latencies_us.extend(one??);
    }
    let elapsed = start.elapsed();
    Ok(Lap { requests: latencies_us.len() as u64, elapsed, latencies_us: stats::sorted(latencies_us) })
}

/// One connection's share; its latencies in microseconds.
async fn drive(load: Load, until: Until, start: Instant, sent: Arc<AtomicU64>) -> Result<Vec<f64>> {
    let mut connection = Connection::new(load.target);
    let mut latencies = Vec::new();
    loop {
        let turn = sent.fetch_add(1, Ordering::Relaxed);
        let over = match until {
            Until::Count(count) => turn >= count,
            Until::Elapsed(limit) | Until::Paced(limit, _) => start.elapsed() >= limit,
        };
        if over {
            return Ok(latencies);
        }
        let index = usize::try_from(turn)? % load.requests.len();
        let began = Instant::now();
        let answer = connection.exchange(&load.requests[index]).await?;
        latencies.push(began.elapsed().as_secs_f64() * 1e6);
        if answer.status != load.expected {
            bail!("the load got status {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        if let Until::Paced(_, every) = until {
            tokio::time::sleep(every.saturating_sub(began.elapsed())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http, upstream};

    #[tokio::test]
    async fn a_lap_sends_exactly_what_it_counts() {
        let target = upstream::start().await.expect("it starts");
        let load = Load { target, requests: Arc::new([http::get("/", None)]), connections: 8, expected: 200 };
        let lap = lap(&load, Until::Count(1_000)).await.expect("a lap");
        assert_eq!(lap.requests, 1_000);
        assert!(lap.latency_ms(0.5) > 0.0 && lap.latency_ms(0.5) <= lap.latency_ms(1.0));
    }

    #[tokio::test]
    async fn a_paced_lap_sends_no_more_than_its_pace_allows() {
        let target = upstream::start().await.expect("it starts");
        let load = Load { target, requests: Arc::new([http::get("/", None)]), connections: 8, expected: 200 };
        let (limit, every) = (Duration::from_millis(200), Duration::from_millis(50));
        let lap = lap(&load, Until::Paced(limit, every)).await.expect("a lap");
        assert!((1..=8 * 5).contains(&lap.requests), "{}", lap.requests);
    }
}
