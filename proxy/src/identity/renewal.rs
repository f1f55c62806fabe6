//! A request that says not enough by itself: newer keys are fetched and the site is asked, then it is read again.

use futures_util::future::join_all;

use super::ask::Insist;
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
    pub(super) async fn renew(&self, sender: Sender<'_>, insist: Insist, before: Sum) -> Credential {
        let keys = async {
            if before.is_pending {
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
        sum.credential().unwrap_or_else(|| {
            if self.ways.iter().all(Reader::has_keys) {
                self.refuse(self.all, Refusal::UnknownKey, sender.now.time);
                Credential::Rejected
            } else {
                self.refuse(self.all, Refusal::NoKeys, sender.now.time);
                Credential::Unverified
            }
        })
    }
}
