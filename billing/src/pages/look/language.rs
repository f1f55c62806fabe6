//! Which of the languages that the pages speak a browser asks for (RFC 9110, 12.5.4; matched by lookup, RFC 4647, 3.4).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;

use super::Pages;
use crate::Billing;

/// More wishes than any browser has.
const WISHES_MAX: usize = 32;

/// The pages in the language of the request.
#[derive(Clone, Debug)]
pub struct Spoken(pub Arc<Pages>);

impl FromRequestParts<Billing> for Spoken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Infallible> {
        let pages = &billing.settings().pages;
        let wishes = parts.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let others = pages.others();
        let tags = [pages.language.as_str()].into_iter().chain(others.iter().map(|other| other.language.as_str()));
        let place = wishes.and_then(|wishes| best(wishes, &tags.collect::<Vec<_>>())).unwrap_or(0);
        let other = place.checked_sub(1).and_then(|place| others.get(place));
        Ok(Self(Arc::clone(other.unwrap_or(pages))))
    }
}

/// The place of the best language among those that there are; nothing where none is wished for.
fn best(wishes: &str, tags: &[&str]) -> Option<usize> {
    let mut wishes: Vec<(f32, &str)> = wishes.split(',').take(WISHES_MAX).filter_map(wish).collect();
    // Stable: of equal ones the first.
    wishes.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    wishes.into_iter().find_map(|(_, range)| place(range, tags))
}

fn wish(part: &str) -> Option<(f32, &str)> {
    let mut parts = part.split(';').map(str::trim);
    let range = parts.next()?;
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())?;
    (weight > 0.0 && weight <= 1.0).then_some((weight, range))
}

/// The language itself, else one that shares its beginning: `de-AT` is served by `de`, and `de` by `de-AT`.
fn place(range: &str, tags: &[&str]) -> Option<usize> {
    let first = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let exact = tags.iter().position(|tag| range == "*" || tag.eq_ignore_ascii_case(range));
    exact.or_else(|| tags.iter().position(|tag| first(tag) == first(range)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_wished_for_most_is_spoken() {
        let tags = ["en", "de", "pt-BR"];
        for (wishes, expected) in [
            ("de", Some(1)),
            ("de-AT,de;q=0.9,en;q=0.8", Some(1)),
            ("DE", Some(1)),
            ("en-US,en;q=0.9,de;q=0.8", Some(0)),
            ("fr, de;q=0.5, en;q=0.7", Some(0)),
            ("pt", Some(2)),
            ("pt-br;q=0.1", Some(2)),
            ("fr;q=0.9, *;q=0.1", Some(0)),
            ("de;q=0, en", Some(0)),
            ("fr", None),
            ("", None),
            ("de;q=x", None),
            (",;,=;q=,", None),
        ] {
            assert_eq!(best(wishes, &tags), expected, "{wishes}");
        }
    }
}
