//! Several ways to know who asks, with the shapes of usual providers, as docs/identity.md configures them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::keys::{ED25519, KeyHost, P256, RSA};
use crate::world::setup::ROUTES;
use crate::world::stripe::unique;
use crate::world::token::{SECRET, signed};
use crate::world::{Arrangement, Setup, World, in_seconds, send};

const DOCS: &str = include_str!("../../docs/identity.md");

/// The configuration of a way, as the documentation has it.
fn block(name: &str) -> String {
    let table = format!("[identity.{name}]");
    let blocks = DOCS.split("```toml\n").skip(1).filter_map(|block| block.split_once("```"));
    let found = blocks.map(|(block, _)| block.to_owned()).find(|block| block.starts_with(&table));
    found.unwrap_or_else(|| panic!("{name} is in docs/identity.md"))
}

/// With these ways alone; key sets are those of `host`.
fn setup(names: &[&str], host: &KeyHost) -> Setup {
    let ways: String = names.iter().map(|name| block(name)).collect();
    let ours = |line: &str| match line.strip_prefix("jwks_url = ") {
        Some(_) => format!("jwks_url = \"{}\"\n", host.url()),
        None => format!("{line}\n"),
    };
    let ways: String = ways.lines().map(ours).collect();
    let flat = ["identity.cookie", "identity.algorithm", "identity.issuer", "identity.audience"];
    let setup = flat.into_iter().fold(Setup::new(Arrangement::AllPostgres), |setup, key| setup.key(key, ""));
    setup.routes(&format!("{ROUTES}\n{ways}"))
}

/// Claims that live, and more of them.
fn with(more: Value) -> Value {
    let mut claims = json!({ "iat": in_seconds(0), "exp": in_seconds(600) });
    let (all, more) = (claims.as_object_mut().expect("an object"), more.as_object().expect("an object").clone());
    all.extend(more);
    claims
}

/// The account that the site is told, by a header of the request; the code of the refusal else.
async fn account(world: &World, name: &str, value: &str) -> String {
    let path = format!("/signed-in/{}", unique("page"));
    let answer = send(world.request("GET", &path, None).header(name, value)).await;
    match answer.status {
        200 => world.upstream.only(&path).header("x-entitlement-account").unwrap_or_default().to_owned(),
        _ => answer.code(),
    }
}

#[tokio::test]
async fn tokens_of_usual_providers_name_their_accounts_beside_each_other() {
    let host = KeyHost::start(&[RSA, P256, ED25519]).await;
    let names = ["supabase", "clerk", "auth0", "firebase", "keycloak", "cognito", "access"];
    let world = World::with(setup(&names, &host)).await;
    let supabase = P256.sign(&with(json!({
        "iss": "https://project.supabase.co/auth/v1", "aud": "authenticated", "sub": "u-supabase", "role": "authenticated",
        "app_metadata": { "provider": "email" }, "user_metadata": { "sub": "admin" }, "session_id": "x", "is_anonymous": false
    })));
    let clerk = |more: Value| {
        let mut claims = with(
            json!({ "iss": "https://clerk.read.example", "sub": "user_1", "sid": "sess_1", "sts": "active", "v": 2 }),
        );
        claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        RSA.sign(&claims)
    };
    let auth0 = RSA.sign(&with(json!({
        "iss": "https://tenant.eu.auth0.com/", "aud": ["https://api.read.example", "https://tenant.eu.auth0.com/userinfo"],
        "sub": "auth0|1", "https://read.example/account": "org-7", "azp": "client", "scope": "openid"
    })));
    let firebase = RSA.sign(&with(json!({
        "iss": "https://securetoken.google.com/project", "aud": "project", "sub": "u-firebase", "user_id": "u-firebase",
        "firebase": { "sign_in_provider": "password" }
    })));
    let keycloak = RSA.sign(&with(json!({
        "iss": "https://id.read.example/realms/readers", "aud": "account", "sub": "u-keycloak", "azp": "read", "typ": "Bearer"
    })));
    let cognito = RSA.sign(&with(json!({
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_pool", "sub": "u-cognito", "client_id": "x", "token_use": "access"
    })));
    let access = RSA.sign(&with(json!({
        "iss": "https://team.cloudflareaccess.com", "sub": "u-access", "email": "a@read.example", "type": "app",
        "aud": ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"]
    })));
    let session = json!({ "access_token": supabase, "refresh_token": "r", "user": { "id": "u" } }).to_string();
    let session = format!("base64-{}", URL_SAFE_NO_PAD.encode(session));
    let (one, two) = session.split_at(300);
    let pieces = format!("sb-project-auth-token.1={two}; sb-project-auth-token.0={one}");
    let ours = clerk(json!({ "azp": "https://read.example" }));
    let org = clerk(json!({ "azp": "https://read.example", "org_id": "org_1", "org_role": "admin" }));
    let foreign = clerk(json!({ "azp": "https://evil.example" }));
    let bearer = |token: &str| format!("Bearer {token}");
    for (what, name, value, expected) in [
        ("Supabase", "cookie", format!("sb-project-auth-token={session}"), "u-supabase"),
        ("Supabase in pieces", "cookie", pieces.clone(), "u-supabase"),
        ("Supabase, a piece twice", "cookie", format!("{pieces}; sb-project-auth-token.1={two}"), "invalid_token"),
        ("Supabase without its first piece", "cookie", format!("sb-project-auth-token.1={two}"), "sign_in"),
        ("Supabase, the token itself", "authorization", bearer(&supabase), "u-supabase"),
        ("Clerk", "cookie", format!("__session={ours}"), "user_1"),
        ("Clerk, of an organisation", "cookie", format!("__session={org}"), "org_1"),
        ("Clerk, of another site", "cookie", format!("__session={foreign}"), "invalid_token"),
        ("Auth0", "authorization", bearer(&auth0), "org-7"),
        ("Firebase", "cookie", format!("__session={firebase}"), "u-firebase"),
        ("Keycloak", "authorization", bearer(&keycloak), "u-keycloak"),
        ("Cognito", "authorization", bearer(&cognito), "u-cognito"),
        ("Cloudflare Access", "cookie", format!("CF_Authorization={access}"), "u-access"),
        ("another way's cookie", "cookie", format!("CF_Authorization={ours}"), "invalid_token"),
        ("a good one beside a bad one", "cookie", format!("__session=garbage; CF_Authorization={access}"), "u-access"),
        ("two accounts", "cookie", format!("__session={ours}; CF_Authorization={access}"), "ambiguous_identity"),
    ] {
        // A token that was verified before is what it was.
        for round in 0..2 {
            assert_eq!(account(&world, name, &value).await, expected, "{what}, {round}");
        }
    }
    let counted = world.proxy().metric("tollgate_identity_total", &["source=\"clerk\"", "wrong_party"]).await;
    assert!(counted >= 1.0, "{counted}");
}

#[tokio::test]
async fn tokens_of_a_shared_secret_need_neither_issuer_nor_audience() {
    let host = KeyHost::start(&[RSA]).await;
    let token = |claims: Value| signed(&with(claims), SECRET);
    for (name, header, value, expected) in [
        ("devise", "authorization", format!("Bearer {}", token(json!({ "sub": "1", "scp": "user", "jti": "x" }))), "1"),
        ("devise", "authorization", format!("Bearer {}", token(json!({ "sub": 42, "scp": "user" }))), "42"),
        ("devise", "authorization", format!("Bearer {}", token(json!({ "sub": null }))), "invalid_token"),
        ("nest", "cookie", format!("access_token={}", token(json!({ "userId": 7, "username": "a" }))), "7"),
        ("nest", "cookie", format!("access_token={}", token(json!({ "sub": "u", "username": "a" }))), "u"),
        (
            "fastapi",
            "cookie",
            format!("fastapiusersauth={}", token(json!({ "sub": "u", "aud": ["fastapi-users:auth"] }))),
            "u",
        ),
        (
            "fastapi",
            "cookie",
            format!("fastapiusersauth={}", token(json!({ "sub": "u", "aud": ["fastapi-users:verify"] }))),
            "invalid_token",
        ),
    ] {
        let world = World::with(setup(&[name], &host)).await;
        assert_eq!(account(&world, header, &value).await, expected, "{name}: {value}");
        let made = world.tollgate(&["token", "u-made"]).await.success();
        assert_eq!(account(&world, "authorization", &format!("Bearer {}", made.trim())).await, "u-made", "{name}");
    }
}

#[tokio::test]
async fn a_token_that_two_ways_read_otherwise_is_nobodys() {
    let ways = "[identity.a]\nalgorithm = \"HS256\"\naccount = \"sub\"\n[identity.b]\nalgorithm = \"HS256\"\naccount = [\"org\", \"sub\"]\n";
    let host = KeyHost::start(&[RSA]).await;
    let mut setup = setup(&[], &host);
    setup.routes = format!("{ROUTES}\n{ways}");
    let world = World::with(setup).await;
    let token = |claims: Value| format!("Bearer {}", signed(&with(claims), SECRET));
    let (same, other) = (token(json!({ "sub": "u" })), token(json!({ "sub": "u", "org": "o" })));
    for _ in 0..2 {
        assert_eq!(account(&world, "authorization", &same).await, "u");
        assert_eq!(account(&world, "authorization", &other).await, "ambiguous_identity");
    }
}
