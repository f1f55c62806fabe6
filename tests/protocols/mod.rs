//! What passes the gate beside plain requests: WebSockets, event streams, HTTP/2, gRPC, bodies of any size.

mod abuse;
mod bodies;
pub mod client;
mod http2;
mod leaving;
mod live;
mod many;
pub mod secure;
mod refused;
pub mod site;
pub mod slow;
pub mod slow_http2;
mod tunnels;
mod unread;
