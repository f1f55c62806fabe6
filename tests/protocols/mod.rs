//! What passes the gate beside plain requests: WebSockets, event streams, HTTP/2, gRPC, bodies of any size.

mod abuse;
mod bodies;
pub mod client;
mod http2;
mod live;
mod many;
pub mod secure;
pub mod site;
pub mod slow;
mod slow_http2;
mod tunnels;
mod unread;
