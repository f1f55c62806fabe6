//! Other gateways that ask Tollgate: the configurations that are shipped, in real servers.

pub mod ask;
mod asking;
mod away;
mod caddy;
mod decide;
mod files;
mod nginx;
mod others;
mod site;
mod words;
