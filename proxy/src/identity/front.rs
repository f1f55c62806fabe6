//! The headers in which an authenticating proxy in front identifies the visitor. Only named connections are believed: any client can
//! write a header.

use std::borrow::Cow;

use entitlement::account::AccountId;
use http::{HeaderMap, HeaderName};

use super::refusal::Refusal;
use super::settings;
use crate::forwarded::{Origin, TrustedProxies};

/// One header of a proxy in front.
#[derive(Debug)]
pub(super) struct Front {
    /// The place of its way.
    pub(super) place: usize,
    header: HeaderName,
    from: TrustedProxies,
    pub(super) holds: Holds,
}

/// The content of the header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// The account itself, before which this stands.
    Account { prefix: String },
    /// A token, which the reader at its place verifies.
    Token,
}

impl Front {
    pub(super) fn new(place: usize, settings: settings::Front, holds: Holds) -> Self {
        let settings::Front { header, from } = settings;
        Self { place, header, from, holds }
    }

    /// The header's value in a request of this connection: none where it is not there, not believed, or empty, as proxies leave it for
    /// visitors that are not signed in.
    ///
    /// # Errors
    /// When it says two things: its client may have written one of them.
    pub(super) fn value<'a>(
        &self,
        headers: &'a HeaderMap,
        origin: Option<&Origin<'_>>,
    ) -> Result<Option<&'a [u8]>, Refusal> {
        let is_believed = || origin.and_then(Origin::peer).is_some_and(|peer| self.from.include(peer));
        let mut values = headers.get_all(&self.header).iter();
        let Some(first) = values.next().filter(|_| is_believed()) else { return Ok(None) };
        let value = first.as_bytes().trim_ascii();
        if values.next().is_some() || value.contains(&b',') {
            return Err(Refusal::Doubled);
        }
        Ok((!value.is_empty()).then_some(value))
    }
}

/// The account that a value names.
pub(super) fn account(prefix: &str, value: &[u8]) -> Result<AccountId, Refusal> {
    let named = std::str::from_utf8(value).map_err(|_| Refusal::NoAccount)?;
    let whole = if prefix.is_empty() { Cow::Borrowed(named) } else { Cow::Owned(format!("{prefix}{named}")) };
    AccountId::parse(&whole).map_err(|_| Refusal::NoAccount)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::forwarded::Scheme;

    const NAME: HeaderName = HeaderName::from_static("x-auth-request-user");

    fn said(peer: &str, lines: &[&[u8]]) -> Result<Option<String>, Refusal> {
        let from = TrustedProxies::parse(&["10.0.0.5", "10.1.0.0/16"]).expect("addresses");
        let front = Front::new(0, settings::Front { header: NAME, from }, Holds::Token);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(NAME, HeaderValue::from_bytes(line).expect("a value"));
        }
        // Forwarded addresses say nothing of the connection.
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.5"));
        let trusted = TrustedProxies::parse(&["192.0.2.0/24"]).expect("addresses");
        let peer = peer.parse().ok();
        let origin = Origin::new(peer, Scheme::Http, &trusted);
        front.value(&headers, Some(&origin)).map(|value| value.map(|value| String::from_utf8_lossy(value).into_owned()))
    }

    #[test]
    fn a_header_is_believed_of_named_connections_alone_and_never_in_part() {
        let (near, user) = ("10.0.0.5:4000", b"u-1".as_slice());
        let one = Ok(Some("u-1".to_owned()));
        for (peer, lines, expected) in [
            (near, &[user][..], one.clone()),
            ("10.1.200.3:1", &[user], one.clone()),
            ("[::ffff:10.0.0.5]:1", &[user], one),
            ("10.0.0.6:4000", &[user], Ok(None)),
            ("10.2.0.1:4000", &[user], Ok(None)),
            // A trusted proxy is not one that signs users in.
            ("192.0.2.1:4000", &[user], Ok(None)),
            ("[2001:db8::1]:1", &[user], Ok(None)),
            ("no address", &[user], Ok(None)),
            (near, &[], Ok(None)),
            (near, &[b""], Ok(None)),
            (near, &[b"  "], Ok(None)),
            (near, &[user, user], Err(Refusal::Doubled)),
            (near, &[b"", user], Err(Refusal::Doubled)),
            (near, &[b"u-1, u-2"], Err(Refusal::Doubled)),
            (near, &[b"u-1,"], Err(Refusal::Doubled)),
            ("10.0.0.6:4000", &[user, user], Ok(None)),
        ] {
            assert_eq!(said(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_value_is_an_account_as_a_whole_or_not_at_all() {
        let long = "x".repeat(252);
        for (prefix, value, expected) in [
            ("", b"u-1".as_slice(), Ok("u-1".to_owned())),
            ("iap:", b"u-1", Ok("iap:u-1".to_owned())),
            ("", "j\u{f6}rg".as_bytes(), Ok("j\u{f6}rg".to_owned())),
            ("", b"\xff\xfe", Err(Refusal::NoAccount)),
            ("", b"a\tb", Err(Refusal::NoAccount)),
            ("iap:", long.as_bytes(), Err(Refusal::NoAccount)),
            ("", long.as_bytes(), Ok(long.clone())),
        ] {
            assert_eq!(account(prefix, value).map(|account| account.to_string()), expected, "{prefix} {value:?}");
        }
    }
}
