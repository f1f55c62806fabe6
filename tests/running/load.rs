//! Clients that ask all the while, each on a connection that it keeps for as long as it may, and miss no answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinHandle;

use crate::protocols::client::{Client, header, status};

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// Starts clients that ask for `target` and must be answered 200, with a body that the site sent.
    pub fn start(address: SocketAddr, target: &'static str, count: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..count).map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    connection(address, target, &stop, &answered).await?;
                }
                Ok(())
            })
        });
        Self { clients: clients.collect(), stop, answered }
    }

    /// Waits until so many more requests have been answered.
    pub async fn goes_on(&self, count: usize) {
        let goal = self.answered() + count;
        crate::world::eventually("requests are answered", async || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client has given up");
            (self.answered() >= goal).then_some(())
        })
        .await;
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends the clients. Every request that one of them sent was answered.
    pub async fn lost_nothing(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            if let Err(lost) = client.await.expect("no panic") {
                panic!("after {} answers: {lost}", self.answered.load(Ordering::Relaxed));
            }
        }
        assert!(self.answered.load(Ordering::Relaxed) > 0);
    }
}

/// Asks on one connection until the server says that it closes it.
async fn connection(
    address: SocketAddr,
    target: &str,
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> Result<(), String> {
    let mut client = Client::connect(address).await;
    for number in 0.. {
        client.ask("GET", target, None, &[]).await;
        let Some(head) = client.try_head().await else {
            return Err(format!("request {number} of a connection was not answered"));
        };
        if status(&head) != 200 {
            return Err(head);
        }
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        client.takes_exactly(length).await;
        answered.fetch_add(1, Ordering::Relaxed);
        if header(&head, "connection").is_some_and(|value| value == "close") || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}
