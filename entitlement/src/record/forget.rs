//! Sessions that every proxy is told to forget: a message on the channel of changes.
//!
//! It has the form of a record in a format that no build reads. So a proxy of an older build, which remembers the sessions, takes it for a change
//! of a newer one: it confirms what it knows anew, and nothing is misread.

use serde::{Deserialize, Serialize};

use super::{RECORD_BYTES_MAX, RecordError};
use crate::account::AccountId;

/// The format of these messages.
pub const FORMAT: u32 = 1_000_000;

/// Most sums in one message.
pub const SUMS_MAX: usize = 64;

/// Longest name of a way, in bytes.
pub const WAY_BYTES_MAX: usize = 64;

/// SHA-256 of a credential: itself it is never sent.
pub type Sum = [u8; 32];

/// The sessions that are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forget {
    /// Those of a way whose credential has one of these sums: it may be written in several ways.
    Session {
        way: String,
        sums: Vec<Sum>,
        /// The process that has seen them end, by a number of its own: what it has asked the site since is newer than this message, which
        /// comes back to it as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen_by: Option<u64>,
    },
    /// All of an account.
    Account(AccountId),
}

impl Forget {
    /// Whether it is of sessions by their sums, no more than one message has: what a proxy sees end.
    #[must_use]
    pub fn is_of_few_sessions(&self) -> bool {
        matches!(self, Self::Session { way, sums, .. } if sums.len() <= SUMS_MAX && way.len() <= WAY_BYTES_MAX)
    }
}

/// Writes a message.
///
/// # Errors
/// Never for a value of this type; the encoder's error is passed on so that nothing panics.
pub fn encode(forget: &Forget) -> Result<String, serde_json::Error> {
    Ok(format!("{FORMAT}:0:{}", serde_json::to_string(forget)?))
}

/// Reads a message; none where the text is something else, such as a record.
///
/// # Errors
/// When it is a message that cannot be read.
pub fn decode(text: &str) -> Option<Result<Forget, RecordError>> {
    let body = text.strip_prefix("1000000:0:")?;
    if text.len() > RECORD_BYTES_MAX {
        return Some(Err(RecordError::TooLong));
    }
    Some(serde_json::from_str(body).map_err(RecordError::Body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_and_is_no_record_to_any_build() {
        let session = Forget::Session { way: "session".into(), sums: vec![[7; 32], [8; 32]], seen_by: None };
        let seen = Forget::Session { way: "session".into(), sums: vec![[7; 32]], seen_by: Some(u64::MAX) };
        let account = Forget::Account(AccountId::parse("s:\u{fc}ser").expect("an id"));
        for forget in [session, seen, account] {
            let text = encode(&forget).expect("it encodes");
            assert_eq!(decode(&text).expect("a message").expect("it reads"), forget);
            assert!(matches!(super::super::decode(&text), Err(RecordError::Format(FORMAT))), "{text}");
        }
        assert!(decode("2:7:ab:{}").is_none() && decode("").is_none());
        for bad in ["1000000:0:", "1000000:0:{}", "1000000:0:{\"account\":\"\"}"] {
            assert!(matches!(decode(bad), Some(Err(RecordError::Body(_)))), "{bad}");
        }
        let long = format!("1000000:0:{}", "x".repeat(RECORD_BYTES_MAX));
        assert!(matches!(decode(&long), Some(Err(RecordError::TooLong))));
    }
}
