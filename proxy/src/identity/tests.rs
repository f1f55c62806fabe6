//! The corpus of credentials: what is accepted, and everything that must not be.

use base64::Engine as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_700_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(second, 0).expect("in range")
}

fn identity() -> Identity {
    let key = Key::hs256(SECRET).expect("a key");
    let (issuer, audience) = ("https://read.example".to_owned(), "read.example".to_owned());
    Identity::new(Settings { cookie: Some("session".into()), issuer, audience, key })
}

fn claims() -> Value {
    json!({ "iss": "https://read.example", "aud": "read.example", "sub": "user-1", "exp": NOW + 60 })
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("it signs")
}

fn token(claims: &Value) -> String {
    signed(Algorithm::HS256, SECRET, claims)
}

/// The claims with one of them set, or removed.
fn with(name: &str, value: Option<Value>) -> String {
    let mut claims = claims();
    let map = claims.as_object_mut().expect("an object");
    match value {
        Some(value) => map.insert(name.into(), value),
        None => map.remove(name),
    };
    token(&claims)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

fn identify(pairs: &[(&'static str, &str)]) -> Credential {
    identity().identify(&headers(pairs), at(NOW))
}

fn known(account: &str) -> Credential {
    Credential::Account(AccountId::parse(account).expect("an id"))
}

#[test]
fn a_token_is_found_wherever_it_may_be() {
    let token = with("x", Some(json!(1)));
    let bearer = format!("Bearer {token}");
    let cookie = format!("session={token}");
    let cases: [(&str, Vec<(&'static str, String)>); 9] = [
        ("bearer", vec![("authorization", bearer.clone())]),
        ("scheme in another case", vec![("authorization", format!("bEARER   {token} "))]),
        ("cookie", vec![("cookie", cookie.clone())]),
        ("cookie among others", vec![("cookie", format!("a=1;{cookie} ; sessions=2;xsession=3"))]),
        ("cookie with blanks", vec![("cookie", format!("session = {token}"))]),
        ("cookies in crumbs", vec![("cookie", "a=1".into()), ("cookie", cookie.clone()), ("cookie", "b=2".into())]),
        ("header and cookie: the header", vec![("authorization", bearer.clone()), ("cookie", "session=bad".into())]),
        ("another scheme leaves the cookie", vec![("authorization", "Basic eDp5".into()), ("cookie", cookie)]),
        ("another scheme that looks alike", vec![("authorization", bearer.clone()), ("cookie", "session=".into())]),
    ];
    for (what, pairs) in cases {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(identity().identify(&headers(&pairs), at(NOW)), known("user-1"), "{what}");
    }
}

#[test]
fn without_a_token_nobody_is_known() {
    for pairs in [&[][..], &[("cookie", "a=1; sessions=x")], &[("cookie", "session=")], &[("authorization", "Basic x")]]
    {
        assert_eq!(identify(pairs), Credential::Missing, "{pairs:?}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_rejected() {
    let token = token(&claims());
    let (bearer, cookie) = (format!("Bearer {token}"), format!("session={token}"));
    let twice = format!("{cookie}; {cookie}");
    for pairs in [
        &[("authorization", bearer.as_str()), ("authorization", bearer.as_str())][..],
        &[("authorization", "Basic x"), ("authorization", bearer.as_str())],
        &[("cookie", cookie.as_str()), ("cookie", cookie.as_str())],
        &[("cookie", twice.as_str())],
        &[("cookie", "session=; session=x")],
        &[("authorization", "Bearer bad"), ("cookie", cookie.as_str())],
    ] {
        assert_eq!(identify(pairs), Credential::Rejected, "{pairs:?}");
    }
}

#[test]
fn a_token_that_is_not_ours_is_rejected() {
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let unsigned = |header: Value, body: &Value| {
        let encode = |value: &Value| base64.encode(value.to_string());
        format!("{}.{}.", encode(&header), encode(body))
    };
    let good = token(&claims());
    let stripped = good.rsplit_once('.').expect("three parts").0.to_owned();
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["exp".into()]);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let critical = jsonwebtoken::encode(&critical, &claims(), &key).expect("it signs");
    let cases = [
        ("empty", String::new()),
        ("not a token", "abc".into()),
        ("two parts", stripped.clone()),
        ("no signature", format!("{stripped}.")),
        ("four parts", format!("{good}.x")),
        ("alg none", unsigned(json!({"alg": "none", "typ": "JWT"}), &claims())),
        ("alg NONE", unsigned(json!({"alg": "NONE"}), &claims())),
        ("alg HS384 with the same secret", signed(Algorithm::HS384, SECRET, &claims())),
        ("alg HS512 with the same secret", signed(Algorithm::HS512, SECRET, &claims())),
        ("another secret", signed(Algorithm::HS256, "another-secret-of-more-than-32-bytes", &claims())),
        ("a critical extension", critical),
        ("no exp", with("exp", None)),
        ("no iss", with("iss", None)),
        ("no aud", with("aud", None)),
        ("no sub", with("sub", None)),
        ("exp is text", with("exp", Some(json!("1700000060")))),
        ("exp is null", with("exp", Some(json!(null)))),
        ("exp is negative", with("exp", Some(json!(-1)))),
        ("expired", with("exp", Some(json!(NOW - 2)))),
        ("nbf ahead", with("nbf", Some(json!(NOW + 3)))),
        ("nbf is text", with("nbf", Some(json!("0")))),
        ("another issuer", with("iss", Some(json!("https://evil.example")))),
        ("another audience", with("aud", Some(json!(["a", "b"])))),
        ("sub is empty", with("sub", Some(json!("")))),
        ("sub is a number", with("sub", Some(json!(7)))),
        ("sub is too long", with("sub", Some(json!("x".repeat(256))))),
        ("sub breaks a header", with("sub", Some(json!("a\r\nX-Entitlement-Tier: paid")))),
        ("sub has outer blanks", with("sub", Some(json!(" admin")))),
        ("huge", with("x", Some(json!("y".repeat(TOKEN_BYTES_MAX))))),
    ];
    for (what, token) in cases {
        assert_eq!(identify(&[("authorization", &format!("Bearer {token}"))]), Credential::Rejected, "{what}");
    }
}

#[test]
fn what_a_valid_token_may_say() {
    let cases = [
        ("audiences", with("aud", Some(json!(["other", "read.example"])))),
        ("exp with a fraction", with("exp", Some(json!(1_700_000_000.5)))),
        ("exp far ahead", with("exp", Some(json!(9_007_199_254_740_991_i64)))),
        ("expired within the leeway", with("exp", Some(json!(NOW - 1)))),
        ("nbf within the leeway", with("nbf", Some(json!(NOW + 2)))),
    ];
    for (what, token) in cases {
        assert_eq!(identify(&[("authorization", &format!("Bearer {token}"))]), known("user-1"), "{what}");
    }
}

#[test]
fn a_remembered_token_ends_when_it_expires() {
    let identity = identity();
    let headers = headers(&[("authorization", &format!("Bearer {}", token(&claims())))]);
    assert_eq!(identity.identify(&headers, at(NOW)), known("user-1"));
    assert_eq!(identity.identify(&headers, at(NOW + 61)), known("user-1"), "from memory");
    assert_eq!(identity.identify(&headers, at(NOW + 62)), Credential::Rejected);
    assert_eq!(identity.identify(&headers, at(NOW)), known("user-1"), "a clock that goes back is no reason to forget");
}

#[test]
fn one_token_is_never_taken_for_another() {
    let identity = identity();
    for account in ["a", "b", "c"] {
        let headers = headers(&[("authorization", &format!("Bearer {}", with("sub", Some(json!(account)))))]);
        for _ in 0..2 {
            assert_eq!(identity.identify(&headers, at(NOW)), known(account));
        }
    }
    let good = token(&claims());
    let (message, _) = good.rsplit_once('.').expect("three parts");
    let forged = headers(&[("authorization", &format!("Bearer {message}.{}", "A".repeat(43)))]);
    assert_eq!(identity.identify(&forged, at(NOW)), Credential::Rejected);
}

#[test]
fn a_secret_is_long_and_never_shown() {
    assert_eq!(Key::hs256("short").expect_err("too short"), KeyError::ShortSecret);
    assert!(!format!("{:?}", identity()).contains(SECRET));
    let key = Key::hs256(SECRET).expect("a key");
    assert!(!format!("{key:?}").contains(SECRET));
}
