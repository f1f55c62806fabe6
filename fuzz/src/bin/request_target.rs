//! The canonical form of a request target. Input: the target as it arrives.

#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use proxy::target::canonical;

fuzz_target!(|raw: &[u8]| {
    let Ok(target) = canonical(raw) else { return };
    let wire = target.rewritten().unwrap_or_else(|| raw.to_vec());
    let again = canonical(&wire).expect("what is sent on is canonical");
    assert_eq!((again.path(), again.rewritten()), (target.path(), None), "canonical twice is canonical once");

    let query = |target: &[u8]| target.iter().position(|byte| *byte == b'?').map(|mark| target[mark..].to_vec());
    assert_eq!(query(&wire), query(raw), "the query goes through as it is");
    assert!(!wire.iter().any(u8::is_ascii_control), "a control byte in {wire:?}");
    assert_eq!(wire.iter().position(|byte| *byte == b'?').unwrap_or(wire.len()), target.path().len());

    let path = target.path();
    assert!(wire.starts_with(path.as_bytes()), "what the rules see is what is sent");
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{path:?}");
    assert!(!path.contains("//") && !path.contains(['\\', ';', '#', '?']), "{path:?}");
    let meaning = percent_decode_str(path).decode_utf8().expect("it means a text");
    assert_eq!(meaning.matches('/').count(), path.matches('/').count(), "a hidden slash in {path:?}");
    assert!(!meaning.chars().any(|c| matches!(c, '\\' | ';') || c.is_control()), "{path:?}");
    assert!(!meaning.split('/').any(|segment| segment == "." || segment == ".."), "a dot segment in {path:?}");
    assert_eq!(percent_decode_str(&meaning).decode_utf8_lossy(), meaning, "{path:?} can be decoded twice");
});
