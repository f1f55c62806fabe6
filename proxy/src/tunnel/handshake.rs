//! The question for a WebSocket, and whether the site's yes is one (RFC 6455 section 4).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::context::Context;
use crate::exchange;
use crate::headers::hop;
use crate::site;

/// What a server puts behind the client's key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is asked beside the request's own lines.
const UPGRADES: &[u8] = b"Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// What is asked, as bytes.
///
/// # Errors
/// When the target would end its line.
pub(super) fn question(session: &Session, context: &Context) -> Result<Vec<u8>> {
    let mut request = session.req_header().clone();
    keep_on_connection(&mut request);
    exchange::head((session, context), &request, UPGRADES, b"")
}

/// Removes what the client's `Connection` names: that stays on its connection (RFC 9110 section 7.6.1). What speaks of a
/// connection by its name alone is not written, whatever the way.
fn keep_on_connection(request: &mut RequestHeader) {
    let named = hop::tokens(&request.headers).filter_map(|token| HeaderName::from_bytes(token).ok());
    for name in named.chain([TRANSFER_ENCODING]).collect::<Vec<_>>() {
        request.remove_header(&name);
    }
}

/// Makes the head of a yes one for the client.
///
/// # Errors
/// When it is no yes to what was asked.
pub(super) fn yes(asked: &HeaderMap, response: &mut ResponseHeader) -> Result<()> {
    let says = |name: HeaderName, word: &[u8]| {
        let lines = response.headers.get_all(name).iter();
        let mut words = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        words.any(|said| said.trim_ascii().eq_ignore_ascii_case(word))
    };
    let upgrades = response.headers.get_all(UPGRADE).iter().count() == 1
        && says(UPGRADE, b"websocket")
        && says(CONNECTION, b"upgrade");
    let fits = match (one(asked, SEC_WEBSOCKET_KEY), one(&response.headers, SEC_WEBSOCKET_ACCEPT)) {
        (Some(key), Some(said)) => said.as_bytes() == accept(key).as_bytes(),
        _ => false,
    };
    if !upgrades || !fits {
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, "a 101 that fits no WebSocket").into_up());
    }
    site::strip_framing(response);
    hop::strip(response);
    response.insert_header(CONNECTION, "Upgrade")?;
    response.insert_header(UPGRADE, "websocket")
}

/// The only line of this name.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// What a server that has understood the question says to this key.
fn accept(key: &HeaderValue) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat()))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn headers_of_the_clients_connection_stay_on_it() {
        let mut request = RequestHeader::build(Method::GET, b"/socket?x=1", None).expect("a request");
        for (name, value) in [
            ("connection", "keep-alive, Upgrade, x-hop"),
            ("connection", "x-other"),
            ("x-other", "2"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("sec-websocket-protocol", "chat"),
        ] {
            request.append_header(name, value).expect("a header");
        }
        keep_on_connection(&mut request);
        let names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["connection", "sec-websocket-protocol"]);
    }

    #[test]
    fn a_yes_fits_what_was_asked() {
        const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
        const ACCEPT: (&str, &str) = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (connection, upgrade) = (("Connection", "Upgrade"), ("Upgrade", "websocket"));
        let cases: [(&[(&str, &str)], bool); 12] = [
            (&[connection, upgrade, ACCEPT], true),
            (&[("Connection", "x, upgrade"), ("Connection", "y"), ("Upgrade", "WebSocket"), ACCEPT], true),
            (&[upgrade, ACCEPT], false),
            (&[("Connection", "close"), upgrade, ACCEPT], false),
            (&[connection, ACCEPT], false),
            (&[connection, ("Upgrade", "h2c"), ACCEPT], false),
            (&[connection, upgrade, upgrade, ACCEPT], false),
            (&[connection, upgrade], false),
            (&[connection, upgrade, ("Sec-WebSocket-Accept", KEY)], false),
            (&[connection, upgrade, ("Sec-WebSocket-Accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")], false),
            (&[connection, upgrade, ACCEPT, ACCEPT], false),
            (&[connection, upgrade, ACCEPT, ("Content-Length", "5"), ("X-Kept", "1")], true),
        ];
        let asked = HeaderMap::from_iter([(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY))]);
        for (lines, expected) in cases {
            let build = || {
                let mut response = ResponseHeader::build(101, None).expect("a response");
                for (name, value) in lines {
                    response.append_header((*name).to_owned(), *value).expect("a header");
                }
                response
            };
            let mut response = build();
            assert_eq!(yes(&asked, &mut response).is_ok(), expected, "{lines:?}");
            if expected {
                assert!(!response.headers.contains_key("content-length"), "{lines:?}");
                assert_eq!(response.headers.get_all(CONNECTION).iter().collect::<Vec<_>>(), ["Upgrade"], "{lines:?}");
            }
            assert!(yes(&HeaderMap::new(), &mut build()).is_err(), "without a key nothing fits: {lines:?}");
        }
    }
}
