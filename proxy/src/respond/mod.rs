//! Every answer that the gate gives itself. Nothing else in this crate writes a response.
//!
//! Errors are problem documents (RFC 9457) with a stable `code`, or pages of the site for people. A browser that navigates is
//! sent to sign in or to the prices instead; a script is told where to go in the words of its library.

mod answer;
mod links;
mod page;
mod reader;
mod unread;

pub(crate) use answer::ORIGIN_ALONE;
pub use answer::{Answer, Body, Cause};
pub use links::Links;
pub use page::{Pages, Texts};
pub use unread::unread;

use entitlement::authorize::Denial;
use http::header::{HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use answer::{ITS_OWN, Problem};
use reader::Reader;

/// Seconds after which it is worth to try again what failed because of us.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Where htmx goes, whatever the status (<https://htmx.org/headers/hx-redirect/>).
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Where Inertia goes, when the status is 409 (<https://inertiajs.com/the-protocol>).
const X_INERTIA_LOCATION: HeaderName = HeaderName::from_static("x-inertia-location");

/// What of a request shapes the answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The canonical path and the query.
    pub target: &'a [u8],
}

/// The answer to a request that may not pass.
#[must_use]
pub fn denial(denial: &Denial, asked: Asked<'_>, links: &Links) -> Answer {
    let is_paying = match denial {
        Denial::SignIn | Denial::BadCredential => false,
        Denial::Pay { .. } => true,
        // A site that takes one of them for its user would lead a browser from signing in straight back, for ever.
        Denial::Ambiguous | Denial::Blocked | Denial::Forbidden { .. } | Denial::Unknown => {
            return refused(denial, None, links);
        }
    };
    let reader = Reader::of(asked.method, asked.headers);
    let next = links.next(asked, reader);
    let location = if is_paying { links::with_next(&links.pricing, &next) } else { links.login.leading_back(&next) };
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    match reader {
        Reader::Navigation => Answer { status: StatusCode::SEE_OTHER, headers: ITS_OWN.into(), body: Body::default() }
            .with(LOCATION, location),
        Reader::Htmx => refused(denial, None, links).with(HX_REDIRECT, location),
        Reader::Inertia => refused(denial, Some(StatusCode::CONFLICT), links).with(X_INERTIA_LOCATION, location),
        Reader::Page | Reader::Script => refused(denial, None, links).leading_to(next),
    }
}

/// The problem document of a denial; with another status than its own where a library asks for one.
fn refused(denial: &Denial, status: Option<StatusCode>, links: &Links) -> Answer {
    let own = StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = |detail| Problem::new(status.unwrap_or(own), denial.code(), detail);
    match denial {
        Denial::SignIn => {
            let answer = Answer::problem(&problem("This needs you to sign in."));
            answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        Denial::BadCredential => {
            let answer = Answer::problem(&problem("The token is not valid here, or has expired."));
            // RFC 6750 section 3.1.
            answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
        }
        Denial::Ambiguous => {
            let detail = "The request has valid credentials of several accounts: send those of one.";
            let answer = Answer::problem(&problem(detail));
            answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        Denial::Pay { required, current } => {
            let detail = format!("This needs {required}; the account has tier {current}.");
            Answer::problem(&Problem {
                required: Some(required),
                current: Some(current),
                upgrade_url: Some(&links.upgrade),
                ..problem(&detail)
            })
        }
        Denial::Forbidden { required, current } => {
            let detail = format!("This needs {required}, which is not for sale; the account has tier {current}.");
            Answer::problem(&Problem { required: Some(required), current: Some(current), ..problem(&detail) })
        }
        Denial::Blocked => Answer::problem(&problem("This account is blocked.")),
        Denial::Unknown => {
            let answer = Answer::problem(&problem("What the account has paid for cannot be found out right now."));
            answer.with(RETRY_AFTER, RETRY_AFTER_SECONDS)
        }
    }
}

/// The answer to a request that is refused before any rule is read.
#[must_use]
pub fn refusal(code: &'static str, detail: &str) -> Answer {
    Answer::problem(&Problem::new(StatusCode::BAD_REQUEST, code, detail))
}

/// The answer when what is behind the gate fails, or the gate itself.
#[must_use]
pub fn failure(status: StatusCode, code: &'static str, detail: &str) -> Answer {
    let answer = Answer::problem(&Problem::new(status, code, detail));
    if status == StatusCode::SERVICE_UNAVAILABLE { answer.with(RETRY_AFTER, RETRY_AFTER_SECONDS) } else { answer }
}

#[cfg(test)]
mod tests;
