//! The cache contract: under which key an entitlement is stored, how it is written, how a change is told.
//!
//! A record is `format:version:json`. The version stands in front so that Redis can compare it without reading the
//! rest, and the format so that old and new processes can run side by side. The same text is the push message.

use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::timeline::Timeline;

/// The channel on which every newly stored record is pushed to the proxies.
pub const CHANNEL: &str = "tollgate:entitlements";

/// How an account begins that nobody has: its record, of version 0, is stored and read to find out what the cache allows.
pub const PROBE: &str = "tollgate:probe";

/// The record format that this build reads and writes.
pub const FORMAT: u32 = 1;

/// Longest record that is read; a longer one is refused, not truncated.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// What an account has, now and later, and how new that knowledge is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    pub account: AccountId,
    /// Grows with every change of the account; 0 when nothing is known of it.
    #[serde(skip)]
    pub version: u64,
    pub timeline: Timeline,
}

/// Why a text is not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
    #[error("the record does not begin with a format and a version")]
    NoVersion,
    #[error("the record has format {0}; this build reads format {FORMAT}")]
    Format(u32),
    #[error("the record's body cannot be read")]
    Body(#[source] serde_json::Error),
    #[error("the record is about another account")]
    OtherAccount,
}

/// The Redis key of an account's record.
#[must_use]
pub fn key(account: &AccountId) -> String {
    format!("tollgate:entitlement:{account}")
}

/// Writes a record.
///
/// # Errors
/// Never for a value of this type; the encoder's error is passed on so that nothing panics.
pub fn encode(entitlement: &Entitlement) -> Result<String, serde_json::Error> {
    let body = serde_json::to_string(entitlement)?;
    Ok(format!("{FORMAT}:{}:{body}", entitlement.version))
}

/// Reads a record of any account, as the push channel carries it.
///
/// # Errors
/// When the text is not a record of this format.
pub fn decode(text: &str) -> Result<Entitlement, RecordError> {
    if text.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLong);
    }
    let (format, rest) = text.split_once(':').ok_or(RecordError::NoVersion)?;
    let format: u32 = format.parse().map_err(|_| RecordError::NoVersion)?;
    if format != FORMAT {
        return Err(RecordError::Format(format));
    }
    let (version, body) = rest.split_once(':').ok_or(RecordError::NoVersion)?;
    let version = version.parse().map_err(|_| RecordError::NoVersion)?;
    let entitlement: Entitlement = serde_json::from_str(body).map_err(RecordError::Body)?;
    Ok(Entitlement { version, ..entitlement })
}

/// Reads the record that was stored for `account`.
///
/// # Errors
/// When the text is not a record of this format, or is about another account.
pub fn decode_for(account: &AccountId, text: &str) -> Result<Entitlement, RecordError> {
    let entitlement = decode(text)?;
    if entitlement.account != *account {
        return Err(RecordError::OtherAccount);
    }
    Ok(entitlement)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;
    use crate::catalog::Catalog;
    use crate::timeline::{Grant, Source, Status, timeline};

    fn entitlement(version: u64) -> Entitlement {
        let grant = Grant {
            source: Source::Credit(1),
            tier: "paid".into(),
            status: Status::Credit,
            from: Timestamp::UNIX_EPOCH,
            until: Some(Timestamp::UNIX_EPOCH + chrono::Duration::days(1)),
        };
        let catalog: Catalog =
            toml::from_str("tier = [{ code = \"paid\", name = \"Paid\", rank = 1, limits = { calls = 3 } }]")
                .expect("a catalog");
        let mut timeline: Vec<_> = timeline(&catalog, &[grant]).into();
        timeline.iter_mut().for_each(|segment| segment.sources = None);
        let timeline = timeline.try_into().expect("still a timeline");
        Entitlement { account: AccountId::parse("user:1").expect("an id"), version, timeline }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let before = entitlement(7);
        let text = encode(&before).expect("it encodes");
        assert!(text.starts_with("1:7:{"), "{text}");
        assert_eq!(decode_for(&before.account, &text).expect("it decodes"), before);
    }

    #[test]
    fn what_is_not_a_record_of_this_account_and_format_is_refused() {
        let text = encode(&entitlement(7)).expect("it encodes");
        let other = AccountId::parse("user:2").expect("an id");
        assert!(matches!(decode_for(&other, &text), Err(RecordError::OtherAccount)));
        assert!(matches!(decode(&text.replacen("1:", "2:", 1)), Err(RecordError::Format(2))));
        assert!(matches!(decode("paid"), Err(RecordError::NoVersion)));
        assert!(matches!(decode("1:x:{}"), Err(RecordError::NoVersion)));
        assert!(matches!(decode("1:1:{}"), Err(RecordError::Body(_))));
        assert!(matches!(decode(&"1".repeat(RECORD_BYTES_MAX + 1)), Err(RecordError::TooLong)));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,200}") {
            let _ = decode(&text);
            let _ = decode(&format!("1:1:{text}"));
        }
    }
}
