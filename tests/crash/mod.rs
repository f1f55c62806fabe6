//! `kill -9`: in the midst of a stream of webhooks, and between any two statements of one.

mod points;
mod stream;
mod tripwire;
