//! What can be configured, and what is told of what cannot.

use super::*;
use proxy::identity::Signature;

use crate::config::file::File;

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

fn check(text: &str) -> Result<Identity> {
    let file = File::parse(&format!("[identity]\n{text}"))?;
    Identity::check(&file.identity, &file.organisation, Path::new(KEYS))
}

fn only(text: &str) -> Way {
    check(text).expect(text).ways.pop().expect("a way")
}

#[test]
fn every_source_of_keys_can_be_configured() {
    let cases = [
        ("", "HS256 with TOLLGATE_JWT_SECRET"),
        ("algorithm = \"HS384\"", "HS384 with TOLLGATE_JWT_SECRET"),
        ("algorithm = \"HS512\"", "HS512 with TOLLGATE_JWT_SECRET"),
        ("algorithm = \"Ed25519\"\npublic_key_file = \"ed25519.pub.pem\"", "EdDSA with the key of a file"),
        (
            "jwks_url = \"http://keycloak:8080/keys\"\njwks_insecure = true\nalgorithms = [\"RS256\"]",
            "RS256 with the keys of http://keycloak:8080/keys",
        ),
        ("algorithm = \"RS512\"\npublic_key_file = \"rsa.pub.pem\"", "RS512 with the key of a file"),
        ("algorithm = \"PS256\"\npublic_key_file = \"rsa.pkcs1.pem\"", "PS256 with the key of a file"),
        ("algorithm = \"ES256\"\npublic_key_file = \"p256.pub.pem\"", "ES256 with the key of a file"),
        ("algorithm = \"ES384\"\npublic_key_file = \"p384.pub.pem\"", "ES384 with the key of a file"),
        ("algorithm = \"EdDSA\"\npublic_key_file = \"ed25519.pub.pem\"", "EdDSA with the key of a file"),
        (
            "jwks_url = \"https://id.example/keys?x=secret\"\nalgorithms = [\"RS256\", \"EdDSA\"]",
            "RS256, EdDSA with the keys of https://id.example/keys",
        ),
        (
            "jwks_url = \"https://id.example/keys\"\nalgorithms = [\"EdDSA\", \"Ed25519\"]",
            "EdDSA with the keys of https://id.example/keys",
        ),
        (
            "jwks_url = \"http://127.0.0.1:9/keys\"\nalgorithms = [\"ES256\"]",
            "ES256 with the keys of http://127.0.0.1:9/keys",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(only(text).source.describe(), expected, "{text}");
    }
    let default = only("");
    assert_eq!((default.cookies.as_slice(), default.leeway.as_secs()), (["session".to_owned()].as_slice(), 2));
    assert_eq!(only("cookie = \"\"").cookies, [""; 0]);
    let warning = |url: &str| {
        let text = format!("jwks_url = \"{url}\"\njwks_insecure = true\nalgorithms = [\"RS256\"]");
        check(&text).expect(url).warnings.pop()
    };
    assert!(warning("http://keycloak:8080/keys").is_some_and(|warning| warning.contains("not encrypted")));
    assert_eq!([warning("https://id.example/keys"), warning("http://127.0.0.1/keys")], [None, None]);
}

#[test]
fn several_ways_have_tables_of_their_own() {
    let ways = "[identity.browser]\ncookie = [\"__Secure-session\", \"session\"]\ntoken_at = \"/access_token\"\n\
                jwks_url = \"https://id.example/keys\"\nissuer = [\"https://id.example\", \"https://id.example/\"]\n\
                audience = [\"authenticated\"]\naccount = [\"/app_metadata/org_id\", \"sub\"]\nprefix = \"b:\"\n\
                [identity.api]\nalgorithm = \"HS256\"\naccount = \"user_id\"\nleeway = \"5s\"\nprefix = \"a:\"\n";
    let identity = check(&format!("leeway = \"3s\"\n{ways}")).expect("two ways");
    let names: Vec<&str> = identity.ways.iter().map(|way| way.name.as_str()).collect();
    assert_eq!((names.as_slice(), identity.warnings.as_slice()), (["api", "browser"].as_slice(), [].as_slice()));
    let [api, browser] = identity.ways.as_slice() else { panic!("two") };
    assert_eq!((api.leeway.as_secs(), browser.leeway.as_secs()), (5, 3));
    assert_eq!((api.issuers("https://read.example"), api.audiences("read.example")), (vec![], vec![]), "not asked for");
    assert_eq!(browser.cookies, ["__Secure-session", "session"]);
    assert!(matches!(&browser.source, Source::Published(settings) if settings.algorithms.len() == 9));
    assert_eq!(
        identity.names(("https://read.example", "read.example")).to_string(),
        "a:user_id, b:/app_metadata/org_id or sub"
    );
    assert_eq!(
        check("").expect("flat").names(("https://read.example", "read.example")).to_string(),
        "sub",
        "as before there were ways"
    );
    let warned = |text: &str| check(text).expect(text).warnings.join("; ");
    assert!(
        warned("[identity.a]\nalgorithm = \"HS256\"\n[identity.b]\nalgorithm = \"HS256\"")
            .contains("a, b under [identity] have no `prefix`")
    );
    assert!(warned("account = \"/user_metadata/org\"").contains("users write themselves"));
}

#[test]
fn the_user_who_acts_is_the_subject_unless_another_claim_is_named() {
    let user = |text: &str| only(text).user.map(|claim| claim.to_string());
    let session = "[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/org/id\"";
    for (text, expected) in [
        ("", Some("sub")),
        ("account = \"org_id\"\nuser = \"/user/id\"", Some("/user/id")),
        (session, None),
        (&format!("{session}\nuser = \"/user/id\""), Some("/user/id")),
        ("[identity.a]\nheader = \"X-User\"\nfrom = \"10.0.0.1\"", None),
    ] {
        assert_eq!(user(text).as_deref(), expected, "{text}");
    }
    let warned = check("user = \"/user_metadata/name\"").expect("a warning").warnings.join("; ");
    assert!(warned.contains("act under another one's name"), "{warned}");
}

#[test]
fn the_buyers_of_organisations_are_named_by_a_claim_and_its_value() {
    let buyers = |list: &str| check(&format!("[organisation]\nbuyers = {list}"));
    let known = buyers("[\"/org_role=admin\", \"/org/role=owner\"]").expect("two entries").buyers;
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    assert_eq!(known, ["/org_role=admin", "/org/role=owner"]);
    assert!(check("").expect("as before").buyers.is_empty());
    for (list, expected) in [
        (
            "[\"admin\"]",
            "organisation.buyers: \"admin\": write a JSON pointer to a claim, `=` and the claim's value, such as \"/org_role=admin\"",
        ),
        ("[\"org_role=admin\"]", "is no JSON pointer: write it like \"/org_role=admin\""),
        ("[\"/org_role=\"]", "such as \"/org_role=admin\""),
        ("\"/org_role=admin\"", "buyers"),
    ] {
        let told = format!("{:#}", buyers(list).expect_err(list));
        assert!(told.contains(expected), "{list}: {told}");
    }
    let docs = include_str!("../../../docs/identity.md");
    let documented = docs.split("```toml\n").find(|block| block.starts_with("[organisation]")).expect("it is shown");
    let block = documented.split_once("```").map(|(block, _)| block).expect("it ends");
    assert_eq!(check(block).expect("it is accepted").buyers.len(), 2);
}

#[test]
fn a_proxy_in_front_says_who_asks_in_a_header_or_hands_a_token_in_it() {
    let plain = check(
        "[identity.front]\nheader = \"X-Auth-Request-User\"\nfrom = [\"10.0.0.5\", \"10.1.0.0/16\"]\nprefix = \"o:\"",
    );
    let plain = plain.expect("a plain header");
    assert_eq!(plain.describe(), "the header x-auth-request-user of a proxy in front");
    assert_eq!(plain.names(("https://read.example", "read.example")).to_string(), "o:header x-auth-request-user");
    assert!(plain.with_secret().is_none() && !plain.ways[0].source.is_of_tokens());
    let token = "[identity.iap]\nheader = \"X-Goog-IAP-JWT-Assertion\"\nfrom = \"10.0.0.5\"\nissuer = \"https://cloud.google.com/iap\"\n\
                 jwks_url = \"https://id.example/keys\"\nalgorithms = [\"ES256\"]";
    let token = check(token).expect("a token in a header");
    assert_eq!(token.names(("https://read.example", "read.example")).to_string(), "sub");
    assert!(token.describe().ends_with("in the header x-goog-iap-jwt-assertion of a proxy in front"));
}

#[test]
fn the_site_is_asked_where_and_as_long_as_is_said() {
    let text = "deadline = \"2s\"\n[identity.session]\ncookie = \"sessionid\"\nask = \"http://127.0.0.1:3000/session?k=secret\"\n\
                signature = true\naccount = [\"/org/id\", \"/user/id\"]\nprefix = \"s:\"\n[identity.api]\nalgorithm = \"HS256\"\nprefix = \"a:\"";
    let identity = check(text).expect("two ways");
    assert_eq!(identity.names(("https://read.example", "read.example")).to_string(), "a:sub, s:/org/id or /user/id");
    let [_, session] = identity.ways.as_slice() else { panic!("two") };
    assert_eq!(session.describe(), "the site's answer at http://127.0.0.1:3000/session, kept for 30s");
    assert!(!session.source.is_of_tokens());
    let Source::Site(ask) = &session.source else { panic!("it asks") };
    let settings = ask.settings("https://read.example:8443").expect("settings");
    assert!(settings.host == "read.example:8443" && settings.scheme == "https", "{settings:?}");
    assert_eq!(settings.signature, Signature::Beside);
    assert_eq!((settings.keep.as_secs(), settings.deadline.as_secs(), settings.stale.as_secs()), (30, 2, 300));
}

#[test]
fn a_question_that_leads_to_tollgate_itself_is_warned_of() {
    let origins = ["https://read.example".to_owned(), "https://www.read.example".to_owned()];
    for (ask, is_warned) in [
        ("https://read.example/internal/session", true),
        ("https://www.read.example/session", true),
        ("http://127.0.0.1:8080/session", true),
        ("http://127.0.0.1:8080", true),
        ("http://127.0.0.1:3000/session", false),
        ("http://read.example/session", false),
        ("https://read.example.org/session", false),
        ("http://127.0.0.1:8081/session", false),
    ] {
        let identity =
            check(&format!("[identity.session]\ncookie = \"a\"\nask = \"{ask}\"\naccount = \"/id\"")).expect(ask);
        let mut warnings = Vec::new();
        identity.warn_of_own_address(&origins, "127.0.0.1:8080", &mut warnings);
        assert_eq!(
            warnings.iter().any(|warning| warning.contains("leads to Tollgate")),
            is_warned,
            "{ask}: {warnings:?}"
        );
    }
}

#[test]
fn ways_that_cannot_be_meant_are_told() {
    for (text, expected) in [
        ("cookie = \"x\"\n[identity.a]\nalgorithm = \"HS256\"", "identity.cookie stands beside [identity.a]"),
        ("[identity.cookie]\nalgorithm = \"HS256\"", "[identity.cookie] cannot be the name of a way"),
        ("[identity.\"a b\"]\nalgorithm = \"HS256\"", "cannot be the name of a way"),
        ("[identity.a]\ncokie = \"x\"", "unknown key `cokie` in `identity.a`: did you mean `cookie`?"),
        ("cokie = \"x\"", "unknown key `cokie` in `identity`: did you mean `cookie`?"),
        ("[identity.a]\njwks_url = \"https://id.example/keys\"", "a key set needs `issuer`"),
        ("ask = \"http://127.0.0.1/\"", "write [identity.session], and below it ask = \"http://127.0.0.1/\""),
        ("keep = \"1s\"", "`keep` goes with `ask`"),
        ("signature = true", "`signature` goes with `ask`"),
        ("[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/id\"\nsignature = true", "name it with `cookie`"),
        ("[identity.a]\nalgorithm = \"HS256\"\nstale = \"1s\"", "`stale` goes with `ask`"),
        ("[identity.a]\nask = \"/session\"\naccount = \"/id\"", "it is not a URL"),
        ("[identity.a]\nask = \"http://a:b@127.0.0.1/\"\naccount = \"/id\"", "a name or a password"),
        ("[identity.a]\nask = \"http://127.0.0.1/\"", "write where the account stands in the site's answer"),
        (
            "[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/id\"\nissuer = \"x\"",
            "`issuer` stands beside `ask`",
        ),
        ("[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/id\"\nkeep = \"1h\"", "10m at most"),
        ("[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/id\"\ndeadline = \"1ms\"", "10ms to 30s"),
        ("[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/id\"\nstale = \"2d\"", "24h at most"),
        ("[identity.a]\nask = \"http://127.0.0.1/\"\naccount = \"/id\"\nkeep = 30", "30s"),
        ("header = \"X-User\"\nfrom = [\"10.0.0.1\"]", "write [identity.proxy], and below it header = \"X-User\""),
        ("[identity.a]\nheader = \"X-User\"", "`from` is missing: write from = [\"10.0.0.5\"]"),
        ("[identity.a]\nheader = \"X-User\"\nfrom = []", "`from` is missing"),
        ("[identity.a]\nheader = \"X-User\"\nfrom = [\"0.0.0.0/0\"]", "is everybody"),
        ("[identity.a]\nheader = \"X-User\"\nfrom = [\"proxy\"]", "is not an address or a network"),
        ("[identity.a]\nheader = \"X User\"\nfrom = [\"10.0.0.1\"]", "it is no name of a header"),
        ("[identity.a]\nheader = \"X_User\"\nfrom = [\"10.0.0.1\"]", "it is no name of a header"),
        ("[identity.a]\nheader = \"Cookie\"\nfrom = [\"10.0.0.1\"]", "Tollgate's own, or one that it needs"),
        ("[identity.a]\nheader = \"X-Forwarded-User\"\nfrom = [\"10.0.0.1\"]", "Tollgate's own, or one that it needs"),
        (
            "[identity.a]\nheader = \"X-MS-CLIENT-PRINCIPAL\"\nfrom = [\"10.0.0.1\"]",
            "name \"X-MS-CLIENT-PRINCIPAL-ID\"",
        ),
        ("[identity.a]\nheader = \"X-User\"\ncookie = \"a\"\nfrom = [\"10.0.0.1\"]", "reads that header alone"),
        ("[identity.a]\nheader = \"X-User\"\nissuer = \"a\"\nfrom = [\"10.0.0.1\"]", "`issuer` is about tokens"),
        ("[identity.a]\nheader = \"X-User\"\naccount = \"a\"\nfrom = [\"10.0.0.1\"]", "`account` is about tokens"),
        (
            "[identity.a]\nheader = \"X-Jwt\"\nfrom = \"::1\"\njwks_url = \"https://id.example/keys\"",
            "a key set needs `issuer`",
        ),
        ("[identity.a]\nalgorithm = \"HS256\"\nfrom = [\"10.0.0.1\"]", "`from` goes with `header`"),
        ("[identity.a]\nalgorithm = \"HS256\"\ntoken_at = \"/x\"", "name the cookie"),
        ("cookie = \"x\"\ntoken_at = \"x\"", "is no JSON pointer"),
        ("account = []", "identity.account is empty"),
        ("account = \"/a~2\"", "JSON pointer"),
        ("user = \"/a~2\"", "identity.user = \"/a~2\""),
        ("[identity.a]\nheader = \"X-User\"\nuser = \"a\"\nfrom = [\"10.0.0.1\"]", "`user` is about tokens"),
        ("cookie = [\"a\", \"b c\"]", "is not the name of a cookie"),
        ("issuer = 1", "expected a text, or a list of texts"),
    ] {
        let told = check(text).map(|_| String::new()).unwrap_or_else(|error| format!("{error:#}"));
        assert!(told.contains(expected), "{text}: {told:?}");
    }
}

#[test]
fn what_is_no_source_of_keys_says_what_to_do() {
    let cases = [
        ("algorithm = \"none\"", "is not one of RS256"),
        ("algorithm = \"HS1\"", "HS256, HS384 or HS512"),
        ("algorithm = \"ES512\"", "ES512 is not offered"),
        ("jwks_url = \"https://id.example/keys\"\nalgorithms = [\"ES512\"]", "ES512 is not offered"),
        ("jwks_url = \"https://id.example/keys\"\nalgorithms = [\"HS512\"]", "shared secret"),
        ("jwks_url = \"http://id.example/keys\"\nalgorithms = [\"RS256\"]", "jwks_insecure = true"),
        ("jwks_url = \"ftp://id.example/keys\"\njwks_insecure = true\nalgorithms = [\"RS256\"]", "https://"),
        ("algorithm = \"RS256\"", "identity.public_key_file or identity.jwks_url"),
        ("public_key_file = \"rsa.pub.pem\"", "needs the algorithm of its keys"),
        ("algorithm = \"HS256\"\npublic_key_file = \"rsa.pub.pem\"", "shared secret"),
        ("algorithm = \"RS256\"\npublic_key_file = \"nowhere.pem\"", "cannot be read"),
        ("algorithm = \"RS256\"\npublic_key_file = \"rsa.pem\"", "private key"),
        ("algorithm = \"RS256\"\npublic_key_file = \"rsa-1024.pub.pem\"", "2048"),
        ("algorithm = \"RS256\"\npublic_key_file = \"p256.pub.pem\"", "not one for this algorithm"),
        ("algorithm = \"ES256\"\npublic_key_file = \"p384.pub.pem\"", "not one for this algorithm"),
        ("algorithm = \"ES256\"\npublic_key_file = \"secp256k1.pub.pem\"", "not one for this algorithm"),
        ("algorithm = \"EdDSA\"\npublic_key_file = \"p256.pub.pem\"", "not one for this algorithm"),
        ("algorithms = [\"RS256\"]", "goes with identity.jwks_url"),
        ("jwks_url = \"https://id.example/keys\"", "needs identity.algorithms"),
        ("jwks_url = \"https://id.example/keys\"\nalgorithms = []", "needs identity.algorithms"),
        ("jwks_url = \"https://id.example/keys\"\nalgorithms = [\"HS256\"]", "shared secret"),
        ("jwks_url = \"https://id.example/keys\"\nalgorithm = \"RS256\"", "take `algorithm` away"),
        ("jwks_url = \"http://id.example/keys\"\nalgorithms = [\"RS256\"]", "https://"),
        ("jwks_url = \"https://a:b@id.example/keys\"\nalgorithms = [\"RS256\"]", "name or a password"),
        ("jwks_url = \"file:///etc/passwd\"\nalgorithms = [\"RS256\"]", "URL"),
        ("jwks_url = \"/keys\"\nalgorithms = [\"RS256\"]", "not a URL"),
        ("jwks_url = \"https://id.example/\"\npublic_key_file = \"rsa.pub.pem\"", "keep one of them"),
        ("jwks_url = \"https://id.example/\"\nalgorithms = [\"RS256\"]\njwks_refetch_min = \"1ms\"", "100ms"),
        ("jwks_url = \"https://id.example/\"\nalgorithms = [\"RS256\"]\njwks_refresh = \"1s\"", "jwks_refetch_min"),
        ("leeway = \"10m\"", "5m at most"),
        ("leeway = \"1500ms\"", "whole seconds"),
        ("cookie = \"a=b\"", "not the name of a cookie"),
    ];
    for (text, expected) in cases {
        let error = format!("{:#}", check(text).expect_err(text));
        assert!(error.contains(expected), "{text}: {error:?} should contain {expected:?}");
    }
}
