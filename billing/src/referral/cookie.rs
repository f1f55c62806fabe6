//! How a browser remembers by whom it was invited, until its user signs up: a signed cookie that no script can read.

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::assertion::Claims;
use http::{HeaderMap, HeaderValue, header};

use crate::settings::Settings;

/// The cookie.
const NAME: &str = "tollgate_referral";

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
        iat: now.timestamp(),
        exp: (now + lifetime).timestamp(),
        tier: None,
        status: None,
        features: Vec::new(),
        valid_until: None,
    };
    let signed = settings.assertion.sign(&claims).ok()?;
    cookie(&signed, lifetime.num_seconds(), settings)
}

/// What makes the browser forget.
#[must_use]
pub fn forgotten(settings: &Settings) -> HeaderValue {
    cookie("", 0, settings).unwrap_or(HeaderValue::from_static("tollgate_referral=; Path=/; Max-Age=0"))
}

/// Lax: an invitation is followed from elsewhere (RFC 6265bis section 5.5.7).
fn cookie(value: &str, seconds: i64, settings: &Settings) -> Option<HeaderValue> {
    let secure = if settings.site_url.starts_with("https://") { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok()
}

/// The code that a browser remembers, if we signed it and it has not expired.
#[must_use]
pub fn code(headers: &HeaderMap, settings: &Settings, now: Timestamp) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
    let signed = values.next()?;
    let claims = settings.assertion.verify(signed, &settings.site_url, AUDIENCE, now).ok()?;
    Some(claims.sub.to_string())
}

#[cfg(test)]
mod tests {
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
        assert_eq!(read(pair, 30), None, "it is forgotten");
        assert_eq!(read("tollgate_referral=abc2345678", 0), None, "anybody could write that");
        let mut forged = pair.to_owned();
        forged.pop();
        assert_eq!(read(&forged, 0), None);
        let signed = pair.split_once('=').expect("a value").1;
        assert!(
            settings.assertion.verify(signed, &settings.site_url, ASSERTION_AUDIENCE, now).is_err(),
            "no assertion"
        );
        assert!(
            forgotten(&settings).to_str().is_ok_and(|text| text.contains("Max-Age=0") && text.contains("HttpOnly"))
        );
    }
}
