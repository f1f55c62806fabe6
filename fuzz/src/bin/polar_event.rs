//! What a Polar event says: its envelope, its meaning, and what is decided from it. Input: a line that is the header
//! `webhook-id`, and the body.

#![no_main]

use billing::fuzzing::{POLAR_HEADERS, polar_envelope, polar_event};
use fuzz::{event, header, now, parts};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(([id], body)) = parts(input) else { return };
    let Some(header) = header(POLAR_HEADERS[0], id) else { return };
    if let Some((id, kind)) = polar_envelope(&HeaderMap::from_iter([header]), body) {
        for name in [id, kind] {
            assert!((1..=255).contains(&name.len()) && !name.chars().any(char::is_control), "{name:?}");
        }
    }
    let told = polar_event(body, now());
    assert_eq!(told, polar_event(body, now()), "the same event says the same");
    told.iter().for_each(event::check);
});
