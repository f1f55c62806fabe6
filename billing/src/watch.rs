//! Watches the inbox: too many waiting events, or dead ones, are told to an operator once, and once when it is over.

use std::time::Duration;

use cache::Lasting;
use tokio_util::sync::CancellationToken;

use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::metrics;
use crate::store::StoreError;
use crate::store::retention::{self, Open};

/// How often the inbox is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Events of one state are counted up to here, or up to the bound of the alert: reading more takes longer than it is worth.
const COUNTED_MAX: u64 = 10_000;

/// What an operator has been told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    alert: bool,
    dead: i64,
}

/// What an operator is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// More events wait than should.
    Crowded,
    NoLongerCrowded,
    /// More events are dead than before.
    Dead,
    NoneDead,
}

impl Told {
    /// What is new. `most` is how many events may wait.
    fn look(&mut self, open: &Open, most: u64) -> Vec<News> {
        let alert = open.waiting() > most;
        let crowded = match (self.alert, alert) {
            (false, true) => Some(News::Crowded),
            (true, false) => Some(News::NoLongerCrowded),
            _ => None,
        };
        let dead = match (self.dead, open.dead) {
            (before, now) if now > before => Some(News::Dead),
            (1.., 0) => Some(News::NoneDead),
            _ => None,
        };
        *self = Self { alert, dead: open.dead };
        crowded.into_iter().chain(dead).collect()
    }
}

impl Billing {
    async fn open(&self) -> Result<Open, StoreError> {
        let mut conn = self.pool().acquire().await?;
        // One more than may wait tells as much as all.
        let most = self.settings().inbox_alert.saturating_add(1).max(COUNTED_MAX);
        retention::open(&mut conn, i64::try_from(most).unwrap_or(i64::MAX), clock::now()).await
    }

    /// Watches until told to stop.
    pub(crate) async fn run_watch(self, stop: CancellationToken) {
        let most = self.settings().inbox_alert;
        let mut told = Told::default();
        let faults = Lasting::default();
        while !stop.is_cancelled() {
            match self.open().await {
                Ok(open) => {
                    faults.ends();
                    told.look(&open, most).into_iter().for_each(|news| tell(news, &open, most));
                    metrics::show_inbox(&open);
                    metrics::show_inbox_alert(told.alert);
                }
                Err(error) if faults.begins(&error) => tracing::warn!(
                    error = chain::told(&error),
                    "the events in the inbox cannot be counted: tollgate_inbox stays as it was"
                ),
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

fn tell(news: News, open: &Open, most: u64) {
    let (waiting, dead) = (open.waiting(), open.dead);
    match news {
        News::Crowded => {
            tracing::error!(
                waiting,
                most,
                "too many events wait in the inbox: `tollgate events list --state pending` shows why"
            );
        }
        News::NoLongerCrowded => tracing::info!(waiting, most, "no longer too many events wait in the inbox"),
        News::Dead => {
            tracing::error!(dead, "events are dead: `tollgate events list --state dead` shows why");
        }
        News::NoneDead => tracing::info!("no event is dead any more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_is_told_once_and_so_is_its_end() {
        use News::{Crowded, Dead, NoLongerCrowded, NoneDead};
        let mut told = Told::default();
        let steps: [(&str, i64, i64, &[News]); 10] = [
            ("as many as may wait", 2, 0, &[]),
            ("one more", 3, 0, &[Crowded]),
            ("still", 4, 0, &[]),
            ("over", 2, 0, &[NoLongerCrowded]),
            ("still over", 0, 0, &[]),
            ("again, and two died", 3, 2, &[Crowded, Dead]),
            ("one of them was replayed", 3, 1, &[]),
            ("and died again", 3, 2, &[Dead]),
            ("all well", 0, 0, &[NoLongerCrowded, NoneDead]),
            ("still well", 0, 0, &[]),
        ];
        for (what, waiting, dead, expected) in steps {
            let open = Open { pending: waiting, dead, ..Open::default() };
            assert_eq!(told.look(&open, 2), expected, "{what}");
        }
    }

    #[test]
    fn what_is_due_waits_and_what_is_dead_does_not() {
        let open = Open { pending: 1, parked: 9, parked_due: 2, dead: 7 };
        assert_eq!(open.waiting(), 3);
    }
}
