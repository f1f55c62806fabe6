//! Tokens that were verified before, so that a warm request does no cryptography.
//!
//! A token is remembered by a keyed 128-bit digest, never by itself, and never longer than it is valid, nor than the set
//! of keys that verified it is in force.

use std::hash::{BuildHasher, Hasher};

use entitlement::Timestamp;
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;
use quick_cache::sync::DefaultLifecycle;
use siphasher::sip128::SipHasher13;

use super::principal::Principal;
use super::token::Verified;

/// Most tokens that are remembered.
pub(super) const TOKENS_MAX: usize = 100_000;

/// The digest of a token under a key that only this process has, so that nobody can aim at a collision: to take the
/// place of one of 100 000 tokens unseen takes some 2^111 tries, each a request. 64 bits would be too few.
pub(super) type Digest = u128;

/// The tokens that were verified before.
pub(super) struct Seen {
    key: SipHasher13,
    tokens: Cache<Digest, Verified, UnitWeighter, AlreadyHashed>,
}

impl Seen {
    pub(super) fn new() -> Self {
        let key = SipHasher13::new_with_keys(rand::random(), rand::random());
        let tokens =
            Cache::with(TOKENS_MAX, TOKENS_MAX as u64, UnitWeighter, AlreadyHashed, DefaultLifecycle::default());
        Self { key, tokens }
    }

    pub(super) fn digest(&self, token: &[u8]) -> Digest {
        self.key.hash(token).as_u128()
    }

    /// The principal of a token that this generation of keys has verified, and that is still valid at `now`.
    pub(super) fn get(&self, digest: Digest, generation: u64, now: Timestamp) -> Option<Principal> {
        let verified = self.tokens.get(&digest)?;
        (verified.generation == generation && verified.is_valid(now)).then_some(verified.principal)
    }

    pub(super) fn remember(&self, digest: Digest, verified: Verified) {
        self.tokens.insert(digest, verified);
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seen({} tokens)", self.tokens.len())
    }
}

/// Takes the low half of a digest as its hash: it is as good as any.
#[derive(Clone, Copy)]
struct AlreadyHashed;

/// See [`AlreadyHashed`].
struct LowHalf(u64);

impl BuildHasher for AlreadyHashed {
    type Hasher = LowHalf;

    fn build_hasher(&self) -> LowHalf {
        LowHalf(0)
    }
}

impl Hasher for LowHalf {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, digest: u128) {
        let bytes = digest.to_le_bytes();
        self.0 = bytes.first_chunk::<8>().map_or(0, |low| u64::from_le_bytes(*low));
    }
}
