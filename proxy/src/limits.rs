//! What one client may take, so that none can exhaust the gate.

use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use pingora::http::RequestHeader;
use pingora::protocols::TcpKeepalive;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::Session;

use crate::census::Places;
use crate::guard::Patience;
use crate::screen::Refused;

/// The bounds. A count or size of 0 is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, of all clients.
    pub connections: usize,
    /// Connections at once of one address, but for trusted proxies and gateways.
    pub connections_per_address: usize,
    /// Requests at once that hold a connection to the site.
    pub upstream_connections: usize,
    /// Bytes of a request's first line and headers.
    pub header_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// How long the headers of a first request, a TLS handshake or the beginning of HTTP/2 may take.
    pub header_time: Duration,
    /// How long a connection may be idle between requests; whole seconds.
    pub idle: Duration,
    /// How long a client may be silent in the middle of a body.
    pub read: Duration,
    /// Most bytes of a body that are here before a connection to the site is taken.
    pub buffer_body: usize,
    /// Least rate of a longer body, in bytes a second over `RATE_WINDOW`.
    pub body_rate: u64,
    /// How long a client may refuse to take in more of a response.
    pub write: Duration,
    /// How long a WebSocket may be silent, in either direction.
    pub quiet: Duration,
    /// Requests after which a connection is closed, so that none lives for ever.
    pub requests_per_connection: u32,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
}

/// The time over which the rate of a body is counted.
pub(crate) const RATE_WINDOW: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 5_000,
            upstream_connections: 0,
            header_bytes: 64 * 1024,
            headers: 100,
            body_bytes: 1024 * 1024 * 1024,
            header_time: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            read: Duration::from_secs(60),
            buffer_body: 64 * 1024,
            body_rate: 500,
            write: Duration::from_secs(60),
            quiet: Duration::from_secs(3600),
            requests_per_connection: 100_000,
            streams: 100,
        }
    }
}

impl Limits {
    pub(crate) const fn places(&self) -> Places {
        Places { all: self.connections, per_address: self.connections_per_address }
    }

    pub(crate) const fn patience(&self) -> Patience {
        Patience { headers: self.header_time, idle: self.idle }
    }

    /// Bounds what the client of a request may take its time for. How long it may be idle is the guard's to see; and how
    /// long it may not take in what is sent, with HTTP/1, the kernel's ([`Limits::keepalive`]): Pingora would set two
    /// timers more for each request.
    pub(crate) fn bound(&self, session: &mut Session) {
        session.set_read_timeout(Some(self.read));
        if session.is_http2() || !KERNEL_BOUNDS_WRITES {
            // A stream's window can be shut while its connection moves.
            session.set_write_timeout(Some(self.write));
        }
    }

    /// What the kernel sees to on the connection of a client: who is gone without a word is noticed, and who takes in
    /// nothing of what is sent is cut off.
    pub(crate) const fn keepalive(&self) -> TcpKeepalive {
        keepalive(self.write)
    }

    /// Refuses a request whose head is too large, or that announces a body that is. HTTP/2 has refused the first already.
    pub(crate) fn refuse(&self, session: &Session) -> Option<Refused> {
        let request = session.req_header();
        let head = session.as_http1().map_or(0, |session| session.get_headers_raw_bytes().len());
        if exceeds(head, self.header_bytes) || exceeds(request.headers.len(), self.headers) {
            return Some(too_long_head());
        }
        self.refuse_body(request)
    }

    fn refuse_body(&self, request: &RequestHeader) -> Option<Refused> {
        let announced = request.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
        self.is_too_long(announced).then(|| Refused {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "body_too_large",
            detail: format!("the body has more than {} bytes", self.body_bytes),
        })
    }

    /// Whether a body of so many bytes is refused.
    pub(crate) const fn is_too_long(&self, bytes: u64) -> bool {
        self.body_bytes != 0 && bytes > self.body_bytes
    }

    /// What an HTTP/2 connection may take.
    pub(crate) fn http2(&self) -> H2Options {
        let mut options = default_h2_options();
        options.max_concurrent_streams(self.streams);
        options.max_header_list_size(u32::try_from(self.header_bytes).unwrap_or(u32::MAX));
        options
    }
}

/// The refusal of a head that is too large.
pub(crate) fn too_long_head() -> Refused {
    Refused {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        code: "header_too_large",
        detail: "the headers are too many or too long".to_owned(),
    }
}

/// Whether a connection on which nothing could be sent for some time is ended by the kernel.
pub(crate) const KERNEL_BOUNDS_WRITES: bool = cfg!(target_os = "linux");

/// Probes of a silent connection, which also ends when what was sent is not taken in for as long as `write`: not
/// acknowledged, or its window shut (`TCP_USER_TIMEOUT`, tcp(7)).
pub(crate) const fn keepalive(write: Duration) -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(15),
        count: 4,
        #[cfg(target_os = "linux")]
        user_timeout: write,
    }
}

const fn exceeds(size: usize, limit: usize) -> bool {
    limit != 0 && size > limit
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_body_that_is_announced_too_long_is_refused_and_no_bound_is_none() {
        let cases = [(Some("10"), 10, false), (Some("11"), 10, true), (Some("11"), 0, false), (None, 10, false)];
        for (length, body_bytes, refused) in cases {
            let mut request = RequestHeader::build(Method::POST, b"/", None).expect("a request");
            if let Some(length) = length {
                request.insert_header("Content-Length", length).expect("a header");
            }
            let limits = Limits { body_bytes, ..Limits::default() };
            assert_eq!(limits.refuse_body(&request).is_some(), refused, "{length:?} of {body_bytes}");
        }
    }
}
