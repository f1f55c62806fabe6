//! The entitlement headers that arrived: all that the site ever learns about payment.

use axum::http::{HeaderMap, HeaderName};

/// What the names of these headers begin with.
const PREFIX: &str = "x-entitlement-";

/// One header, with its name as documents write it.
pub struct Received {
    pub name: String,
    /// Values of a repeated header, joined by commas.
    pub value: String,
}

/// All of them, sorted by name.
pub fn received(headers: &HeaderMap) -> Vec<Received> {
    let names = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with(PREFIX));
    let mut received: Vec<Received> = names
        .map(|name| {
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            Received { name: title_case(name), value: values.join(", ") }
        })
        .collect();
    received.sort_by(|a, b| a.name.cmp(&b.name));
    received
}

/// `x-entitlement-tier` as `X-Entitlement-Tier`.
fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_entitlement_headers_are_shown_with_every_value() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-entitlement-tier", "paid"), ("cookie", "a=b"), ("x-entitlement-tier", "free")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let shown: Vec<_> = received(&headers).into_iter().map(|header| (header.name, header.value)).collect();
        assert_eq!(shown, [("X-Entitlement-Tier".to_owned(), "paid, free".to_owned())]);
    }
}
