//! Pages of other origins that may call a route from a browser.

use http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName, ORIGIN, VARY};
use http::{HeaderMap, HeaderValue, Method};

/// The origins whose pages may call a route, none by default. For them the site answers preflights, and the gate's own
/// answers can be read: without these headers a browser hides a 402 from the page that asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    origins: Vec<HeaderValue>,
}

/// Why a text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin: write scheme and host as browsers do, such as `https://app.example`")]
pub struct OriginError(String);

impl Cors {
    /// Reads origins as they are written in a configuration.
    ///
    /// # Errors
    /// When one of them is not what a browser sends (RFC 6454 section 6.1): in lower case, without a path.
    pub fn parse<S: AsRef<str>>(origins: &[S]) -> Result<Self, OriginError> {
        let read = |text: &S| {
            let text = text.as_ref();
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let is_host = |rest: &str| !rest.is_empty() && rest.bytes().all(is_of_host);
            match (rest.is_some_and(is_host), HeaderValue::from_str(text)) {
                (true, Ok(origin)) => Ok(origin),
                _ => Err(OriginError(text.to_owned())),
            }
        };
        Ok(Self { origins: origins.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Whether no page of another origin may call.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.origins.is_empty()
    }

    /// The origin that asks, if it may call.
    fn origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|origin| self.origins.contains(origin))?;
        origins.next().is_none().then_some(origin)
    }

    /// Whether a request is a preflight of a page that may call
    /// (<https://fetch.spec.whatwg.org/#cors-preflight-request>). A browser sends it without credentials: it passes for
    /// the site to answer.
    #[must_use]
    pub fn is_preflight(&self, method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::OPTIONS
            && headers.contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
            && self.origin(headers).is_some()
    }

    /// What an answer of the gate must carry so that the page may read it.
    #[must_use]
    pub fn told(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        if self.is_closed() {
            return Vec::new();
        }
        let mut told = vec![(VARY, HeaderValue::from_static("Origin"))];
        if let Some(origin) = self.origin(headers) {
            told.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
            told.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
        told
    }
}

const fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = [(&'static str, &'static str)];

    fn asks(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        pairs.iter().map(header).for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn only_a_true_preflight_of_a_named_origin_passes() {
        const APP: (&str, &str) = ("origin", "https://app.example");
        const WANTS: (&str, &str) = ("access-control-request-method", "POST");
        let cors = Cors::parse(&["https://app.example"]).expect("an origin");
        let cases: [(Method, &Lines, bool); 7] = [
            (Method::OPTIONS, &[APP, WANTS], true),
            (Method::OPTIONS, &[APP], false),
            (Method::OPTIONS, &[WANTS], false),
            (Method::POST, &[APP, WANTS], false),
            (Method::OPTIONS, &[("origin", "https://evil.example"), WANTS], false),
            (Method::OPTIONS, &[APP, ("origin", "https://evil.example"), WANTS], false),
            (Method::OPTIONS, &[("origin", "null"), WANTS], false),
        ];
        for (method, headers, passes) in cases {
            let headers = asks(headers);
            assert_eq!(cors.is_preflight(&method, &headers), passes, "{method} {headers:?}");
            assert!(!Cors::default().is_preflight(&method, &headers), "no origin is named");
        }
    }

    #[test]
    fn a_page_that_may_call_can_read_the_answer_and_no_other() {
        let cors = Cors::parse(&["https://app.example", "http://localhost:5173"]).expect("origins");
        let told = |origin: &'static str| asks_from(&cors, origin);
        assert_eq!(told("http://localhost:5173").len(), 3);
        assert_eq!(told("https://evil.example"), [(VARY, HeaderValue::from_static("Origin"))]);
        assert!(asks_from(&Cors::default(), "https://app.example").is_empty());
    }

    fn asks_from(cors: &Cors, origin: &'static str) -> Vec<(HeaderName, HeaderValue)> {
        cors.told(&asks(&[("origin", origin)]))
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in ["*", "app.example", "https://app.example/", "https://App.example", "null", "https://", "ftp://a"] {
            assert!(Cors::parse(&[text]).is_err(), "{text}");
        }
    }
}
