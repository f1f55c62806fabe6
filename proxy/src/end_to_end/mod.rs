//! The gate as a whole, over real sockets.

#[cfg(test)]
mod client;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod ways;

pub mod differential;
mod world;
