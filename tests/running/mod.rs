//! Running it: configuration that is replaced, a process that ends or is relieved, clients that take too much.

mod busy;
mod access_log;
mod database_tls;
mod handover;
mod hosted;
mod limits;
mod load;
mod poolers;
mod reload;
mod stop;
mod upstreams;
