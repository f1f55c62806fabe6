//! Keys that sign and verify, one or several.

use super::*;

// Made for these tests alone.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMoQy2GF88za/3IwjYLf4F4epGKA3rKMiFVjzOgqTxLD\n-----END PRIVATE KEY-----";
const P256: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZm+KPY5ygeG4uoIk\nDVpelKTvjfkqToXIfjELFzmK6KShRANCAATbewZ9WIdgvc2d4DCh+R/0a265LxEd\nzgfaRzBC4II6nNorRz4x+9nojYBsG0wnXK8dDYT2HFGk/mRnZFrUmcak\n-----END PRIVATE KEY-----";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn claims() -> Claims {
    Claims {
        iss: "https://read.example".into(),
        aud: "read.example".into(),
        sub: AccountId::parse("user-1").expect("an id"),
        act: None,
        buyer: true,
        iat: 1_000,
        exp: 1_000 + LIFETIME_SECONDS,
        tier: Some("paid".into()),
        status: Some("active".into()),
        features: vec!["archive".into()],
        valid_until: None,
    }
}

fn moment(second: i64) -> Timestamp {
    Timestamp::from_timestamp(second, 0).expect("in range")
}

#[test]
fn every_kind_of_key_signs_what_it_verifies_until_it_expires() {
    for text in [ED25519, P256, SECRET] {
        let key = AssertionKey::parse(text).expect("a usable key");
        let token = key.sign(&claims()).expect("it signs");
        let verify = |issuer, audience, second| key.verify(&token, issuer, audience, moment(second));
        // Its signer's clock may be as far behind ours, or ahead of it by anything.
        for second in [0, 1_059, 1_059 + APART_SECONDS] {
            assert_eq!(verify("https://read.example", "read.example", second).expect("it verifies"), claims());
        }
        let over = verify("https://read.example", "read.example", 1_060 + APART_SECONDS);
        assert!(matches!(over, Err(AssertionError::Expired)));
        assert!(verify("https://evil.example", "read.example", 1_001).is_err(), "another issuer");
        assert!(verify("https://read.example", "evil.example", 1_001).is_err(), "another audience");
    }
}

#[test]
fn another_key_does_not_verify() {
    let token = AssertionKey::parse(SECRET).expect("a key").sign(&claims()).expect("it signs");
    for other in [ED25519, P256, "another-secret-of-more-than-32-bytes"] {
        let key = AssertionKey::parse(other).expect("a key");
        assert!(key.verify(&token, "https://read.example", "read.example", moment(1_001)).is_err());
    }
}

#[test]
fn only_public_keys_are_published() {
    let jwks = |text| serde_json::to_string(&AssertionKey::parse(text).expect("a key").jwks()).expect("it encodes");
    assert_eq!(jwks(SECRET), r#"{"keys":[]}"#);
    let ed25519 = jwks(ED25519);
    assert!(ed25519.contains("OKP") && ed25519.contains("kid") && !ed25519.contains("\"d\""), "{ed25519}");
}

#[test]
fn a_key_never_shows_itself_and_a_bad_one_says_what_to_do() {
    let shown = format!("{:?}", AssertionKey::parse(SECRET).expect("a key"));
    assert_eq!(shown, "AssertionKey([HS256], [redacted])");
    assert!(matches!(AssertionKey::parse("short"), Err(AssertionError::ShortSecret)));
    let rsa = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    assert!(matches!(AssertionKey::parse(rsa), Err(AssertionError::BadPem)));
}

#[test]
fn while_keys_are_rotated_the_first_signs_and_all_verify() {
    let verifies = |with: &str, signed_with: &str| {
        let token = AssertionKey::parse(signed_with).expect("keys").sign(&claims()).expect("it signs");
        let keys = AssertionKey::parse(with).expect("keys");
        keys.verify(&token, "https://read.example", "read.example", moment(1_001)).is_ok()
    };
    let both = format!("{ED25519}\n{P256}\n");
    assert!(verifies(&both, ED25519) && verifies(&both, P256));
    assert!(verifies(ED25519, &both) && !verifies(P256, &both), "the first signs");
    assert!(!verifies(&both, SECRET));
    let ids = |text: &str| {
        let keys = AssertionKey::parse(text).expect("keys").jwks().keys;
        keys.into_iter().map(|key| key.common.key_id.expect("an id")).collect::<Vec<_>>()
    };
    assert_eq!(ids(&both), [ids(ED25519), ids(P256)].concat(), "all are published");
    let mixed = format!("{SECRET}, {ED25519},{}", SECRET.replace('0', "1"));
    assert!(verifies(&mixed, SECRET) && verifies(&mixed, ED25519) && verifies(&mixed, &SECRET.replace('0', "1")));
    assert_eq!(ids(&mixed), ids(ED25519), "a secret is never published");
}

#[test]
fn keys_stand_one_after_the_other_whatever_is_between() {
    let cases = [
        (String::new(), vec![]),
        (" ,\n, ".to_owned(), vec![]),
        (SECRET.to_owned(), vec![SECRET]),
        (format!(" {SECRET} ,{SECRET}\n,"), vec![SECRET, SECRET]),
        (format!("{ED25519}{P256}"), vec![ED25519, P256]),
        (format!("{ED25519}\n,\n{SECRET}\n{P256}\n\n"), vec![ED25519, SECRET, P256]),
        ("-----BEGIN PRIVATE KEY-----\nAA".to_owned(), vec!["-----BEGIN PRIVATE KEY-----\nAA"]),
        ("-----BEGIN PRIVATE KEY-----\nAA\n-----END".to_owned(), vec!["-----BEGIN PRIVATE KEY-----\nAA\n-----END"]),
    ];
    for (text, expected) in cases {
        assert_eq!(split(&text), expected, "{text:?}");
    }
    let short = format!("{SECRET},short");
    assert!(matches!(AssertionKey::parse(&short), Err(AssertionError::ShortSecret)), "every key is checked");
    assert!(matches!(AssertionKey::parse(" , "), Err(AssertionError::None)));
    assert!(matches!(AssertionKey::parse(&[SECRET; 5].join(",")), Err(AssertionError::TooMany)));
}

#[test]
fn a_user_who_acts_for_an_account_is_named_and_an_assertion_without_one_reads_as_before() {
    let written = |claims: &Claims| serde_json::to_value(claims).expect("it encodes");
    let plain = written(&claims());
    assert_eq!((plain.get("act"), plain.get("buyer")), (None, None), "a site without organisations pays for nothing");
    let read: Claims = serde_json::from_value(plain).expect("as an older build writes it");
    assert_eq!((read.user(), read.buyer), (None, true));
    let actor = Actor { sub: UserId::parse("ada").expect("an id") };
    let member = Claims { act: Some(actor), buyer: false, ..claims() };
    let json = written(&member);
    assert_eq!((&json["sub"], &json["act"]), (&"user-1".into(), &serde_json::json!({ "sub": "ada" })));
    assert_eq!(json["buyer"], false);
    assert_eq!(serde_json::from_value::<Claims>(json).expect("it decodes"), member);
}
