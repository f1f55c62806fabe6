//! A record of the cache, as Redis gives and pushes it. Input: the record.

#![no_main]

use entitlement::Timestamp;
use entitlement::authorize::{Caller, Policy, Requirement, authorize};
use entitlement::record::{RECORD_BYTES_MAX, before, decode, decode_for, encode};
use fuzz::now;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    check_before(text);
    let Ok(record) = decode(text) else { return };
    assert!(text.len() <= RECORD_BYTES_MAX);
    let mut head = text.split(':').skip(1);
    assert_eq!(head.next().expect("a version").parse(), Ok(record.entitlement.version));
    assert_eq!(head.next().expect("a database").parse(), Ok(record.database));
    let written = encode(&record).expect("it encodes");
    let read = record.entitlement.clone();
    assert_eq!(decode_for(&read.account, &written).expect("what was written can be read"), record);
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

/// A record of an older build is read only for the account and the version that it is about.
fn check_before(text: &str) {
    let Ok((account, version)) = before::hint(text) else { return };
    if let Ok(read) = before::decode_for(&account, text) {
        assert_eq!((&read.account, read.version), (&account, version));
        let written = before::encode(&read).expect("it encodes");
        assert_eq!(before::hint(&written).expect("what was written can be read"), (account, version));
    }
}
