//! Stripe, as it speaks to us. Pure: bytes and moments in, our words out.

pub mod signature;
pub mod import;
pub mod setup;
mod payload;
mod envelope;
mod interpret;
mod kinds;
mod money;
pub mod object;
mod subscription;
#[cfg(test)]
mod tests;

pub use envelope::{Envelope, read_envelope};
pub use interpret::{Reader, interpret};
pub use kinds::{NEEDED, is_needed, kind_label};

/// Whether a key belongs to live mode (`sk_live_…`, `rk_live_…`) or to test mode; `None` when it does not say.
#[must_use]
pub fn livemode_of_key(key: &str) -> Option<bool> {
    let (_, mode) = key.split_once('_')?;
    match mode {
        mode if mode.starts_with("live_") => Some(true),
        mode if mode.starts_with("test_") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn keys_tell_their_mode() {
        for (key, expected) in [
            ("sk_live_x", Some(true)),
            ("rk_live_x", Some(true)),
            ("sk_test_x", Some(false)),
            ("rk_test_x", Some(false)),
            ("simulated", None),
            ("sk_other", None),
        ] {
            assert_eq!(livemode_of_key(key), expected, "{key}");
        }
    }
}
