//! The inner routes, and the process as a whole.

use axum::body::Body;
use entitlement::account::AccountId;
use entitlement::assertion::Claims;
use entitlement::record;
use http::{Request, Response};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use super::{World, settings};
use crate::connect::ConnectError;
use crate::{Billing, Readiness};

fn assertion(sub: &AccountId, aud: &str) -> String {
    let now = crate::clock::now().timestamp();
    let claims = Claims {
        iss: "https://read.example".into(),
        aud: aud.into(),
        sub: sub.clone(),
        act: None,
        buyer: true,
        iat: now,
        exp: now + 60,
        tier: None,
        status: None,
        features: Vec::new(),
        valid_until: None,
    };
    settings().assertion.sign(&claims).expect("it signs")
}

async fn get(billing: &Billing, path: &str, bearer: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(bearer) = bearer {
        request = request.header("Authorization", format!("Bearer {bearer}"));
    }
    billing.router().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer")
}

async fn text(response: Response<Body>) -> String {
    let body = axum::body::to_bytes(response.into_body(), 65_536).await.expect("a body");
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

#[sqlx::test(migrations = "../migrations")]
async fn a_proxy_is_told_of_the_account_that_it_holds_an_assertion_for(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let account = AccountId::parse(&format!("a/b c|{}", world.account)).expect("an id");
    world.billing.grant(&account, "paid", "a gift", None, None).await.expect("granted");
    let path = format!("/internal/entitlements/a%2Fb%20c%7C{}", world.account);
    let response = get(&world.billing, &path, Some(&assertion(&account, "tollgate-billing"))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let asked = response.headers()["tollgate-database"].to_str().expect("a text").to_owned();
    // In the old form for who does not say which one it reads.
    let old = record::before::decode_for(&account, &text(response).await).expect("a record");
    let request = Request::get(&path).header("Tollgate-Record", "2");
    let bearer = format!("Bearer {}", assertion(&account, "tollgate-billing"));
    let request = request.header("Authorization", bearer).body(Body::empty()).expect("a request");
    let response = world.billing.router().oneshot(request).await.expect("an answer");
    let told = record::decode_for(&account, &text(response).await).expect("a record");
    assert_eq!((told.database.to_string(), &told.entitlement), (asked, &old));
    let told = told.entitlement;
    assert_eq!((told.version, super::shown(&told, crate::clock::now())), (2, "paid credit".to_owned()));

    let other = assertion(&world.account, "tollgate-billing");
    let elsewhere = assertion(&account, "read.example");
    for bearer in [None, Some("nonsense"), Some(other.as_str()), Some(elsewhere.as_str())] {
        let response = get(&world.billing, &path, bearer).await;
        assert_eq!(response.status(), 401, "{bearer:?}");
        assert!(text(response).await.contains("invalid_assertion"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn keys_are_public_and_other_paths_are_not_found(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let response = get(&world.billing, "/.well-known/tollgate/jwks.json", None).await;
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    assert_eq!(text(response).await, r#"{"keys":[]}"#, "a shared secret is never published");
    let response = get(&world.billing, "/nowhere", None).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[sqlx::test(migrations = false)]
async fn billing_connects_migrates_serves_and_stops(_options: PgPoolOptions, connect: PgConnectOptions) {
    use sqlx::ConnectOptions;

    let url = connect.to_url_lossy().to_string();
    let billing = Billing::connect(&url, settings(), None).await.expect("connected");
    assert_eq!(
        billing.readiness().await,
        Readiness { database: true, writable: true, migrated: false, redis: true, lineage: false }
    );
    billing.migrate().await.expect("migrated");
    billing.migrate().await.expect("again, which changes nothing");
    assert!(billing.readiness().await.is_ready());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn({
        let (billing, stop) = (billing.clone(), stop.clone());
        async move { billing.run(listener, stop).await }
    });
    let account = AccountId::parse("someone").expect("an id");
    assert_eq!(billing.resolve(&account).await.expect("rows").entitlement.version, 0);
    stop.cancel();
    serving.await.expect("no panic").expect("it stops");
}

#[sqlx::test(migrations = false)]
async fn a_database_that_cannot_be_used_is_told_in_one_line(_options: PgPoolOptions, connect: PgConnectOptions) {
    let reach = async |url: &str| match Billing::connect(url, settings(), None).await {
        Ok(_) => panic!("connected to {url}"),
        Err(error) => error,
    };
    let (host, port) = (connect.get_host(), connect.get_port());
    let error = reach("postgres://me:secret@127.0.0.1:9/x").await;
    assert!(matches!(error, ConnectError::Unreachable { .. }));
    assert_eq!(error.to_string(), "Postgres at 127.0.0.1:9 cannot be reached");
    let error = reach(connect.clone().database("nowhere").to_url_lossy().as_str()).await.to_string();
    assert_eq!(error, format!("Postgres at {host}:{port} has no database `nowhere`: create it first"));
    let error = reach(&format!("postgres://stranger:secret@{host}:{port}/postgres")).await;
    assert!(matches!(error, ConnectError::Login { .. }), "{error}");
    for url in ["mysql://me:secret@host/x", "secret"] {
        let error = reach(url).await;
        assert!(matches!(error, ConnectError::DatabaseUrl { .. }), "{url}: {error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let mut prefix = settings();
    prefix.polar.webhook_secrets.push("polar_whs_".into());
    let refused = Billing::connect(connect.to_url_lossy().as_str(), prefix, None).await.map(|_| ());
    assert!(matches!(refused, Err(ConnectError::PolarSecret)), "{refused:?}");
}
