//! Lines with which strangers, or a fault of each of many requests, could fill the log: each kind is told once a minute, with how often it was
//! not told meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a kind is not told again.
const PAUSE: Duration = Duration::from_secs(60);

/// Most kinds that are told apart; further ones count as one.
const KINDS_MAX: usize = 16;

/// One place in the code that tells.
#[derive(Debug, Default)]
pub struct Sparing(Mutex<BTreeMap<String, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    untold: u64,
}

impl Sparing {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Whether this kind is to be told now: then how often it was not told before.
    pub fn tells(&self, kind: &impl ToString) -> Option<u64> {
        let (mut told, now) = (self.0.lock(), Instant::now());
        let kind = kind.to_string();
        let kind = if told.contains_key(&kind) || told.len() < KINDS_MAX { kind } else { String::new() };
        match told.get_mut(&kind) {
            Some(last) if now.duration_since(last.at) < PAUSE => {
                last.untold = last.untold.saturating_add(1);
                None
            }
            last => {
                let untold = last.map_or(0, |last| last.untold);
                told.insert(kind, Told { at: now, untold: 0 });
                Some(untold)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn b17_a_flood_is_one_line_a_minute_that_counts_the_others() {
        let sparing = Sparing::new();
        assert_eq!([sparing.tells(&"a"), sparing.tells(&"a"), sparing.tells(&"b")], [Some(0), None, Some(0)]);
        assert_eq!(sparing.tells(&"a"), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!([sparing.tells(&"a"), sparing.tells(&"b"), sparing.tells(&"a")], [Some(2), Some(0), None]);
        let told = (0..1000).filter(|kind| sparing.tells(kind).is_some()).count();
        assert_eq!(told, KINDS_MAX - 1, "made-up kinds are one");
    }
}
