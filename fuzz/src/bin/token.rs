//! Who asks: the token in a request's headers, and the assertion by which billing knows its caller.
//!
//! Input: two lines that are the headers `authorization` and `cookie`, a line that is the token's own header, and its
//! claims. In the first two `$` stands for the token, rightly signed.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entitlement::assertion::{APART_SECONDS, AssertionKey};
use fuzz::{NOW, header, header_text, mac, now, parts};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use proxy::identity::{Credential, Identity, Key, Keys, Settings, Way};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://site.example";
const AUDIENCE: &str = "site.example";
const LEEWAY_SECONDS: i64 = 30;

/// What the header of a believed token never says.
const REFUSED: [&str; 7] = ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"];

/// What a token says of its life; what its other claims are does not matter.
#[derive(Deserialize)]
struct Life {
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
struct Subject {
    sub: String,
}

/// The account, as text or integer.
#[derive(Deserialize)]
struct Named {
    sub: Value,
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
}

static ASSERTION: LazyLock<AssertionKey> = LazyLock::new(|| AssertionKey::parse(SECRET).expect("a key"));
static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let leeway = Duration::from_secs(LEEWAY_SECONDS.unsigned_abs());
    let keys = Keys::Fixed(vec![Key::hs256(SECRET).expect("a key")]);
    Identity::new(Settings::of(Way::simple(Some("session"), (ISSUER, AUDIENCE), leeway, keys)))
        .expect("fixed keys need nothing")
});

fuzz_target!(|input: &[u8]| {
    let Some(([authorization, cookie, head], claims)) = parts(input) else { return };
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac(SECRET.as_bytes(), &[signed.as_bytes()])));

    if let Ok(read) = ASSERTION.verify(&token, ISSUER, AUDIENCE, now()) {
        check_head(head);
        assert!(read.iss == ISSUER && read.aud == AUDIENCE && read.exp > NOW - APART_SECONDS);
        assert_eq!(believed::<Subject>(claims).sub, read.sub.as_str());
    }

    let (Some(authorization), Some(cookie)) = (header_text(authorization), header_text(cookie)) else { return };
    let values = [("authorization", &authorization), ("cookie", &cookie)];
    let filled = values.into_iter().filter(|(_, value)| !value.is_empty());
    let headers: Option<HeaderMap> =
        filled.map(|(name, value)| header(name, value.replace('$', &token).as_bytes())).collect();
    let Some(headers) = headers else { return };
    let Some(Credential::Account(principal)) = IDENTITY.peek(&headers, now()) else { return };
    assert!(authorization.contains('$') || cookie.contains('$'), "forged");
    check_head(head);
    // What is not read may be a text that is none, such as half a character.
    if let Ok(said) = serde_json::from_slice::<Map<String, Value>>(head) {
        assert!(REFUSED.iter().all(|name| !said.contains_key(*name)), "a header that is refused");
    }
    assert_eq!(believed::<Issuer>(claims).iss, ISSUER);
    let named = match believed::<Named>(claims).sub {
        Value::String(text) => text,
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => panic!("{other} names an account"),
    };
    assert_eq!(named, principal.account.as_str());
    let Life { exp, nbf } = believed(claims);
    assert!(exp > (NOW - LEEWAY_SECONDS) as f64, "expired at {exp}");
    assert!(nbf.is_none_or(|nbf| nbf < (NOW + LEEWAY_SECONDS + 1) as f64), "not before {nbf:?}");
});

/// The token's own header does not choose how it is verified.
fn check_head(head: &[u8]) {
    assert_eq!(believed::<Head>(head).alg, "HS256");
}

/// A claim that was cut in the middle of a character harms no other one.
fn believed<T: DeserializeOwned>(json: &[u8]) -> T {
    serde_json::from_slice(json).unwrap_or_else(|_| {
        let text = std::str::from_utf8(json).expect("what is believed is text");
        serde_json::from_str(&entitlement::text::paired(text)).expect("what is believed is JSON of its form")
    })
}
