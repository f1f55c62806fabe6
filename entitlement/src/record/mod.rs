//! The cache contract: under which key an entitlement is stored, how it is written, how a change is told.
//!
//! A record is `format:version:database:json`. The version stands in front so that Redis can compare it without reading the
//! rest, and the format so that old and new processes can run side by side. The same text is the push message.

pub mod before;
pub mod forget;
mod high_water;
mod place;

pub use high_water::{HIGH_WATER_HEADER, HighWater, NoHighWater};
pub use place::{DatabaseId, Namespace, NoDatabaseId, NoNamespace, OWNER_KEYS};

use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::timeline::Timeline;

/// How an account begins that nobody has: its record, of version 0, is stored and read to find out what the cache allows.
pub const PROBE: &str = "tollgate:probe";

/// The record format that this build reads and writes.
pub const FORMAT: u32 = 2;

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

/// An entitlement and the database that says so: versions of two databases have no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub database: DatabaseId,
    pub entitlement: Entitlement,
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
    #[error("the record does not name its database")]
    NoDatabase(#[from] NoDatabaseId),
    #[error("the record's body cannot be read")]
    Body(#[source] serde_json::Error),
    #[error("the record is about another account")]
    OtherAccount,
}

/// Writes a record.
///
/// # Errors
/// Never for a value of this type; the encoder's error is passed on so that nothing panics.
pub fn encode(record: &Record) -> Result<String, serde_json::Error> {
    let Record { database, entitlement } = record;
    let body = serde_json::to_string(entitlement)?;
    Ok(format!("{FORMAT}:{}:{database}:{body}", entitlement.version))
}

/// Reads a record of any account, as the push channel carries it.
///
/// # Errors
/// When the text is not a record of this format.
pub fn decode(text: &str) -> Result<Record, RecordError> {
    if text.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLong);
    }
    let (format, rest) = number(text)?;
    if format != u64::from(FORMAT) {
        return Err(u32::try_from(format).map_or(RecordError::NoVersion, RecordError::Format));
    }
    let (version, rest) = number(rest)?;
    let (database, body) = rest.split_once(':').ok_or(NoDatabaseId)?;
    let database = database.parse()?;
    let entitlement: Entitlement = serde_json::from_str(body).map_err(RecordError::Body)?;
    Ok(Record { database, entitlement: Entitlement { version, ..entitlement } })
}

/// Reads the record that was stored for `account`.
///
/// # Errors
/// When the text is not a record of this format, or is about another account.
pub fn decode_for(account: &AccountId, text: &str) -> Result<Record, RecordError> {
    let record = decode(text)?;
    if record.entitlement.account != *account {
        return Err(RecordError::OtherAccount);
    }
    Ok(record)
}

/// The number before the first colon, and what stands behind it.
fn number(text: &str) -> Result<(u64, &str), RecordError> {
    let (number, rest) = text.split_once(':').ok_or(RecordError::NoVersion)?;
    Ok((number.parse().map_err(|_| RecordError::NoVersion)?, rest))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;
    use crate::catalog::Catalog;
    use crate::timeline::{Grant, Source, Status, timeline};

    const ID: DatabaseId = DatabaseId::new(0xab);

    fn record(version: u64) -> Record {
        Record { database: ID, entitlement: entitlement(version) }
    }

    pub(super) fn entitlement(version: u64) -> Entitlement {
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
        let before = record(7);
        let text = encode(&before).expect("it encodes");
        assert!(text.starts_with("2:7:000000000000000000000000000000ab:{"), "{text}");
        assert_eq!(decode_for(&before.entitlement.account, &text).expect("it decodes"), before);
    }

    #[test]
    fn what_is_not_a_record_of_this_account_and_format_is_refused() {
        let text = encode(&record(7)).expect("it encodes");
        let other = AccountId::parse("user:2").expect("an id");
        assert!(matches!(decode_for(&other, &text), Err(RecordError::OtherAccount)));
        assert!(matches!(decode(&text.replacen("2:", "3:", 1)), Err(RecordError::Format(3))));
        assert!(matches!(decode(&before::encode(&entitlement(7)).expect("it encodes")), Err(RecordError::Format(1))));
        assert!(matches!(decode("paid"), Err(RecordError::NoVersion)));
        assert!(matches!(decode("2:x:ab:{}"), Err(RecordError::NoVersion)));
        assert!(matches!(decode("2:1:{}"), Err(RecordError::NoDatabase(_))));
        assert!(matches!(decode("2:1:ab:{}"), Err(RecordError::NoDatabase(_))));
        assert!(matches!(decode(&format!("2:1:{ID}:{{}}")), Err(RecordError::Body(_))));
        assert!(matches!(decode(&"2".repeat(RECORD_BYTES_MAX + 1)), Err(RecordError::TooLong)));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,200}") {
            let _ = decode(&text);
            let _ = decode(&format!("2:1:{text}"));
            let _ = decode(&format!("2:1:{ID}:{text}"));
            let _ = before::hint(&text);
            let _ = before::hint(&format!("1:1:{text}"));
        }
    }
}
