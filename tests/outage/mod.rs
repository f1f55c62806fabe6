//! Parts that go away, fall silent, become slow, flap, forget, or refuse to write, between two proxies and two billing
//! processes: what is still answered and how it is marked, how old it may be, that nothing acknowledged is lost, and that
//! nobody has to restart anything.

mod apart;
mod billing;
mod both;
mod denial;
mod flood;
mod kept;
mod postgres;
mod provider;
mod push;
mod read_only;
mod redis;
mod restarted;
mod rights;
mod scene;

pub use scene::{Reader, Scene, pushed};
