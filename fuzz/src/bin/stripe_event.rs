//! What a Stripe event says: its envelope, its meaning, and what is decided from it. Input: the body.

#![no_main]

use billing::fuzzing::{stripe_envelope, stripe_event};
use fuzz::{event, now};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Some((id, kind)) = stripe_envelope(body) {
        for name in [id, kind] {
            assert!((1..=255).contains(&name.len()) && !name.chars().any(char::is_control), "{name:?}");
        }
    }
    for account in [None, Some("acct_1")] {
        let told = stripe_event(body, now(), account);
        assert_eq!(told, stripe_event(body, now(), account), "the same event says the same");
        told.iter().for_each(event::check);
    }
});
