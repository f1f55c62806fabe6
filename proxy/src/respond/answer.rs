//! A response of the gate itself, in the two forms in which it can be read: a problem document, or a page.

use bytes::Bytes;
use entitlement::authorize::Requirement;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde::Serialize;
use tokio::time::timeout;

use super::page::{self, Pages};
use super::reader::Reader;
use crate::wire;

/// The policy by which a browser tells of a page whose address may have a token: its origin alone.
pub(crate) const ORIGIN_ALONE: HeaderValue = HeaderValue::from_static("strict-origin");

/// The headers of every answer that is no permit: it is for this request alone, and its address for nobody else.
pub(super) const ITS_OWN: [(HeaderName, HeaderValue); 2] =
    [(CACHE_CONTROL, HeaderValue::from_static("no-store")), (REFERRER_POLICY, ORIGIN_ALONE)];

/// A response that has not been written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Body,
}

/// The content of an answer, in the two forms in which it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// A problem document; nothing when it is empty.
    pub json: Bytes,
    /// The reason, for a page in place of it.
    pub cause: Box<Cause>,
}

/// Why the gate answers itself, as far as a page tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    pub code: &'static str,
    pub required: Option<Requirement>,
    /// The tier that the account has.
    pub current: Option<String>,
    /// Where the user goes on after signing in or paying, encoded for a query.
    pub next: Option<String>,
}

/// A problem document.
#[derive(Serialize)]
pub(super) struct Problem<'a> {
    pub(super) r#type: &'static str,
    pub(super) title: &'static str,
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) required: Option<&'a Requirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upgrade_url: Option<&'a str>,
}

impl<'a> Problem<'a> {
    /// `title` is the status' own phrase, as `type` says nothing more (RFC 9457 section 4.2.1).
    pub(super) fn new(status: StatusCode, code: &'static str, detail: &'a str) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        let (required, current, upgrade_url) = (None, None, None);
        Self { r#type: "about:blank", title, status: status.as_u16(), code, detail, required, current, upgrade_url }
    }
}

impl Answer {
    pub(super) fn problem(problem: &Problem<'_>) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem has nothing that JSON cannot say.
        let json = serde_json::to_vec(problem).unwrap_or_default().into();
        let cause = Cause {
            code: problem.code,
            required: problem.required.cloned(),
            current: problem.current.map(str::to_owned),
            next: None,
        };
        Self { status, headers: ITS_OWN.into(), body: Body { json, cause: Box::new(cause) } }
    }

    /// The same answer, whose page leads on to `next`.
    pub(super) fn leading_to(mut self, next: String) -> Self {
        self.body.cause.next = Some(next);
        self
    }

    /// The same answer, which no cache may keep.
    #[must_use]
    pub fn not_stored(self) -> Self {
        self.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// The same answer with more headers.
    #[must_use]
    pub fn and(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The problem document, and the header that tells what it is.
    #[must_use]
    pub fn document(&self) -> (Bytes, Vec<(HeaderName, HeaderValue)>) {
        (self.body.json.clone(), vec![(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))])
    }

    /// The body for the client that sent these headers, and the headers that tell what it is.
    #[must_use]
    pub fn body_for(&self, asked: &HeaderMap, pages: &Pages) -> (Bytes, Vec<(HeaderName, HeaderValue)>) {
        let Body { json, cause } = &self.body;
        if json.is_empty() {
            return (Bytes::new(), Vec::new());
        }
        // The method makes no difference to the form of a body.
        let page = Reader::of(&Method::GET, asked).reads_pages().then(|| pages.page(self.status, cause)).flatten();
        let Some(page) = page else {
            return self.document();
        };
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, page::POLICY),
        ];
        (page, headers)
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Writes the answer, unless a response has begun already.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn write(self, session: &mut Session, pages: &Pages) -> Result<()> {
        if session.response_written().is_some_and(|begun| !begun.status.is_informational()) {
            return Ok(());
        }
        let (body, about) = self.body_for(&session.req_header().headers, pages);
        let mut header = ResponseHeader::build(self.status, Some(self.headers.len() + about.len() + 1))?;
        for (name, value) in self.headers.into_iter().chain(about) {
            header.append_header(name, value)?;
        }
        header.insert_header(CONTENT_LENGTH, body.len())?;
        let bodiless = body.is_empty() || session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(header), bodiless).await?;
        if bodiless {
            session.finish_body().await?;
        } else {
            session.write_response_body(Some(body), true).await?;
        }
        linger(session).await;
        Ok(())
    }
}

/// Over HTTP/2, reads away what still comes of the request's body: some clients lose the answer when their stream is reset.
/// The end of an HTTP/1 connection sees to the same ([`wire::linger`]).
async fn linger(session: &mut Session) {
    if !session.is_http2() || session.is_body_done() {
        return;
    }
    let Some(_place) = wire::linger::place() else { return };
    let read_away =
        async { while let Ok(Ok(Some(_))) = timeout(wire::linger::PAUSE, session.read_request_body()).await {} };
    let _ = timeout(wire::linger::TIME, read_away).await;
}
