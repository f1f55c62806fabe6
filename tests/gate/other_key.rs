//! A proxy whose configuration differs from billing's says in what: the key of assertions, by which no account's access is known, and addresses.

use crate::world::{Arrangement, World, eventually};

/// Another one than that of every world. Made for this test alone.
const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn a_proxy_with_another_assertion_key_than_billing_says_which_variable_differs() {
    let mut world = World::start(Arrangement::Separate).await;
    world.processes[1].set("TOLLGATE_ASSERTION_KEY", OTHER_KEY);
    world.processes[1].restart();
    eventually("readiness warns of it", async || {
        let ready = world.processes[1].try_admin("/readyz").await?;
        (ready.status == 200 && ready.body.contains("TOLLGATE_ASSERTION_KEY and site.url have to be the")).then_some(())
    })
    .await;
    eventually("so does its log", async || {
        world.processes[1].process.log().contains("billing refuses the assertions of this proxy").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_proxy_with_other_addresses_than_billing_names_both() {
    let mut world = World::start(Arrangement::Separate).await;
    let ready = world.processes[1].admin("/readyz").await;
    assert!(!ready.body.contains("in billing"), "{ready:?}");
    let changed = "pages.path = \"/plan\"\nstripe.webhook_path = \"/hooks/stripe\"\nsite.login_url = \"/in\"\n";
    world.processes[1].rewrite(|text| format!("{changed}{text}"));
    world.processes[1].restart();
    for told in [
        r#"pages.path is "/plan" in this proxy and "/billing" in billing: give both the same"#,
        r#"stripe.webhook_path is "/hooks/stripe" in this proxy and "/api/stripe/webhook" in billing"#,
        r#"site.login_url is "/in" in this proxy and "/login" in billing"#,
        r#"site.pricing_url is "/plan/pricing" in this proxy and "/billing/pricing" in billing"#,
    ] {
        eventually("readiness and the log warn of it", async || {
            let ready = world.processes[1].try_admin("/readyz").await?;
            let is_warned = ready.status == 200 && ready.warnings().iter().any(|warning| warning.starts_with(told));
            let key = told.split(" is ").next().expect("a key");
            let log = world.processes[1].process.log();
            let is_logged = log.lines().any(|line| line.contains(key) && line.contains("in this proxy and"));
            (is_warned && is_logged).then_some(())
        })
        .await;
    }
    let other = world.processes[2].admin("/readyz").await;
    assert!(!other.body.contains("in billing"), "{other:?}");
}
