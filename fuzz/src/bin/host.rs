//! The host that a request names. Input: the value of its `Host` header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::target::host;

fuzz_target!(|raw: &[u8]| {
    let Ok(read) = host(raw) else { return };
    assert_eq!(host(read.as_bytes()).as_deref(), Ok(&*read), "one form");
    let text = std::str::from_utf8(raw).expect("what is read is text").to_ascii_lowercase();
    assert!(text.starts_with(&*read), "nothing is made up: {text:?} as {read:?}");
    let rest = &text[read.len()..];
    let port = rest.strip_prefix('.').unwrap_or(rest);
    let digits = port.strip_prefix(':').unwrap_or("0");
    assert!(port.is_empty() || port.starts_with(':'), "only a dot and a port are left out: {text:?} as {read:?}");
    assert!(digits.parse::<u16>().is_ok(), "{text:?}");
    let is_address = read.starts_with('[');
    let plain = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c) || (is_address && "[]:".contains(c))
    };
    assert!(!read.is_empty() && read.chars().all(plain), "{read:?}");
});
