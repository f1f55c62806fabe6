//! The paying identity of a site: the `sub` claim of its token.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An opaque account id of 1 to 255 bytes without control characters (it travels in a header).
/// Cloning is cheap: the proxy hands the same id through every layer of one request.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(Arc<str>);

/// The id of a user who acts for an account: as an account's, since both travel in headers and many accounts are their only user.
pub type UserId = AccountId;

/// Longest account id, in bytes.
pub const ACCOUNT_BYTES_MAX: usize = 255;

/// Why a string is not an account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountIdError {
    #[error("an account id must not be empty")]
    Empty,
    #[error("an account id must not be longer than 255 bytes")]
    TooLong,
    #[error("an account id must not contain control characters")]
    Control,
    #[error("an account id must not begin or end with white space, which a header would lose")]
    Blank,
}

impl AccountId {
    /// Accepts what can be an account id.
    ///
    /// # Errors
    /// When it is empty, longer than 255 bytes, contains a control character, or has white space around it.
    pub fn parse(id: &str) -> Result<Self, AccountIdError> {
        if id.is_empty() {
            return Err(AccountIdError::Empty);
        }
        if id.len() > ACCOUNT_BYTES_MAX {
            return Err(AccountIdError::TooLong);
        }
        if id.chars().any(char::is_control) {
            return Err(AccountIdError::Control);
        }
        if id.trim().len() != id.len() {
            return Err(AccountIdError::Blank);
        }
        Ok(Self(id.into()))
    }

    /// The id as the token carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountIdError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::parse(&id)
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl std::str::FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::parse(id)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_1_to_255_bytes_without_control_characters() {
        let longest = "x".repeat(255);
        for good in ["a", "user-1", "auth0|5f", "ünï", longest.as_str()] {
            assert_eq!(AccountId::parse(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        let long = "x".repeat(256);
        for (bad, why) in [
            ("", AccountIdError::Empty),
            (long.as_str(), AccountIdError::TooLong),
            ("a\r\nX-Entitlement-Tier: paid", AccountIdError::Control),
            ("a\0", AccountIdError::Control),
            (" a", AccountIdError::Blank),
            ("a ", AccountIdError::Blank),
        ] {
            assert_eq!(AccountId::parse(bad), Err(why));
        }
    }
}
