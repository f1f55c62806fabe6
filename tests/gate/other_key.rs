//! A proxy whose assertions do not verify at billing knows of nobody's access: it says so.

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
