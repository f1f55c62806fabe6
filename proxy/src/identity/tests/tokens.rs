//! What a token says, and where it stands.

use super::*;

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

fn identify(pairs: &[(&'static str, &str)]) -> Credential {
    identity().peek(&headers(pairs), at(NOW)).expect("a fixed key says it at once")
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
        assert_eq!(identify(&pairs), known("user-1"), "{what}");
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
fn all_credentials_are_read_and_only_those_that_verify_count() {
    let (good, other) = (token(&claims()), with("sub", Some(json!("user-2"))));
    let again = with("x", Some(json!(2)));
    let expired = with("exp", Some(json!(NOW - 3600)));
    let foreign = signed(Algorithm::HS256, "another-secret-of-more-than-32-bytes", &claims());
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let cookie = |tokens: &[&String]| {
        let pairs: Vec<String> = tokens.iter().map(|token| format!("session={token}")).collect();
        ("cookie", pairs.join("; "))
    };
    let junk = cookie(&[&foreign; 20]).1;
    let (user, nobody) = (known("user-1"), Credential::Rejected);
    let cases = [
        ("one twice", vec![cookie(&[&good, &good])], user.clone()),
        ("two of one account", vec![cookie(&[&good, &again])], user.clone()),
        ("an old one before it", vec![cookie(&[&expired, &good])], user.clone()),
        ("an old one behind it", vec![cookie(&[&good, &expired])], user.clone()),
        ("in lines of their own", vec![cookie(&[&expired]), cookie(&[&good])], user.clone()),
        ("an empty one beside it", vec![cookie(&[&String::new(), &good])], user.clone()),
        ("another issuer's beside it", vec![cookie(&[&foreign, &good])], user.clone()),
        ("another's bearer beside it", vec![bearer("opaque"), cookie(&[&good])], user.clone()),
        ("an old cookie beside the bearer", vec![bearer(&good), cookie(&[&expired])], user.clone()),
        ("another scheme beside the cookie", vec![("authorization", "Basic x".into()), cookie(&[&good])], user.clone()),
        ("another scheme beside the bearer", vec![("authorization", "Basic x".into()), bearer(&good)], nobody.clone()),
        (
            "two of another scheme beside the cookie",
            vec![("authorization", "Basic x".into()), ("authorization", "Basic x".into()), cookie(&[&good])],
            user.clone(),
        ),
        (
            "two bearers beside the cookie",
            vec![bearer(&other), bearer(&other), cookie(&[&good])],
            Credential::Ambiguous,
        ),
        (
            "another's behind another scheme",
            vec![("authorization", format!("JWT {other}")), cookie(&[&good])],
            Credential::Ambiguous,
        ),
        (
            "one's own behind another scheme",
            vec![("authorization", format!("JWT {again}")), cookie(&[&good])],
            user.clone(),
        ),
        ("many beside it", vec![("cookie", junk), cookie(&[&good])], user.clone()),
        ("two accounts in cookies", vec![cookie(&[&good, &other])], Credential::Ambiguous),
        ("the other way round", vec![cookie(&[&other, &good])], Credential::Ambiguous),
        ("two accounts and an old one", vec![cookie(&[&good, &expired, &other])], Credential::Ambiguous),
        ("in header and cookie", vec![bearer(&good), cookie(&[&other])], Credential::Ambiguous),
        ("in two headers", vec![bearer(&good), bearer(&other)], nobody.clone()),
        ("none that verifies", vec![bearer("opaque"), cookie(&[&expired, &foreign])], nobody.clone()),
        ("an empty bearer", vec![("authorization", "Bearer".into())], nobody),
    ];
    for (what, pairs, expected) in cases {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(identify(&pairs), expected, "{what}");
    }
}

#[test]
fn a_token_is_read_as_libraries_write_it() {
    let token = token(&claims());
    let encoded = token.replace('.', "%2E").replace('-', "%2D").replace('_', "%5f");
    for value in [
        format!("\"{token}\""),
        format!("Bearer {token}"),
        format!("\"Bearer {token}\""),
        format!("Bearer%20{token}"),
        format!("%22bearer%20{token}%22"),
        encoded,
    ] {
        assert_eq!(identify(&[("cookie", &format!("a=1; session={value}; b=2"))]), known("user-1"), "{value}");
        assert_eq!(identify(&[("authorization", &format!("Bearer {value}"))]), known("user-1"), "{value}");
    }
    for value in [format!("Bearer Bearer {token}"), format!("%2522{token}%2522"), format!("Token {token}")] {
        assert_eq!(identify(&[("cookie", &format!("session={value}"))]), Credential::Rejected, "{value}");
    }
}

#[test]
fn so_many_signatures_are_verified_for_one_request_and_no_more() {
    let identity = identity();
    let foreign = |number: usize| signed(Algorithm::HS256, &format!("{number:064}"), &claims());
    let cookie = |junk: usize| {
        let junk: Vec<String> = (0..junk).map(|number| format!("session={}; ", foreign(number))).collect();
        headers(&[("cookie", &format!("{}session={}", junk.concat(), token(&claims())))])
    };
    assert_eq!(identity.peek(&cookie(64), at(NOW)), Some(Credential::Rejected));
    assert_eq!(identity.peek(&cookie(63), at(NOW)), Some(known("user-1")));
    assert_eq!(identity.peek(&cookie(64), at(NOW)), Some(known("user-1")), "one that was seen before costs nothing");
}

#[test]
fn a_secret_is_for_the_algorithm_that_is_configured() {
    use Algorithm::{HS256, HS384, HS512};
    for configured in [HS256, HS384, HS512] {
        let identity = with_keys(Keys::Fixed(vec![Key::shared(SECRET, configured).expect("a key")]));
        for used in [HS256, HS384, HS512] {
            let expected = if used == configured { known("user-1") } else { Credential::Rejected };
            let token = bearing(&signed(used, SECRET, &claims()));
            assert_eq!(identity.peek(&token, at(NOW)), Some(expected), "{used:?} for {configured:?}");
        }
    }
    assert_eq!(Key::shared(SECRET, Algorithm::RS256).expect_err("not a secret's"), KeyError::OtherAlgorithm);
}

#[test]
fn a_token_that_is_not_ours_is_rejected() {
    let unsigned =
        |header: Value, body: &Value| format!("{}.{}.", base64(&header.to_string()), base64(&body.to_string()));
    let good = token(&claims());
    let stripped = good.rsplit_once('.').expect("three parts").0.to_owned();
    let text = claims().to_string();
    let forged = |header: &str| forged(header, &text, Algorithm::HS256, SECRET);
    let claimed = |claims: &str| super::forged(r#"{"alg":"HS256"}"#, claims, Algorithm::HS256, SECRET);
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
        ("a critical extension", forged(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#)),
        ("no critical extension, but the word", forged(r#"{"alg":"HS256","crit":null}"#)),
        ("a payload that is not encoded", forged(r#"{"alg":"HS256","b64":false}"#)),
        ("a packed payload", forged(r#"{"alg":"HS256","zip":"DEF"}"#)),
        ("a key of its own", forged(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#)),
        ("a key somewhere", forged(r#"{"alg":"HS256","jku":"https://evil.example/keys"}"#)),
        ("a certificate somewhere", forged(r#"{"alg":"HS256","x5u":"https://evil.example/cert"}"#)),
        ("a certificate", forged(r#"{"alg":"HS256","x5c":["MIIB"]}"#)),
        ("two algorithms", forged(r#"{"alg":"none","alg":"HS256"}"#)),
        ("no algorithm", forged(r#"{"typ":"JWT"}"#)),
        ("an algorithm in another case", forged(r#"{"alg":"hs256"}"#)),
        ("two key ids", forged(r#"{"alg":"HS256","kid":"a","kid":"b"}"#)),
        ("a key id that is no text", forged(r#"{"alg":"HS256","kid":["a"]}"#)),
        ("a key id that is too long", forged(&json!({"alg": "HS256", "kid": "k".repeat(257)}).to_string())),
        ("a header that is no object", forged(r#"["HS256"]"#)),
        ("claims that are no object", claimed(r#"["user-1"]"#)),
        ("two subjects", claimed(&text.replace("{", r#"{"sub":"user-2","#))),
        ("two ends", claimed(&text.replace("{", r#"{"exp":99999999999,"#))),
        ("characters of another base64", good.replacen(['-', '_'], "+", 1) + "="),
        ("no exp", with("exp", None)),
        ("no iss", with("iss", None)),
        ("no aud", with("aud", None)),
        ("no sub", with("sub", None)),
        ("exp is text", with("exp", Some(json!("1700000060")))),
        ("exp is null", with("exp", Some(json!(null)))),
        ("exp is negative", with("exp", Some(json!(-1)))),
        ("expired", with("exp", Some(json!(NOW - LEEWAY_SECONDS)))),
        ("nbf ahead", with("nbf", Some(json!(NOW + LEEWAY_SECONDS + 1)))),
        ("nbf is text", with("nbf", Some(json!("0")))),
        ("two issuers", with("iss", Some(json!(["https://read.example", "https://evil.example"])))),
        ("an issuer that is a prefix", with("iss", Some(json!("https://read.example/")))),
        ("no audience at all", with("aud", Some(json!([])))),
        ("another issuer", with("iss", Some(json!("https://evil.example")))),
        ("another audience", with("aud", Some(json!(["a", "b"])))),
        ("sub is empty", with("sub", Some(json!("")))),
        ("sub is no integer", with("sub", Some(json!(7.5)))),
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
        ("much beside", with("groups", Some(json!("y".repeat(16 * 1024))))),
        ("exp with a fraction", with("exp", Some(json!(1_700_000_000.5)))),
        ("exp far ahead", with("exp", Some(json!(9_007_199_254_740_991_i64)))),
        ("expired within the leeway", with("exp", Some(json!(NOW - LEEWAY_SECONDS + 1)))),
        ("nbf within the leeway", with("nbf", Some(json!(NOW + LEEWAY_SECONDS)))),
    ];
    for (what, token) in cases {
        assert_eq!(identify(&[("authorization", &format!("Bearer {token}"))]), known("user-1"), "{what}");
    }
}

#[test]
fn a_remembered_token_ends_when_it_expires() {
    let identity = identity();
    let headers = bearing(&token(&claims()));
    let peek = |second| identity.peek(&headers, at(second)).expect("at once");
    assert_eq!(peek(NOW), known("user-1"));
    assert_eq!(peek(NOW + 60 + LEEWAY_SECONDS - 1), known("user-1"), "from memory");
    assert_eq!(peek(NOW + 60 + LEEWAY_SECONDS), Credential::Rejected);
    assert_eq!(peek(NOW), known("user-1"), "a clock that goes back is no reason to forget");
}

#[test]
fn one_token_is_never_taken_for_another() {
    let identity = identity();
    for account in ["a", "b", "c"] {
        let headers = bearing(&with("sub", Some(json!(account))));
        for _ in 0..2 {
            assert_eq!(identity.peek(&headers, at(NOW)), Some(known(account)));
        }
    }
    let good = token(&claims());
    let (message, _) = good.rsplit_once('.').expect("three parts");
    let forged = bearing(&format!("{message}.{}", "A".repeat(43)));
    assert_eq!(identity.peek(&forged, at(NOW)), Some(Credential::Rejected));
}

#[test]
fn only_so_many_tokens_are_remembered() {
    let seen = Seen::new();
    let set = KeySet::new(1, vec![Key::hs256(SECRET).expect("a key")]);
    let naming = Naming { account: vec![Claim::subject()], user: None, prefix: String::new(), buyers: [].into() };
    let expected = Reader::new(way(Keys::Fixed(Vec::new())), naming).expect("a way").expected;
    let verified = set.verify(token(&claims()).as_bytes(), at(NOW), &expected, &mut Tries::default());
    let verified = verified.expect("it verifies");
    let most = u64::try_from(seen::TOKENS_MAX).expect("it fits");
    for number in 0..most + 1_000 {
        seen.remember(seen.digest(&number.to_be_bytes()), verified.clone());
    }
    let kept = (0..most + 1_000).filter(|number| seen.get(seen.digest(&number.to_be_bytes()), 1, at(NOW)).is_some());
    let kept = kept.count();
    assert!((most as usize / 2..=most as usize).contains(&kept), "{kept}");
}

#[test]
fn a_digest_has_a_key_of_its_own_in_every_process() {
    let digests: std::collections::HashSet<_> = (0..100).map(|_| Seen::new().digest(b"token")).collect();
    assert_eq!(digests.len(), 100);
    let seen = Seen::new();
    let both_halves = |digest: seen::Digest| (digest as u64 != 0, (digest >> 64) as u64 != 0);
    assert_eq!(both_halves(seen.digest(b"token")), (true, true), "128 bits, not 64");
    assert_ne!(seen.digest(b"token"), seen.digest(b"tokem"));
}

#[test]
fn a_secret_is_long_and_never_shown() {
    assert_eq!(Key::hs256("short").expect_err("too short"), KeyError::ShortSecret);
    assert!(!format!("{:?}", identity()).contains(SECRET));
    let key = Key::hs256(SECRET).expect("a key");
    assert!(!format!("{key:?}").contains(SECRET));
}

#[test]
fn a_refused_token_has_a_reason() {
    let none = || Value::Null;
    let other = "another-secret-of-more-than-32-bytes";
    for (token, reason) in [
        ("opaque-session-id".to_owned(), Refusal::Malformed),
        ("a.b.c".to_owned(), Refusal::Malformed),
        (String::new(), Refusal::Malformed),
        ("a".repeat(64 * 1024 + 1), Refusal::TooLong),
        (signed(Algorithm::HS384, SECRET, &claims()), Refusal::WrongAlgorithm),
        (signed(Algorithm::HS256, other, &claims()), Refusal::BadSignature),
        (with("iss", Some(json!("https://other.example"))), Refusal::WrongIssuer),
        (with("iss", None), Refusal::WrongIssuer),
        (with("aud", Some(json!(["other"]))), Refusal::WrongAudience),
        (with("aud", Some(none())), Refusal::WrongAudience),
        (with("exp", None), Refusal::NoExpiry),
        (with("exp", Some(json!("soon"))), Refusal::NoExpiry),
        (with("exp", Some(json!(NOW - 3600))), Refusal::Expired),
        (with("nbf", Some(json!(NOW + 3600))), Refusal::NotYetValid),
        (with("sub", None), Refusal::NoAccount),
        (with("sub", Some(json!(" user-1"))), Refusal::NoAccount),
        (with("sub", Some(json!(""))), Refusal::NoAccount),
        // Inside of what libraries put around it.
        (format!("%22Bearer%20{}%22", with("exp", Some(json!(NOW - 3600)))), Refusal::Expired),
    ] {
        let refused = identity().check(&token, at(NOW)).expect_err("it is refused");
        assert_eq!(refused, [(FLAT.to_owned(), reason)], "{token:.60}");
    }
    assert_eq!(
        identity().check(&token(&claims()), at(NOW)).map(|principal| principal.account.to_string()),
        Ok("user-1".to_owned())
    );
}
