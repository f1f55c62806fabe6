//! A connection to Redis that comes back by itself. While there is none, questions fail at once instead of waiting for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation,
    ServerErrorKind,
};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{debug, info};

use crate::clip::within;
use crate::place::Kind;
use crate::{Connection, Pauses, Place, Refusal, Refusals, Task, sentinel};

/// Shortest pause before another connection, in milliseconds.
const PAUSE_MS_MIN: u64 = 25;

/// Longest pause before another connection, in milliseconds.
const PAUSE_MS_MAX: u64 = 500;

/// Answers in a row that come too late until another connection is tried: one that is dead without having been closed
/// would else be waited for until the system gives it up, a quarter of an hour later.
const LATE_MAX: u32 = 3;

/// How often a Cluster is asked for one answer, as its slots may have moved.
const CLUSTER_TRIES: u32 = 3;

/// How long Redis may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To be connected to.
    pub connect: Duration,
    /// To answer.
    pub answer: Duration,
}

/// The connection, whichever it is now.
pub struct Link {
    patience: Patience,
    state: watch::Receiver<State>,
    /// Tells the keeper that a connection is of no use any more.
    lost: mpsc::Sender<u64>,
    late: AtomicU32,
    refusals: Arc<Refusals>,
}

#[derive(Clone)]
enum State {
    /// The first connection is being made.
    Opening,
    Open(Live),
    /// It was lost, or could not be made, and why: another try is under way.
    Closed(Arc<str>),
}

/// A connection, and which one it is.
#[derive(Clone)]
struct Live {
    connection: Connection,
    number: u64,
}

impl Link {
    /// Begins to connect, on the current runtime, and keeps at it until the link is dropped. What Redis refuses is noted.
    #[must_use]
    pub fn open(place: Place, patience: Patience, refusals: Arc<Refusals>) -> Self {
        let (told, state) = watch::channel(State::Opening);
        let (lost, losses) = mpsc::channel(8);
        tokio::spawn(keep(place, patience, (told, losses), Arc::clone(&refusals)));
        Self { patience, state, lost, late: AtomicU32::new(0), refusals }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// When there is no connection, no answer in time, or Redis refuses.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        let answer = self.query_unnoted(cmd).await;
        self.refusals.note(Task::of(cmd), answer.as_ref().err());
        answer
    }

    /// Asks one question whose refusal tells nothing by itself.
    ///
    /// # Errors
    /// As [`Link::query`].
    pub async fn query_unnoted<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        let mut live = within(self.patience.answer, self.live()).await?;
        let answer = within(self.patience.answer, cmd.query_async(&mut live.connection)).await;
        self.note(live.number, answer.as_ref().err());
        answer
    }

    /// Runs a script for a task.
    ///
    /// # Errors
    /// As [`Link::query`].
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>, task: Task) -> RedisResult<T> {
        let mut live = within(self.patience.answer, self.live()).await?;
        let answer = within(self.patience.answer, script.invoke_async(&mut live.connection)).await;
        self.refusals.note(task, answer.as_ref().err());
        self.note(live.number, answer.as_ref().err());
        answer
    }

    /// How many connections there have been, this one included: whatever was told to an earlier one may be lost. `None`
    /// while there is none.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match &*self.state.borrow() {
            State::Open(live) => Some(live.number),
            State::Opening | State::Closed(_) => None,
        }
    }

    /// Why there is no connection, where there is none.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Closed(why) => Some(why.to_string()),
            State::Opening | State::Open(_) => None,
        }
    }

    async fn live(&self) -> RedisResult<Live> {
        let mut state = self.state.clone();
        let state = state.wait_for(|state| !matches!(state, State::Opening)).await;
        match state.as_deref() {
            Ok(State::Open(live)) => Ok(live.clone()),
            Ok(State::Closed(why)) => Err(unconnected(&format!("there is no connection to Redis: {why}"))),
            _ => Err(unconnected("there is no connection to Redis")),
        }
    }

    /// Gives up a connection that is of no use.
    fn note(&self, number: u64, error: Option<&RedisError>) {
        let Some(error) = error else { return self.late.store(0, Ordering::Relaxed) };
        let is_over = if error.is_timeout() {
            self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_MAX
        } else {
            // A server that may no longer be written to was a master: another one is, and its name may lead there.
            let demoted = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server);
            error.is_unrecoverable_error() || demoted.contains(&error.kind())
        };
        if is_over {
            self.late.store(0, Ordering::Relaxed);
            // Full means that the keeper knows already.
            let _ = self.lost.try_send(number);
        }
    }
}

fn unconnected(why: &str) -> RedisError {
    RedisError::from(io::Error::new(io::ErrorKind::NotConnected, why))
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// Makes one connection after the other, until nobody wants any more.
async fn keep(
    place: Place,
    patience: Patience,
    (told, mut losses): (watch::Sender<State>, mpsc::Receiver<u64>),
    refusals: Arc<Refusals>,
) {
    let (mut number, mut pauses) = (0, Pauses::between(PAUSE_MS_MIN, PAUSE_MS_MAX));
    while !losses.is_closed() {
        let connected = within(patience.connect, connect(&place, patience)).await;
        refusals.note(Task::Connect, connected.as_ref().err());
        let why: Arc<str> = match connected {
            Ok(connection) => {
                number += 1;
                debug!(number, %place, "connected to Redis");
                told.send_replace(State::Open(Live { connection, number }));
                let held = lost(&mut losses, number);
                // One that held for a while was well: the next try comes soon.
                let held = tokio::time::timeout(Duration::from_millis(PAUSE_MS_MAX), held);
                match held.await {
                    Ok(Held::Wanted) => {}
                    Ok(Held::Unwanted) => return,
                    Err(_) => {
                        pauses.start_over();
                        if lost(&mut losses, number).await == Held::Unwanted {
                            return;
                        }
                    }
                }
                info!(%place, "the connection to Redis is lost: another one is made");
                format!("{place}: the connection was lost").into()
            }
            Err(error) => {
                debug!(%error, %place, "Redis cannot be connected to");
                Refusal::of(&error).map_or_else(|| format!("{place}: {error}"), |refusal| refusal.to_string()).into()
            }
        };
        told.send_replace(State::Closed(why));
        sleep(pauses.take()).await;
    }
}

/// Whether another connection is wanted after one was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Wanted,
    Unwanted,
}

/// Waits until a connection is lost.
async fn lost(losses: &mut mpsc::Receiver<u64>, number: u64) -> Held {
    loop {
        match losses.recv().await {
            Some(lost) if lost == number => return Held::Wanted,
            // About an earlier one, told late.
            Some(_) => {}
            None => return Held::Unwanted,
        }
    }
}

async fn connect(place: &Place, patience: Patience) -> RedisResult<Connection> {
    match &place.0 {
        Kind::Server(info) => server(&Client::open(info.clone())?, patience).await.map(Connection::Server),
        Kind::Sentinel(watched) => server(&sentinel::master(watched).await?, patience).await.map(Connection::Server),
        Kind::Cluster(nodes) => {
            let client = ClusterClient::builder(nodes.clone())
                .connection_timeout(patience.connect)
                .response_timeout(patience.answer)
                .retries(CLUSTER_TRIES)
                .build()?;
            client.get_async_connection().await.map(Connection::Cluster)
        }
    }
}

async fn server(client: &Client, patience: Patience) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience.connect))
        .set_response_timeout(Some(patience.answer));
    client.get_multiplexed_async_connection_with_config(&config).await
}
