//! Events of another mode or account than the key wait, and are applied when the key fits.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Subscriber, all_have, calm, logged, number, provider, setup, subscribers};
use crate::world::process::signal;
use crate::world::provider::{API_KEY, LIVE_KEY, OTHER_KEYS};
use crate::world::{Setup, World, eventually};

const PARKED: &str = "select count(*) from webhook_events where state = 'parked' and reason like '%the right API key%'";
const IGNORED: &str = "select count(*) from webhook_events where state = 'ignored' and reason like '%key%'";

/// A world whose key stands in a file.
struct Keyed {
    world: World,
    file: PathBuf,
    _dir: TempDir,
}

impl Keyed {
    async fn with(key: &str, setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("key");
        std::fs::write(&file, key).expect("it is written");
        let setup =
            setup.environment("STRIPE_API_KEY", "").environment("STRIPE_API_KEY_FILE", file.to_str().expect("UTF-8"));
        Self { world: World::with(setup).await, file, _dir: dir }
    }

    fn replace(&self, key: &str) {
        std::fs::write(&self.file, key).expect("it is written");
        signal(self.world.billing().process.id(), "HUP");
    }
}

#[tokio::test]
async fn live_events_under_a_test_key_wait_and_are_applied_when_the_key_is_corrected() {
    for restarts in [false, true] {
        let mut keyed = Keyed::with(API_KEY, setup().live()).await;
        let buyer = Subscriber::at(provider(&keyed.world));
        calm(&keyed.world).await;
        assert!(number(&keyed.world, PARKED).await > 0, "they are parked");
        assert_eq!(number(&keyed.world, IGNORED).await, 0, "and not finished");
        logged(&keyed.world, "events wait for the right API key", 1).await;
        let waiting = keyed.world.billing().metric("tollgate_events_for_key", &["stripe"]).await;
        assert!(waiting > 0.0, "{waiting}");
        all_have(&keyed.world, std::slice::from_ref(&buyer), "free", "nothing is known").await;
        if restarts {
            std::fs::write(&keyed.file, LIVE_KEY).expect("it is written");
            keyed.world.processes[0].restart();
            keyed.world.processes[0].ready().await;
        } else {
            keyed.replace(LIVE_KEY);
        }
        keyed.world.everywhere("/premium/one", &buyer.token, 200).await;
        eventually("none waits any more", async || (number(&keyed.world, PARKED).await == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn test_events_under_a_live_key_and_events_under_another_accounts_wait_too() {
    let keyed = Keyed::with(LIVE_KEY, setup()).await;
    let test = Subscriber::at(provider(&keyed.world));
    calm(&keyed.world).await;
    assert!(number(&keyed.world, PARKED).await > 0, "a live key, and tests");
    all_have(&keyed.world, std::slice::from_ref(&test), "free", "nothing is known").await;
    keyed.replace(API_KEY);
    keyed.world.everywhere("/premium/one", &test.token, 200).await;

    let keyed = Keyed::with(LIVE_KEY, setup().live()).await;
    let ours = subscribers(&keyed.world, 4).await;
    keyed.replace(OTHER_KEYS[0]);
    logged(&keyed.world, "the API key does not belong to what is stored", 1).await;
    let late = Subscriber::at(provider(&keyed.world));
    provider(&keyed.world).cancel(&ours[0].subscription, demo::provider::CancelAt::Now).expect("canceled");
    calm(&keyed.world).await;
    assert!(number(&keyed.world, PARKED).await > 0, "another account's key");
    all_have(&keyed.world, &ours, "paid", "nobody loses anything").await;
    keyed.replace(LIVE_KEY);
    keyed.world.everywhere("/premium/one", &late.token, 200).await;
    keyed.world.everywhere("/premium/one", &ours[0].token, 402).await;
    all_have(&keyed.world, &ours[1..], "paid", "the others").await;
}
