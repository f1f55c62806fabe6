//! Headers in which an authenticating proxy in front says who asks.

use http::HeaderName;

use super::hop;
use super::names::{Writer, is, writer};

/// Headers that the gate reads or writes for another purpose, beside those that [`writer`] knows.
const NEEDED: [&str; 12] = [
    "accept",
    "accept-language",
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "origin",
    "referer",
    "trailer",
    "transfer-encoding",
];

/// Prefixes of the names of headers that browsers alone write.
const BROWSERS: [&str; 2] = ["access-control-", "sec-"];

/// A text cannot be the name of a header of a proxy in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontNameError {
    #[error("it is no name of a header: write letters, digits and hyphens, such as \"X-Auth-Request-User\"")]
    NoName,
    #[error(
        "this header is Tollgate's own, or one that it needs for something else: let the proxy in front write another one, such \
         as \"X-Auth-Request-User\""
    )]
    Needed,
}

/// Reads the name of a header in which a proxy in front identifies the visitor.
///
/// # Errors
/// When it is no name, or that of a header which means something else to the gate.
pub fn front_name(text: &str) -> Result<HeaderName, FrontNameError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| FrontNameError::NoName)?;
    if !is_plain {
        return Err(FrontNameError::NoName);
    }
    let known = name.as_str();
    let is_needed = writer(known.as_bytes()) != Writer::Anyone
        || hop::is_of_connection(&name)
        || NEEDED.contains(&known)
        || BROWSERS.iter().any(|begin| known.starts_with(begin));
    if is_needed { Err(FrontNameError::Needed) } else { Ok(name) }
}

/// Headers in which proxies in front identify visitors: no client may write them, and the site gets none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Withheld(Vec<String>);

impl Withheld {
    pub(crate) fn add(&mut self, name: &HeaderName) {
        self.0.push(name.as_str().to_owned());
    }

    /// Whether the header of this name is one of them, in any spelling.
    pub(crate) fn holds(&self, name: &[u8]) -> bool {
        self.0.iter().any(|known| is(name, known))
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::tests::spellings;
    use super::*;

    #[test]
    fn a_proxy_in_front_may_write_what_means_nothing_else() {
        for name in
            ["X-Auth-Request-User", "Remote-User", "Cf-Access-Jwt-Assertion", "X-Goog-IAP-JWT-Assertion", "x-user"]
        {
            assert_eq!(
                front_name(name).as_ref().map(HeaderName::as_str),
                Ok(name.to_ascii_lowercase().as_str()),
                "{name}"
            );
        }
        for name in ["", "X User", "X-User:", "X_User", "X.User", "X-Us\u{e9}r"] {
            assert_eq!(front_name(name), Err(FrontNameError::NoName), "{name}");
        }
        let hop = ["Connection", "Keep-Alive", "TE", "Upgrade", "Proxy-Authorization", "HTTP2-Settings", "Trailer"];
        let own =
            ["X-Entitlement-Account", "X-Entitlement-", "X-Forwarded-User", "Forwarded", "X-Real-IP", "True-Client-IP"];
        let read =
            ["Host", "cookie", "AUTHORIZATION", "Origin", "Accept", "Sec-Fetch-Mode", "Transfer-Encoding", "Proxy"];
        for name in hop.iter().chain(&own).chain(&read) {
            assert_eq!(front_name(name), Err(FrontNameError::Needed), "{name}");
        }
    }

    #[test]
    fn what_is_withheld_is_so_in_every_spelling() {
        let mut withheld = Withheld::default();
        assert!(!withheld.holds(b"x-auth-request-user"));
        withheld.add(&HeaderName::from_static("x-auth-request-user"));
        for spelling in spellings("x-auth-request-user") {
            assert!(withheld.holds(spelling.as_bytes()), "{spelling}");
        }
        for name in ["x-auth-request-users", "x-auth-request", "xx-auth-request-user"] {
            assert!(!withheld.holds(name.as_bytes()), "{name}");
        }
    }
}
