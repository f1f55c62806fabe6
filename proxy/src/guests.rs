//! Requests that their route lets in by an address or a token, as the gate meets them.

use http::header::REFERRER_POLICY;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::context::{Context, origin};
use crate::forwarded::Origin;
use crate::routes::Read;
use crate::routing::{Held, Routing};
use crate::screen::set_target;

/// The policy by which a browser tells of a page whose address has a token: its origin alone.
const ORIGIN_ALONE: HeaderValue = HeaderValue::from_static("strict-origin");

/// Takes the tokens out of a request, and notes whether its rule lets it in.
///
/// # Errors
/// When the target cannot be kept without them, which is none that has passed the screen.
pub(crate) fn receive(session: &mut Session, context: &mut Context, held: &Held<'_>, routing: &Routing) -> Result<()> {
    let read = {
        let (request, origin) = (session.req_header(), origin(session, &routing.trusted_proxies));
        read((&request.headers, request.raw_path()), &origin, held, routing)
    };
    for name in routing.table.guests().withheld(&session.req_header().headers) {
        session.req_header_mut().remove_header(&name);
    }
    if let Some(target) = &read.target {
        set_target(session.req_header_mut(), target)?;
    }
    (context.is_let_in, context.had_token) = (read.is_let_in, read.had_token);
    Ok(())
}

/// The standing of a request before its rule; the rules of its other readings have to ask for nothing beyond.
pub(crate) fn read(
    (headers, target): (&HeaderMap, &[u8]),
    origin: &Origin<'_>,
    held: &Held<'_>,
    routing: &Routing,
) -> Read {
    let Some(allow) = &held.rule.allow else { return Read::default() };
    // A gateway or a proxy is no visitor: where it names none, nobody knows where the request comes from.
    let visitor = origin.visitor(headers).filter(|address| !routing.decide.gateways().include(*address));
    let read = allow.read(headers, target, visitor);
    Read { is_let_in: read.is_let_in && *held.policy == held.rule.policy, ..read }
}

/// The policy in an answer of the gate itself for a browser whose address had a token.
pub(crate) fn told(context: &Context) -> Vec<(HeaderName, HeaderValue)> {
    if context.had_token { vec![(REFERRER_POLICY, ORIGIN_ALONE)] } else { Vec::new() }
}

/// The same on an answer of the site.
///
/// # Errors
/// Never: the header's name is known.
pub(crate) fn tell(response: &mut ResponseHeader, context: &Context) -> Result<()> {
    if context.had_token { response.insert_header(REFERRER_POLICY, ORIGIN_ALONE) } else { Ok(()) }
}
