//! Credit by the day: when it is spent.
//!
//! What is paid for goes first. A day of credit is spent only on time that nothing else gives at this rank or above, so
//! a credit that is earned while a subscription runs waits for its end. Credits follow one another in the order in which
//! they were given, those for a higher tier first: each begins when it is given or when the time before it is used up,
//! whichever is later.

use chrono::Duration;

use crate::Timestamp;
use crate::catalog::Catalog;
use crate::timeline::{Grant, Source, Status};

/// So many days of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCredit {
    pub id: i64,
    /// A tier's code; of one that the catalog does not have nothing is spent.
    pub tier: String,
    pub days: u32,
    pub given_at: Timestamp,
    /// From then on nothing of it is spent.
    pub revoked_at: Option<Timestamp>,
}

/// A stretch of time: from, and until; open when `None`.
type Stretch = (Timestamp, Option<Timestamp>);

/// When one credit is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    pub credit: DayCredit,
    /// In order of time, and none of them open.
    pub grants: Vec<Grant>,
}

impl Spending {
    /// How much of it is left at `now`; nothing once it was taken back.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Duration {
        if self.credit.revoked_at.is_some_and(|at| at <= now) {
            return Duration::zero();
        }
        let used = |grant: &Grant| (grant.until.unwrap_or(now).min(now) - grant.from).max(Duration::zero());
        let used = self.grants.iter().map(used).fold(Duration::zero(), |sum, used| sum + used);
        (length(&self.credit) - used).max(Duration::zero())
    }
}

/// When each credit is spent, beside everything else that is granted. Neither the order of the credits nor that of the
/// grants matters.
#[must_use]
pub fn spend(catalog: &Catalog, grants: &[Grant], credits: &[DayCredit]) -> Vec<Spending> {
    let rank = |tier: &str| catalog.tier(tier).map(|tier| tier.rank);
    let mut taken: Vec<(u32, Stretch)> =
        grants.iter().filter_map(|grant| Some((rank(&grant.tier)?, (grant.from, grant.until)))).collect();
    let mut queue: Vec<(u32, &DayCredit)> =
        credits.iter().filter_map(|credit| Some((rank(&credit.tier)?, credit))).collect();
    queue.sort_by_key(|(rank, credit)| (std::cmp::Reverse(*rank), credit.given_at, credit.id));
    let mut spendings = Vec::with_capacity(queue.len());
    for (rank, credit) in queue {
        let mut covers: Vec<Stretch> =
            taken.iter().filter(|(covering, _)| *covering >= rank).map(|(_, stretch)| *stretch).collect();
        covers.sort_unstable();
        let pieces = free(&covers, credit);
        taken.extend(pieces.iter().map(|(from, until)| (rank, (*from, Some(*until)))));
        spendings.push(Spending { credit: credit.clone(), grants: granted(credit, &pieces) });
    }
    spendings
}

fn granted(credit: &DayCredit, pieces: &[(Timestamp, Timestamp)]) -> Vec<Grant> {
    let grant = |(from, until): &(Timestamp, Timestamp)| Grant {
        source: Source::Credit(credit.id),
        tier: credit.tier.clone(),
        status: Status::Credit,
        from: *from,
        until: Some(*until),
    };
    pieces.iter().map(grant).collect()
}

fn length(credit: &DayCredit) -> Duration {
    Duration::days(i64::from(credit.days))
}

/// The first free time after it was given, as long as the credit is; nothing after it was taken back. `covers` are in
/// order of their beginnings.
fn free(covers: &[Stretch], credit: &DayCredit) -> Vec<(Timestamp, Timestamp)> {
    let (mut cursor, mut left) = (credit.given_at, length(credit));
    let mut pieces = Vec::new();
    for (start, end) in covers {
        if cursor < *start {
            let used = left.min(*start - cursor);
            pieces.push((cursor, cursor + used));
            left -= used;
        }
        match end {
            _ if left.is_zero() => break,
            Some(end) => cursor = cursor.max(*end),
            // It waits for ever.
            None => {
                left = Duration::zero();
                break;
            }
        }
    }
    if !left.is_zero() {
        // An end beyond the calendar is as good as its last day.
        pieces.push((cursor, cursor.checked_add_signed(left).unwrap_or(Timestamp::MAX_UTC)));
    }
    let clipped = pieces.into_iter().map(|(from, until)| (from, credit.revoked_at.map_or(until, |at| until.min(at))));
    clipped.filter(|(from, until)| from < until).collect()
}

#[cfg(test)]
mod tests;
