//! One line a request, for operators. It names no secret: of the target only the path, of the credential only the account and the user.
//!
//! What a client chose is written as the value of a field, which every format of the log escapes; the sentence is ours.

use entitlement::account::UserId;
use http::Version;
use pingora::proxy::Session;
use tracing::info;

use crate::clock::{self, Moment};
use crate::context::Context;
use crate::identity::Principal;
use crate::metrics::Verdict;
use crate::settings::LogRequests;

/// Longest path that is written, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// Writes the line of a request that has ended, if such requests are logged.
pub(crate) fn write(session: &Session, context: &Context) {
    let is_wanted = match context.snapshot.log_requests {
        LogRequests::All => true,
        LogRequests::Denied => context.verdict != Verdict::Pass,
        LogRequests::None => false,
    };
    if !is_wanted {
        return;
    }
    let now = clock::moment();
    let request = session.req_header();
    let route = context.snapshot.rule(context).map_or("none", |rule| rule.label.as_str());
    let (verdict, reason, principal) = (context.verdict.as_str(), context.reason, context.principal.as_ref());
    info!(
        account = principal.map(|principal| principal.account.as_str()),
        user = principal.and_then(Principal::user).map(UserId::as_str),
        route,
        verdict,
        reason,
        layer = context.layer.map(|(layer, _)| layer.as_str()),
        age_ms = context.layer.map(|(_, age_ms)| age_ms),
        method = request.method.as_str(),
        path = shortened(request.uri.path()),
        protocol = protocol(request.version),
        status = session.response_written().map_or(0, |response| response.status.as_u16()),
        sent_bytes = session.body_bytes_sent(),
        took_ms = context.began.map(|began| millis(now, began)),
        client = session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip().to_string()),
        "request on {route}: {verdict} ({reason})"
    );
}

fn millis(now: Moment, began: std::time::Instant) -> u64 {
    u64::try_from(now.tick.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of a path. Its bytes are those of a URL, but one that was refused may hold others.
fn shortened(path: &str) -> &str {
    let end = (0..=PATH_BYTES_MAX.min(path.len())).rev().find(|end| path.is_char_boundary(*end));
    &path[..end.unwrap_or(0)]
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "h2",
        Version::HTTP_10 => "http/1.0",
        _ => "http/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_between_characters() {
        assert_eq!(shortened("/a"), "/a");
        assert_eq!(shortened(&"x".repeat(300)).len(), PATH_BYTES_MAX);
        let odd = format!("/{}", "é".repeat(300));
        assert_eq!(shortened(&odd).len(), PATH_BYTES_MAX - 1);
    }
}
