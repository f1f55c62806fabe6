//! The cache contract as it was before records named their database: for one version billing writes it as well, for proxies that
//! are not upgraded yet. Nothing that stands there is served by this build; a message is a hint to read again.

use serde::Deserialize;

use super::{Entitlement, RECORD_BYTES_MAX, RecordError};
use crate::account::AccountId;

/// The channel of all installations on a Redis.
pub const CHANNEL: &str = "tollgate:entitlements";

/// The format of these records.
pub const FORMAT: u32 = 1;

/// The Redis key of an account's record.
#[must_use]
pub fn key(account: &AccountId) -> String {
    format!("tollgate:entitlement:{account}")
}

/// Writes a record in the old form.
///
/// # Errors
/// As [`super::encode`].
pub fn encode(entitlement: &Entitlement) -> Result<String, serde_json::Error> {
    let body = serde_json::to_string(entitlement)?;
    Ok(format!("{FORMAT}:{}:{body}", entitlement.version))
}

/// Reads what a billing of an older build answers for `account`.
///
/// # Errors
/// When the text is not a record of the old form, or is about another account.
pub fn decode_for(account: &AccountId, text: &str) -> Result<Entitlement, RecordError> {
    let (version, body) = split(text)?;
    let entitlement: Entitlement = serde_json::from_str(body).map_err(RecordError::Body)?;
    if entitlement.account == *account {
        Ok(Entitlement { version, ..entitlement })
    } else {
        Err(RecordError::OtherAccount)
    }
}

/// The account that a message is about, and the version that its sender has: it may be another installation.
///
/// # Errors
/// When the text is not a record of the old form.
pub fn hint(text: &str) -> Result<(AccountId, u64), RecordError> {
    #[derive(Deserialize)]
    struct About {
        account: AccountId,
    }
    let (version, body) = split(text)?;
    let About { account } = serde_json::from_str(body).map_err(RecordError::Body)?;
    Ok((account, version))
}

fn split(text: &str) -> Result<(u64, &str), RecordError> {
    if text.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLong);
    }
    let (format, rest) = super::number(text)?;
    match u32::try_from(format) {
        Ok(FORMAT) => super::number(rest),
        Ok(other) => Err(RecordError::Format(other)),
        Err(_) => Err(RecordError::NoVersion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::entitlement;

    #[test]
    fn an_old_record_is_written_as_ever_and_names_its_account_and_version() {
        let before = entitlement(7);
        let text = encode(&before).expect("it encodes");
        assert!(text.starts_with("1:7:{"), "{text}");
        assert_eq!(hint(&text).expect("it is a hint"), (before.account.clone(), 7));
        assert_eq!(decode_for(&before.account, &text).expect("it decodes"), before);
        assert!(matches!(hint("2:7:0:{}"), Err(RecordError::Format(2))));
        assert!(matches!(hint("1:7"), Err(RecordError::NoVersion)));
        assert!(matches!(hint("1:7:{}"), Err(RecordError::Body(_))));
    }
}
