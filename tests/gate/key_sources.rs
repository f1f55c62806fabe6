//! Where keys come from changes while everything runs, and never leaves the gate without any.

use crate::world::keys::{Answer, ED25519, KeyHost, NEXT, P256};
use crate::world::process::signal;
use crate::world::token::claims;
use crate::world::{Arrangement, Setup, World, eventually, ports};

async fn status(world: &World, token: &str) -> u16 {
    world.get("/signed-in/page", Some(token)).await.status
}

/// The configuration with another source of keys, read again.
fn now_from(world: &World, source: &str) {
    world.proxy().rewrite(|text| {
        let is_source = |line: &&str| {
            ["identity.algorithm", "identity.jwks", "identity.public"].iter().any(|key| line.starts_with(key))
        };
        format!("{source}\n{}\n", text.lines().filter(|line| !is_source(line)).collect::<Vec<_>>().join("\n"))
    });
    signal(world.proxy().process.id(), "HUP");
}

#[tokio::test]
async fn a_source_of_keys_is_left_only_for_one_that_has_some() {
    let host = KeyHost::start(&[ED25519]).await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/p256.pub.pem");
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("identity.algorithm", "\"ES256\"")
        .key("identity.public_key_file", &format!("\"{file}\""));
    let world = World::with(setup).await;
    let claims = claims("somebody");
    let (of_file, of_host) = (P256.sign(&claims), ED25519.sign(&claims));
    assert_eq!((status(&world, &of_file).await, status(&world, &of_host).await), (200, 401));

    let nobody = ports::free();
    let published = |url: &str| format!("identity.jwks_url = \"{url}\"\nidentity.algorithms = [\"EdDSA\"]");
    for (count, url) in [format!("http://{nobody}/keys"), format!("{}/", host.url())].into_iter().enumerate() {
        if count == 1 {
            host.answers(Answer::Raw(200, "{}".into()));
        }
        now_from(&world, &published(&url));
        eventually("it is refused", async || {
            let log = world.proxy().process.log();
            (log.lines().filter(|line| line.contains("no usable keys at")).count() == count + 1).then_some(())
        })
        .await;
        assert_eq!(
            (status(&world, &of_file).await, status(&world, &of_host).await),
            (200, 401),
            "{url}: nothing changed"
        );
    }
    host.answers(Answer::Keys(vec![ED25519]));
    now_from(&world, &published(&host.url()));
    eventually("the set counts", async || (status(&world, &of_host).await == 200).then_some(())).await;
    assert_eq!(status(&world, &of_file).await, 401, "a token of the old source, verified before");
    assert_eq!(status(&world, &NEXT.sign(&claims)).await, 401);
}
