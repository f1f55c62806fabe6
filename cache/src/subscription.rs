//! What is published on a channel, and the knowledge of when some of it may have been missed.
//!
//! On a Cluster every master is subscribed to: a change is published by the script that stores it, on the master that
//! stores it, so that it arrives even when the nodes do not reach each other. What comes over their bus besides comes
//! several times, which does no harm. On a server that Sentinels watch, they are asked again and again whether it still is
//! the master: nobody else notices when all others have gone over to another one.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, ConnectionInfo, RedisError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::place::{Kind, Watched, at};
use crate::topology::{self, Address};
use crate::{Place, sentinel};

/// How long connecting and subscribing may take.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(2);

/// Messages that may wait to be taken in; beyond, Redis waits, and after some megabytes it closes the connection.
const WAITING_MAX: usize = 1024;

/// Why a subscription ended: from now on messages may be missed.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("Redis did not answer in time")]
    Timeout,
    #[error("Redis closed the connection")]
    Closed,
    #[error("another server is the master now")]
    Moved,
    #[error("the Cluster is not whole")]
    Broken,
}

/// A subscription that holds. Dropped, it ends.
pub struct Subscription {
    messages: mpsc::Receiver<Result<Vec<u8>, Lost>>,
    /// Who listens and who checks; they end with this.
    _tasks: JoinSet<()>,
}

/// Who ends the subscription when this no longer holds.
enum Check {
    None,
    Master(Watched, ConnectionAddr),
    /// The connection to ask on, the node's own address, and all masters.
    Cluster(MultiplexedConnection, Address, BTreeSet<Address>),
}

impl Subscription {
    /// Subscribes. `heartbeat` is how often a connection is tested, and how long its answer may take: a loss without a word
    /// is noticed within twice that time.
    ///
    /// # Errors
    /// When not every server that has to be can be subscribed to.
    pub async fn open(place: &Place, channel: &str, heartbeat: Duration) -> Result<Self, Lost> {
        timeout(SUBSCRIBE_DEADLINE, Self::subscribe(place, channel, heartbeat)).await.map_err(|_| Lost::Timeout)?
    }

    async fn subscribe(place: &Place, channel: &str, heartbeat: Duration) -> Result<Self, Lost> {
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let mut tasks = JoinSet::new();
        for (client, check) in servers(place).await? {
            let (mut control, mut stream) = client.get_async_pubsub().await?.split();
            control.subscribe(channel).await?;
            let heard = sender.clone();
            tasks.spawn(async move {
                while let Some(message) = stream.next().await {
                    if heard.send(Ok(message.get_payload_bytes().to_vec())).await.is_err() {
                        return;
                    }
                }
                let _ = heard.send(Err(Lost::Closed)).await;
            });
            let heard = sender.clone();
            tasks.spawn(async move {
                let Err(lost) = beat(control, check, heartbeat).await;
                let _ = heard.send(Err(lost)).await;
            });
        }
        Ok(Self { messages, _tasks: tasks })
    }

    /// The next message.
    ///
    /// # Errors
    /// When the subscription is over.
    pub async fn next(&mut self) -> Result<Vec<u8>, Lost> {
        self.messages.recv().await.unwrap_or(Err(Lost::Closed))
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Whom to subscribe to, and what must go on to hold.
async fn servers(place: &Place) -> Result<Vec<(Client, Check)>, Lost> {
    match &place.0 {
        Kind::Server(info) => Ok(vec![(Client::open(info.clone())?, Check::None)]),
        Kind::Sentinel(watched) => {
            let client = sentinel::master(watched).await?;
            let address = client.get_connection_info().addr().clone();
            Ok(vec![(client, Check::Master(watched.clone(), address))])
        }
        Kind::Cluster(nodes) => {
            let (template, masters) = discover(nodes).await?;
            let mut servers = Vec::with_capacity(masters.len());
            for address in &masters {
                let client = Client::open(at(&template, &address.0, address.1))?;
                let connection = client.get_multiplexed_async_connection().await?;
                servers.push((client, Check::Cluster(connection, address.clone(), masters.clone())));
            }
            Ok(servers)
        }
    }
}

/// A client for each server that may hold keys.
pub(crate) async fn clients(place: &Place) -> Result<Vec<Client>, Lost> {
    let servers = timeout(SUBSCRIBE_DEADLINE, servers(place)).await.map_err(|_| Lost::Timeout)??;
    Ok(servers.into_iter().map(|(client, _)| client).collect())
}

/// The masters of a Cluster, as the first of its nodes says that answers and finds it whole.
async fn discover(nodes: &[ConnectionInfo]) -> Result<(ConnectionInfo, BTreeSet<Address>), Lost> {
    let mut lost = Lost::Broken;
    for node in nodes {
        let asked = match node.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port),
            _ => continue,
        };
        match masters_of(node, &asked).await {
            Ok(masters) => return Ok((node.clone(), masters)),
            Err(error) => lost = error,
        }
    }
    Err(lost)
}

async fn masters_of(node: &ConnectionInfo, asked: &Address) -> Result<BTreeSet<Address>, Lost> {
    let mut connection = Client::open(node.clone())?.get_multiplexed_async_connection().await?;
    let masters = topology::masters(&mut connection, asked).await?;
    let is_whole = topology::is_well(&mut connection).await? && !masters.is_empty();
    if is_whole { Ok(masters) } else { Err(Lost::Broken) }
}

/// Tests a connection again and again, and what has to hold besides.
async fn beat(mut control: redis::aio::PubSubSink, mut check: Check, heartbeat: Duration) -> Result<Infallible, Lost> {
    let mut beat = interval(heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        timeout(heartbeat, control.ping::<redis::Value>()).await.map_err(|_| Lost::Timeout)??;
        match &mut check {
            Check::None => {}
            Check::Master(watched, address) => {
                // Sentinels that are away name nobody: only another master ends this.
                if let Ok(Ok(master)) = timeout(heartbeat, sentinel::master(watched)).await
                    && master.get_connection_info().addr() != address
                {
                    return Err(Lost::Moved);
                }
            }
            Check::Cluster(connection, asked, masters) => {
                let look = async {
                    let now = topology::masters(connection, asked).await?;
                    Ok::<_, RedisError>((now, topology::is_well(connection).await?))
                };
                match timeout(heartbeat, look).await.map_err(|_| Lost::Timeout)?? {
                    (_, false) => return Err(Lost::Broken),
                    (now, true) if now != *masters => return Err(Lost::Moved),
                    _ => {}
                }
            }
        }
    }
}
