//! The kind of client that reads an answer: a browser that navigates can be sent elsewhere and shows pages, a script can
//! neither follow a redirect to a page nor use one.
//!
//! A browser states what a request is for (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>), and no script can change
//! that. Libraries name themselves in headers of their own. Only where neither is there `Accept` decides.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};

/// Headers of libraries that put an answer into the page that is shown already, or hand it to a script.
const LIBRARIES: [&str; 9] = [
    "hx-request",
    "x-inertia",
    "turbo-frame",
    "x-pjax",
    "x-up-version",
    "x-livewire",
    "rsc",
    "next-router-prefetch",
    "x-sveltekit-action",
];

/// Headers of requests for a page that a user may ask for later: browsers', Firefox's earlier one, and those of Turbo and other
/// libraries, which may not set the browsers'.
const PURPOSES: [&str; 5] = ["sec-purpose", "purpose", "x-sec-purpose", "x-purpose", "x-moz"];

/// The kind of client that reads an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A browser that is about to show another page.
    Navigation,
    /// A browser or a program that asks for HTML, but not by going to a page: a form without Fetch Metadata.
    Page,
    /// htmx, which goes to the address in `HX-Redirect` (<https://htmx.org/reference/#response_headers>).
    Htmx,
    /// Inertia, which goes to the address in `X-Inertia-Location` of a 409 (<https://inertiajs.com/the-protocol>).
    Inertia,
    /// Everything else: a script, a frame, a prefetch, a program.
    Script,
}

impl Reader {
    /// The client that sent a request with this method and these headers.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if is_true(headers, "x-inertia") {
            return Self::Inertia;
        }
        if is_true(headers, "hx-request") {
            return Self::Htmx;
        }
        if is_of_library(headers) || is_for_later(headers) {
            return Self::Script;
        }
        // Turbo Drive fetches whole pages, follows a redirect and shows where it led.
        let is_turbo_drive = headers.contains_key("x-turbo-request-id");
        match if is_turbo_drive { None } else { purpose(headers) } {
            Some(Purpose::Document) => Self::Navigation,
            Some(Purpose::Other) => Self::Script,
            None if !accepts_html(headers) => Self::Script,
            None if *method == Method::GET => Self::Navigation,
            None => Self::Page,
        }
    }

    /// Whether an error is shown to a person as a page.
    pub(super) const fn reads_pages(self) -> bool {
        matches!(self, Self::Navigation | Self::Page)
    }
}

/// The purpose of a request, as the browser states it.
enum Purpose {
    Document,
    Other,
}

/// As Fetch Metadata has it. Browsers of 2019 name the mode alone, and a service worker that passes a navigation on no destination:
/// there `Accept` decides.
fn purpose(headers: &HeaderMap) -> Option<Purpose> {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes);
    match (value("sec-fetch-mode"), value("sec-fetch-dest")) {
        (Some(b"navigate"), Some(b"document")) => Some(Purpose::Document),
        (Some(b"navigate"), None | Some(b"empty")) | (None, None | Some(b"document")) => None,
        _ => Some(Purpose::Other),
    }
}

fn is_of_library(headers: &HeaderMap) -> bool {
    // Apps on Android send their own name in it when they show a page.
    let is_xhr = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"xmlhttprequest");
    headers.get_all("x-requested-with").iter().any(is_xhr) || LIBRARIES.iter().any(|name| is_said(headers, name))
}

/// Whether nobody may ever look at the answer. A browser that gets an error for it asks again when the user goes there.
fn is_for_later(headers: &HeaderMap) -> bool {
    let values = PURPOSES.iter().flat_map(|name| headers.get_all(*name));
    values.into_iter().any(|value| {
        let word = value.as_bytes().split(|byte| matches!(byte, b';' | b',')).next().unwrap_or_default().trim_ascii();
        [&b"prefetch"[..], b"prerender", b"preview"].iter().any(|known| word.eq_ignore_ascii_case(known))
    })
}

/// Whether a library names itself: some say `false` where they do not mean it.
fn is_said(headers: &HeaderMap, name: &str) -> bool {
    let is_denied = |value: &[u8]| value.is_empty() || value == b"0" || value.eq_ignore_ascii_case(b"false");
    headers.get(name).is_some_and(|value| !is_denied(value.as_bytes()))
}

pub(super) fn is_true(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Whether HTML is asked for, as browsers do when they navigate or submit a form.
fn accepts_html(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut ranges = ranges.map(|range| range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii));
    ranges.any(|mut parts| {
        parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html")) && !parts.any(refuses)
    })
}

/// Whether a parameter is the weight 0, which means "not this" (RFC 9110 section 12.4.2).
fn refuses(parameter: &[u8]) -> bool {
    let Some((name, value)) = parameter.split_first() else { return false };
    let Some(value) = value.trim_ascii().strip_prefix(b"=") else { return false };
    let mut digits = value.trim_ascii().iter().filter(|byte| **byte != b'.').peekable();
    name.eq_ignore_ascii_case(&b'q') && digits.peek().is_some() && digits.all(|digit| *digit == b'0')
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    type Lines = [(&'static str, &'static str)];

    const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    const ANY: (&str, &str) = ("accept", "*/*");
    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
    const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
    const CORS: (&str, &str) = ("sec-fetch-mode", "cors");
    const EMPTY: (&str, &str) = ("sec-fetch-dest", "empty");

    fn reader(method: Method, lines: &Lines) -> Reader {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Reader::of(&method, &lines.iter().map(line).collect())
    }

    #[test]
    fn a_client_is_known_by_what_its_browser_says_then_its_library_then_accept() {
        use Reader::{Htmx, Inertia, Navigation, Page, Script};
        let cases: [(&str, Method, &Lines, Reader); 43] = [
            ("a browser", Method::GET, &[HTML, NAVIGATE, DOCUMENT], Navigation),
            ("a browser's form", Method::POST, &[HTML, NAVIGATE, DOCUMENT], Navigation),
            ("a browser without Fetch Metadata", Method::GET, &[HTML], Navigation),
            ("its form", Method::POST, &[HTML], Page),
            ("its HEAD", Method::HEAD, &[HTML], Page),
            ("a browser of 2019", Method::GET, &[HTML, NAVIGATE], Navigation),
            ("a service worker that passes a navigation on", Method::GET, &[HTML, NAVIGATE, EMPTY], Navigation),
            ("an app that shows a page", Method::GET, &[HTML, ("x-requested-with", "com.example.reader")], Navigation),
            ("Turbo Drive", Method::GET, &[HTML, CORS, EMPTY, ("x-turbo-request-id", "1")], Navigation),
            ("a program", Method::GET, &[ANY], Script),
            ("a program that says nothing", Method::GET, &[], Script),
            ("jQuery", Method::GET, &[HTML, ("x-requested-with", "XMLHttpRequest")], Script),
            ("its other spelling", Method::GET, &[HTML, ("x-requested-with", "xmlhttprequest")], Script),
            ("fetch", Method::GET, &[HTML, CORS, EMPTY], Script),
            ("fetch of the same origin", Method::GET, &[HTML, ("sec-fetch-mode", "same-origin"), EMPTY], Script),
            ("an image", Method::GET, &[HTML, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], Script),
            ("a destination alone", Method::GET, &[HTML, EMPTY], Script),
            ("a frame", Method::GET, &[HTML, NAVIGATE, ("sec-fetch-dest", "iframe")], Script),
            ("an old frame", Method::GET, &[HTML, NAVIGATE, ("sec-fetch-dest", "frame")], Script),
            ("an embedded thing", Method::GET, &[HTML, NAVIGATE, ("sec-fetch-dest", "embed")], Script),
            ("an object", Method::GET, &[HTML, NAVIGATE, ("sec-fetch-dest", "object")], Script),
            ("a prefetch", Method::GET, &[HTML, ("sec-purpose", "prefetch")], Script),
            ("a prerender", Method::GET, &[HTML, NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch;prerender")], Script),
            ("an older prefetch", Method::GET, &[HTML, ("purpose", "prefetch")], Script),
            ("Firefox's older one", Method::GET, &[HTML, ("x-moz", "prefetch")], Script),
            ("Turbo's", Method::GET, &[HTML, ("x-turbo-request-id", "1"), ("x-sec-purpose", "prefetch")], Script),
            ("a Turbo frame", Method::GET, &[HTML, ("turbo-frame", "a"), ("x-turbo-request-id", "1")], Script),
            ("PJAX", Method::GET, &[HTML, ("x-pjax", "true")], Script),
            ("Unpoly", Method::GET, &[HTML, ("x-up-version", "3.9.0")], Script),
            ("a React server component", Method::GET, &[HTML, ("rsc", "1")], Script),
            ("htmx", Method::GET, &[ANY, ("hx-request", "true")], Htmx),
            ("a boosted link", Method::GET, &[HTML, CORS, EMPTY, ("hx-request", "true"), ("hx-boosted", "true")], Htmx),
            ("no htmx", Method::GET, &[HTML, ("hx-request", "false")], Navigation),
            ("no Inertia", Method::GET, &[HTML, ("x-inertia", "false")], Navigation),
            ("no Inertia either", Method::GET, &[HTML, ("x-inertia", "")], Navigation),
            ("no PJAX", Method::GET, &[HTML, ("x-pjax", "FALSE"), ("rsc", "0")], Navigation),
            ("no HTML", Method::GET, &[("accept", "text/html;q=0, application/json")], Script),
            ("no HTML at length", Method::GET, &[("accept", "application/json,text/html ; level=1; Q=0.000")], Script),
            ("some HTML", Method::GET, &[("accept", "application/json, TEXT/HTML;q=0.001")], Navigation),
            ("HTML once refused", Method::GET, &[("accept", "text/html;level=1;q=0, text/html")], Navigation),
            ("a parameter of another name", Method::GET, &[("accept", "text/html;quality=0")], Navigation),
            ("another type", Method::GET, &[("accept", "text/html5")], Script),
            ("Inertia", Method::PUT, &[HTML, ("x-inertia", "true"), ("x-requested-with", "XMLHttpRequest")], Inertia),
        ];
        for (what, method, lines, expected) in cases {
            assert_eq!(reader(method, lines), expected, "{what}: {lines:?}");
        }
    }
}
