//! Single flight: however many requests ask for an account at once, the layers below are asked once.
//!
//! A flight runs by itself. Nobody waits on a request that may be cancelled, and a push that overtakes the flight is
//! kept in it until it lands, so that an older answer never wins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entitlement::account::AccountId;
use entitlement::record::Entitlement;
use tokio::sync::watch;

use super::entry::Entry;
use super::{Layer, Unresolved};

/// Most flights at once; beyond that, an account is unresolved at once.
const FLIGHTS_MAX: usize = 8192;

/// How a flight ends: the newest known record and the layer that answered.
pub(super) type Landing = Result<(Arc<Entry>, Layer), Unresolved>;

/// The flights under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<AccountId, Flight>>);

/// One flight under way.
#[derive(Debug)]
struct Flight {
    /// When it took off, in milliseconds of the ladder's clock.
    at_ms: u64,
    landing: watch::Receiver<Option<Landing>>,
    /// The newest record that was pushed since take-off.
    pushed: Option<Arc<Entitlement>>,
}

/// The way onto a flight.
pub(super) enum Boarding {
    /// It is under way.
    Joined(watch::Receiver<Option<Landing>>),
    /// There was none: whoever has the pilot must fly it.
    Led(watch::Receiver<Option<Landing>>, Pilot),
    /// There are too many.
    Full,
}

/// The right and the duty to land one flight. Dropped without landing, it leaves nobody waiting.
pub(super) struct Pilot {
    flights: Arc<Flights>,
    account: AccountId,
    landing: watch::Sender<Option<Landing>>,
}

impl Flights {
    /// Joins the flight for the account, or opens one that takes off at `now_ms`.
    pub(super) fn board(self: &Arc<Self>, account: &AccountId, now_ms: u64) -> Boarding {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(account) {
            return Boarding::Joined(flight.landing.clone());
        }
        if flights.len() >= FLIGHTS_MAX {
            return Boarding::Full;
        }
        let (sender, landing) = watch::channel(None);
        flights.insert(account.clone(), Flight { at_ms: now_ms, landing: landing.clone(), pushed: None });
        let pilot = Pilot { flights: Arc::clone(self), account: account.clone(), landing: sender };
        Boarding::Led(landing, pilot)
    }

    /// The flight for the account that took off before `since_ms`, if it has not landed: what it finds may be older than that.
    pub(super) fn earlier(&self, account: &AccountId, since_ms: u64) -> Option<watch::Receiver<Option<Landing>>> {
        self.lock().get(account).filter(|flight| flight.at_ms < since_ms).map(|flight| flight.landing.clone())
    }

    /// Keeps a pushed record for the flight that it overtakes, if there is one.
    pub(super) fn overtake(&self, record: &Arc<Entitlement>) {
        if let Some(flight) = self.lock().get_mut(&record.account)
            && flight.pushed.as_ref().is_none_or(|known| known.version < record.version)
        {
            flight.pushed = Some(Arc::clone(record));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pilot {
    pub(super) fn account(&self) -> &AccountId {
        &self.account
    }

    /// Ends the flight, and gives what overtook it. What was found must be in L1 already: from now on pushes go there.
    pub(super) fn close(&self) -> Option<Arc<Entitlement>> {
        self.flights.lock().remove(&self.account).and_then(|flight| flight.pushed)
    }

    /// Tells everybody who waits.
    pub(super) fn land(self, landing: Landing) {
        self.landing.send_replace(Some(landing));
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        // Landed flights are closed already, and another may have taken off since.
        if self.landing.borrow().is_none() {
            self.close();
        }
    }
}
