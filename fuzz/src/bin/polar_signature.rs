//! Whether a delivery comes from Polar.
//!
//! Input: three lines that are the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, and the body. In
//! the last header `$` stands for the right signature with what the secret encodes, `&` for that with its text.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use billing::fuzzing::{POLAR_HEADERS, polar_envelope, polar_is_signed};
use fuzz::{NOW, header, header_text, is_recent, mac, now, parts};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const ENCODED: [u8; 24] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

fuzz_target!(|input: &[u8]| {
    let Some(([id, moment, template], body)) = parts(input) else { return };
    let Some(template) = header_text(template) else { return };
    let sign = |key: &[u8], moment: &[u8]| {
        let signature = mac(key, &[id, b".", moment, b".", body]);
        format!("v1,{}", STANDARD.encode(signature))
    };
    let signatures = template.replace('$', &sign(&ENCODED, moment)).replace('&', &sign(SECRET.as_bytes(), moment));
    let Some(headers) = headers(id, moment, &signatures) else { return };
    if polar_is_signed(&headers, body, SECRET, now()) {
        assert!(template.contains(['$', '&']), "forged");
        assert!(header_text(moment).is_some_and(|moment| is_recent(&moment)), "signed at {moment:?}");
        assert!(!polar_is_signed(&headers, &[body, b" "].concat(), SECRET, now()), "another body");
        assert!(!polar_is_signed(&headers, body, "whsec_AAAA", now()), "another secret");
        if let Some(headers) = self::headers(&[id, b"x"].concat(), moment, &signatures) {
            assert!(!polar_is_signed(&headers, body, SECRET, now()), "another id");
        }
    }
    if let Some((event_id, _)) = polar_envelope(&headers, body) {
        assert_eq!(event_id.as_bytes(), headers[POLAR_HEADERS[0]].as_bytes());
    }
    if header_text(id).is_none_or(|text| text.as_bytes() != id) {
        return;
    }
    for key in [&ENCODED[..], SECRET.as_bytes()] {
        let now_text = NOW.to_string();
        let good = format!("{} {signatures}", sign(key, now_text.as_bytes()));
        let Some(headers) = self::headers(id, now_text.as_bytes(), &good) else { continue };
        assert!(polar_is_signed(&headers, body, SECRET, now()), "a good delivery is refused for what stands beside it");
    }
});

fn headers(id: &[u8], moment: &[u8], signatures: &str) -> Option<HeaderMap> {
    let [of_id, of_moment, of_signatures] = POLAR_HEADERS;
    let all = [header(of_id, id), header(of_moment, moment), header(of_signatures, signatures.as_bytes())];
    all.into_iter().collect()
}
