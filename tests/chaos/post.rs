//! The post between the provider and the public listener. It loses, delays, repeats, mixes up and cuts off what it
//! carries, as chance decided when the event was made; what is not taken it brings again, as the provider would.

use std::collections::{BTreeMap, BTreeSet};

use demo::provider::Provider;
use futures_util::{StreamExt, stream};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::http::{client, try_send};
use crate::world::in_seconds;
use crate::world::stripe::{SECRETS, signature};
use crate::world::wait::DEADLINE;

use super::story::Story;

const PATH: &str = "/api/stripe/webhook";

/// The step after all others, in which everything that still waits is delivered.
pub const LAST: usize = 1_000;

/// How many are carried at once.
const AT_ONCE: usize = 6;

/// Everything that was not dropped and has to be delivered.
pub struct Post {
    random: StdRng,
    letters: Vec<Letter>,
    /// What was answered 2xx.
    pub acknowledged: BTreeSet<String>,
    /// What is never delivered.
    pub dropped: BTreeSet<String>,
    pub cut_off: usize,
    pub refused: usize,
    client: reqwest::Client,
}

/// One delivery to be made.
#[derive(Clone, Debug)]
struct Letter {
    event: String,
    /// In which step.
    due: usize,
    /// Within a step the smallest goes first.
    place: u64,
    /// How not all of it arrives.
    cut: Option<Cut>,
}

/// What is left of a body, in thousandths.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The rest is missing, and its length is that of what is left.
    Short(usize),
    /// The connection ends before the length that was announced.
    Broken(usize),
}

/// How a delivery went.
struct Returned {
    letter: Letter,
    /// None when there was no answer.
    status: Option<u16>,
}

/// What the network is like while a round is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Everybody can be reached.
    Fine,
    Disturbed,
}

impl Post {
    /// The provider delivers nothing by itself from now on.
    pub fn take_over(random: StdRng, provider: &Provider) -> Self {
        provider.hold();
        let (acknowledged, dropped) = (BTreeSet::new(), BTreeSet::new());
        Self { random, letters: Vec::new(), acknowledged, dropped, cut_off: 0, refused: 0, client: client() }
    }

    /// Takes what the provider has made, and decides what becomes of each.
    pub fn collect(&mut self, provider: &Provider, step: usize, story: &Story) {
        for event in provider.waiting() {
            provider.discard(&event).expect("it waits");
            if self.random.random_bool(0.12) {
                story.tell(format!("{event} is dropped"));
                self.dropped.insert(event);
                continue;
            }
            let left = self.random.random_range(0..1000);
            let cut = match self.random.random_range(0..20) {
                0 => Some(Cut::Short(left)),
                1 => Some(Cut::Broken(left)),
                _ => None,
            };
            self.add(&event, step, cut);
            if self.random.random_bool(0.25) {
                self.add(&event, step, None);
            }
        }
    }

    fn add(&mut self, event: &str, step: usize, cut: Option<Cut>) {
        let delay = [0, 0, 0, 0, 1, 2, 4, LAST][self.random.random_range(0..8)];
        let place = self.random.random();
        self.letters.push(Letter { event: event.to_owned(), due: (step + delay).min(LAST), place, cut });
    }

    /// How many deliveries are still to be made.
    pub fn waiting(&self) -> usize {
        self.letters.len()
    }

    /// Delivers what is due in this step; `after_each` is told how many were.
    pub async fn round(
        &mut self,
        step: usize,
        provider: &Provider,
        url: &str,
        network: Network,
        mut after_each: impl FnMut(usize),
    ) {
        let (mut due, later): (Vec<Letter>, Vec<Letter>) =
            std::mem::take(&mut self.letters).into_iter().partition(|letter| letter.due <= step);
        self.letters = later;
        due.sort_by_key(|letter| letter.place);
        let bodies = bodies(provider);
        let mut sends = stream::iter(due)
            .map(|letter| send(provider, &self.client, url, &bodies, letter))
            .buffer_unordered(AT_ONCE);
        let mut returned = Vec::new();
        while let Some(one) = sends.next().await {
            returned.push(one);
            after_each(returned.len());
        }
        drop(sends);
        for one in returned {
            self.judge(one, step, network);
        }
    }

    fn judge(&mut self, returned: Returned, step: usize, network: Network) {
        let Returned { letter, status } = returned;
        let is_taken = matches!(status, Some(200..=299));
        if let Some(cut) = letter.cut {
            assert!(!is_taken, "half of {} was taken: {status:?}", letter.event);
            let is_refused = match cut {
                Cut::Short(_) => matches!(status, Some(400..=499)),
                // Nobody may be left to be answered.
                Cut::Broken(_) => true,
            };
            assert!(is_refused || network == Network::Disturbed, "half of {} is refused: {status:?}", letter.event);
            self.cut_off += 1;
            self.letters.push(Letter { cut: None, due: (step + 1).min(LAST), ..letter });
        } else if is_taken {
            self.acknowledged.insert(letter.event);
        } else {
            assert!(!matches!(status, Some(400..=499)), "{} is good, but refused: {status:?}", letter.event);
            assert!(network == Network::Disturbed, "nothing is wrong, but {} got {status:?}", letter.event);
            self.refused += 1;
            self.letters.push(Letter { due: (step + 1).min(LAST), ..letter });
        }
    }
}

/// The body of every event, by its id.
pub fn bodies(provider: &Provider) -> BTreeMap<String, Value> {
    let all = provider.events().into_iter().chain(provider.thin_events());
    all.map(|body| (body["id"].as_str().unwrap_or_default().to_owned(), body)).collect()
}

async fn send(
    provider: &Provider,
    client: &reqwest::Client,
    url: &str,
    bodies: &BTreeMap<String, Value>,
    letter: Letter,
) -> Returned {
    let status = match letter.cut {
        None => provider.redeliver(&letter.event).await.expect("there is an endpoint").status,
        Some(cut) => send_part(client, url, &bodies[&letter.event], cut).await,
    };
    Returned { letter, status }
}

/// Sends the beginning of a body under the signature of all of it.
async fn send_part(client: &reqwest::Client, url: &str, body: &Value, cut: Cut) -> Option<u16> {
    let body = serde_json::to_string_pretty(body).expect("it encodes");
    let signature = signature(&body, in_seconds(0), &SECRETS[..1]);
    let (Cut::Short(thousandths) | Cut::Broken(thousandths)) = cut;
    let left = &body[..body.floor_char_boundary(body.len() * thousandths / 1000)];
    match cut {
        Cut::Short(_) => {
            let request = client.post(format!("{url}{PATH}")).header("stripe-signature", signature);
            let request = request.header("content-type", "application/json").body(left.to_owned());
            try_send(request).await.ok().map(|answer| answer.status)
        }
        Cut::Broken(_) => {
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: site.test\r\nStripe-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            break_off(url.strip_prefix("http://").expect("an origin"), &format!("{head}{left}")).await
        }
    }
}

/// Writes a part of a request, says that no more comes, and reads the status of the answer, if there is one.
async fn break_off(address: &str, part: &str) -> Option<u16> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(part.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    };
    tokio::time::timeout(DEADLINE, talk).await.unwrap_or(None)
}
