//! Requests that their route lets in by an address or a token, as the gate meets them.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::REFERRER_POLICY;
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::context::{Context, origin};
use crate::forwarded::Origin;
use crate::respond::ORIGIN_ALONE;
use crate::routes::Read;
use crate::routing::{Held, Routing};
use crate::screen::set_target;

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

/// The headers of a request without tokens, for a gateway that keeps the request.
pub(crate) fn cleared<'a>(headers: &'a HeaderMap, routing: &Routing) -> Cow<'a, HeaderMap> {
    let mut headers = Cow::Borrowed(headers);
    if routing.table.has_guests() {
        for name in routing.table.guests().withheld(&headers) {
            headers.to_mut().remove(name);
        }
    }
    headers
}

/// The standing of a request before its rule; the rules of its other readings have to ask for nothing beyond.
pub(crate) fn read(
    (headers, target): (&HeaderMap, &[u8]),
    origin: &Origin<'_>,
    held: &Held<'_>,
    routing: &Routing,
) -> Read {
    let read = held.rule.allow.as_ref().map_or_else(Read::default, |allow| {
        // Where a gateway or a proxy names no visitor, the address of the client is not known.
        let visitor = origin.client(headers).filter(|address| !routing.is_between(*address));
        let read = allow.read(headers, target, visitor);
        Read { is_let_in: read.is_let_in && held.is_its_own(), ..read }
    });
    // A token of another route is none here, and has no place here either.
    let cleared = routing.table.guests().without_tokens(read.target.as_deref().unwrap_or(target));
    let target = cleared.or(read.target);
    Read { is_let_in: read.is_let_in, had_token: target.is_some(), target }
}

/// Says the policy in an answer of the site for a browser whose address had a token.
///
/// # Errors
/// Never: the header's name is known.
pub(crate) fn tell(response: &mut ResponseHeader, context: &Context) -> Result<()> {
    if context.had_token { response.insert_header(REFERRER_POLICY, ORIGIN_ALONE) } else { Ok(()) }
}
