//! Sessions that are no tokens: the site itself is asked whose a cookie is, and its answer is kept for a moment.
//!
//! A question is asked once for each credential, however many requests wait for it, and runs by itself. Questions are bounded in all,
//! those about unknown credentials also for each client. The answer is kept under the digest of way and credential, one for all spellings and
//! signatures of it, and counts for the one that was shown; when the site does not answer, the last answer counts on for a while. An answer
//! of the site that sets or clears the cookie ends the kept answer, and closes the questions that are under way: the requests that wait for them
//! ask anew.

mod answer;
mod clients;
mod flights;
mod kept;
mod metrics;
mod outcome;
mod question;
mod sums;
mod way;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use entitlement::record::forget::{Forget, Sum};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

pub use question::{Location, LocationError};

use super::cookies::Signature;
use super::jwks::PublishedError;
use super::principal::Naming;
use super::sender::Sender;
use super::sessions::CLEAR_SITE_DATA;
use crate::clock::Moment;
use crate::ladder::Ladder;
use answer::Fault;
use clients::Clients;
use flights::{Flights, Joined, Leader};
pub(super) use kept::{Insist, Verdict};
use kept::{Kept, Push};
pub(super) use way::Presented;
use way::{Asked, Digest, SessionWay, Shown};

/// Most credentials whose answers are kept.
const KEPT_MAX: usize = 100_000;

/// Most questions at once about credentials of accounts. Each holds a connection to the site.
const KNOWN_MAX: usize = 32;

/// Most questions at once about all others: a flood of them takes nothing from signed-in users.
const UNKNOWN_MAX: usize = 16;

/// Most credentials of one request that are asked about: cookies that another page of the site's domain has set under the same name lock
/// nobody out. With more, one that is not asked about may be another's, and the request is nobody's.
const QUESTIONS_MAX: usize = 64;

/// Marks a question: where it comes back through a gate, it has no identity, and no further question is asked. A client's header of this
/// name reaches no site.
pub(super) const MARK: HeaderName = HeaderName::from_static("x-entitlement-question");

/// How the site is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub location: Location,
    /// The host of the site as clients write it.
    pub host: HeaderValue,
    /// The scheme of the site as clients write it.
    pub scheme: HeaderValue,
    /// Whether the signature of the cookie stands beside it.
    pub signature: Signature,
    /// How long an answer counts at most.
    pub keep: Duration,
    /// How long one question may take.
    pub deadline: Duration,
    /// How long an answer counts on when the site does not answer.
    pub stale: Duration,
}

/// A way by which the site is asked: its place, its name, the cookies that are shown to the site (none: `Authorization`), and the places of
/// the account and the user in the answer.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) cookies: Vec<String>,
    pub(super) naming: Naming,
    pub(super) settings: Settings,
}

/// Asks the site.
#[derive(Debug, Default)]
pub(super) struct Asking {
    ways: Vec<Arc<SessionWay>>,
    shared: Option<Arc<Shared>>,
    io: OnceLock<Handle>,
    /// By which this process is told of changes.
    told_by: OnceLock<Arc<Ladder>>,
}

/// The state that all ways share.
struct Shared {
    kept: Cache<Digest, (Shown, Kept)>,
    flights: Arc<Flights>,
    clients: Clients,
    known: Semaphore,
    unknown: Semaphore,
    began: Instant,
}

impl Asking {
    pub(super) fn new(plans: Vec<Plan>, began: Instant) -> Result<Self, PublishedError> {
        if plans.is_empty() {
            return Ok(Self::default());
        }
        let ways = plans.into_iter().map(|plan| SessionWay::new(plan).map(Arc::new)).collect::<Result<_, _>>()?;
        let shared = Shared {
            kept: Cache::new(KEPT_MAX),
            flights: Arc::default(),
            clients: Clients::default(),
            known: Semaphore::new(KNOWN_MAX),
            unknown: Semaphore::new(UNKNOWN_MAX),
            began,
        };
        Ok(Self { ways, shared: Some(Arc::new(shared)), io: OnceLock::new(), told_by: OnceLock::new() })
    }

    pub(super) const fn is_used(&self) -> bool {
        self.shared.is_some()
    }

    /// Questions run on `io`; before it is known, none is asked.
    pub(super) fn follow(&self, io: &Handle) {
        self.io.get_or_init(|| io.clone());
    }

    /// The ends of sessions are told to this process by `ladder`.
    pub(super) fn told_by(&self, ladder: &Arc<Ladder>) {
        self.told_by.get_or_init(|| Arc::clone(ladder));
    }

    fn push(&self) -> Push {
        self.told_by
            .get()
            .map_or(Push::ALWAYS, |ladder| Push { epoch: ladder.push_epoch(), max_staleness: ladder.max_staleness() })
    }

    /// Gives each session of a request with its known outcome, or with none where the site is to be asked.
    pub(super) fn each(
        &self,
        sender: &Sender<'_>,
        insist: Insist,
        mut found: impl FnMut(usize, Asked<(Presented, Option<Verdict>)>),
    ) {
        let Some(shared) = &self.shared else { return };
        let push = self.push();
        for (number, way) in self.ways.iter().enumerate() {
            way.presented(number, sender.headers, |asked| {
                let seen = |presented: Presented| {
                    let kept = shared.kept(presented.shown);
                    let verdict = kept.and_then(|kept| kept.now(sender.now, insist, push));
                    (presented, verdict)
                };
                found(way.place, asked.map(seen));
            });
        }
    }

    /// The outcomes of these questions; without an answer of the site the last one counts. None of those whose session has ended in the
    /// meantime.
    pub(super) async fn ask(&self, questions: &[Presented], sender: &Sender<'_>) -> Vec<Answer> {
        let (asked, rest) = questions.split_at(questions.len().min(QUESTIONS_MAX));
        let asked =
            asked.iter().map(|question| async { Some((question.shown, self.ask_one(question, sender).await?)) });
        let mut answers: Vec<Answer> = join_all(asked).await.into_iter().flatten().collect();
        answers.extend(rest.iter().map(|question| (question.shown, Verdict::Unknown)));
        answers
    }

    async fn ask_one(&self, question: &Presented, sender: &Sender<'_>) -> Option<Verdict> {
        let now = sender.now;
        let (Some(shared), Some(way)) = (&self.shared, self.ways.get(question.way)) else {
            return Some(Verdict::Unknown);
        };
        let kept = shared.kept(question.shown);
        let without = kept.as_ref().map_or(Verdict::Unknown, |kept| kept.without_answer(now));
        let Some(io) = self.io.get().filter(|_| way.circuit.is_closed(shared.ms(now.tick))) else {
            return Some(without);
        };
        let result = match shared.flights.join(question.shown) {
            Joined::Full => return Some(without),
            Joined::Follows(result) => result,
            Joined::Leads(result, leader) => {
                // Read anew: an answer that has ended before this question was opened must not come back.
                let kept = shared.kept(question.shown);
                let is_known = kept.as_ref().is_some_and(Kept::is_of_account);
                if !is_known && !shared.clients.take(sender.client(), shared.ms(now.tick)) {
                    way.metrics.busy.inc();
                    return Some(without);
                }
                let epoch = self.push().epoch;
                let flight = Flight { shared: Arc::clone(shared), way: Arc::clone(way), kept, now, epoch };
                io.spawn(flight.run(question.clone(), leader));
                result
            }
        };
        answered(result).await
    }

    /// The outcome of the last question about a session, as it counts now. An account counts while an answer that names it is kept: the end
    /// of the session removes that, also while the request still waits for something else.
    pub(super) fn answer(&self, answers: &[Answer], session: &Presented, now: Moment) -> Option<Verdict> {
        let (_, verdict) = answers.iter().rev().find(|(shown, _)| *shown == session.shown)?;
        match (verdict, &self.shared) {
            (Verdict::Account(_), Some(shared)) => {
                let (shown, kept) = shared.kept.get(&session.shown.digest)?;
                let current = kept.at_once(now);
                (shown == session.shown || current == *verdict).then_some(current)
            }
            (verdict, _) => Some(verdict.clone()),
        }
    }

    /// Forgets the sessions in `request` whose cookies `response` sets or clears, here and in all other processes.
    pub(super) fn end(&self, request: &HeaderMap, response: &HeaderMap) {
        let Some(shared) = &self.shared else { return };
        let clears = clears_cookies(response);
        for (number, way) in self.ways.iter().enumerate() {
            let set = way.set_by(response);
            if !clears && set.is_empty() {
                continue;
            }
            let shown: Vec<Sum> = way.sessions(number, request).iter().map(Digest::sum).collect();
            // The session that is named from now on may have been another account's before.
            let named = way.sessions(number, &set).into_iter().map(|digest| digest.sum());
            let named: Vec<Sum> = named.filter(|sum| !shown.contains(sum)).collect();
            for (sums, is_shown) in [(shown, true), (named, false)] {
                for sum in sums {
                    let is_known = shared.end(&way.digests(number, way.name(), sum).collect::<Vec<_>>());
                    if let Some(ladder) = self.told_by.get().filter(|_| is_shown || is_known) {
                        ladder.tell_end(way.name(), sum, is_known);
                    }
                }
            }
        }
    }

    /// Forgets that sessions in `request` belong to no account, here and in all other processes. These are told only where this process kept
    /// that: a client makes no more messages than questions, which are bounded.
    pub(super) fn doubt(&self, request: &HeaderMap) {
        let Some(shared) = &self.shared else { return };
        for (number, way) in self.ways.iter().enumerate() {
            for digest in way.sessions(number, request) {
                if shared.doubt(digest)
                    && let Some(ladder) = self.told_by.get()
                {
                    ladder.tell_end(way.name(), digest.sum(), false);
                }
            }
        }
    }
}

impl Asking {
    /// Whether a message comes from this process: it forgot those sessions with the answer that ended them.
    fn is_this(&self, process: u64) -> bool {
        self.told_by.get().is_some_and(|ladder| ladder.process() == process)
    }

    /// Forgets sessions that have ended, as the application says or as another process has seen.
    pub(super) fn forget(&self, forget: &Forget) {
        let Some(shared) = &self.shared else { return };
        match forget {
            Forget::Session { seen_by: Some(process), .. } if self.is_this(*process) => {}
            Forget::Session { way: name, sums, .. } => {
                for (number, way) in self.ways.iter().enumerate() {
                    let digests: Vec<Digest> = sums.iter().flat_map(|sum| way.digests(number, name, *sum)).collect();
                    shared.end(&digests);
                }
            }
            // A question that is under way may have this answer.
            Forget::Account(account) => {
                shared.flights.end_all(|| shared.kept.retain(|_, (_, kept)| !kept.is_of(account)));
            }
        }
    }
}

/// Whether an answer ends all cookies of the site in the browser that gets it.
fn clears_cookies(response: &HeaderMap) -> bool {
    let lines = response.get_all(CLEAR_SITE_DATA).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|kind| matches!(kind.trim(), "\"cookies\"" | "\"*\""))
}

/// A question's outcome.
pub(super) type Answer = (Shown, Verdict);

/// The result of a question that another task asks; none when the session has ended in the meantime.
async fn answered(mut result: watch::Receiver<Option<Verdict>>) -> Option<Verdict> {
    result.wait_for(Option::is_some).await.ok().and_then(|verdict| verdict.clone())
}

impl Shared {
    /// The answer about a credential as it is shown.
    fn kept(&self, shown: Shown) -> Option<Kept> {
        self.kept.get(&shown.digest).filter(|(other, _)| *other == shown).map(|(_, kept)| kept)
    }

    /// Keeps an answer. That of an account makes room for one about another spelling only where that is of an account as well: a signature
    /// that is made up takes nothing from the session.
    fn keep(&self, shown: Shown, kept: Kept) {
        let is_other = |(other, known): (Shown, Kept)| other != shown && known.is_of_account();
        if kept.is_of_account() || !self.kept.get(&shown.digest).is_some_and(is_other) {
            self.kept.insert(shown.digest, (shown, kept));
        }
    }

    /// Forgets that a session belongs to no account, and what is asked about it. Returns whether an answer was kept that said so.
    fn doubt(&self, digest: Digest) -> bool {
        let is_of_account = || self.kept.get(&digest).is_some_and(|(_, kept)| kept.is_of_account());
        let mut was_kept = false;
        if !is_of_account() {
            self.flights.end(&[digest], || {
                if !is_of_account() {
                    was_kept = self.kept.remove(&digest).is_some();
                }
            });
        }
        was_kept
    }

    /// Forgets sessions, and what is asked about them. Returns whether one was of an account.
    fn end(&self, digests: &[Digest]) -> bool {
        let mut is_known = false;
        self.flights.end(digests, || {
            for digest in digests {
                is_known |= self.kept.remove(digest).is_some_and(|(_, (_, kept))| kept.is_of_account());
            }
        });
        is_known
    }

    /// A moment on the clock of budgets and circuits, in milliseconds.
    fn ms(&self, tick: Instant) -> u64 {
        u64::try_from(tick.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({} answers)", self.kept.len())
    }
}

/// One question under way.
struct Flight {
    shared: Arc<Shared>,
    way: Arc<SessionWay>,
    /// The answer that was kept when it began.
    kept: Option<Kept>,
    now: Moment,
    /// The push epoch when it began.
    epoch: u32,
}

impl Flight {
    async fn run(self, question: Presented, leader: Leader) {
        let Self { shared, way, kept, now, epoch } = self;
        let is_known = kept.as_ref().is_some_and(Kept::is_of_account);
        let places = if is_known { &shared.known } else { &shared.unknown };
        let mut has_begun = false;
        let asked = async {
            let _place = places.acquire().await.map_err(|_| Fault::Busy)?;
            has_begun = true;
            way.ask(&question, now.time).await
        };
        let said = timeout(way.deadline, asked).await;
        // A question that never had its turn tells nothing of the site.
        let said = said.unwrap_or(Err(if has_begun { Fault::Slow } else { Fault::Busy }));
        match &said {
            Ok(_) => way.circuit.succeeded(),
            Err(fault) if fault.is_of_connection() => way.circuit.failed(shared.ms(now.tick)),
            Err(_) => {}
        }
        way.count(&said, now.time);
        let kept = match said {
            Ok(said) => Kept::answered(said, (now, epoch), way.stale),
            Err(_) => Kept::failed(kept, now),
        };
        let verdict = kept.at_once(now);
        leader.finish(verdict, || shared.keep(question.shown, kept));
    }
}

#[cfg(test)]
mod tests;
