//! A record in L1, and how far it can be trusted.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use entitlement::record::Entitlement;

/// When, and under which push epoch, a layer below said that a record is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// The push epoch in which the question was asked; 0 when there was no push.
    pub(super) epoch: u32,
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

/// A record and its confirmations. The record never changes; a newer one takes the entry's place. There may be a million
/// of these: they are kept small.
#[derive(Debug)]
pub struct Entry {
    record: Entitlement,
    confirmed_ms: AtomicU64,
    epoch: AtomicU32,
    /// When billing itself was last asked about the account, in tenths of a second; 0 for never.
    asked_ds: AtomicU32,
}

impl Entry {
    pub(super) fn new(record: Entitlement, confirmation: Confirmation) -> Self {
        let (confirmed_ms, epoch, asked_ds) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let entry = Self { record, confirmed_ms, epoch, asked_ds };
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
            self.asked_ds.fetch_max(tenths(confirmation.at_ms), Ordering::Relaxed);
        }
    }

    /// Keeps the note of when billing was last asked, as a newer record takes the place of `older`.
    pub(super) fn succeed(&self, older: &Self) {
        self.asked_ds.fetch_max(older.asked_ds.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The last push epoch in which the record was confirmed.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Milliseconds since the last confirmation.
    pub(super) fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.confirmed_ms())
    }

    /// When it was last confirmed, in milliseconds of the ladder's clock.
    pub(super) fn confirmed_ms(&self) -> u64 {
        self.confirmed_ms.load(Ordering::Acquire)
    }

    /// When billing itself was last asked about the account, in milliseconds, rounded down to tenths of a second; `None`
    /// for never.
    pub(super) fn asked_ms(&self) -> Option<u64> {
        let asked_ds = self.asked_ds.load(Ordering::Relaxed);
        (asked_ds != 0).then(|| u64::from(asked_ds) * 100)
    }
}

/// Milliseconds as tenths of a second, which 32 bits can count for 13 years.
fn tenths(ms: u64) -> u32 {
    u32::try_from(ms / 100).unwrap_or(u32::MAX)
}
