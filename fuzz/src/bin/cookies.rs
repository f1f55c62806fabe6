//! Cookies, whole and in pieces: the gate makes of them what they mean plainly. Input: lines, each a `Cookie` header, whose credentials are
//! called `session`.

#![no_main]

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    if let Err(difference) = proxy::fuzzing::compare_cookies(&headers, "session") {
        panic!("{difference}");
    }
});
