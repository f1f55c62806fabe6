//! The host that a request names. Input: the value of its `Host` header.

#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use proxy::target::host;

/// An IPv6 address in brackets.
fn address(text: &str) -> Ipv6Addr {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).expect("brackets");
    inside.parse().expect("an address")
}

fuzz_target!(|raw: &[u8]| {
    let Ok(read) = host(raw) else { return };
    assert_eq!(host(read.as_bytes()).as_deref(), Ok(&*read), "one form");
    let text = std::str::from_utf8(raw).expect("what is read is text").to_ascii_lowercase();
    let is_address = read.starts_with('[');
    let written = if is_address { text.find(']').map_or(0, |end| end + 1) } else { read.len() };
    let (name, rest) = text.split_at(written);
    // An address has many forms, and one that is compared.
    let is_same = if is_address { address(name) == address(&read) } else { name == read };
    assert!(is_same, "nothing is made up: {text:?} as {read:?}");
    let port = rest.strip_prefix('.').unwrap_or(rest);
    let digits = port.strip_prefix(':').unwrap_or("0");
    assert!(port.is_empty() || port.starts_with(':'), "only a dot and a port are left out: {text:?} as {read:?}");
    assert!(digits.parse::<u16>().is_ok(), "{text:?}");
    let plain = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c) || (is_address && "[]:".contains(c))
    };
    assert!(!read.is_empty() && read.chars().all(plain), "{read:?}");
});
