//! A key of another organisation at Polar, which has no mode and tells no account: what it sees decides.

use demo::polar::{Polar, Settings};
use serde_json::json;

use crate::world::polar::{ACCESS_TOKEN, Asking, PAID, SECRETS, WithPolar};
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, eventually, token};

#[tokio::test]
async fn a_key_of_another_organisation_takes_nothing_and_sells_nothing() {
    let setup = Setup::new(Arrangement::AllPostgres).key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"");
    let mut here = WithPolar::start(setup, Asking::Yes).await;
    let accounts: Vec<String> = (0..5).map(|_| unique("reader")).collect();
    for account in &accounts {
        here.subscribe(account, PAID);
    }
    here.settled().await;
    let all_pass = async |here: &WithPolar| {
        for account in &accounts {
            here.world.everywhere("/premium/one", &token(account), 200).await;
        }
    };
    all_pass(&here).await;

    let other = Polar::start(Settings::new(ACCESS_TOKEN, SECRETS[0])).await.expect("Polar starts");
    let (own, theirs) = (here.polar.url(), other.url());
    here.world.processes[0].rewrite(|text| text.replace(own, theirs));
    for arguments in [&["reconcile"][..], &["reconcile", "--force"], &["reconcile", "--account", &accounts[0]]] {
        let refused = here.world.tollgate(arguments).await;
        let told = refused.failure();
        assert!(
            told.contains("POLAR_ACCESS_TOKEN is not used") && told.contains("sees none of the subscriptions"),
            "{told}"
        );
        all_pass(&here).await;
    }
    here.world.processes[0].restart();
    here.world.processes[0].ready().await;
    eventually("readiness names it", async || {
        let ready = here.world.billing().admin("/readyz").await;
        let is_named = |told: &String| told.contains("POLAR_ACCESS_TOKEN is not used");
        (ready.status == 200 && ready.warnings().iter().any(is_named)).then_some(())
    })
    .await;
    let order = json!({ "cadence": "monthly", "tier": "paid", "provider": "polar" });
    let sold = here.world.post("/api/billing/cancel", &token(&accounts[0]), &order).await;
    assert_eq!((sold.status, sold.code().as_str()), (503, "wrong_key"), "{sold:?}");
    all_pass(&here).await;

    here.world.processes[0].rewrite(|text| text.replace(theirs, own));
    here.world.tollgate(&["reconcile"]).await.success();
    all_pass(&here).await;
}
