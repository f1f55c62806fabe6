//! Whether a delivery comes from Stripe (<https://docs.stripe.com/webhooks#verify-manually>): an HMAC-SHA256 over the
//! moment of sending and the raw body.

use entitlement::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::settings::Secret;

/// The header that carries the signatures.
pub const HEADER: &str = "stripe-signature";

/// How far the moment of sending may be from ours, in seconds, as in Stripe's own libraries.
const TOLERANCE_SECONDS: u64 = 300;

/// How many signatures of one header are looked at: Stripe sends one per secret that is valid, at most a few.
const SIGNATURES_MAX: usize = 16;

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature header has no moment or no v1 signature")]
    Malformed,
    #[error("the signature was made more than five minutes from now")]
    Stale,
    #[error("no signature matches a secret of this endpoint")]
    Mismatch,
}

/// Verifies a delivery that arrived at `now`: any signature may match any secret.
///
/// # Errors
/// When the header cannot be read, was made too long ago or ahead, or matches no secret.
pub fn verify(header: &str, body: &[u8], secrets: &[Secret], now: Timestamp) -> Result<(), SignatureError> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let sent_at = parts().find_map(|(scheme, value)| (scheme == "t").then_some(value));
    let sent_at = sent_at.ok_or(SignatureError::Malformed)?;
    let seconds: i64 = sent_at.parse().map_err(|_| SignatureError::Malformed)?;
    // Other schemes are not signatures of the body with the endpoint's secret: `v0` is Stripe's test of downgrades.
    let signatures = parts().filter(|(scheme, _)| *scheme == "v1").take(SIGNATURES_MAX);
    let signatures: Vec<Vec<u8>> = signatures.filter_map(|(_, value)| hex::decode(value).ok()).collect();
    if signatures.is_empty() {
        return Err(SignatureError::Malformed);
    }
    if seconds.abs_diff(now.timestamp()) > TOLERANCE_SECONDS {
        return Err(SignatureError::Stale);
    }
    let matches = |secret: &Secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return false };
        mac.update(sent_at.as_bytes());
        mac.update(b".");
        mac.update(body);
        // Compared in constant time.
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    };
    if secrets.iter().any(matches) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const NOW: i64 = 1_700_000_000;

    fn sign(secret: &str, second: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
        mac.update(format!("{second}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn a_delivery_is_believed_as_this_table_says() {
        use SignatureError::{Malformed, Mismatch, Stale};
        let now = Timestamp::from_timestamp(NOW, 0).expect("in range");
        let good = |second| sign("whsec_new", second, BODY);
        let (right, old, wrong) = (good(NOW), sign("whsec_old", NOW, BODY), sign("whsec_other", NOW, BODY));
        let many = format!("v1={wrong},").repeat(SIGNATURES_MAX);
        let cases = [
            ("one signature", format!("t={NOW},v1={right}"), Ok(())),
            ("the secret that is being replaced", format!("t={NOW},v1={old}"), Ok(())),
            ("several signatures", format!("t={NOW},v1={wrong},v1={right}"), Ok(())),
            ("an extra test signature", format!("t={NOW},v1={right},v0={wrong}"), Ok(())),
            ("spaces", format!("t={NOW}, v1={right}"), Ok(())),
            ("one that is not hexadecimal beside a good one", format!("t={NOW},v1=zz,v1={right}"), Ok(())),
            ("five minutes old", format!("t={},v1={}", NOW - 300, good(NOW - 300)), Ok(())),
            ("five minutes ahead", format!("t={},v1={}", NOW + 300, good(NOW + 300)), Ok(())),
            ("older", format!("t={},v1={}", NOW - 301, good(NOW - 301)), Err(Stale)),
            ("further ahead", format!("t={},v1={}", NOW + 301, good(NOW + 301)), Err(Stale)),
            ("a moment beyond all time", format!("t={},v1={right}", i64::MIN), Err(Stale)),
            ("another moment than was signed", format!("t={},v1={right}", NOW + 1), Err(Mismatch)),
            ("another secret", format!("t={NOW},v1={wrong}"), Err(Mismatch)),
            ("only a test signature", format!("t={NOW},v0={right}"), Err(Malformed)),
            ("a cut signature", format!("t={NOW},v1={}", &right[..62]), Err(Mismatch)),
            ("beyond the signatures that are looked at", format!("t={NOW},{many}v1={right}"), Err(Mismatch)),
            ("no moment", format!("v1={right}"), Err(Malformed)),
            ("no number", format!("t=soon,v1={right}"), Err(Malformed)),
            ("nothing", String::new(), Err(Malformed)),
            ("noise", ",,=,t".to_owned(), Err(Malformed)),
        ];
        let secrets = [Secret::from("whsec_old"), Secret::from("whsec_new")];
        for (what, header, expected) in cases {
            assert_eq!(verify(&header, BODY, &secrets, now), expected, "{what}");
        }
        let header = format!("t={NOW},v1={right}");
        assert_eq!(verify(&header, b"{}", &secrets, now), Err(Mismatch), "another body");
        assert_eq!(verify(&header, BODY, &[], now), Err(Mismatch), "no secret");
    }
}
