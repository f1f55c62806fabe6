//! What the pages load, made small: files once when the process starts, each in two codings, and the page of prices as it is shown to
//! everybody who is not signed in.
//!
//! Nothing else is ever compressed. Where a secret and something that an attacker chooses stand in one answer, its length tells of
//! the secret (BREACH); a page of somebody has links to invoices and an invitation's code, and names what its address says.

use std::io::Write;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};

/// Larger files are sent as they are: a stylesheet or logo of that size has other troubles.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// Below this, heads weigh more than what is won.
const BYTES_MIN: usize = 256;

/// How well Brotli looks: a file is compressed once.
const BROTLI_QUALITY: u32 = 9;

/// The buffer and the window of Brotli: more than a page's files have.
const BROTLI: (usize, u32) = (4096, 20);

/// How an answer may be written for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Plain,
    Gzip,
    Brotli,
}

impl Coding {
    /// The best that a client takes (RFC 9110 section 12.5.3).
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let mut weights = [None; 3];
        for item in fields.flat_map(|field| field.split(',')) {
            let (name, parameters) = item.split_once(';').map_or((item, None), |(name, rest)| (name, Some(rest)));
            let Some(weight) = parameters.map_or(Some(1.0), weight) else { continue };
            let place = match name.trim().to_ascii_lowercase().as_str() {
                "br" => 0,
                "gzip" | "x-gzip" => 1,
                "*" => 2,
                _ => continue,
            };
            weights[place] = Some(weight);
        }
        let [brotli, gzip, any] = weights;
        let takes = |own: Option<f32>| own.or(any).unwrap_or(0.0);
        let (brotli, gzip) = (takes(brotli), takes(gzip));
        if brotli > 0.0 && brotli >= gzip {
            Self::Brotli
        } else if gzip > 0.0 {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// `q=0.5`; nothing when that is no weight.
fn weight(parameters: &str) -> Option<f32> {
    let weight: f32 =
        parameters.trim().strip_prefix("q=").or(parameters.trim().strip_prefix("Q="))?.trim().parse().ok()?;
    (0.0..=1.0).contains(&weight).then_some(weight)
}

/// A file in each coding that makes it smaller.
#[derive(Clone, Debug)]
pub struct Coded {
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
}

impl Coded {
    /// Compresses a file, when its media type is one of text: pictures are compressed already.
    #[must_use]
    pub fn new(plain: Bytes, kind: &str) -> Self {
        let is_text = kind.starts_with("text/") || kind == "image/svg+xml";
        if !is_text || !(BYTES_MIN..=FILE_BYTES_MAX).contains(&plain.len()) {
            return Self { plain, gzip: None, brotli: None };
        }
        let smaller = |coded: Option<Vec<u8>>| coded.filter(|coded| coded.len() < plain.len()).map(Bytes::from);
        let (gzip, brotli) = (smaller(gzip(&plain, Compression::best())), smaller(brotli(&plain)));
        Self { plain, gzip, brotli }
    }

    /// An answer with the file, as its client takes it.
    #[must_use]
    pub fn answer(&self, asked: Coding) -> Response {
        let (coding, bytes) = match (asked, &self.brotli, &self.gzip) {
            (Coding::Brotli, Some(bytes), _) => (Coding::Brotli, bytes),
            (Coding::Brotli | Coding::Gzip, _, Some(bytes)) => (Coding::Gzip, bytes),
            _ => (Coding::Plain, &self.plain),
        };
        let mut answer = Response::new(Body::from(bytes.clone()));
        mark(&mut answer, coding);
        answer
    }
}

/// The page that everybody gets who is not signed in: nothing in it is a secret.
pub async fn for_everybody(page: Response, asked: Coding) -> Response {
    let (head, body) = page.into_parts();
    let Ok(plain) = axum::body::to_bytes(body, usize::MAX).await else {
        return crate::problem::Problem::interrupted().into_response();
    };
    let coded = if asked == Coding::Plain { None } else { gzip(&plain, Compression::fast()) };
    let (coding, body) = match coded {
        Some(coded) if plain.len() >= BYTES_MIN => (Coding::Gzip, Body::from(coded)),
        _ => (Coding::Plain, Body::from(plain)),
    };
    let mut page = Response::from_parts(head, body);
    mark(&mut page, coding);
    page
}

/// Says how an answer is written, and that it depends on what its client takes.
fn mark(answer: &mut Response, coding: Coding) {
    answer.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(name) = coding.name() {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
}

fn gzip(plain: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), level);
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

fn brotli(plain: &[u8]) -> Option<Vec<u8>> {
    let (buffer, window) = BROTLI;
    let mut coded = Vec::with_capacity(plain.len() / 2);
    let mut encoder = brotli::CompressorWriter::new(&mut coded, buffer, BROTLI_QUALITY, window);
    encoder.write_all(plain).ok()?;
    drop(encoder);
    Some(coded)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn asked(field: &str) -> Coding {
        let mut headers = HeaderMap::new();
        if !field.is_empty() {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(field).expect("a value"));
        }
        Coding::of(&headers)
    }

    #[test]
    fn the_best_that_is_taken_is_sent() {
        for (field, expected) in [
            ("", Coding::Plain),
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip, deflate", Coding::Gzip),
            ("GZIP", Coding::Gzip),
            ("br;q=0.5, gzip;q=0.8", Coding::Gzip),
            ("br;q=0, gzip;q=0", Coding::Plain),
            ("br;q=0, *", Coding::Gzip),
            ("*", Coding::Brotli),
            ("*;q=0", Coding::Plain),
            ("identity", Coding::Plain),
            ("br;q=2", Coding::Plain),
            ("gzip;q=x, br", Coding::Brotli),
            ("gzip;q=", Coding::Plain),
        ] {
            assert_eq!(asked(field), expected, "{field:?}");
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_what_was_there() {
        let plain = Bytes::from("a { color: red } ".repeat(100));
        let coded = Coded::new(plain.clone(), "text/css; charset=utf-8");
        for coding in [Coding::Plain, Coding::Gzip, Coding::Brotli] {
            let answer = coded.answer(coding);
            assert_eq!(answer.headers()[header::VARY], "accept-encoding");
            let named =
                answer.headers().get(header::CONTENT_ENCODING).map(|name| name.to_str().expect("a name").to_owned());
            assert_eq!(named.as_deref(), coding.name());
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
            let mut read = Vec::new();
            match coding {
                Coding::Plain => read.extend_from_slice(&body),
                Coding::Gzip => drop(flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut read).expect("gzip")),
                Coding::Brotli => drop(brotli::Decompressor::new(&body[..], 4096).read_to_end(&mut read).expect("br")),
            }
            assert!(read == plain && (coding == Coding::Plain || body.len() < plain.len() / 4), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn what_does_not_get_smaller_is_sent_as_it_is() {
        let noise =
            Bytes::from((0..2000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect::<Vec<u8>>());
        for coded in [
            Coded::new(noise.clone(), "image/png"),
            Coded::new(Bytes::from_static(b"a { }"), "text/css"),
            Coded::new(Bytes::from("a".repeat(FILE_BYTES_MAX + 1)), "text/css"),
        ] {
            let answer = coded.answer(Coding::Brotli);
            assert!(answer.headers().get(header::CONTENT_ENCODING).is_none(), "{}", coded.plain.len());
        }
    }
}
