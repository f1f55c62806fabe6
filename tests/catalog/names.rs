//! Another claim that names accounts: every account would be another one, so the former one stays until a person agrees.

use super::*;
use crate::world::token::{AUDIENCE, ISSUER, SECRET, claims, signed};
use crate::world::{Arrangement, send};

const ACCEPT: &str = "tollgate identity accept";

/// The token of a user who acts for an organisation, which has another name.
fn of_organisation(user: &str, organisation: &str) -> String {
    let mut claims = claims(user);
    claims["org_id"] = organisation.into();
    signed(&claims, SECRET)
}

fn by_organisation(text: String) -> String {
    format!("identity.account = \"org_id\"\nidentity.prefix = \"o:\"\n{text}")
}

/// Readers who have paid, with tokens that also name an organisation.
async fn readers(world: &World) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..BUYERS {
        let account = unique("buyer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        world.applied(&subscription.event("created")).await;
        tokens.push(of_organisation(&account, "one-of-many"));
    }
    for token in &tokens {
        world.everywhere("/premium/one", token, 200).await;
    }
    tokens
}

async fn all_stay(world: &World, tokens: &[String]) {
    for proxy in world.proxies() {
        for token in tokens {
            let answer = send(world.request_to(proxy, "GET", "/premium/stays", Some(token))).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

/// Each process warns of it, and is ready.
async fn all_warn(world: &World) {
    for process in &world.processes {
        let warned = warnings(process).await;
        assert!(warned.len() == 1 && warned[0].contains(ACCEPT), "{} warns: {warned:?}", process.process.name);
        assert!(warned[0].contains("named by sub and would be named by o:org_id"), "{warned:?}");
    }
}

async fn held_back(world: &World) -> (f64, f64) {
    let count = world.billing().metric("tollgate_held_back_total", &["what=\"identity\""]).await;
    (count, world.billing().metric("tollgate_names_held_back", &[]).await)
}

#[tokio::test]
async fn the_former_claim_stays_in_force_after_a_restart_until_a_person_agrees() {
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let mut world = World::start(arrangement).await;
        let tokens = readers(&world).await;
        assert_eq!(held_back(&world).await, (0.0, 0.0));
        for _ in 0..2 {
            for process in &mut world.processes {
                process.rewrite(|text| if text.contains("org_id") { text } else { by_organisation(text) });
                process.restart();
                process.ready().await;
            }
            assert_eq!(held_back(&world).await, (1.0, 1.0), "once for this process");
            for process in &world.processes {
                eventually("it warns", async || (warnings(process).await.len() == 1).then_some(())).await;
            }
            all_warn(&world).await;
            all_stay(&world, &tokens).await;
            world.billing().logs("other names of accounts are held back").await;
            assert!(world.billing().process.log().contains("other names of accounts are held back"));
        }
        let asked = world.tollgate(&["identity", "accept", "--yes"]).await;
        assert!(asked.failure().contains("5 accounts have access") && asked.failure().contains("--force"), "{asked:?}");
        all_stay(&world, &tokens).await;
        world.tollgate(&["identity", "accept", "--yes", "--force"]).await.success();
        for token in &tokens {
            world.everywhere("/premium/one", token, 402).await;
        }
        let organisation = Subscription { metadata: Some("o:one-of-many".into()), ..Subscription::of(&unique("cus")) };
        world.applied(&organisation.event("created")).await;
        for token in &tokens {
            world.everywhere("/premium/one", token, 200).await;
        }
        for process in &world.processes {
            eventually("nothing is warned of", async || warnings(process).await.is_empty().then_some(())).await;
        }
        assert_eq!(held_back(&world).await, (1.0, 0.0));
        assert!(world.tollgate(&["identity", "accept"]).await.success().contains("nothing changes"));
    }
}

#[tokio::test]
async fn a_proxy_alone_whose_configuration_names_another_claim_goes_by_the_one_in_force() {
    let mut world = World::start(Arrangement::Separate).await;
    let tokens = readers(&world).await;
    let proxy = world.processes.last_mut().expect("there are proxies");
    proxy.rewrite(by_organisation);
    proxy.restart();
    proxy.ready().await;
    let proxy = world.processes.last().expect("there are proxies");
    eventually("it warns", async || {
        let warned = warnings(proxy).await;
        (warned.len() == 1 && warned[0].contains(ACCEPT) && warned[0].contains("how many accounts")).then_some(())
    })
    .await;
    let own = std::fs::read_to_string(&proxy.config).expect("it was written");
    std::fs::write(world.dir().join("proxy.toml"), own).expect("it is written");
    let held_back = async |process: &crate::world::Tollgate| process.metric("tollgate_names_held_back", &[]).await;
    let all: Vec<f64> =
        [held_back(&world.processes[0]).await, held_back(&world.processes[1]).await, held_back(proxy).await].into();
    assert_eq!(all, [0.0, 0.0, 1.0]);
    let asked = world.tollgate(&["identity", "accept", "--yes", "--config", "proxy.toml"]).await;
    assert!(asked.failure().contains("5 accounts have access"), "the number is had as the warning says: {asked:?}");
    all_stay(&world, &tokens).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    assert_eq!(
        world.tollgate(&["identity", "accept"]).await.success().trim(),
        "accounts are named by sub already: nothing changes"
    );
}

#[tokio::test]
async fn another_claim_is_no_matter_where_nobody_has_access_and_a_way_more_takes_nothing() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    world.processes[0].rewrite(by_organisation);
    restart(&mut world).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    let organisation = Subscription { metadata: Some("o:team".into()), ..Subscription::of(&unique("cus")) };
    world.applied(&organisation.event("created")).await;
    let token = of_organisation("somebody", "team");
    world.everywhere("/premium/one", &token, 200).await;
    // The same way under a name, and another one beside it.
    world.processes[0].rewrite(|text| {
        let lines = text.lines().filter(|line| !line.starts_with("identity."));
        let ways = "[identity.browser]\ncookie = \"session\"\nalgorithm = \"HS256\"\naccount = \"org_id\"\nprefix = \"o:\"\n\
                    [identity.mark]\ncookie = \"mark\"\nask = \"http://127.0.0.1:1/session\"\naccount = \"/id\"\nprefix = \"m:\"\n";
        format!("{}\n{ways}", lines.collect::<Vec<_>>().join("\n"))
    });
    restart(&mut world).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn a_way_without_a_name_is_known_again_among_several_with_names_by_what_it_verifies() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    let tokens = readers(&world).await;
    let browser = format!(
        "[identity.browser]\ncookie = \"session\"\nalgorithm = \"HS256\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n"
    );
    let (api, header) = (
        "[identity.api]\nalgorithm = \"HS256\"\nissuer = \"https://api\"\n",
        "[identity.b2]\nheader = \"X-User\"\nfrom = [\"127.0.0.9\"]\n",
    );
    let flat = std::fs::read_to_string(&world.processes[0].config).expect("it was written");
    let lines: Vec<&str> = flat.lines().filter(|line| !line.starts_with("identity.")).collect();
    let lines = lines.join("\n");
    for (own, other) in [
        ("account = \"email\"\n", api.to_owned()),
        ("prefix = \"w:\"\n", api.to_owned()),
        ("prefix = \"w:\"\n", format!("{api}prefix = \"api:\"\n")),
        ("account = \"email\"\n", header.to_owned()),
        ("prefix = \"w:\"\n", header.to_owned()),
    ] {
        world.processes[0].rewrite(|_| format!("{lines}\n{browser}{own}{other}"));
        restart(&mut world).await;
        let warned = warnings(world.billing()).await;
        assert!(warned.iter().any(|warning| warning.contains(ACCEPT)), "{own}{other} warns: {warned:?}");
        all_stay(&world, &tokens).await;
        let asked = world.tollgate(&["identity", "accept", "--yes"]).await;
        assert!(asked.failure().contains("5 accounts have access"), "{asked:?}");
    }
    // Names of the same accounts are no matter.
    world.processes[0].rewrite(|_| format!("{lines}\n{browser}{header}"));
    restart(&mut world).await;
    let warned = warnings(world.billing()).await;
    assert!(!warned.iter().any(|warning| warning.contains(ACCEPT)), "{warned:?}");
    all_stay(&world, &tokens).await;
}

#[tokio::test]
async fn the_claim_in_force_is_put_back_by_a_reload() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    let tokens = readers(&world).await;
    let right = std::fs::read_to_string(&world.processes[0].config).expect("it was written");
    world.processes[0].rewrite(by_organisation);
    restart(&mut world).await;
    all_warn(&world).await;
    // A fault that is there already is no reason to refuse something else.
    reload(&world).await;
    all_warn(&world).await;
    world.processes[0].rewrite(|_| right);
    reload(&world).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    assert_eq!(held_back(&world).await, (1.0, 0.0));
    all_stay(&world, &tokens).await;
    let log = world.billing().process.log();
    assert!(!log.contains("the old ones stay"), "{log}");
    world.processes[0].rewrite(|text| format!("identity.account = \"email\"\n{text}"));
    reload(&world).await;
    world.billing().logs("named by sub and would be named by email: every account becomes another one").await;
    let log = world.billing().process.log();
    assert!(log.contains("named by sub and would be named by email: every account becomes another one"), "{log}");
    all_stay(&world, &tokens).await;
}

#[tokio::test]
async fn a_way_that_goes_is_held_back_for_the_accounts_that_it_alone_named() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    let tokens = readers(&world).await;
    let flat = std::fs::read_to_string(&world.processes[0].config).expect("it was written");
    let lines: Vec<&str> = flat.lines().filter(|line| !line.starts_with("identity.")).collect();
    let one = format!(
        "{}\n[identity.browser]\ncookie = \"session\"\nalgorithm = \"HS256\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n",
        lines.join("\n")
    );
    let two = format!("{one}[identity.api]\nalgorithm = \"HS256\"\nissuer = \"https://api\"\nprefix = \"api:\"\n");
    let robots = "every account that begins with `api:` becomes another one";
    // No account is named by it: nothing is held, by a start and by a reload.
    for is_reload in [false, true] {
        world.processes[0].rewrite(|_| two.clone());
        restart(&mut world).await;
        world.processes[0].rewrite(|_| one.clone());
        let checked = world.tollgate(&["check"]).await;
        assert!(!checked.stderr.contains("becomes another one"), "{checked:?}");
        if is_reload {
            reload(&world).await;
        } else {
            restart(&mut world).await;
        }
        assert_eq!(warnings(world.billing()).await, [""; 0]);
        assert!(world.tollgate(&["identity", "accept"]).await.success().contains("nothing changes"));
        all_stay(&world, &tokens).await;
    }
    assert!(!world.billing().process.log().contains("the old ones stay"));
    // And where a command is the first to know of it, there is nothing to agree to.
    world.processes[0].rewrite(|_| two.clone());
    reload(&world).await;
    world.processes[0].rewrite(|_| one.clone());
    assert!(world.tollgate(&["identity", "accept"]).await.success().contains("accounts are named by sub now"));
    // One is.
    world.processes[0].rewrite(|_| two.clone());
    reload(&world).await;
    let robot = Subscription { metadata: Some("api:robot".into()), ..Subscription::of(&unique("cus")) };
    world.applied(&robot.event("created")).await;
    world.processes[0].rewrite(|_| one.clone());
    assert!(world.tollgate(&["check"]).await.stderr.contains(robots));
    reload(&world).await;
    world.billing().logs(robots).await;
    let log = world.billing().process.log();
    assert!(log.lines().any(|line| line.contains("the old ones stay") && line.contains(robots)), "{log}");
    restart(&mut world).await;
    assert!(warnings(world.billing()).await[0].contains(robots));
    let asked = world.tollgate(&["identity", "accept"]).await;
    assert!(asked.failure().contains("1 account has access"), "{asked:?}");
    world.tollgate(&["identity", "accept", "--yes"]).await.success();
    // It counts within 24 hours, as whatever takes access does.
    let mut database = world.database.as_ref().expect("a database").connect().await;
    let taken = "select array_agg(account) from takings where what = 'identity' and taken_at is not null";
    let taken: Vec<String> = sqlx::query_scalar(taken).fetch_one(&mut database).await.expect("it is noted");
    assert_eq!(taken, ["api:robot"]);
    eventually("nothing is warned of", async || warnings(world.billing()).await.is_empty().then_some(())).await;
    all_stay(&world, &tokens).await;
}

#[tokio::test]
async fn other_sessions_than_before_are_told_of_before_and_after() {
    let mut world = World::start(Arrangement::AllPostgres).await;
    let told = "the cookie or header was session and is sid";
    let is_told = |text: &str| text.contains(told) && text.contains("has to sign in again");
    let right = std::fs::read_to_string(&world.processes[0].config).expect("it was written");
    let renamed = right.replace("identity.cookie = \"session\"", "identity.cookie = \"sid\"");
    assert_ne!(right, renamed);
    assert!(!world.tollgate(&["check"]).await.stderr.contains("sign in again"));
    for is_reload in [true, false] {
        world.processes[0].rewrite(|_| renamed.clone());
        let checked = world.tollgate(&["check"]).await;
        assert!(is_told(&checked.stderr), "{checked:?}");
        if is_reload {
            reload(&world).await;
        } else {
            restart(&mut world).await;
        }
        let warned = warnings(world.billing()).await;
        assert!(warned.len() == 1 && is_told(&warned[0]), "{warned:?}");
        world.billing().logs("sessions are not taken any more").await;
        let log = world.billing().process.log();
        assert!(log.lines().any(|line| line.contains("sessions are not taken any more") && is_told(line)), "{log}");
        // Once it is in force, there is nothing to say before.
        assert!(!world.tollgate(&["check"]).await.stderr.contains("sign in again"));
        world.processes[0].rewrite(|_| right.clone());
        restart(&mut world).await;
    }
}
