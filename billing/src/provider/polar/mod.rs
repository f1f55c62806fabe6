//! Polar, as it speaks to us. Pure, but for `api`: bytes and moments in, our words out.

pub mod signature;
mod payload;
mod envelope;
mod interpret;
mod kinds;
mod subscription;
mod money;
pub mod api;
#[cfg(test)]
mod tests;

pub use envelope::{Envelope, read_envelope};
pub use interpret::interpret;
pub use kinds::{NEEDED, kind_label};
