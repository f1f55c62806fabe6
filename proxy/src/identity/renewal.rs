//! A request that says not enough by itself: newer keys are fetched and the site is asked, then it is read again.

use futures_util::future::join_all;

use super::ask::Insist;
use super::cookies::Ways;
use super::reader::Reader;
use super::refusal::Refusal;
use super::sender::Sender;
use super::sum::Sum;
use super::{Credential, Identity};

/// How often one request asks the site about a session that ends meanwhile.
const ROUNDS_MAX: usize = 3;

impl Identity {
    /// Waits for newer keys and for the site's answers, and reads all credentials again. The answer about a session that has ended in the
    /// meantime is of the time before, and the site is asked again; a session that ends each time is unknown.
    pub(super) async fn renew(&self, sender: Sender<'_>, insist: Insist, before: &mut Sum) -> Credential {
        let keys = async {
            if before.tries.pending != Ways::default() {
                join_all(self.published().map(|keys| keys.renew())).await;
            }
        };
        let (mut answers, ()) = tokio::join!(self.asking.ask(&before.questions, &sender), keys);
        let mut sum = self.survey(&sender, insist, Some(&answers));
        for _ in 1..ROUNDS_MAX {
            if sum.questions.is_empty() {
                break;
            }
            answers.extend(self.asking.ask(&sum.questions, &sender).await);
            sum = self.survey(&sender, insist, Some(&answers));
        }
        sum.gives_up();
        let credential = sum.credential().unwrap_or_else(|| {
            let mut credential = Credential::Rejected;
            for place in sum.tries.pending.places() {
                let has_keys = self.ways.get(place).is_some_and(Reader::has_keys);
                sum.tries.refused.push((place, if has_keys { Refusal::UnknownKey } else { Refusal::NoKeys }));
                if !has_keys {
                    credential = Credential::Unverified;
                }
            }
            credential
        });
        before.tries = sum.tries;
        credential
    }
}
