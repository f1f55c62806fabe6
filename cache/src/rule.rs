//! The one rule by which a record takes the place of another: a newer one does, whoever comes last.
//!
//! It is written twice: as the script that Redis runs, atomically, and in Rust, which a test holds against the script on a
//! real server, and which stands for Redis where every order of events is tried.

use redis::{RedisResult, Script, ScriptInvocation};

use crate::{Link, Task};

/// How much of a record is read to find its version, in bytes, less one: two numbers and two colons.
const HEAD_BYTES: usize = 40;

/// Stores a record if it is newer than what is there, judged by the version in front of the text, not by the order of
/// arrival, and whatever the format of the two; versions are below 2^53, which Lua counts exactly. When a channel is given,
/// the record is pushed unless something newer is there: a record that is there already may have been stored by a fill,
/// which pushes nothing.
///
/// Gives 0 when something newer is there, 1 when the same version is, 2 when the record was stored.
pub const STORE: &str = r"
local stored = redis.call('GETRANGE', KEYS[1], 0, 40)
local known = tonumber(string.match(stored, '^%d+:(%d+):') or '-1')
local version = tonumber(ARGV[1])
if known > version then return 0 end
if known < version then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[2]) end
if known < version then return 2 end
return 1
";

/// What becomes of a record that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something newer is there: it is neither stored nor pushed.
    Outdated,
    /// The same version is there: it is pushed only.
    Known,
    /// It took the place of what was there.
    Stored,
}

/// Who is told of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push<'a> {
    /// Whoever listens on this channel.
    To(&'a str),
    Nobody,
}

/// A record that is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    pub key: &'a str,
    pub version: u64,
    pub text: &'a str,
    pub kept_seconds: u64,
    pub push: Push<'a>,
}

/// What becomes of a record of this version, where `stored` is there; nothing is the empty text.
#[must_use]
pub fn outcome(stored: &[u8], version: u64) -> Outcome {
    match known(stored) {
        Some(known) if known > version => Outcome::Outdated,
        Some(known) if known == version => Outcome::Known,
        _ => Outcome::Stored,
    }
}

/// The version in front of a record of any format.
fn known(stored: &[u8]) -> Option<u64> {
    let head = stored.get(..=HEAD_BYTES).unwrap_or(stored);
    let mut parts = head.splitn(3, |byte| *byte == b':');
    let (format, version, _) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    (is_number(format) && is_number(version)).then_some(())?;
    str::from_utf8(version).ok()?.parse().ok()
}

impl Link {
    /// Stores a record by the rule.
    ///
    /// # Errors
    /// When Redis cannot be reached, or refuses to store it.
    pub async fn store(&self, script: &Script, store: Store<'_>) -> RedisResult<Outcome> {
        let mut invocation: ScriptInvocation<'_> = script.prepare_invoke();
        let (channel, task) = match store.push {
            Push::To(channel) => (channel, Task::Push),
            Push::Nobody => ("", Task::Store),
        };
        invocation.key(store.key).arg(store.version).arg(store.text).arg(store.kept_seconds).arg(channel);
        Ok(match self.invoke::<u8>(&invocation, task).await? {
            0 => Outcome::Outdated,
            1 => Outcome::Known,
            _ => Outcome::Stored,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;
    use crate::{Patience, Place, Subscription};

    const KEY: &str = "tollgate-test:rule";
    const CHANNEL: &str = "tollgate-test:rule";

    /// What may lie under a key: nothing, records of several formats, and what is no record.
    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            (1..4_u32, 0..12_u64).prop_map(|(format, version)| format!("{format}:{version}:{{}}")),
            (0..12_u64).prop_map(|version| format!("1:{version}:{}", "x".repeat(100))),
            Just(format!("1:{}:{{}}", 1_u64 << 52)),
            "[0-9a-z:]{0,60}",
            Just("1:-3:{}".to_owned()),
            Just("1:3".to_owned()),
        ]
    }

    #[test]
    fn a_newer_version_takes_the_place_of_an_older_one_and_of_what_is_no_record() {
        let cases = [
            ("", 0, Outcome::Stored),
            ("1:7:{}", 8, Outcome::Stored),
            ("1:7:{}", 7, Outcome::Known),
            ("1:7:{}", 6, Outcome::Outdated),
            ("2:7:anything", 6, Outcome::Outdated),
            ("2:7:anything", 7, Outcome::Known),
            ("garbage", 0, Outcome::Stored),
            ("1:-7:{}", 0, Outcome::Stored),
            ("1:7", 0, Outcome::Stored),
        ];
        for (stored, version, expected) in cases {
            assert_eq!(outcome(stored.as_bytes(), version), expected, "{version} over {stored:?}");
        }
    }

    #[tokio::test]
    async fn the_script_does_what_the_rule_says() {
        let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned());
        let place = Place::parse(&url).expect("a place");
        let (key, channel) = (format!("{KEY}:{}", std::process::id()), format!("{CHANNEL}:{}", std::process::id()));
        let patience = Patience { connect: Duration::from_secs(5), answer: Duration::from_secs(5) };
        let link = Link::open(place.clone(), patience, Arc::default());
        let mut heard = Subscription::open(&place, &channel, Duration::from_secs(60)).await.expect("Redis is there");
        let script = Script::new(STORE);
        let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), seed);
        for _ in 0..500 {
            let tree = (any_text(), 0..12_u64, any::<bool>()).new_tree(&mut runner).expect("a case");
            let (stored, version, pushes) = proptest::strategy::ValueTree::current(&tree);
            let set: () = link.query(redis::cmd("SET").arg(&key).arg(&stored)).await.expect("it is stored");
            let () = set;
            let text = format!("1:{version}:new");
            let push = if pushes { Push::To(&channel) } else { Push::Nobody };
            let store = Store { key: &key, version, text: &text, kept_seconds: 60, push };
            let expected = outcome(stored.as_bytes(), version);
            assert_eq!(link.store(&script, store).await.expect("it runs"), expected, "{version} over {stored:?}");
            let left: String = link.query(redis::cmd("GET").arg(&key)).await.expect("it is there");
            assert_eq!(left, if expected == Outcome::Stored { text.clone() } else { stored.clone() });
            if pushes && expected != Outcome::Outdated {
                let message = tokio::time::timeout(Duration::from_secs(5), heard.next()).await.expect("it is pushed");
                assert_eq!(message.expect("no loss"), text.as_bytes());
            }
        }
        let () = link.query(redis::cmd("DEL").arg(&key)).await.expect("it is removed");
        let last: i64 = link.query(redis::cmd("PUBLISH").arg(&channel).arg("end")).await.expect("it is published");
        assert_eq!(last, 1);
        assert_eq!(heard.next().await.expect("no loss"), b"end", "nothing else was pushed");
    }
}
