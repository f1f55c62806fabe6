//! What a site answers over HTTP/1, read by one reader on every way: the same heads pass, the same bodies are framed, and
//! the same connections are used again, whatever carries the answer to the client.

pub(crate) mod answer;
mod dial;
mod framing;
mod reading;
mod wire;

pub(crate) use answer::{Answer, Part};
pub(crate) use dial::{Course, Dial};
pub(crate) use framing::strip_framing;
