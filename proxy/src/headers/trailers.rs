//! Trailers of an answer, as they go on.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::{Error, ErrorType, Result};

use super::hop;

/// Most trailers.
const TRAILERS_MAX: usize = 100;

/// What must not come behind a body: it frames, routes, authenticates, steers caches, or says how the body is to be read
/// (RFC 9110 section 6.5.1).
const FORBIDDEN: [&str; 18] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expires",
    "host",
    "location",
    "pragma",
    "retry-after",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "vary",
    "www-authenticate",
];

/// Whether a trailer may go on.
fn may_pass(name: &str) -> bool {
    let is_forbidden = FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    let is_of_connection = HeaderName::from_bytes(name.as_bytes()).map_or(true, |name| hop::is_of_connection(&name));
    !is_forbidden && !is_of_connection && !name.to_ascii_lowercase().ends_with("-cache-control")
}

/// The lines of trailers for the client.
///
/// # Errors
/// When they are no header lines.
pub(crate) fn for_client(lines: &[u8]) -> Result<BytesMut> {
    let bytes = [lines, b"\r\n"].concat();
    let mut headers = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let parsed = match httparse::parse_headers(&bytes, &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => headers,
        Ok(httparse::Status::Partial) => &[],
        Err(error) => return Err(Error::because(ErrorType::InvalidHTTPHeader, "trailers", error).into_up()),
    };
    let mut kept = BytesMut::with_capacity(lines.len());
    for header in parsed.iter().filter(|header| may_pass(header.name)) {
        for part in [header.name.as_bytes(), b": ", header.value, b"\r\n"] {
            kept.put_slice(part);
        }
    }
    Ok(kept)
}

/// Removes what may not stand behind a body, of trailers that came over HTTP/2.
pub(crate) fn strip(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| !may_pass(name.as_str())).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

/// Lines of trailers for a client of HTTP/2.
///
/// # Errors
/// When they are none of [`for_client`].
pub(crate) fn map(lines: &[u8]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(line.len()));
        let read =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii()));
        let (Ok(name), Ok(value)) = read else {
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "trailers").into_up());
        };
        map.append(name, value);
    }
    Ok(map)
}

/// The lines of trailers that came over HTTP/2.
pub(crate) fn lines(trailers: &HeaderMap) -> BytesMut {
    let mut kept = BytesMut::new();
    for (name, value) in trailers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            kept.put_slice(part);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_stand_behind_a_body_passes() {
        let lines = "X-Sum: 1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\nconnection: x\r\n\
                     CDN-Cache-Control: public\r\nServer-Timing: a;dur=1\r\nx-sum:2\r\n";
        let kept = for_client(lines.as_bytes()).expect("they are read");
        assert_eq!(kept, "X-Sum: 1\r\nServer-Timing: a;dur=1\r\nx-sum: 2\r\n");
        assert!(for_client(b"no header\r\n").is_err() && for_client(b"a b: c\r\n").is_err());
        let map = HeaderMap::from_iter([
            (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0")),
            (HeaderName::from_static("host"), HeaderValue::from_static("a")),
        ]);
        let mut stripped = map.clone();
        strip(&mut stripped);
        assert_eq!(super::lines(&stripped), "grpc-status: 0\r\n");
        let map = super::map(&kept).expect("they are read");
        assert_eq!(super::lines(&map), "x-sum: 1\r\nx-sum: 2\r\nserver-timing: a;dur=1\r\n");
    }
}
