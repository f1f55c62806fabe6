//! Sums of credentials that were seen lately, so that a warm request does no cryptography.
//!
//! A credential is looked up by a keyed 128-bit digest, as tokens are; see [`crate::identity::seen`]. The sum, by which all processes name
//! it, costs ten times as much.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use entitlement::record::forget::Sum;
use quick_cache::sync::Cache;
use siphasher::sip128::SipHasher13;

/// Most credentials whose sums are remembered.
const SUMS_MAX: usize = 100_000;

/// The sums of credentials that were seen lately.
pub(super) struct Sums {
    key: SipHasher13,
    known: Cache<u128, Sum>,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { key: SipHasher13::new_with_keys(rand::random(), rand::random()), known: Cache::new(SUMS_MAX) }
    }

    /// The keyed digest of a text.
    pub(super) fn digest(&self, text: &[u8]) -> u128 {
        self.key.hash(text).as_u128()
    }

    /// The sum of a credential, of which `plain` makes what is summed up.
    pub(super) fn of<'a>(&self, credential: &'a [u8], plain: impl FnOnce() -> Cow<'a, [u8]>) -> Sum {
        let digest = self.digest(credential);
        if let Some(sum) = self.known.get(&digest) {
            return sum;
        }
        let sum = sum(&plain());
        self.known.insert(digest, sum);
        sum
    }
}

impl std::fmt::Debug for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sums({})", self.known.len())
    }
}

/// SHA-256.
pub(super) fn sum(credential: &[u8]) -> Sum {
    let mut sum = Sum::default();
    sum.copy_from_slice(digest(&SHA256, credential).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_the_same_whether_it_is_remembered_or_not() {
        let sums = Sums::new();
        for credential in ["abc", "", "abd", "abc"] {
            let bytes = credential.as_bytes();
            assert_eq!(sums.of(bytes, || bytes.into()), sum(bytes), "{credential}");
        }
        assert_eq!(sums.known.len(), 3);
    }
}
