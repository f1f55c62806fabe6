//! Other gateways that ask Tollgate: the configurations that are shipped, in real servers.

mod ask;
mod caddy;
mod decide;
mod nginx;
