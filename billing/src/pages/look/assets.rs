//! The style, the script and the logo: each under a name that changes with its content, so that it can be kept for ever.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use entitlement::own_paths::OwnPaths;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::Billing;
use crate::pages::encoding::{Coded, Coding};
use crate::problem::Problem;

/// Where they are.
pub const ROUTE: &str = "/billing/assets/{name}";

/// A name is a kind, the beginning of a hash, and an extension.
const HASH_HEX: usize = 16;

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// A file that the pages load.
#[derive(Clone, Debug)]
pub struct Asset {
    /// `pages`, `theme`, `logo`: with the extension it says which of ours this is.
    stem: &'static str,
    extension: &'static str,
    kind: &'static str,
    /// Its path on the site.
    pub path: Arc<str>,
    file: Coded,
}

impl Asset {
    /// A file of that media type.
    #[must_use]
    pub fn new(own: &OwnPaths, stem: &'static str, kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let extension = match kind {
            "text/css; charset=utf-8" => "css",
            "text/javascript; charset=utf-8" => "js",
            "image/svg+xml" => "svg",
            "image/png" => "png",
            "image/webp" => "webp",
            _ => "jpg",
        };
        let mut hash = hex::encode(Sha256::digest(&bytes));
        hash.truncate(HASH_HEX);
        let path = own.of(&format!("/billing/assets/{stem}-{hash}.{extension}")).into();
        Self { stem, extension, kind, path, file: Coded::new(bytes, kind) }
    }

    /// Where it is served.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a name is one that this file has, had or will have.
    fn is_meant_by(&self, name: &str) -> bool {
        let hash = name.strip_prefix(self.stem).and_then(|name| name.strip_prefix('-'));
        let hash = hash.and_then(|name| name.strip_suffix(self.extension)).and_then(|name| name.strip_suffix('.'));
        hash.is_some_and(|hash| hash.len() == HASH_HEX && hash.bytes().all(|b| b.is_ascii_hexdigit()))
    }
}

/// `GET /billing/assets/{name}`
///
/// Another process may be a version ahead of this one or behind it: the page then gets what there is, and keeps none of it.
pub async fn get(State(billing): State<Billing>, Path(name): Path<String>, asked: HeaderMap) -> Response {
    let Some(asset) = billing.settings().pages.assets().find(|asset| asset.is_meant_by(&name)) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.").into_response();
    };
    let kept = if asset.path.ends_with(&name) { FOR_EVER } else { NOT_KEPT };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)), (header::CACHE_CONTROL, kept)];
    (headers, asset.file.answer(Coding::of(&asked))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_with_the_content_and_is_recognised_all_the_same() {
        let one = Asset::new(&OwnPaths::default(), "pages", "text/css; charset=utf-8", "a { }");
        let other = Asset::new(&OwnPaths::default(), "pages", "text/css; charset=utf-8", "b { }");
        assert_ne!(one.path, other.path);
        let name = |asset: &Asset| asset.path.rsplit('/').next().expect("a name").to_owned();
        assert!(one.is_meant_by(&name(&one)) && one.is_meant_by(&name(&other)));
        for wrong in ["pages.css", "pages-.css", "pages-0123456789abcdef.js", "logo-0123456789abcdef.css", "", "-"] {
            assert!(!one.is_meant_by(wrong), "{wrong}");
        }
    }
}
