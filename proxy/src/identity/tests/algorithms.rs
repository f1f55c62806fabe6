//! Every algorithm verifies its own tokens, and no other's.

use super::*;

fn credential(identity: &Identity, token: &str) -> Credential {
    identity.peek(&bearing(token), at(NOW)).expect("a fixed key says it at once")
}

#[test]
fn every_algorithm_verifies_what_its_key_signed() {
    for (algorithm, private, public) in PUBLIC {
        let identity = of_file(public, algorithm);
        let token = signed(algorithm, private, &claims());
        for _ in 0..2 {
            assert_eq!(credential(&identity, &token), known("user-1"), "{algorithm:?}");
        }
        let expired = identity.peek(&bearing(&token), at(NOW + 60 + LEEWAY_SECONDS));
        assert_eq!(expired, Some(Credential::Rejected), "{algorithm:?}: no longer than it is valid");
        let named =
            forged(&json!({"alg": algorithm, "kid": "any"}).to_string(), &claims().to_string(), algorithm, private);
        assert_eq!(credential(&identity, &named), known("user-1"), "{algorithm:?}: a key of a file has no id");
    }
}

#[test]
fn a_token_never_chooses_its_algorithm() {
    for (configured, _, public) in PUBLIC {
        let identity = of_file(public, configured);
        for (used, private, _) in PUBLIC.into_iter().filter(|(used, ..)| *used != configured) {
            let what = format!("{used:?} for {configured:?}");
            assert_eq!(credential(&identity, &signed(used, private, &claims())), Credential::Rejected, "{what}");
            let lying = forged(&json!({ "alg": configured }).to_string(), &claims().to_string(), used, private);
            assert_eq!(credential(&identity, &lying), Credential::Rejected, "{what}, but says otherwise");
            let lying =
                forged(&json!({ "alg": used }).to_string(), &claims().to_string(), configured, key_of(configured));
            assert_eq!(credential(&identity, &lying), Credential::Rejected, "{configured:?} that says {used:?}");
        }
        for algorithm in ["none", "None", "NONE", "nOnE", ""] {
            let unsigned =
                format!("{}.{}.", base64(&json!({ "alg": algorithm }).to_string()), base64(&claims().to_string()));
            assert_eq!(credential(&identity, &unsigned), Credential::Rejected, "{algorithm:?} for {configured:?}");
        }
    }
}

fn key_of(algorithm: Algorithm) -> &'static str {
    PUBLIC.into_iter().find(|(known, ..)| *known == algorithm).expect("it is one of them").1
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    for (configured, private, public) in PUBLIC {
        let identity = of_file(public, configured);
        let der: String = public.lines().filter(|line| !line.starts_with("-----")).collect();
        let jwk = jwk(private, configured, "one");
        let members = ["n", "x"].into_iter().filter_map(|member| jwk[member].as_str().map(str::to_owned));
        for secret in [public.to_owned(), public.trim().to_owned(), der, jwk.to_string()].into_iter().chain(members) {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let token = signed(algorithm, &secret, &claims());
                assert_eq!(credential(&identity, &token), Credential::Rejected, "{algorithm:?} for {configured:?}");
            }
        }
    }
}

#[test]
fn a_key_that_comes_with_the_token_verifies_nothing() {
    let identity = of_file(ED25519_PUBLIC, Algorithm::EdDSA);
    let theirs = jwk(ED25519_OTHER, Algorithm::EdDSA, "theirs");
    for (header, key) in [
        (json!({ "alg": "EdDSA", "jwk": theirs }), ED25519_OTHER),
        (json!({ "alg": "EdDSA", "jwk": jwk(ED25519, Algorithm::EdDSA, "ours") }), ED25519),
        (json!({ "alg": "EdDSA", "jku": "https://evil.example/keys", "kid": "theirs" }), ED25519_OTHER),
        (json!({ "alg": "EdDSA", "x5u": "https://evil.example/cert" }), ED25519),
        (json!({ "alg": "EdDSA", "x5c": [] }), ED25519),
        (json!({ "alg": "EdDSA" }), ED25519_OTHER),
    ] {
        let token = forged(&header.to_string(), &claims().to_string(), Algorithm::EdDSA, key);
        assert_eq!(credential(&identity, &token), Credential::Rejected, "{header}");
    }
}

#[test]
fn several_keys_of_a_file_all_count_and_no_other() {
    let both = format!("{ED25519_PUBLIC}{}", public_half(ED25519_OTHER));
    let (one, two) = (of_file(ED25519_PUBLIC, Algorithm::EdDSA), of_file(&both, Algorithm::EdDSA));
    let other = signed(Algorithm::EdDSA, ED25519_OTHER, &claims());
    assert_eq!(credential(&one, &other), Credential::Rejected);
    assert_eq!(credential(&two, &other), known("user-1"));
    assert_eq!(credential(&two, &signed(Algorithm::EdDSA, ED25519, &claims())), known("user-1"));
}

/// In PEM (RFC 8410 section 4): a fixed prefix, and the 32 bytes of the key.
fn public_half(private: &str) -> String {
    use ::base64::Engine;
    use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let jwk = jwk(private, Algorithm::EdDSA, "any");
    let mut der = STANDARD.decode("MCowBQYDK2VwAyEA").expect("the prefix");
    der.extend(URL_SAFE_NO_PAD.decode(jwk["x"].as_str().expect("a key")).expect("base64"));
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

#[test]
fn eddsa_has_two_names() {
    let identity = of_file(ED25519_PUBLIC, Algorithm::EdDSA);
    let text = claims().to_string();
    for name in ["EdDSA", "Ed25519"] {
        let header = json!({ "alg": name, "typ": "JWT" }).to_string();
        let token = forged(&header, &text, Algorithm::EdDSA, ED25519);
        assert_eq!(credential(&identity, &token), known("user-1"), "{name}");
        let other = forged(&header, &text, Algorithm::EdDSA, ED25519_OTHER);
        assert_eq!(credential(&identity, &other), Credential::Rejected, "{name}");
    }
    let rsa = of_file(RSA_PUBLIC, Algorithm::RS256);
    let lying = forged(r#"{"alg":"Ed25519"}"#, &text, Algorithm::RS256, RSA);
    assert_eq!(credential(&rsa, &lying), Credential::Rejected);
}
