//! How deliveries are signed: Stripe's header, and the headers of Standard Webhooks as Polar sends them.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Headers;
use crate::Timestamp;

/// What marks a secret of Standard Webhooks.
const STANDARD_PREFIX: &str = "whsec_";

/// How a provider signs, with every secret that is valid now: while one is rolled there are two, and each signs.
///
/// Has no `Debug`: it holds secrets.
pub enum Scheme {
    Stripe(Vec<String>),
    Standard(Vec<StandardSecret>),
}

/// A secret of Standard Webhooks, and what it means.
///
/// Has no `Debug`: it holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StandardSecret {
    pub secret: String,
    pub form: KeyForm,
}

/// Which bytes of a secret are the HMAC key. Polar changed from the first to the second on 2026-09-08.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// The text itself in UTF-8, prefix and all.
    Whole,
    /// What the text after `whsec_` is the base64 of
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
    Decoded,
}

/// One delivery, as far as a signature covers it.
pub struct Parcel<'a> {
    pub id: &'a str,
    pub at: Timestamp,
    pub body: &'a [u8],
}

impl Scheme {
    /// The headers that sign a delivery.
    pub fn headers(&self, parcel: &Parcel<'_>) -> Result<Headers> {
        let seconds = parcel.at.timestamp();
        match self {
            Self::Stripe(secrets) => {
                let mut value = format!("t={seconds}");
                for secret in secrets {
                    value.push_str(&format!(",v1={}", sign(secret, parcel.at, parcel.body)?));
                }
                Ok(vec![("stripe-signature", value)])
            }
            Self::Standard(secrets) => {
                let signed = secrets.iter().map(|secret| sign_standard(secret, parcel));
                let signatures = signed.collect::<Result<Vec<_>>>()?.join(" ");
                Ok(vec![
                    ("webhook-id", parcel.id.to_owned()),
                    ("webhook-timestamp", seconds.to_string()),
                    ("webhook-signature", signatures),
                ])
            }
        }
    }
}

/// Stripe's `v1` signature of a body sent at `at`, in hexadecimal: HMAC-SHA256 over `{t}.{body}`
/// (<https://docs.stripe.com/webhooks#verify-manually>).
///
/// # Errors
/// When the crypto library refuses the secret; HMAC takes any.
pub fn sign(secret: &str, at: Timestamp, body: &[u8]) -> Result<String> {
    Ok(hex::encode(mac(secret.as_bytes(), &format!("{}.", at.timestamp()), body)?))
}

/// The whole `Stripe-Signature` header.
///
/// # Errors
/// As [`sign`].
pub fn header(secret: &str, at: Timestamp, body: &[u8]) -> Result<String> {
    Ok(format!("t={},v1={}", at.timestamp(), sign(secret, at, body)?))
}

/// One signature of Standard Webhooks, such as `v1,…`: HMAC-SHA256 over `{id}.{timestamp}.{body}`, in base64.
///
/// # Errors
/// When the secret is not base64 and should be.
pub fn sign_standard(secret: &StandardSecret, parcel: &Parcel<'_>) -> Result<String> {
    let key = match secret.form {
        KeyForm::Whole => secret.secret.as_bytes().to_vec(),
        KeyForm::Decoded => {
            let encoded = secret.secret.strip_prefix(STANDARD_PREFIX).unwrap_or(&secret.secret);
            STANDARD.decode(encoded).ok().context("the signing secret is not base64")?
        }
    };
    let before = format!("{}.{}.", parcel.id, parcel.at.timestamp());
    Ok(format!("v1,{}", STANDARD.encode(mac(&key, &before, parcel.body)?)))
}

fn mac(key: &[u8], before: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(key).context("the signing secret cannot be used")?;
    Ok(mac.chain_update(before).chain_update(body).finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    #[test]
    fn the_header_is_what_another_implementation_makes() {
        // printf '1533204620.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "t=1533204620,v1=15c11ef14eb7f0772fdab75361a67b6e577af90b232fb8336c50ee03c8936f09";
        let body = br#"{"id":"evt_1"}"#;
        assert_eq!(header("whsec_test", at(1_533_204_620), body).expect("a header"), expected);
        let scheme = Scheme::Stripe(vec!["whsec_test".to_owned(), "whsec_next".to_owned()]);
        let headers = scheme.headers(&Parcel { id: "evt_1", at: at(1_533_204_620), body }).expect("headers");
        assert!(headers[0].1.starts_with(expected), "{headers:?}");
        assert_eq!(headers[0].1.matches(",v1=").count(), 2, "one for each secret");
    }

    #[test]
    fn the_published_vector_of_standard_webhooks_is_met() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = br#"{"test": 2432232314}"#;
        let parcel = Parcel { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", at: at(1_614_265_330), body };
        let decoded = StandardSecret { secret: secret.clone(), form: KeyForm::Decoded };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign_standard(&decoded, &parcel).expect("a signature"), expected);
        let whole = StandardSecret { secret, form: KeyForm::Whole };
        assert_ne!(sign_standard(&whole, &parcel).expect("a signature"), expected);
        let both = Scheme::Standard(vec![whole, decoded]).headers(&parcel).expect("headers");
        assert!(both[2].1.ends_with(&format!(" {expected}")), "{both:?}");
        let bad = StandardSecret { secret: "whsec_?".to_owned(), form: KeyForm::Decoded };
        assert!(sign_standard(&bad, &parcel).is_err());
    }
}
