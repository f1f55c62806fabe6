//! The same answer for people: a small page instead of a problem document, when a browser asks for one.

use std::fmt::Write;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode};

/// Nothing is loaded and nothing runs on it.
pub(super) const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");

const STYLE: &str = ":root{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}\
    main{max-width:34rem;margin:20vh auto 0;padding:0 1.5rem}h1{font-size:1.5rem}";

/// Whether whoever sent these headers reads HTML, as browsers say when they navigate or submit a form.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let html = |value: &HeaderValue| value.as_bytes().windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html"));
    headers.get_all(ACCEPT).iter().any(html)
}

/// What a problem document says, and where to go from here.
pub(super) fn page(status: StatusCode, detail: &str, upgrade: Option<&str>) -> Bytes {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><p>{}</p>",
        escaped(detail)
    );
    if let Some(upgrade) = upgrade {
        // Writing to a string cannot fail.
        let _ = write!(page, "<p><a href=\"{}\">See the prices</a></p>", escaped(upgrade));
    }
    page.push_str("</main></body></html>");
    page.into()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_it_can_become_markup() {
        let page = page(StatusCode::PAYMENT_REQUIRED, "needs tier <b>\"x\"</b> & 'y'", Some("/p?a=1&b=\"><script>"));
        let text = String::from_utf8(page.to_vec()).expect("text");
        assert!(text.contains("needs tier &lt;b&gt;&quot;x&quot;&lt;/b&gt; &amp; &#39;y&#39;"), "{text}");
        assert!(text.contains("href=\"/p?a=1&amp;b=&quot;&gt;&lt;script&gt;\""), "{text}");
        assert!(!text.contains("<script>") && !text.contains("<b>"), "{text}");
    }
}
