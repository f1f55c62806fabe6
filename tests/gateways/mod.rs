//! Other gateways that ask Tollgate: the configurations that are shipped, in real servers.

mod ask;
mod asking;
mod caddy;
mod decide;
mod nginx;
