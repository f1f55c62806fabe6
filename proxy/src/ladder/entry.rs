//! A record in L1, and how far it can be trusted.

use std::sync::atomic::{AtomicU64, Ordering};

use entitlement::record::Entitlement;

/// When, and under which push epoch, a layer below said that a record is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// The push epoch in which the question was asked; 0 when there was no push.
    pub(super) epoch: u64,
    /// When the question was asked, in milliseconds of the ladder's clock.
    pub(super) at_ms: u64,
    /// Whether billing itself said so, not a cache.
    pub(super) source: Source,
}

/// Who confirmed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Redis, or a push.
    Cache,
    Billing,
}

/// A record and its confirmations. The record never changes; a newer one takes the entry's place.
#[derive(Debug)]
pub struct Entry {
    record: Entitlement,
    epoch: AtomicU64,
    confirmed_ms: AtomicU64,
    /// When billing itself was last asked about the account; 0 for never.
    asked_ms: AtomicU64,
}

impl Entry {
    pub(super) fn new(record: Entitlement, confirmation: Confirmation) -> Self {
        let entry =
            Self { record, epoch: AtomicU64::new(0), confirmed_ms: AtomicU64::new(0), asked_ms: AtomicU64::new(0) };
        entry.confirm(confirmation);
        entry
    }

    /// What the account has.
    #[must_use]
    pub fn record(&self) -> &Entitlement {
        &self.record
    }

    /// Notes that a layer below said the same. Each of the three only grows, and each is true by itself, so that
    /// confirmations may race.
    pub(super) fn confirm(&self, confirmation: Confirmation) {
        self.epoch.fetch_max(confirmation.epoch, Ordering::Release);
        self.confirmed_ms.fetch_max(confirmation.at_ms, Ordering::Release);
        if confirmation.source == Source::Billing {
            self.asked_ms.fetch_max(confirmation.at_ms, Ordering::Relaxed);
        }
    }

    /// Keeps the note of when billing was last asked, as a newer record takes the place of `older`.
    pub(super) fn succeed(&self, older: &Self) {
        self.asked_ms.fetch_max(older.asked_ms.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The last push epoch in which the record was confirmed.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Milliseconds since the last confirmation.
    pub(super) fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.confirmed_ms.load(Ordering::Acquire))
    }

    /// Takes the right to ask billing again, which there is once per `interval_ms`.
    pub(super) fn may_ask(&self, now_ms: u64, interval_ms: u64) -> bool {
        let asked_ms = self.asked_ms.load(Ordering::Relaxed);
        if asked_ms != 0 && now_ms < asked_ms + interval_ms {
            return false;
        }
        self.asked_ms.compare_exchange(asked_ms, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
