//! Routes that ask for more: how many accounts they close is told, before a person has to find out, and nothing is held back.

use super::*;
use crate::world::Arrangement;

/// The lines of the log with this text.
fn lines(world: &World, text: &str) -> Vec<String> {
    world.billing().process.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[tokio::test]
async fn routes_that_ask_for_more_tell_how_many_accounts_do_not_pass_any_more() {
    const RELOADED: &str = "do not pass routes any more";
    let mut world = World::start(Arrangement::AllPostgres).await;
    let tokens = buyers(&world, BUYERS).await;
    let stranger = token(&unique("stranger"));
    let paid = "path = \"/premium/**\"\nrequire = { tier = \"paid\" }";
    let more = "[[route]]\npath = \"/new/**\"\nrequire = { feature = \"export\" }\n";
    world.everywhere("/new/one", &stranger, 200).await;
    reload(&world).await;
    assert_eq!(lines(&world, RELOADED), [""; 0], "nothing has changed");

    world.billing().rewrite(|text| {
        assert!(text.contains(paid), "{text}");
        format!("{}\n{more}", text.replace(paid, &paid.replace("paid", "business")))
    });
    let checked = world.tollgate(&["check", "--online"]).await;
    for told in [
        "closed    5 of 5 accounts that have access do not pass /premium/**, /business/** (tier business)",
        "closed    5 of 5 accounts that have access do not pass /new/** (feature export)",
    ] {
        assert!(checked.stdout.contains(told), "{checked:?}");
    }
    reload(&world).await;
    let told = lines(&world, RELOADED);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|line| line.contains("\"accounts\":5") && line.contains("\"holders\":5")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("/premium/**") && line.contains("tier paid")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("/new/**") && line.contains("feature export")), "{told:?}");
    // An operator who closes a route means it.
    for token in &tokens {
        world.everywhere("/premium/one", token, 402).await;
    }
    world.everywhere("/new/one", &stranger, 402).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);

    restart(&mut world).await;
    eventually("a start tells as much", async || {
        let told = lines(&world, "\"INFO\",\"message\":\"accounts that have access do not pass routes");
        (told.len() == 2 && told.iter().all(|line| line.contains("\"accounts\":5"))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_runs_apart_says_who_knows_how_many() {
    let world = World::start(Arrangement::Separate).await;
    let proxy = world.processes.last().expect("there are proxies");
    proxy.rewrite(|text| format!("{text}\n[[route]]\npath = \"/new/**\"\nrequire = {{ tier = \"business\" }}\n"));
    signal(proxy.process.id(), "HUP");
    eventually("it says so", async || {
        let log = proxy.process.log();
        log.lines().any(|line| line.contains("/new/**") && line.contains("tollgate check --online")).then_some(())
    })
    .await;
}
