//! Stripe's webhook signature: HMAC-SHA256 over `{t}.{body}` (<https://docs.stripe.com/webhooks#verify-manually>).

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Timestamp;

/// The `v1` signature of a body sent at `at`, in hexadecimal.
///
/// # Errors
/// When the crypto library refuses the secret; HMAC takes any.
pub fn sign(secret: &str, at: Timestamp, body: &[u8]) -> Result<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).context("the signing secret cannot be used")?;
    let mac = mac.chain_update(format!("{}.", at.timestamp())).chain_update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

/// The whole `Stripe-Signature` header.
///
/// # Errors
/// As [`sign`].
pub fn header(secret: &str, at: Timestamp, body: &[u8]) -> Result<String> {
    Ok(format!("t={},v1={}", at.timestamp(), sign(secret, at, body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_another_implementation_makes() {
        // printf '1533204620.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "t=1533204620,v1=15c11ef14eb7f0772fdab75361a67b6e577af90b232fb8336c50ee03c8936f09";
        let at = Timestamp::from_timestamp(1_533_204_620, 0).expect("a moment");
        assert_eq!(header("whsec_test", at, br#"{"id":"evt_1"}"#).expect("a header"), expected);
    }
}
