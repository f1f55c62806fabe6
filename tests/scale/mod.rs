//! More than one of everything: a Redis Cluster, a Redis that Sentinels watch, and processes that are replaced one by one
//! under load.

mod cluster;
mod fleet;
mod formats;
mod rolling;
mod sentinel;
