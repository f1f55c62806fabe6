//! Questions as the gate meets them: which connections may ask, and the verdict on what they ask about.

use std::sync::Arc;

use http::HeaderMap;
use pingora::proxy::Session;

use super::{Dialect, Door, Meaning};
use crate::context::{Context, origin, told};
use crate::respond::{self, Answer, Asked};
use crate::routing::{Routing, Sought};
use crate::screen::Refused;
use crate::service::Service;
use crate::{clock, guests, headers};

impl Service {
    /// Whether a request is a gateway's question.
    ///
    /// # Errors
    /// When it may be one and is not answered.
    pub(crate) fn asks(&self, session: &Session, routing: &Routing) -> Result<bool, Refused> {
        let address = origin(session, &routing.trusted_proxies).peer();
        let (decide, path) = (&routing.decide, session.req_header().uri.path());
        let peer = decide.peer(&routing.trusted_proxies, address);
        if self.door == Door::Decide {
            return decide.check_apart(path, peer).map(|()| true);
        }
        match decide.meaning(peer) {
            Meaning::Question => Ok(true),
            Meaning::Request => Ok(false),
            Meaning::NotConfigured => Err(super::not_configured(decide.path(), address)),
        }
    }

    /// How a gateway is answered, when the request is its question.
    pub(crate) fn dialect(&self, session: &Session, routing: &Routing) -> Option<Dialect> {
        let request = session.req_header();
        let may_ask = self.door == Door::Decide || routing.decide.covers(request.uri.path());
        (may_ask && matches!(self.asks(session, routing), Ok(true))).then(|| Dialect::of(request, routing))
    }

    /// Answers a gateway that forwards the request itself.
    pub(crate) async fn decide(
        &self,
        session: &Session,
        context: &mut Context,
        now: clock::Moment,
    ) -> pingora::Result<Answer> {
        let snapshot = Arc::clone(&context.snapshot);
        let request = session.req_header();
        let question = match super::question(request, &snapshot.routing) {
            Ok(question) => question,
            Err(refused) => return Ok(self.refuse(&refused, context)),
        };
        let (method, host) = (&question.method, question.host.as_deref());
        let held = snapshot.routing.rule(Sought { method, host, path: &question.path, query: question.query() });
        let held = match held {
            Ok(held) => held,
            Err(refused) => return Ok(self.refuse(&refused, context)),
        };
        let origin = origin(session, &snapshot.routing.trusted_proxies);
        let read = guests::read((&request.headers, &question.target), &origin, &held, &snapshot.routing);
        (context.is_let_in, context.had_token) = (read.is_let_in, read.had_token);
        let target = read.target.as_deref().unwrap_or(&question.target);
        let headers = guests::cleared(&request.headers, &snapshot.routing);
        let asked = Asked { method: &question.method, headers: &headers, target };
        match self.judge(&snapshot, &held, (asked, origin), (context, now)).await? {
            Ok(_) => {
                let view = context.view.as_deref();
                let headers = match (view, context.degraded) {
                    (Some(view), _) => told(view, context).headers(),
                    (None, Some(degraded)) => headers::of_stranger(degraded),
                    (None, None) => HeaderMap::new(),
                };
                Ok(super::pass(&headers))
            }
            Err(denial) => {
                let own = respond::denial(&denial, asked, &snapshot.links).and(held.rule.cors.told(&request.headers));
                let own = snapshot.links.absolute(own, host);
                Ok(super::denied(&denial, own, question.dialect))
            }
        }
    }
}
