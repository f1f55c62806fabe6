//! The same bytes of a client and of a site on both ways through the gate: what reaches the other side must be the same. Input:
//! as `proxy/src/end_to_end/differential` reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::fuzzing::{Case, Ways};

/// How often a difference must show: what depends on which of two threads was faster is none.
const TIMES: usize = 4;

fuzz_target!(|input: &[u8]| {
    let case = Case::parse(input);
    let differences: Vec<String> = (0..TIMES).map_while(|_| Ways::get().compare(&case).err()).collect();
    assert!(differences.len() < TIMES, "{}", differences.join("\n"));
});
