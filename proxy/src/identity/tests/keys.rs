//! What counts as a key, in a file and in a published set.

use super::*;
use crate::identity::jwks::read::keys as read;

fn of_set(keys: &Value, algorithms: &[Algorithm]) -> Vec<Algorithm> {
    let set = json!({ "keys": keys }).to_string();
    read(set.as_bytes(), algorithms).map(|keys| keys.iter().map(Key::algorithm).collect()).unwrap_or_default()
}

fn without(jwk: &Value, member: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().expect("an object").remove(member);
    jwk
}

fn with(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value;
    jwk
}

#[test]
fn a_file_holds_public_keys_of_its_algorithm_and_nothing_else() {
    use Algorithm::{ES256, ES384, EdDSA, HS256, RS256};
    let certificate = ED25519_PUBLIC.replace("PUBLIC KEY", "CERTIFICATE");
    let cases = [
        (RSA, RS256, KeyError::Private),
        (ED25519, EdDSA, KeyError::Private),
        (RSA_1024_PUBLIC, RS256, KeyError::RsaSize),
        (RSA_PUBLIC, ES256, KeyError::OtherAlgorithm),
        (RSA_PUBLIC, EdDSA, KeyError::OtherAlgorithm),
        (RSA_PUBLIC, HS256, KeyError::OtherAlgorithm),
        (P256_PUBLIC, ES384, KeyError::OtherAlgorithm),
        (P384_PUBLIC, ES256, KeyError::OtherAlgorithm),
        (P256_PUBLIC, RS256, KeyError::OtherAlgorithm),
        (include_str!("../../../../tests/keys/secp256k1.pub.pem"), ES256, KeyError::OtherAlgorithm),
        (certificate.as_str(), EdDSA, KeyError::NoPem),
        ("", RS256, KeyError::NoPem),
        (SECRET, RS256, KeyError::NoPem),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", RS256, KeyError::OtherAlgorithm),
    ];
    for (pem, algorithm, expected) in cases {
        assert_eq!(Key::from_pem(pem, algorithm).expect_err(pem), expected, "{algorithm:?}: {pem}");
    }
    assert_eq!(Key::from_pem(&ED25519_PUBLIC.repeat(9), EdDSA).expect_err("too many"), KeyError::TooMany);
    let mixed = format!("{RSA_PUBLIC}{P256_PUBLIC}");
    assert_eq!(Key::from_pem(&mixed, RS256).expect_err("mixed"), KeyError::OtherAlgorithm, "no key is skipped");
}

#[test]
fn a_published_key_is_for_what_it_says_and_what_is_configured() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};
    let (rsa, p256, ed) = (jwk(RSA, RS256, "a"), jwk(P256, ES256, "b"), jwk(ED25519, EdDSA, "c"));
    let all = [RS256, PS256, ES256, ES384, EdDSA];
    let cases = [
        ("each its own", json!([rsa, p256, ed]), &all[..], vec![RS256, ES256, EdDSA]),
        ("only the configured", json!([rsa, p256, ed]), &[EdDSA], vec![EdDSA]),
        ("RSA that says nothing", json!([without(&rsa, "alg")]), &all, vec![RS256, PS256]),
        ("RSA that says nothing, of one", json!([without(&rsa, "alg")]), &[PS256], vec![PS256]),
        ("a curve that says nothing", json!([without(&p256, "alg")]), &all, vec![ES256]),
        ("another algorithm", json!([with(&rsa, "alg", json!("RS512"))]), &all, vec![]),
        ("for encryption", json!([with(&rsa, "alg", json!("RSA-OAEP"))]), &all, vec![]),
        ("used for encryption", json!([with(&rsa, "use", json!("enc"))]), &all, vec![]),
        ("used for signatures", json!([with(&rsa, "use", json!("sig"))]), &all, vec![RS256]),
        ("operations without verify", json!([with(&rsa, "key_ops", json!(["sign"]))]), &all, vec![]),
        ("no operations", json!([with(&rsa, "key_ops", json!([]))]), &all, vec![RS256]),
        ("EdDSA under its newer name", json!([with(&ed, "alg", json!("Ed25519"))]), &all, vec![EdDSA]),
        ("operations with verify", json!([with(&rsa, "key_ops", json!(["verify"]))]), &all, vec![RS256]),
        ("a curve under another name", json!([with(&p256, "crv", json!("P-384"))]), &all, vec![]),
        ("a curve for another algorithm", json!([with(&p256, "alg", json!("ES384"))]), &all, vec![]),
        ("a point off the curve", json!([with(&p256, "x", p256["y"].clone())]), &all, vec![]),
        ("an unknown type", json!([with(&ed, "kty", json!("XYZ"))]), &all, vec![]),
        ("an unknown curve", json!([with(&ed, "crv", json!("Ed448"))]), &all, vec![]),
        ("2047 bits", json!([with(&rsa, "n", json!(one_bit_less(&rsa)))]), &all, vec![]),
        ("an exponent of 1", json!([with(&rsa, "e", json!("AQ"))]), &all, vec![]),
        ("an even exponent", json!([with(&rsa, "e", json!("AQAC"))]), &all, vec![]),
        ("no exponent", json!([without(&rsa, "e")]), &all, vec![]),
        ("with its private half", json!([with(&ed, "d", json!("AAAA"))]), &all, vec![]),
        ("a shared secret", json!([{ "kty": "oct", "k": base64(SECRET), "alg": "HS256" }]), &all, vec![]),
        (
            "a shared secret for a public key",
            json!([{ "kty": "oct", "k": base64(SECRET), "alg": "RS256" }]),
            &all,
            vec![],
        ),
        (
            "good ones beside bad ones",
            json!([1, {}, "x", rsa, null, with(&rsa, "kid", json!(7)), with(&rsa, "x5c", json!("no list"))]),
            &all,
            vec![RS256],
        ),
        ("none", json!([]), &all, vec![]),
        ("no list", json!({ "a": rsa }), &all, vec![]),
    ];
    for (what, keys, algorithms, expected) in cases {
        assert_eq!(of_set(&keys, algorithms), expected, "{what}");
    }
    let hmac = json!([{ "kty": "oct", "k": base64(SECRET), "alg": "HS256" }]);
    assert_eq!(of_set(&hmac, &[Algorithm::HS256]), [], "not even if the configuration asks for it");
    assert_eq!(of_set(&Value::Array(vec![ed.clone(); 65]), &all), [EdDSA; 64], "so many and no more");
    let mut many = vec![with(&rsa, "use", json!("enc")); 100];
    many.push(ed);
    assert_eq!(of_set(&Value::Array(many), &all), [EdDSA], "what is not used does not count");
}

/// The modulus of a key, without its first bit.
fn one_bit_less(rsa: &Value) -> String {
    use ::base64::Engine;
    use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut modulus = URL_SAFE_NO_PAD.decode(rsa["n"].as_str().expect("a modulus")).expect("base64");
    modulus[0] &= 0x7f;
    URL_SAFE_NO_PAD.encode(modulus)
}

#[test]
fn keys_come_over_tls_or_from_this_host_alone() {
    for good in [
        "https://id.example/keys",
        "https://id.example:8443",
        "http://127.0.0.1:1/k",
        "http://localhost/k",
        "http://[::1]:1/k",
    ] {
        assert!(good.parse::<Location>().is_ok(), "{good}");
    }
    let cases = [
        ("http://id.example/keys", LocationError::Insecure),
        ("http://127.0.0.1.evil.example/keys", LocationError::Insecure),
        ("http://10.0.0.1/keys", LocationError::Insecure),
        ("ftp://127.0.0.1/keys", LocationError::Insecure),
        ("http://127.0.0.1@evil.example/keys", LocationError::Credentials),
        ("https://user:password@id.example/keys", LocationError::Credentials),
        ("/keys", LocationError::NoUrl),
        ("id.example", LocationError::NoUrl),
        ("", LocationError::NoUrl),
        ("https://id.example/a b", LocationError::NoUrl),
    ];
    for (bad, expected) in cases {
        assert_eq!(bad.parse::<Location>(), Err(expected), "{bad}");
        if expected == LocationError::Insecure {
            let wanted = Location::insecure(bad).map(|location| location.is_insecure());
            assert_eq!(wanted, if bad.starts_with("http:") { Ok(true) } else { Err(expected) }, "{bad}");
        }
    }
    let location: Location = "https://id.example/keys?token=hidden".parse().expect("a URL");
    assert_eq!(location.to_string(), "https://id.example/keys");
}
