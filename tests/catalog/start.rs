//! Files and what is in force: an old file comes back, and routes name what the catalog in force lacks.

use super::*;
use crate::world::{Arrangement, send};

#[tokio::test]
async fn a_file_that_was_superseded_is_not_put_back_by_a_restart() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let tokens = buyers(&world, BUYERS).await;
    let more = world.dir().join("more.toml");
    std::fs::write(&more, with("\"archive\", \"alerts\"]\nlimits", "\"archive\", \"alerts\", \"export\"]\nlimits"))
        .expect("it is written");
    world.tollgate(&["catalog", "apply", more.to_str().expect("a path in UTF-8")]).await.success();
    let exports = async |world: &World| {
        let shown = world.get("/api/billing/subscription", Some(&tokens[0])).await.json();
        shown["features"].as_array().expect("features").iter().any(|feature| feature == "export")
    };
    assert!(exports(&world).await);
    for _ in 0..2 {
        restart(&mut world).await;
        assert!(exports(&world).await, "what a person has put in force stays");
        let warned = warnings(world.billing()).await;
        assert!(warned.len() == 1 && warned[0].contains("tollgate catalog apply"), "{warned:?}");
        assert!(warned[0].contains("catalog.toml"), "{warned:?}");
        let explained = world.tollgate(&["explain", "account", "somebody"]).await.success();
        let held = explained.lines().find(|line| line.starts_with("held back ")).unwrap_or_default();
        assert!(held.contains("another catalog has taken its place") && held.contains("catalog apply"), "{explained}");
    }
    let checked = world.tollgate(&["check", "--online"]).await;
    assert!(checked.stderr.contains("another catalog has taken its place"), "{checked:?}");
    reload(&world).await;
    assert!(exports(&world).await, "nor by a reload of the same file");
    // The command of the warning does it.
    world.tollgate(&["catalog", "apply", "catalog.toml", "--force"]).await.success();
    assert!(!exports(&world).await);
    let explained = world.tollgate(&["explain", "account", "somebody"]).await.success();
    assert!(!explained.contains("held back"), "{explained}");
    assert_eq!(warnings(world.billing()).await, [""; 0]);
}

#[tokio::test]
async fn routes_that_name_what_the_kept_catalog_lacks_are_refused_or_do_what_on_error_says() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let tokens = buyers(&world, BUYERS).await;
    write(&world, &renamed());
    let extra = "[[route]]\npath = \"/open/**\"\nrequire = { tier = \"basic\" }\non_error = \"allow\"\n";
    world.billing().rewrite(|text| format!("{}\n{extra}", text.replace("tier = \"paid\"", "tier = \"basic\"")));
    let checked = world.tollgate(&["check", "--online"]).await;
    for told in ["5 accounts would lose something", "--force", "a reload is refused", "/premium/**", "/open/**"] {
        assert!(checked.stderr.contains(told), "as a start and a reload do, before either: {checked:?}");
    }
    assert!(!world.tollgate(&["check"]).await.stderr.contains("would lose something"), "it needs no database");
    reload(&world).await;
    world.billing().logs("the old ones stay").await;
    let log = world.billing().process.log();
    let refused = log.lines().rfind(|line| line.contains("the old ones stay")).expect("it is refused whole");
    assert!(
        refused.contains("/premium/**") && refused.contains("/open/**") && refused.contains("5 accounts"),
        "{refused}"
    );
    assert_eq!((held_back(world.billing()).await, warnings(world.billing()).await.len()), (1, 1));
    all_pass(&world, &tokens, "/premium/one").await;

    restart(&mut world).await;
    assert_eq!((held_back(world.billing()).await, warnings(world.billing()).await.len()), (1, 1));
    let answer = world.get("/premium/one", Some(&tokens[0])).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "entitlement_unknown"), "{answer:?}");
    assert_eq!(world.get("/premium/one", None).await.status, 401);
    all_pass(&world, &tokens, "/open/one").await;
    all_pass(&world, &tokens, "/archive/one").await;
    // A person agrees: those that hold the tier pass at once.
    world.tollgate(&["catalog", "apply", "catalog.toml", "--force"]).await.success();
    for token in &tokens {
        world.everywhere("/premium/one", token, 200).await;
    }
}

#[tokio::test]
async fn a_proxy_that_runs_apart_hears_of_a_catalog_that_is_held_back() {
    let mut world = World::start(Arrangement::Separate).await;
    let tokens = buyers(&world, BUYERS).await;
    write(&world, &renamed());
    let extra = "[[route]]\npath = \"/open/**\"\nrequire = { tier = \"basic\" }\non_error = \"allow\"\n";
    for process in &mut world.processes {
        process.rewrite(|text| format!("{}\n{extra}", text.replace("tier = \"paid\"", "tier = \"basic\"")));
        process.restart();
        process.ready().await;
    }
    let told = warnings(world.billing()).await;
    assert!(told.len() == 1 && told[0].contains("5 accounts"), "{told:?}");
    for proxy in world.proxies() {
        assert_eq!(warnings(proxy).await, told, "the same, from the first answer on");
        let asked = async |path: &str, token: Option<&str>| send(world.request_to(proxy, "GET", path, token)).await;
        let answer = asked("/premium/one", Some(&tokens[0])).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "entitlement_unknown"), "{answer:?}");
        assert_eq!(asked("/premium/one", None).await.status, 401);
        assert_eq!(asked("/open/one", Some(&tokens[0])).await.status, 200);
        assert_eq!(asked("/archive/one", Some(&tokens[0])).await.status, 200);
        assert_eq!(asked("/business/one", Some(&tokens[0])).await.status, 402, "which the one in force has");
    }
    world.tollgate(&["catalog", "apply", "catalog.toml", "--force"]).await.success();
    let stranger = token(&unique("stranger"));
    for token in &tokens {
        world.everywhere("/premium/one", token, 200).await;
    }
    world.everywhere("/premium/one", &stranger, 402).await;
    for proxy in world.proxies() {
        eventually("nothing is warned of any more", async || warnings(proxy).await.is_empty().then_some(())).await;
    }
}
