//! A record of the cache, as Redis gives and pushes it. Input: the record.

#![no_main]

use entitlement::Timestamp;
use entitlement::authorize::{Caller, Policy, Requirement, authorize};
use entitlement::record::{RECORD_BYTES_MAX, decode, decode_for, encode};
use fuzz::now;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(read) = decode(text) else { return };
    assert!(text.len() <= RECORD_BYTES_MAX);
    let version = text.split(':').nth(1).expect("a version");
    assert_eq!(version.parse(), Ok(read.version));
    let written = encode(&read).expect("it encodes");
    assert_eq!(decode_for(&read.account, &written).expect("what was written can be read"), read);
    assert_eq!(encode(&decode(&written).expect("again")).expect("again"), written, "writing is stable");
    for moment in [Timestamp::MIN_UTC, now(), Timestamp::MAX_UTC] {
        let plan = &read.timeline.at(moment).plan;
        let tier = Requirement::Tier(plan.tier.to_string());
        let policy = Policy { require: tier, ..Policy::public() };
        let met = authorize(Caller::Known(&read), &policy, moment).is_ok();
        assert_eq!(met, plan.includes.contains(&plan.tier), "a tier is met when it is included");
        let cached = read.timeline.clone().cacheable(moment);
        assert_eq!(cached.at(moment).plan, *plan, "what is over says nothing about now");
    }
});
