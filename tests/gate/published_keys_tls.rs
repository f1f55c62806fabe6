//! Keys that are published over TLS count only when the host is the one that is configured.

use crate::world::keys::{ED25519, NEXT};
use crate::world::tls_keys::{Authority, TlsKeyHost};
use crate::world::token::claims;
use crate::world::{Arrangement, Setup, World, eventually};

#[tokio::test]
async fn only_a_host_with_a_trusted_certificate_of_its_name_publishes_keys() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let host = TlsKeyHost::start(authority.certify("localhost"), ED25519).await;
    let dir = tempfile::tempdir().expect("a directory");
    let trusted = dir.path().join("authorities.pem");
    std::fs::write(&trusted, authority.pem()).expect("it is written");
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("identity.algorithm", "")
        .key("identity.jwks_url", &format!("\"{}\"", host.url()))
        .key("identity.algorithms", "[\"EdDSA\"]")
        .key("identity.jwks_refetch_min", "\"100ms\"")
        .key("identity.jwks_refresh", "\"200ms\"")
        .environment("SSL_CERT_FILE", trusted.to_str().expect("a path in UTF-8"));
    let world = World::with(setup).await;
    let claims = claims("somebody");
    let status = async |token: String| world.get("/signed-in/page", Some(&token)).await.status;
    assert_eq!(status(ED25519.sign(&claims)).await, 200, "a private authority is trusted when the system says so");

    let failed = async || world.proxy().metric("tollgate_jwks_fetches_total", &["outcome=\"error\""]).await;
    for (what, tls) in [
        ("of an unknown authority", stranger.certify("localhost")),
        ("of another name", authority.certify("evil.test")),
    ] {
        host.shows(tls, NEXT);
        let before = failed().await;
        eventually(&format!("a certificate {what} is noticed"), async || {
            assert_eq!(status(NEXT.sign(&claims)).await, 401, "{what}");
            (failed().await > before).then_some(())
        })
        .await;
    }
    host.shows(authority.certify("localhost"), NEXT);
    eventually("the right one is back", async || (status(NEXT.sign(&claims)).await == 200).then_some(())).await;
}
