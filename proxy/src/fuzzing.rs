//! What the fuzz targets reach of this crate beyond its public parts.

use std::net::SocketAddr;

use http::HeaderMap;
use pingora::http::RequestHeader;

pub use crate::end_to_end::differential::{Case, Ways};
use crate::forwarded::{Origin, Scheme, TrustedProxies};
use crate::headers::{self, Withheld};

/// Whether the gate makes of cookies of this name what they mean plainly.
///
/// # Errors
/// The difference.
pub fn compare_cookies(headers: &HeaderMap, name: &str) -> Result<(), String> {
    crate::identity::compare_cookies(headers, name)
}

/// What the site gets of the headers that a peer sends without a credential.
///
/// # Errors
/// When they cannot be kept.
pub fn rewritten(lines: &HeaderMap, peer: SocketAddr, trusted: &TrustedProxies) -> pingora::Result<HeaderMap> {
    let mut request = RequestHeader::build("GET", b"/", None)?;
    for (name, value) in lines {
        request.append_header(name.clone(), value.clone())?;
    }
    let origin = Origin::new(Some(peer), Scheme::Http, trusted);
    headers::rewrite(&mut request, None, (&origin, &Withheld::default()), None, None)?;
    Ok(request.headers.clone())
}
