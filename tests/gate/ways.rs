//! Several ways to know who asks, with the shapes of usual providers, as docs/identity.md configures them: each section names the provider's
//! documentation, after which the shape here is made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::with_ways;
use crate::world::keys::{ED25519, KeyHost, P256, RSA};
use crate::world::session_site::{SessionSite, Word};
use crate::world::setup::ROUTES;
use crate::world::stripe::unique;
use crate::world::token::{SECRET, signed};
use crate::world::{Setup, World, in_seconds, send};

const DOCS: &str = include_str!("../../docs/identity.md");

/// The configuration of a way, as the documentation has it.
fn block(name: &str) -> String {
    let table = format!("[identity.{name}]");
    let blocks = DOCS.split("```toml\n").skip(1).filter_map(|block| block.split_once("```"));
    let found = blocks.map(|(block, _)| block.to_owned()).find(|block| block.starts_with(&table));
    found.unwrap_or_else(|| panic!("{name} is in docs/identity.md"))
}

/// With these ways alone; key sets are those of `host`, and the proxy in front is here.
fn setup(names: &[&str], host: &KeyHost) -> Setup {
    with_ways(&blocks(names, &[("jwks_url", &host.url()), ("from", "127.0.0.1")]))
}

/// The configuration of these ways, with other values of some keys.
pub fn blocks(names: &[&str], values: &[(&str, &str)]) -> String {
    let ways: String = names.iter().map(|name| block(name)).collect();
    let ours = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        match values.iter().find(|(known, _)| *known == key) {
            Some((key, value)) => format!("{key} = \"{value}\"\n"),
            None => format!("{line}\n"),
        }
    };
    ways.lines().map(ours).collect()
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

/// A session token of Clerk.
fn clerk(more: &Value) -> String {
    let mut claims =
        with(json!({ "iss": "https://clerk.read.example", "sub": "user_1", "sid": "sess_1", "sts": "active", "v": 2 }));
    claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    RSA.sign(&claims)
}

/// The text that Supabase's cookie holds of a token.
fn kept_by_supabase(token: &str) -> String {
    let session = json!({ "access_token": token, "refresh_token": "r", "user": { "id": "u" } }).to_string();
    format!("base64-{}", URL_SAFE_NO_PAD.encode(session))
}

#[test]
fn each_section_names_the_documentation_that_it_is_made_after() {
    let blocks = DOCS.match_indices("```toml\n[identity.");
    for (at, _) in blocks {
        let before = &DOCS[..at];
        let heading = before.rfind("\n## ").max(before.rfind("\n### ")).expect("a section");
        let section = &before[heading..];
        assert!(section.contains("\nAfter <https://") || section.contains("### Opaque tokens"), "{section}");
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
    let pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_pool";
    let cognito = RSA.sign(&with(json!({ "iss": pool, "sub": "u-cognito", "client_id": "x", "token_use": "access" })));
    let access = RSA.sign(&with(json!({
        "iss": "https://team.cloudflareaccess.com", "sub": "u-access", "email": "a@read.example", "type": "app",
        "aud": ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"]
    })));
    let session = kept_by_supabase(&supabase);
    let (one, two) = session.split_at(300);
    let pieces = format!("sb-project-auth-token.1={two}; sb-project-auth-token.0={one}");
    let ours = clerk(&json!({ "azp": "https://read.example" }));
    let org = clerk(&json!({ "azp": "https://read.example", "o": { "id": "org_1", "slg": "one", "rol": "admin" } }));
    let org_before =
        clerk(&json!({ "azp": "https://read.example", "v": 1, "org_id": "org_1", "org_role": "org:admin" }));
    let foreign = clerk(&json!({ "azp": "https://evil.example" }));
    let bearer = |token: &str| format!("Bearer {token}");
    for (what, name, value, expected) in [
        ("Supabase", "cookie", format!("sb-project-auth-token={session}"), "u-supabase"),
        ("Supabase in pieces", "cookie", pieces.clone(), "u-supabase"),
        ("Supabase, a piece twice", "cookie", format!("{pieces}; sb-project-auth-token.1={two}"), "invalid_token"),
        ("Supabase without its first piece", "cookie", format!("sb-project-auth-token.1={two}"), "sign_in"),
        ("Supabase, the token itself", "authorization", bearer(&supabase), "u-supabase"),
        (
            "a scheme within",
            "cookie",
            format!("sb-project-auth-token={{\"access_token\":\"Bearer {supabase}\"}}"),
            "u-supabase",
        ),
        ("Clerk", "cookie", format!("__session={ours}"), "user_1"),
        ("Clerk, of an organisation", "cookie", format!("__session={org}"), "org_1"),
        ("Clerk, of an organisation, version 1", "cookie", format!("__session={org_before}"), "org_1"),
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
async fn an_administrator_of_an_organisation_of_clerk_buys_for_it() {
    let host = KeyHost::start(&[RSA]).await;
    let buyers =
        DOCS.split("```toml\n[organisation]\n").nth(1).and_then(|rest| rest.split_once("```")).expect("a block").0;
    let mut setup = setup(&["clerk"], &host);
    setup.routes = format!("{}\n[organisation]\n{buyers}", setup.routes);
    let world = World::with(setup).await;
    for (more, expected) in [
        (json!({ "azp": "https://read.example", "o": { "id": "org_1", "slg": "one", "rol": "admin" } }), true),
        (json!({ "azp": "https://read.example", "o": { "id": "org_1", "slg": "one", "rol": "member" } }), false),
        (json!({ "azp": "https://read.example", "v": 1, "org_id": "org_1", "org_role": "org:admin" }), true),
        (json!({ "azp": "https://read.example", "v": 1, "org_id": "org_1", "org_role": "org:member" }), false),
    ] {
        let cookie = format!("__session={}", clerk(&more));
        let shown = send(world.request("GET", "/api/billing/subscription", None).header("cookie", cookie)).await;
        let shown = shown.json();
        assert_eq!((&shown["account"], &shown["buyer"]), (&json!("org_1"), &json!(expected)), "{more}: {shown}");
    }
}

#[tokio::test]
async fn a_command_says_of_each_way_what_it_makes_of_a_credential() {
    let host = KeyHost::start(&[RSA, P256]).await;
    let world = World::with(setup(&["supabase", "clerk"], &host)).await;
    let supabase = P256.sign(&with(json!({
        "iss": "https://project.supabase.co/auth/v1", "aud": "authenticated", "sub": "u-supabase", "role": "authenticated"
    })));
    let session = format!("sb-project-auth-token={}", kept_by_supabase(&supabase));
    let told = world.tollgate(&["token", "verify", &session]).await.success();
    assert!(told.contains("u-supabase") && told.contains("supabase") && !told.contains(&supabase), "{told}");
    let foreign =
        RSA.sign(&with(json!({ "iss": "https://clerk.read.example", "sub": "u", "azp": "https://evil.example" })));
    let told = world.tollgate(&["token", "verify", &foreign]).await;
    let said = format!("{}{}", told.stdout, told.stderr);
    assert!(told.code == 1 && said.contains("clerk") && said.contains("wrong_party"), "{told:?}");
    assert!(said.contains("supabase") && said.contains("wrong_issuer") && !said.contains(&foreign), "{told:?}");
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

/// A session: its library, the header that has it, the site's answer about it, and the account that it names.
type Session = (&'static str, &'static str, &'static str, Word, &'static str);

fn answers(status: u16, body: &Value) -> Word {
    Word::Raw(status, vec![], body.to_string())
}

fn names_user(id: Value) -> Word {
    answers(200, &json!({ "user": { "id": id } }))
}

/// The site is asked about each of them with nothing else of the request, by these ways.
async fn are_asked_about(ways: &[&str], sessions: impl IntoIterator<Item = Session>) {
    let site = SessionSite::start().await;
    let world = World::with(with_ways(&blocks(ways, &[("ask", &site.ask())])).upstream(site.pages)).await;
    for (name, header, value, word, expected) in sessions {
        site.says(word);
        let value = if header == "cookie" { format!("csrftoken=c; XSRF-TOKEN=t; {value}") } else { value.to_owned() };
        assert_eq!(super::account(&world, header, &value).await, expected, "{name}");
        let questions = site.questions();
        let shown = questions.last().and_then(|headers| headers.get(header)).expect("it is shown");
        let shown = shown.to_str().expect("text");
        assert!(value.ends_with(shown) && !shown.contains("csrf") && !shown.contains("XSRF"), "{name}: {shown}");
    }
}

#[tokio::test]
async fn sessions_of_usual_frameworks_are_asked_about() {
    // The answer of Auth.js, with the id that its callback adds.
    let session = answers(
        200,
        &json!({ "user": { "name": "A", "email": "a@read.example", "id": "u-authjs" }, "expires": "2030-01-31T12:00:00.000Z" }),
    );
    let ways = ["django", "rails", "php", "laravel", "express", "authjs", "api-key"];
    are_asked_about(
        &ways,
        [
            ("django", "cookie", "sessionid=x1", names_user(json!(7)), "7"),
            ("django", "cookie", "sessionid=x2", answers(401, &json!("")), "sign_in"),
            ("rails", "cookie", "_read_session=x3", names_user(json!(8)), "8"),
            ("php", "cookie", "PHPSESSID=x4", names_user(json!("u-php")), "u-php"),
            ("laravel", "cookie", "laravel_session=eyJpdiI6Ij%3D%3D", names_user(json!(9)), "9"),
            ("express", "cookie", "connect.sid=s%3Ax5.sig", names_user(json!("u-express")), "u-express"),
            ("Auth.js", "cookie", "__Secure-authjs.session-token=eyJhbGciOiJkaXIi..x.y.z", session.clone(), "u-authjs"),
            (
                "Auth.js in pieces",
                "cookie",
                "authjs.session-token.0=aa; authjs.session-token.1=bb",
                session,
                "u-authjs",
            ),
            ("Auth.js, signed out", "cookie", "authjs.session-token=old", answers(200, &json!(null)), "sign_in"),
            ("Sanctum", "authorization", "Bearer 1|abc", answers(200, &json!({ "owner": 12 })), "12"),
            ("an opaque token", "authorization", "Token abc", answers(200, &json!({ "owner": "u-key" })), "u-key"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_site_is_shown_what_belongs_to_a_session() {
    let ways = ["nextjs-auth0", "better-auth", "cookie-session", "aspnet", "kratos", "oauth2-session"];
    are_asked_about(&ways, [
        (
            "nextjs-auth0 in pieces",
            "cookie",
            "__session__0=eyJhbGciOiJkaXIi; __session__1=bb",
            answers(200, &json!({ "sub": "auth0|7", "name": "A" })),
            "auth0|7",
        ),
        ("nextjs-auth0 in old pieces", "cookie", "appSession.0=a; appSession.1=b", answers(401, &json!("")), "sign_in"),
        (
            "Better Auth",
            "cookie",
            "better-auth.session_token=tok.c2ln%3D",
            answers(200, &json!({ "session": { "id": "s", "userId": "u-better" }, "user": { "id": "u-better" } })),
            "u-better",
        ),
        ("cookie-session", "cookie", "session=eyJ1Ijox; session.sig=abc", names_user(json!("u-signed")), "u-signed"),
        ("Koa", "cookie", "koa.sess=eyJ1Ijox; koa.sess.sig=abc", names_user(json!("u-koa")), "u-koa"),
        (
            "ASP.NET Core in pieces",
            "cookie",
            ".AspNetCore.Cookies=chunks-2; .AspNetCore.CookiesC1=CfDJ8; .AspNetCore.CookiesC2=x",
            answers(200, &json!({ "account": "u-aspnet" })),
            "u-aspnet",
        ),
        (
            "Ory Kratos",
            "cookie",
            "ory_kratos_session=MTY=",
            answers(200, &json!({ "active": true, "expires_at": "2035-01-31T12:00:00.1Z", "identity": { "id": "u-kratos" } })),
            "u-kratos",
        ),
        (
            "oauth2-proxy in pieces",
            "cookie",
            "_oauth2_proxy_0=aa; _oauth2_proxy_1=bb|1|sig",
            answers(200, &json!({ "user": "u-oauth2", "email": "a@read.example" })),
            "u-oauth2",
        ),
    ])
    .await;
}

#[tokio::test]
async fn proxies_that_sign_users_in_say_who_they_are() {
    let host = KeyHost::start(&[RSA, P256]).await;
    let names = ["oauth2-proxy", "cloudflare", "alb", "iap", "authelia", "authentik", "tailscale", "azure", "pomerium"];
    let world = World::with(setup(&names, &host)).await;
    let pomerium = P256.sign(&with(json!({
        "iss": "read.example", "aud": "read.example", "sub": "u-pomerium", "email": "a@read.example", "groups": ["a"]
    })));
    let cloudflare = RSA.sign(&with(json!({
        "iss": "https://team.cloudflareaccess.com", "sub": "u-access", "email": "a@read.example", "type": "app",
        "aud": ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"]
    })));
    let alb = RSA.sign(&with(json!({
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_pool", "sub": "u-alb", "client_id": "x", "token_use": "access"
    })));
    let iap = |audience: &str| {
        P256.sign(&with(json!({
            "iss": "https://cloud.google.com/iap", "aud": audience, "sub": "accounts.google.com:1", "email": "a@read.example"
        })))
    };
    let ours = iap("/projects/1234567890/global/backendServices/9876543210");
    for (name, value, expected) in [
        ("x-auth-request-user", "u-oauth2", "u-oauth2"),
        ("cf-access-jwt-assertion", &cloudflare, "u-access"),
        ("x-amzn-oidc-accesstoken", &alb, "u-alb"),
        ("x-goog-iap-jwt-assertion", &ours, "accounts.google.com:1"),
        ("x-goog-iap-jwt-assertion", &iap("/projects/1/global/backendServices/2"), "invalid_token"),
        ("x-goog-iap-jwt-assertion", &cloudflare, "invalid_token"),
        ("x-amzn-oidc-accesstoken", "u-alb", "invalid_token"),
        ("remote-user", "u-authelia", "u-authelia"),
        ("x-authentik-uid", "0a1b", "0a1b"),
        ("tailscale-user-login", "a@read.example", "a@read.example"),
        ("tailscale-user-login", "=?utf-8?q?a=C3=A9@read.example?=", "=?utf-8?q?a=C3=A9@read.example?="),
        ("x-ms-client-principal-id", "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000001"),
        ("x-pomerium-jwt-assertion", &pomerium, "u-pomerium"),
        ("x-pomerium-jwt-assertion", &ours, "invalid_token"),
    ] {
        assert_eq!(account(&world, name, value).await, expected, "{name}: {value}");
    }
}
