//! Whether a delivery comes from Polar: Standard Webhooks, an HMAC-SHA256 over the id, the moment of sending and the raw
//! body (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! Two keys can belong to one secret. For secrets made before 2026-09-08 Polar signs with the bytes of the whole text; for
//! later ones with what the text encodes, as the standard says. Nothing in a secret tells which, so both are tried.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use entitlement::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;

use crate::settings::Secret;

/// The header that carries the id of the event, the same in each delivery of it.
pub const ID_HEADER: &str = "webhook-id";

const TIMESTAMP_HEADER: &str = "webhook-timestamp";
const SIGNATURE_HEADER: &str = "webhook-signature";

/// What every delivery has.
pub const HEADERS: [&str; 3] = [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER];

/// How far the moment of sending may be from ours, in seconds, as in the standard's own libraries.
const TOLERANCE_SECONDS: u64 = 300;

/// How many signatures of one header are looked at: one per secret that is valid, at most a few.
const SIGNATURES_MAX: usize = 16;

/// What a secret may begin with; it is no part of what the rest encodes.
const PREFIXES: [&str; 2] = ["polar_whs_", "whsec_"];

/// Standard base64 as the secrets that are in use have it: with and without padding, and with bits left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("a header of the signature is missing, repeated or not plain text")]
    Missing,
    #[error("the headers have no moment or no v1 signature")]
    Malformed,
    #[error("the signature was made more than five minutes from now")]
    Stale,
    #[error("no signature matches a secret of this endpoint")]
    Mismatch,
}

/// Verifies a delivery that arrived at `now`: any signature may match any key of any secret.
///
/// # Errors
/// When the headers are not there once each, cannot be read, were made too long ago or ahead, or match no secret.
pub fn verify(headers: &HeaderMap, body: &[u8], secrets: &[Secret], now: Timestamp) -> Result<(), SignatureError> {
    let [id, sent_at, signatures] = [
        only(headers, ID_HEADER).ok_or(SignatureError::Missing)?,
        only(headers, TIMESTAMP_HEADER).ok_or(SignatureError::Missing)?,
        only(headers, SIGNATURE_HEADER).ok_or(SignatureError::Missing)?,
    ];
    let seconds: i64 = sent_at.parse().map_err(|_| SignatureError::Malformed)?;
    // Other versions are not made with a shared secret.
    let signatures = signatures.split(' ').filter_map(|token| token.strip_prefix("v1,")).take(SIGNATURES_MAX);
    let signatures: Vec<Vec<u8>> = signatures.filter_map(|encoded| BASE64.decode(encoded).ok()).collect();
    if signatures.is_empty() {
        return Err(SignatureError::Malformed);
    }
    if seconds.abs_diff(now.timestamp()) > TOLERANCE_SECONDS {
        return Err(SignatureError::Stale);
    }
    let matches = |key: Zeroizing<Vec<u8>>| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        for part in [id.as_bytes(), b".", sent_at.as_bytes(), b".", body] {
            mac.update(part);
        }
        // Compared in constant time.
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    };
    let mut usable = secrets.iter().filter(|secret| is_usable(secret));
    if usable.any(|secret| keys(secret).any(matches)) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// Whether there is something in a secret that nobody can guess: an empty one, or one that is only a prefix, would let
/// everybody sign.
#[must_use]
pub fn is_usable(secret: &Secret) -> bool {
    let text = secret.expose_secret();
    !encoded_part(text).trim_matches(|c: char| c == '=' || c.is_whitespace()).is_empty()
}

/// A header that is there exactly once, as text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

fn encoded_part(secret: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| secret.strip_prefix(prefix)).unwrap_or(secret)
}

/// The old key of a secret, and the new one where it encodes something.
fn keys(secret: &Secret) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let text = secret.expose_secret();
    let decoded = BASE64.decode(encoded_part(text)).ok().filter(|key| !key.is_empty());
    std::iter::once(text.as_bytes().to_vec()).chain(decoded).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const NOW: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// The vector that the standard's libraries share.
    const PUBLISHED: (&str, &str) =
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");

    fn now() -> Timestamp {
        Timestamp::from_timestamp(NOW, 0).expect("in range")
    }

    fn sign(key: &[u8], second: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
        mac.update(format!("{ID}.{second}.").as_bytes());
        mac.update(BODY);
        format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
    }

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).expect("a value");
        pairs.iter().map(|(name, bytes)| (HeaderName::from_static(name), value(bytes))).fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            },
        )
    }

    fn delivery(second: &str, signatures: &str) -> HeaderMap {
        headers(&[
            (ID_HEADER, ID.as_bytes()),
            (TIMESTAMP_HEADER, second.as_bytes()),
            (SIGNATURE_HEADER, signatures.as_bytes()),
        ])
    }

    fn seen(secret: &str, second: i64, signatures: &str) -> Result<(), SignatureError> {
        verify(&delivery(&second.to_string(), signatures), BODY, &[Secret::from(secret)], now())
    }

    #[test]
    fn the_published_vector_and_both_keys_of_a_secret_are_accepted() {
        assert_eq!(seen(PUBLISHED.0, NOW, PUBLISHED.1), Ok(()), "the key that the secret encodes");
        for secret in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "polar_whs_9f3kXq0", "whsec_old/", "plain words", "ü"]
        {
            assert_eq!(seen(secret, NOW, &sign(secret.as_bytes(), NOW)), Ok(()), "{secret}: its own bytes");
        }
        for (secret, key) in [
            ("whsec_AAECAw==", [0, 1, 2, 3].as_slice()),
            ("whsec_AAECAw", &[0, 1, 2, 3]),
            ("polar_whs_AAECAw", &[0, 1, 2, 3]),
            ("AAECAw==", &[0, 1, 2, 3]),
            ("whsec_+/+/", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(seen(secret, NOW, &sign(key, NOW)), Ok(()), "{secret}: what it encodes");
            assert_eq!(seen("whsec_BBBB", NOW, &sign(key, NOW)), Err(SignatureError::Mismatch), "another secret");
        }
        let encoded = sign(b"AAECAw==", NOW);
        assert_eq!(seen("whsec_AAECAw==", NOW, &encoded), Err(SignatureError::Mismatch), "the text without its prefix");
    }

    #[test]
    fn a_delivery_is_believed_as_this_table_says() {
        use SignatureError::{Malformed, Mismatch, Stale};
        let good = |second| sign(b"whsec_new", second);
        let (right, old, wrong) = (good(NOW), sign(b"whsec_old", NOW), sign(b"whsec_other", NOW));
        let many = format!("{wrong} ").repeat(SIGNATURES_MAX);
        let cases = [
            ("one signature", NOW.to_string(), right.clone(), Ok(())),
            ("the secret that is being replaced", NOW.to_string(), old, Ok(())),
            ("several signatures", NOW.to_string(), format!("{wrong} {right}"), Ok(())),
            ("another version beside it", NOW.to_string(), format!("v1a,AAAA {right}"), Ok(())),
            ("noise beside it", NOW.to_string(), format!("v1,### , {right}"), Ok(())),
            ("without padding", NOW.to_string(), right.trim_end_matches('=').to_owned(), Ok(())),
            ("five minutes old", (NOW - 300).to_string(), good(NOW - 300), Ok(())),
            ("five minutes ahead", (NOW + 300).to_string(), good(NOW + 300), Ok(())),
            ("older", (NOW - 301).to_string(), good(NOW - 301), Err(Stale)),
            ("further ahead", (NOW + 301).to_string(), good(NOW + 301), Err(Stale)),
            ("a moment beyond all time", i64::MIN.to_string(), right.clone(), Err(Stale)),
            ("another moment than was signed", (NOW + 1).to_string(), right.clone(), Err(Mismatch)),
            ("another secret", NOW.to_string(), wrong.clone(), Err(Mismatch)),
            ("another version alone", NOW.to_string(), right.replacen("v1,", "v2,", 1), Err(Malformed)),
            ("a cut signature", NOW.to_string(), right[..39].to_owned(), Err(Mismatch)),
            ("no signature", NOW.to_string(), "v1,".into(), Err(Mismatch)),
            ("beyond the signatures that are looked at", NOW.to_string(), format!("{many}{right}"), Err(Mismatch)),
            ("no number", "soon".into(), right.clone(), Err(Malformed)),
            ("a number with a fraction", format!("{NOW}.5"), right.clone(), Err(Malformed)),
            ("a number beyond all numbers", "9".repeat(5000), right.clone(), Err(Malformed)),
            ("nothing", String::new(), String::new(), Err(Malformed)),
        ];
        let secrets = [Secret::from("whsec_old"), Secret::from("whsec_new")];
        for (what, second, signatures, expected) in cases {
            assert_eq!(verify(&delivery(&second, &signatures), BODY, &secrets, now()), expected, "{what}");
        }
        let headers = delivery(&NOW.to_string(), &right);
        assert_eq!(verify(&headers, b"{}", &secrets, now()), Err(Mismatch), "another body");
        assert_eq!(verify(&headers, BODY, &[], now()), Err(Mismatch), "no secret");
        let mut renamed = headers;
        renamed.insert(ID_HEADER, HeaderValue::from_static("msg_other"));
        assert_eq!(verify(&renamed, BODY, &secrets, now()), Err(Mismatch), "another id");
    }

    #[test]
    fn headers_that_are_not_there_once_and_plain_are_missing() {
        let (second, right) = (NOW.to_string(), sign(b"whsec_new", NOW));
        let all: [(&str, &[u8]); 3] =
            [(ID_HEADER, ID.as_bytes()), (TIMESTAMP_HEADER, second.as_bytes()), (SIGNATURE_HEADER, right.as_bytes())];
        let verified =
            |pairs: &[(&'static str, &[u8])]| verify(&headers(pairs), BODY, &[Secret::from("whsec_new")], now());
        assert_eq!(verified(&all), Ok(()));
        for (at, (name, value)) in all.into_iter().enumerate() {
            let without: Vec<_> = all.into_iter().filter(|(other, _)| *other != name).collect();
            assert_eq!(verified(&without), Err(SignatureError::Missing), "no {name}");
            let twice: Vec<_> = all.into_iter().chain([(name, value)]).collect();
            assert_eq!(verified(&twice), Err(SignatureError::Missing), "{name} twice");
            let mut odd = all;
            odd[at].1 = b"caf\xc3\xa9";
            assert_eq!(verified(&odd), Err(SignatureError::Missing), "{name} is not plain text");
        }
    }

    #[test]
    fn nobody_can_sign_with_a_secret_that_is_empty() {
        for secret in ["", "whsec_", "polar_whs_", "whsec_==", " "] {
            assert!(!is_usable(&Secret::from(secret)), "{secret:?}");
            for key in [secret.as_bytes(), b""] {
                assert_eq!(seen(secret, NOW, &sign(key, NOW)), Err(SignatureError::Mismatch), "{secret:?}");
            }
        }
        assert!(is_usable(&Secret::from("whsec_x")));
    }
}
