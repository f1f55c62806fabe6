//! How a browser remembers by whom it was invited, until its user signs up: a signed cookie that no script can read.

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::assertion::Claims;
use http::{HeaderMap, HeaderValue};

use crate::cookie::Cookie;
use crate::settings::Settings;

/// The cookie.
pub const INVITED: Cookie = Cookie { name: "tollgate_referral", page: None };

/// The audience of what is in the cookie: it is signed like an assertion, and must not be taken for one.
const AUDIENCE: &str = "tollgate-referral";

/// The cookie that remembers a code; `None` when it cannot be signed.
#[must_use]
pub fn remembering(code: &str, settings: &Settings, now: Timestamp) -> Option<HeaderValue> {
    let lifetime = TimeDelta::days(i64::from(settings.referral.cookie_days));
    let claims = Claims {
        iss: settings.site_url.clone(),
        aud: AUDIENCE.to_owned(),
        sub: AccountId::parse(code).ok()?,
        act: None,
        buyer: true,
        iat: now.timestamp(),
        exp: (now + lifetime).timestamp(),
        tier: None,
        status: None,
        features: Vec::new(),
        valid_until: None,
    };
    let signed = settings.assertion.sign(&claims).ok()?;
    INVITED.remembering(&signed, lifetime.num_seconds(), settings)
}

/// The code that a browser remembers, if we signed it and it has not expired.
#[must_use]
pub fn code(headers: &HeaderMap, settings: &Settings, now: Timestamp) -> Option<String> {
    let signed = INVITED.read(headers)?;
    let claims = settings.assertion.verify(signed, &settings.site_url, AUDIENCE, now).ok()?;
    Some(claims.sub.to_string())
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::settings::ASSERTION_AUDIENCE;
    use crate::tests::settings;

    fn sent(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookie).expect("a header"))])
    }

    #[test]
    fn a_browser_remembers_what_we_signed_for_a_while_and_nothing_else() {
        let (settings, now) = (settings(), Timestamp::UNIX_EPOCH + TimeDelta::days(20_000));
        let cookie = remembering("abc2345678", &settings, now).expect("a cookie");
        let cookie = cookie.to_str().expect("ASCII");
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=2592000"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{attribute}: {cookie}");
        }
        let pair = cookie.split(';').next().expect("a pair");
        let read = |pair: &str, days| code(&sent(pair), &settings, now + TimeDelta::days(days));
        assert_eq!(read(pair, 0).as_deref(), Some("abc2345678"));
        assert_eq!(read(&format!("a=b; {pair}; c=d"), 29).as_deref(), Some("abc2345678"));
        assert_eq!(read(pair, 31), None, "it is forgotten");
        assert_eq!(read("tollgate_referral=abc2345678", 0), None, "anybody could write that");
        let mut forged = pair.to_owned();
        forged.pop();
        assert_eq!(read(&forged, 0), None);
        let signed = pair.split_once('=').expect("a value").1;
        assert!(
            settings.assertion.verify(signed, &settings.site_url, ASSERTION_AUDIENCE, now).is_err(),
            "no assertion"
        );
        let forgotten = INVITED.forgotten(&settings).expect("a cookie");
        assert!(forgotten.to_str().is_ok_and(|text| text.contains("Max-Age=0") && text.contains("HttpOnly")));
    }
}
