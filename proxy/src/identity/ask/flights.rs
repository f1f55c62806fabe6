//! Single flight: however many requests wait for the site's word on a credential, it is asked once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::kept::Verdict;
use super::way::{Digest, Shown};

/// Most questions that are asked or wait for their turn.
const FLIGHTS_MAX: usize = 1024;

/// The questions under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    flights: HashMap<Shown, Flight>,
    /// How many there have been.
    count: u64,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    result: watch::Receiver<Option<Verdict>>,
}

/// The way in which a request waits for an answer.
pub(super) enum Joined {
    Follows(watch::Receiver<Option<Verdict>>),
    /// No question was under way: the holder of the leader must ask it.
    Leads(watch::Receiver<Option<Verdict>>, Leader),
    /// There are too many.
    Full,
}

/// The right and the duty to ask. Dropped without a result, it ends the wait of all requests.
pub(super) struct Leader {
    flights: Arc<Flights>,
    shown: Shown,
    number: u64,
    result: watch::Sender<Option<Verdict>>,
}

impl Flights {
    /// Joins the question about a credential, or opens one.
    pub(super) fn join(self: &Arc<Self>, shown: Shown) -> Joined {
        let mut open = self.0.lock();
        if let Some(flight) = open.flights.get(&shown) {
            return Joined::Follows(flight.result.clone());
        }
        if open.flights.len() >= FLIGHTS_MAX {
            return Joined::Full;
        }
        open.count += 1;
        let (sender, result) = watch::channel(None);
        let number = open.count;
        open.flights.insert(shown, Flight { number, result: result.clone() });
        Joined::Leads(result, Leader { flights: Arc::clone(self), shown, number, result: sender })
    }

    /// Closes the questions about credentials to further requests, in every spelling, and keeps their answers from being kept. `forget` runs
    /// before another question can end.
    pub(super) fn end(&self, digests: &[Digest], forget: impl FnOnce()) {
        let mut open = self.0.lock();
        open.flights.retain(|shown, _| !digests.contains(&shown.digest));
        forget();
    }

    /// As [`Flights::end`], of all questions.
    pub(super) fn end_all(&self, forget: impl FnOnce()) {
        let mut open = self.0.lock();
        open.flights.clear();
        forget();
    }

    /// Closes the flight of this number; `keep` runs before it can be ended. Returns whether it was still open.
    fn close(&self, shown: Shown, number: u64, keep: impl FnOnce()) -> bool {
        let mut open = self.0.lock();
        let is_open = open.flights.get(&shown).is_some_and(|flight| flight.number == number);
        if is_open {
            keep();
            open.flights.remove(&shown);
        }
        is_open
    }
}

impl Leader {
    /// Gives the result to all requests that wait. `keep` keeps the answer. When the session has ended in the meantime, the answer is of
    /// the time before: it is not kept, and the requests wait in vain.
    pub(super) fn finish(self, verdict: Verdict, keep: impl FnOnce()) {
        if self.flights.close(self.shown, self.number, keep) {
            self.result.send_replace(Some(verdict));
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.flights.close(self.shown, self.number, || ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::identity::ask::way::tests::numbered;

    const ONE: Shown = numbered(usize::MAX);

    fn lead(flights: &Arc<Flights>, shown: Shown) -> (watch::Receiver<Option<Verdict>>, Leader) {
        match flights.join(shown) {
            Joined::Leads(result, leader) => (result, leader),
            Joined::Follows(_) | Joined::Full => panic!("nobody asks yet"),
        }
    }

    #[test]
    fn all_who_wait_get_the_one_answer_and_the_next_one_asks_anew() {
        let flights = Arc::new(Flights::default());
        let (result, leader) = lead(&flights, ONE);
        let Joined::Follows(other) = flights.join(ONE) else { panic!("it is under way") };
        let _apart = lead(&flights, numbered(2));
        let mut is_kept = false;
        leader.finish(Verdict::Nobody, || is_kept = true);
        assert!(is_kept);
        assert_eq!(
            [result, other].map(|result| result.borrow().clone()),
            [Some(Verdict::Nobody), Some(Verdict::Nobody)]
        );
        lead(&flights, ONE);
    }

    #[test]
    fn the_answer_to_what_has_ended_is_neither_kept_nor_given_and_nobody_joins_it() {
        let flights = Arc::new(Flights::default());
        let (before, old) = lead(&flights, ONE);
        let mut is_forgotten = false;
        flights.end(&[ONE.digest], || is_forgotten = true);
        assert!(is_forgotten);
        let (result, new) = lead(&flights, ONE);
        old.finish(Verdict::Unknown, || panic!("it has ended"));
        assert!(before.borrow().is_none() && before.has_changed().is_err(), "the requests that waited ask anew");
        assert!(matches!(flights.join(ONE), Joined::Follows(_)), "the new one is still under way");
        let mut is_kept = false;
        new.finish(Verdict::Nobody, || is_kept = true);
        assert!(is_kept);
        assert_eq!(*result.borrow(), Some(Verdict::Nobody));
        let (_, one) = lead(&flights, ONE);
        let (_, other) = lead(&flights, numbered(2));
        flights.end_all(|| ());
        one.finish(Verdict::Nobody, || panic!("it has ended"));
        other.finish(Verdict::Nobody, || panic!("it has ended, too"));
    }

    #[test]
    fn a_leader_that_goes_leaves_nobody_waiting_and_there_are_not_too_many() {
        let flights = Arc::new(Flights::default());
        let (result, leader) = lead(&flights, ONE);
        drop(leader);
        assert!(result.has_changed().is_err(), "it is closed");
        let leaders: Vec<_> = (0..FLIGHTS_MAX).map(|number| lead(&flights, numbered(number))).collect();
        assert!(matches!(flights.join(ONE), Joined::Full));
        assert!(matches!(flights.join(numbered(0)), Joined::Follows(_)));
        drop(leaders);
        lead(&flights, ONE);
    }
}
