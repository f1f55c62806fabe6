//! The gate's answer in the words of the gateway that has asked.

use entitlement::authorize::Denial;
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Dialect;
use crate::headers::IDENTITY;
use crate::respond::{self, Answer, Body};

/// What the gate itself would have answered, for a gateway that cannot pass it on.
const STATUS: HeaderName = HeaderName::from_static("x-tollgate-status");
const TO: HeaderName = HeaderName::from_static("x-tollgate-location");

/// The answer when the request may pass: what the site is to be told of its sender.
pub(crate) fn pass(told: &HeaderMap) -> Answer {
    let headers = told.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Answer { status: StatusCode::OK, headers, body: Body::default() }.not_stored()
}

/// The answer when it may not: the gate's own. nginx is told beside it what a redirect is for.
pub(crate) fn denied(denial: &Denial, own: Answer, dialect: Dialect) -> Answer {
    if dialect != Dialect::Nginx || own.status != StatusCode::SEE_OTHER {
        return own;
    }
    let place = own.headers.iter().find(|(name, _)| *name == LOCATION).map(|(_, value)| (TO, value.clone()));
    let headers = own.headers.iter().filter(|(name, _)| *name != LOCATION).cloned();
    let headers = headers.chain(place).chain([(STATUS, HeaderValue::from(denial.status()))]).collect();
    Answer { status: StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::FORBIDDEN), headers, body: own.body }
}

/// Any answer to a question: every identity header is named, empty where there is nothing to say.
pub(crate) fn worded(answer: Answer, dialect: Dialect) -> Answer {
    let answer = match dialect {
        Dialect::Any | Dialect::Traefik => answer,
        Dialect::Nginx => for_nginx(answer),
        Dialect::Refused if answer.status.is_success() => changed(),
        Dialect::Refused => answer,
    };
    let names = IDENTITY.into_iter().map(HeaderName::from_static);
    let missing = names.filter(|name| !answer.headers.iter().any(|(said, _)| said == name));
    let missing = missing.map(|name| (name, HeaderValue::from_static(""))).collect();
    answer.and(missing)
}

/// `auth_request` knows 401 and 403, and takes every other refusal for a fault of ours.
fn for_nginx(mut answer: Answer) -> Answer {
    if answer.status.is_success() {
        return answer;
    }
    if !answer.headers.iter().any(|(name, _)| *name == STATUS) {
        answer.headers.push((STATUS, HeaderValue::from(answer.status.as_u16())));
    }
    if answer.status != StatusCode::UNAUTHORIZED {
        answer.status = StatusCode::FORBIDDEN;
    }
    answer
}

/// The answer to a request that was refused a moment ago, and would pass now: whoever asks here has nothing else to pass on.
fn changed() -> Answer {
    let detail = "The request would pass by now: send it again.";
    respond::failure(StatusCode::SERVICE_UNAVAILABLE, "verdict_changed", detail)
}

#[cfg(test)]
mod tests {
    use entitlement::authorize::Requirement;
    use http::header::RETRY_AFTER;

    use super::*;

    fn value<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        let value = answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        value.map(|value| value.to_str().expect("text"))
    }

    #[test]
    fn every_answer_names_every_identity_header_once() {
        let told =
            HeaderMap::from_iter([(HeaderName::from_static("x-entitlement-tier"), "paid".parse().expect("a value"))]);
        let pay = Denial::Pay { required: Requirement::SignedIn, current: "free".into() };
        let refused = || respond::refusal("ambiguous_target", "why");
        for dialect in [Dialect::Any, Dialect::Nginx, Dialect::Traefik, Dialect::Refused] {
            for answer in [pass(&told), pass(&HeaderMap::new()), refused(), denied(&pay, refused(), dialect)] {
                let is_pass = answer.status.is_success() && dialect != Dialect::Refused;
                let tier = if is_pass && value(&answer, "x-entitlement-tier").is_some() { "paid" } else { "" };
                let answer = worded(answer, dialect);
                for name in IDENTITY {
                    let values = answer.headers.iter().filter(|(known, _)| known == name).count();
                    assert_eq!(values, 1, "{name} for {dialect:?}");
                }
                assert_eq!(value(&answer, "x-entitlement-tier"), Some(tier), "{dialect:?}");
                assert_eq!(value(&answer, "x-entitlement-account"), Some(""), "{dialect:?}");
            }
        }
    }

    #[test]
    fn nginx_is_told_401_or_403_and_beside_it_what_the_gate_would_have_said() {
        let failure = |status| respond::failure(StatusCode::from_u16(status).expect("a status"), "code", "why");
        for (answer, status, would) in [
            (pass(&HeaderMap::new()), 200, None),
            (failure(400), 403, Some("400")),
            (failure(401), 401, Some("401")),
            (failure(402), 403, Some("402")),
            (failure(405), 403, Some("405")),
            (failure(503), 403, Some("503")),
        ] {
            let answer = worded(answer, Dialect::Nginx);
            assert_eq!((answer.status.as_u16(), value(&answer, "x-tollgate-status")), (status, would));
        }
        let redirect = Answer { status: StatusCode::SEE_OTHER, ..failure(402) }
            .and(vec![(LOCATION, HeaderValue::from_static("/p"))]);
        let pay = Denial::Pay { required: Requirement::SignedIn, current: "free".into() };
        for (denial, status, would) in [(pay, 403, "402"), (Denial::SignIn, 401, "401")] {
            let answer = worded(denied(&denial, redirect.clone(), Dialect::Nginx), Dialect::Nginx);
            let told = ["x-tollgate-status", "x-tollgate-location", "location"].map(|name| value(&answer, name));
            assert_eq!((answer.status.as_u16(), told), (status, [Some(would), Some("/p"), None]));
        }
    }

    #[test]
    fn a_refusal_that_has_become_a_pass_is_no_empty_page() {
        let answer = worded(pass(&HeaderMap::new()), Dialect::Refused);
        assert_eq!((answer.status.as_u16(), value(&answer, RETRY_AFTER.as_str())), (503, Some("1")));
        assert_eq!(worded(respond::refusal("code", "why"), Dialect::Refused).status, 400);
    }
}
