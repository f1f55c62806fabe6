//! The Redis that all processes share: where it is, connections to it that come back by themselves, the channel on which
//! changes are pushed, and the one rule by which a record takes the place of another.
//!
//! It may be one server, a Cluster, or whatever Sentinels say is the master; nobody else has to know which.

mod clip;
mod connection;
mod id;
mod lasting;
mod link;
mod owner;
mod pauses;
mod place;
mod refusal;
mod rule;
mod scan;
mod sentinel;
mod sparing;
mod subscription;
mod topology;

pub use connection::Connection;
pub use id::CacheId;
pub use lasting::Lasting;
pub use link::{Link, Patience};
pub use owner::{HELD_MAX, MEET, Met, Newcomer, NoOwner, Owner, meet};
pub use pauses::Pauses;
pub use place::{Place, PlaceError};
pub use refusal::{Refusal, Refusals, Task};
pub use rule::{Outcome, Push, STORE, Store, outcome};
pub use scan::Scan;
pub use sparing::Sparing;
pub use subscription::{Lost, Subscription};
