//! Who uses the two proxies meanwhile, and what each must be answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http::{self, Answer, Connection};
use crate::secrets::Secrets;
use crate::sockets;
use crate::webhooks::{PAID_ACCOUNTS, paid_account};
use crate::world::{PAID_PAGE, World};

const READERS: usize = 8;
const FREE_USERS: usize = 4;
const STRANGERS: usize = 2;
const WATCHERS: usize = 4;
/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(4);
/// Between two purchases.
const BUY_EVERY: Duration = Duration::from_secs(1);
const LET_THROUGH_LIMIT: Duration = Duration::from_secs(15);
/// An answer that takes longer is wrong, whatever it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a WebSocket stays open.
const WATCHED: Duration = Duration::from_millis(1_500);
/// More wrong answers than anybody reads.
const ERRORS_MAX: usize = 20;

/// What was done, and what was wrong.
pub struct Tally {
    began: Instant,
    passed: AtomicU64,
    refused: AtomicU64,
    bought: AtomicU64,
    sockets: AtomicU64,
    errors: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// The clients, while they run.
pub struct Traffic {
    clients: JoinSet<()>,
    tally: Arc<Tally>,
}

/// One client: where it goes, and what it is counted in.
#[derive(Clone)]
struct Client {
    proxies: [SocketAddr; 2],
    secrets: Secrets,
    tally: Arc<Tally>,
    number: usize,
}

impl Tally {
    pub fn new() -> Self {
        let zero = AtomicU64::default;
        let (errors, is_over) = (Mutex::default(), AtomicBool::default());
        let (passed, refused, bought, sockets) = (zero(), zero(), zero(), zero());
        Self { began: Instant::now(), passed, refused, bought, sockets, errors, is_over }
    }

    /// What was done so far, in one line.
    pub fn line(&self) -> String {
        let [passed, refused, bought, sockets] =
            [&self.passed, &self.refused, &self.bought, &self.sockets].map(|count| count.load(Ordering::Relaxed));
        format!(
            "{passed} passed, {refused} refused, {bought} bought, {sockets} WebSockets, {} wrong",
            self.lock().len()
        )
    }

    pub fn errors(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn wrong(&self, error: &anyhow::Error) {
        let mut errors = self.lock();
        if errors.len() < ERRORS_MAX {
            errors.push(format!("after {:.1} s: {error:#}", self.began.elapsed().as_secs_f64()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    /// Starts all clients.
    pub fn start(world: &World, proxies: [SocketAddr; 2], tally: &Arc<Tally>) -> Result<Self> {
        let client = |number| Client { proxies, secrets: world.secrets.clone(), tally: Arc::clone(tally), number };
        let mut clients = JoinSet::new();
        let paid = (0..PAID_ACCOUNTS).map(paid_account);
        let pages = world.requests(paid)?;
        for number in 0..READERS {
            clients.spawn(client(number).ask(pages.clone(), 200));
        }
        for number in 0..FREE_USERS {
            let request = http::get(PAID_PAGE, Some(&world.secrets.token(&format!("unpaid-{number}"))?));
            clients.spawn(client(number).ask(vec![request], 402));
        }
        for number in 0..STRANGERS {
            clients.spawn(client(number).ask(vec![http::get(PAID_PAGE, None)], 401));
        }
        for number in 0..WATCHERS {
            clients.spawn(client(number).watch());
        }
        clients.spawn(client(0).buy());
        Ok(Self { clients, tally: Arc::clone(tally) })
    }

    /// Lets every client finish what it is doing.
    pub async fn end(mut self) {
        self.tally.is_over.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
    }
}

impl Client {
    /// Asks again and again, and is answered `expected`.
    async fn ask(self, requests: Vec<Vec<u8>>, expected: u16) {
        let target = self.proxies[self.number % 2];
        let counted = if expected == 200 { &self.tally.passed } else { &self.tally.refused };
        let mut connection = Connection::new(target);
        for request in requests.iter().cycle() {
            if self.tally.is_over() {
                return;
            }
            match answered(&mut connection, request, expected).await {
                Ok(()) => drop(counted.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    self.tally.wrong(&error);
                    connection = Connection::new(target);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Buys for one new account after the other: denied, paid, let through by both proxies.
    async fn buy(self) {
        let mut number = 0;
        while !self.tally.is_over() {
            match self.purchase(&format!("soaked-{number}")).await {
                Ok(()) => drop(self.tally.bought.fetch_add(1, Ordering::Relaxed)),
                Err(error) => self.tally.wrong(&error.context("a purchase")),
            }
            number += 1;
            tokio::time::sleep(BUY_EVERY).await;
        }
    }

    async fn purchase(&self, account: &str) -> Result<()> {
        let request = http::get(PAID_PAGE, Some(&self.secrets.token(account)?));
        for proxy in self.proxies {
            answered(&mut Connection::new(proxy), &request, 402).await?;
        }
        let delivery = self.secrets.subscribed(account)?;
        answered(&mut Connection::new(self.proxies[0]), &delivery, 200).await?;
        for proxy in self.proxies {
            let (began, mut connection) = (Instant::now(), Connection::new(proxy));
            while asked(&mut connection, &request).await?.status != 200 {
                ensure!(began.elapsed() < LET_THROUGH_LIMIT, "a buyer was not let through in {LET_THROUGH_LIMIT:?}");
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Opens a WebSocket, keeps it for a while, closes it, and again.
    async fn watch(self) {
        let opened = async || {
            let token = self.secrets.token(&paid_account(self.number))?;
            let upgrade = sockets::upgrade(self.proxies[self.number % 2], &token);
            timeout(ANSWER_LIMIT, upgrade).await.context("it was not opened in time")?
        };
        while !self.tally.is_over() {
            match opened().await {
                Ok(_open) => {
                    self.tally.sockets.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(WATCHED).await;
                }
                Err(error) => {
                    self.tally.wrong(&error.context("a WebSocket"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn asked<'a>(connection: &'a mut Connection, request: &[u8]) -> Result<Answer<'a>> {
    let answer = timeout(ANSWER_LIMIT, connection.exchange(request)).await;
    answer.with_context(|| format!("there was no answer in {ANSWER_LIMIT:?}"))?
}

async fn answered(connection: &mut Connection, request: &[u8], expected: u16) -> Result<()> {
    let answer = asked(connection, request).await?;
    let body = String::from_utf8_lossy(answer.body);
    ensure!(answer.status == expected, "{} instead of {expected}: {body}", answer.status);
    Ok(())
}
