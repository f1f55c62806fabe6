//! A key that is replaced while Tollgate runs is looked at as at a start, before anything is sold with it.

use demo::provider::Key;
use serde_json::json;

use super::{all_have, logged, provider, setup, subscribers};
use crate::world::process::signal;
use crate::world::provider::LIVE_KEY;
use crate::world::{World, eventually, token};

#[tokio::test]
async fn a_key_of_which_nobody_can_tell_whose_it_is_sells_nothing_after_a_reload_and_its_right_is_named() {
    let mut world = World::with(setup().live()).await;
    let subscribers = subscribers(&world, 2).await;
    let file = world.dir().join("stripe-key");
    std::fs::write(&file, LIVE_KEY).expect("it is written");
    world.processes[0].set("STRIPE_API_KEY", "");
    world.processes[0].set("STRIPE_API_KEY_FILE", file.to_str().expect("UTF-8"));
    world.processes[0].restart();
    world.processes[0].ready().await;
    let (theirs, ours, lacks) = ("rk_live_blind_of_another", "rk_live_blind", vec!["GET subscriptions"]);
    let of_another = Key { reads_account: false, lacks: lacks.clone(), ..Key::of_another(theirs, "acct_other") };
    provider(&world).accept_key(of_another);
    provider(&world).accept_key(Key { lacks, ..Key::restricted(ours) });
    let sells =
        async |buyer: &str| world.post("/api/billing/checkout", &token(buyer), &json!({ "cadence": "monthly" })).await;
    for (reloads, key) in [theirs, ours].into_iter().enumerate() {
        std::fs::write(&file, key).expect("it is written");
        signal(world.billing().process.id(), "HUP");
        logged(&world, "new ones are in force", 2 * reloads + 1).await;
        let refused = sells("somebody-new").await;
        assert_eq!((refused.status, refused.code().as_str()), (502, "provider_error"), "{key}: {refused:?}");
        let reference = refused.json()["reference"].as_str().expect("a reference").to_owned();
        world.billing().logs(&reference).await;
        let log = world.billing().process.log();
        let told = log.lines().find(|line| line.contains(&reference)).expect("it is told");
        assert!(told.contains("the API key lacks a right"), "{told}");
        assert_eq!(provider(&world).sessions().len(), reloads, "nothing is sold at the provider");
        eventually("readiness names the right", async || {
            let ready = world.billing().admin("/readyz").await;
            let is_named = |told: &String| {
                told.starts_with("STRIPE_API_KEY is refused: the API key lacks a right")
                    && told.contains("nothing is sold or compared with it")
            };
            (ready.status == 200 && ready.warnings().iter().any(is_named)).then_some(())
        })
        .await;
        logged(&world, "the API key is refused: set one that the provider accepts", reloads + 1).await;
        let compared = world.tollgate_with(("STRIPE_API_KEY", key), &["reconcile", "--events"]).await;
        assert!(compared.failure().contains("the API key lacks a right"), "{compared:?}");
        all_have(&world, &subscribers, "paid", key).await;
        std::fs::write(&file, LIVE_KEY).expect("it is written");
        signal(world.billing().process.id(), "HUP");
        logged(&world, "new ones are in force", 2 * reloads + 2).await;
        assert_eq!(sells(&format!("buyer-{reloads}")).await.status, 200);
    }
}
