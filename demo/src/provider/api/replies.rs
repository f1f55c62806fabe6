//! Idempotency keys: the same call with the same key gets the answer of the first one
//! (<https://docs.stripe.com/api/idempotent_requests>).

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::provider::refusal::Refusal;

/// Keys that are kept; older ones are forgotten, as Stripe forgets those older than a day.
const KEYS_MAX: usize = 10_000;
/// Stripe's limit for a key.
const KEY_CHARS_MAX: usize = 255;

/// The answers that were given under a key.
#[derive(Default)]
pub struct Replies {
    given: HashMap<String, Reply>,
    order: VecDeque<String>,
}

struct Reply {
    /// What the call asked for, so that another call with the same key is noticed.
    asked: String,
    answer: Value,
}

/// Whether an answer was made now or before.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Fresh(Value),
    Replayed(Value),
}

impl Replies {
    /// Gives the answer that is kept under `key` for the call `asked`, or makes and keeps one. A refusal is not kept:
    /// Stripe does not keep those either that it made before it began to act.
    pub fn once(
        &mut self,
        key: &str,
        asked: String,
        make: impl FnOnce() -> Result<Value, Refusal>,
    ) -> Result<Answer, Refusal> {
        if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal::invalid("Idempotency-Key", "An idempotency key has 1 to 255 characters."));
        }
        if let Some(reply) = self.given.get(key) {
            let same = reply.asked == asked;
            return if same {
                Ok(Answer::Replayed(reply.answer.clone()))
            } else {
                Err(Refusal::idempotency_mismatch())
            };
        }
        let answer = make()?;
        if self.order.len() == KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.given.remove(&oldest);
        }
        self.order.push_back(key.to_owned());
        self.given.insert(key.to_owned(), Reply { asked, answer: answer.clone() });
        Ok(Answer::Fresh(answer))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn once(replies: &mut Replies, key: &str, asked: &str, made: u32) -> Result<Answer, Refusal> {
        replies.once(key, asked.to_owned(), || Ok(json!(made)))
    }

    #[test]
    fn one_key_gives_one_answer() {
        let mut replies = Replies::default();
        assert_eq!(once(&mut replies, "k", "a", 1), Ok(Answer::Fresh(json!(1))));
        assert_eq!(once(&mut replies, "k", "a", 2), Ok(Answer::Replayed(json!(1))));
        assert_eq!(once(&mut replies, "other", "a", 3), Ok(Answer::Fresh(json!(3))));
        assert_eq!(once(&mut replies, "k", "b", 4), Err(Refusal::idempotency_mismatch()));
        assert!(once(&mut replies, "", "a", 5).is_err() && once(&mut replies, &"k".repeat(256), "a", 5).is_err());
    }

    #[test]
    fn a_refusal_is_not_kept() {
        let mut replies = Replies::default();
        let refused = replies.once("k", "a".into(), || Err(Refusal::missing("price")));
        assert_eq!(refused, Err(Refusal::missing("price")));
        assert_eq!(once(&mut replies, "k", "a", 1), Ok(Answer::Fresh(json!(1))));
    }

    #[test]
    fn the_oldest_key_is_forgotten_first() {
        let mut replies = Replies::default();
        for key in 0..=KEYS_MAX {
            once(&mut replies, &key.to_string(), "a", 1).expect("an answer");
        }
        assert_eq!(once(&mut replies, "1", "a", 2), Ok(Answer::Replayed(json!(1))));
        assert_eq!(once(&mut replies, "0", "a", 2), Ok(Answer::Fresh(json!(2))));
        assert_eq!(replies.given.len(), KEYS_MAX);
    }
}
