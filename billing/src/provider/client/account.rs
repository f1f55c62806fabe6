//! Whose key it is.

use super::{Client, ProviderError};

#[derive(serde::Serialize)]
struct Plain {}

impl Client {
    /// The id of the account that the key belongs to; `None` when a restricted key may not say
    /// (<https://docs.stripe.com/api/accounts/retrieve>).
    ///
    /// # Errors
    /// Any other [`ProviderError`].
    pub async fn account(&self) -> Result<Option<String>, ProviderError> {
        match self.get_value("/account", &Plain {}).await {
            Ok(answer) => Ok(answer["id"].as_str().map(str::to_owned)),
            Err(ProviderError::Right(_) | ProviderError::Missing(_) | ProviderError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
