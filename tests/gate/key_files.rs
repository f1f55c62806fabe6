//! Tokens that are verified with the public keys of a file.

use jsonwebtoken::{Algorithm, Header};

use crate::world::keys::{ED25519, Key, NEXT, P256, P384, RSA};
use crate::world::token::{claims, signed, unsigned};
use crate::world::{Arrangement, Setup, World};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

fn setup(algorithm: &str, file: &str) -> Setup {
    Setup::new(Arrangement::AllPostgres)
        .key("identity.algorithm", &format!("\"{algorithm}\""))
        .key("identity.public_key_file", &format!("\"{KEYS}/{file}\""))
}

async fn status(world: &World, token: &str) -> u16 {
    world.get("/signed-in/page", Some(token)).await.status
}

#[tokio::test]
async fn a_key_file_verifies_its_own_algorithm_and_no_other() {
    let files: [(&str, &str, Key); 5] = [
        ("RS256", "rsa.pub.pem", RSA),
        ("PS512", "rsa.pkcs1.pem", RSA),
        ("ES256", "p256.pub.pem", P256),
        ("ES384", "p384.pub.pem", P384),
        ("EdDSA", "ed25519.pub.pem", ED25519),
    ];
    for (name, file, key) in files {
        let world = World::with(setup(name, file)).await;
        let (algorithm, claims) = (name.parse().expect("an algorithm"), claims("somebody"));
        assert_eq!(status(&world, &key.sign_as(&Header::new(algorithm), &claims)).await, 200, "{name}");
        let public = std::fs::read_to_string(format!("{KEYS}/{file}")).expect("the file");
        let mut bad = vec![signed(&claims, &public), signed(&claims, public.trim()), unsigned(&claims)];
        bad.extend(
            [RSA, P256, P384, ED25519, NEXT].iter().filter(|other| other.pem != key.pem).map(|o| o.sign(&claims)),
        );
        if key.pem == RSA.pem {
            let others = [Algorithm::RS256, Algorithm::RS384, Algorithm::PS256, Algorithm::PS384];
            let others = others.into_iter().filter(|other| *other != algorithm);
            bad.extend(others.map(|other| key.sign_as(&Header::new(other), &claims)));
        }
        for token in bad {
            assert_eq!(status(&world, &token).await, 401, "{name}: {token}");
        }
    }
}
