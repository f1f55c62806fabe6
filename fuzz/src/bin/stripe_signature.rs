//! Whether a delivery comes from Stripe.
//!
//! Input: a moment, a line that is the header, and the body. In the header `@` stands for the moment and `$` for the
//! right signature of that moment and body.

#![no_main]

use billing::fuzzing::stripe_is_signed;
use fuzz::{NOW, header_text, is_recent, mac, now, parts};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

fuzz_target!(|input: &[u8]| {
    let Some(([moment, template], body)) = parts(input) else { return };
    let (Some(moment), Some(template)) = (header_text(moment), header_text(template)) else { return };
    let sign = |moment: &str| hex::encode(mac(SECRET.as_bytes(), &[moment.as_bytes(), b".", body]));
    let header = template.replace('@', &moment).replace('$', &sign(&moment));
    if stripe_is_signed(&header, body, SECRET, now()) {
        assert!(template.contains('$'), "forged");
        assert!(is_recent(&moment), "signed at {moment}");
        assert!(!stripe_is_signed(&header, &[body, b" "].concat(), SECRET, now()), "another body");
        assert!(!stripe_is_signed(&header, body, "whsec_other", now()), "another secret");
    }
    let good = format!("t={NOW},v1={}", sign(&NOW.to_string()));
    assert!(stripe_is_signed(&good, body, SECRET, now()), "a good delivery is refused");
    assert!(stripe_is_signed(&format!("{good},{header}"), body, SECRET, now()), "for what stands beside it");
});
