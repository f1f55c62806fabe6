//! A catalog, a grace or a policy that takes something: by hand, by a reload, at a start.

use super::*;
use crate::world::stripe::DAY;
use crate::world::{Arrangement, Setup, in_seconds};

#[tokio::test]
async fn a_replaced_price_is_counted_and_waits_for_a_person_by_every_way() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    assert_eq!((held_back(world.billing()).await, warnings(world.billing()).await), (0, vec![]));
    let tokens = buyers(&world, BUYERS).await;
    write(&world, &replaced());

    let plan = world.tollgate(&["catalog", "plan", "catalog.toml"]).await.success();
    for text in [
        "5 accounts and 5 running subscriptions would lose something; 5 accounts have access",
        "price_monthly, ",
        "5 accounts lose tier paid",
    ] {
        assert!(plan.contains(text), "{text} in {plan}");
    }
    for answer in [&[] as &[&str], &["--yes"]] {
        let refused = world.tollgate(&[&["catalog", "apply", "catalog.toml"], answer].concat()).await;
        assert!(refused.failure().contains("--force") && refused.failure().contains(&digest(&plan)), "{refused:?}");
    }
    reload(&world).await;
    assert_eq!(held_back(world.billing()).await, 1);
    restart(&mut world).await;
    assert_eq!(held_back(world.billing()).await, 1, "once for this process");
    world.billing().logs(HELD).await;
    assert!(world.billing().process.log().contains(HELD));
    let warned = warnings(world.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains("5 accounts") && warned[0].contains("catalog apply"), "{warned:?}");
    all_pass(&world, &tokens, "/premium/one").await;

    // A person's word in the file; one for another change is none.
    write(&world, &format!("accept = \"0000000000000000\"\n{}", replaced()));
    reload(&world).await;
    all_pass(&world, &tokens, "/premium/one").await;
    write(&world, &format!("accept = \"{}\"\n{}", digest(&plan), replaced()));
    let accepted = world.tollgate(&["catalog", "plan", "catalog.toml"]).await.success();
    assert!(accepted.contains("accepted in the file"), "{accepted}");
    reload(&world).await;
    for token in &tokens {
        world.everywhere("/premium/one", token, 402).await;
    }
    assert_eq!(warnings(world.billing()).await, [""; 0]);
}

#[tokio::test]
async fn two_prices_that_are_swapped_by_mistake_are_counted_for_those_who_lose() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let cheap = buyers(&world, BUYERS).await;
    let mut dear = Vec::new();
    for _ in 0..4 {
        let account = unique("buyer");
        let sold = Subscription::of(&unique("cus"));
        let sold = Subscription { metadata: Some(account.clone()), price: "price_business".to_owned(), ..sold };
        world.applied(&sold.event("created")).await;
        dear.push(token(&account));
    }
    for token in &dear {
        world.everywhere("/business/one", token, 200).await;
    }
    let swapped = CATALOG.replace("price_monthly", "price").replace("price_business", "price_monthly");
    write(&world, &swapped.replace("\"price\"", "\"price_business\""));
    let plan = world.tollgate(&["catalog", "plan", "catalog.toml"]).await.success();
    assert!(plan.contains("4 accounts lose tier business"), "{plan}");
    reload(&world).await;
    for _ in 0..2 {
        assert_eq!(held_back(world.billing()).await, 1);
        let warned = warnings(world.billing()).await;
        assert!(warned.len() == 1 && warned[0].contains("4 accounts"), "{warned:?}");
        all_pass(&world, &dear, "/business/one").await;
        all_pass(&world, &cheap, "/premium/one").await;
        restart(&mut world).await;
    }
}

#[tokio::test]
async fn a_word_in_the_file_is_for_so_many_as_it_says_and_for_no_more() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let mut tokens = buyers(&world, BUYERS).await;
    write(&world, &replaced());
    let plan = async || world.tollgate(&["catalog", "plan", "catalog.toml"]).await.success();
    let told = digest(&plan().await);
    write(&world, &format!("accept = \"{told}\"\n{}", replaced()));
    // Since the person was told, one more has bought.
    tokens.extend(buyers(&world, 1).await);
    let again = plan().await;
    assert!(again.contains("6 accounts") && !again.contains("accepted in the file"), "{again}");
    let refused = world.tollgate(&["catalog", "apply", "catalog.toml", "--yes"]).await;
    assert!(refused.failure().contains(&digest(&again)), "{refused:?}");
    reload(&world).await;
    let warned = warnings(world.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains("6 accounts") && warned[0].contains(&digest(&again)), "{warned:?}");
    all_pass(&world, &tokens, "/premium/one").await;
    write(&world, &format!("accept = \"{}\"\n{}", digest(&again), replaced()));
    reload(&world).await;
    for token in &tokens {
        world.everywhere("/premium/one", token, 402).await;
    }
}

#[tokio::test]
async fn few_are_asked_about_and_many_need_force() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let tokens = buyers(&world, 2).await;
    write(&world, &replaced());
    let asked = world.tollgate(&["catalog", "apply", "catalog.toml"]).await;
    assert!(asked.failure().contains("--yes") && asked.failure().contains("2 accounts"), "{asked:?}");
    all_pass(&world, &tokens, "/premium/one").await;
    world.tollgate(&["catalog", "apply", "catalog.toml", "--yes"]).await.success();
    for token in &tokens {
        world.everywhere("/premium/one", token, 402).await;
    }
    // What gives is applied without a question; of what takes, the two of today count.
    write(&world, CATALOG);
    world.tollgate(&["catalog", "apply", "catalog.toml"]).await.success();
    for token in &tokens {
        world.everywhere("/premium/one", token, 200).await;
    }
    write(&world, &replaced());
    let refused = world.tollgate(&["catalog", "apply", "catalog.toml", "--yes"]).await;
    assert!(refused.failure().contains("--force"), "{refused:?}");
    world.tollgate(&["catalog", "apply", "catalog.toml", "--force"]).await.success();
    for token in &tokens {
        world.everywhere("/premium/one", token, 402).await;
    }
}

#[tokio::test]
async fn a_shorter_grace_waits_like_a_catalog() {
    let mut world = World::with(Setup::new(Arrangement::AllPostgres).key("grace.past_due", "\"14d\"")).await;
    let account = unique("buyer");
    let since = in_seconds(-10 * DAY);
    let late = Subscription {
        metadata: Some(account.clone()),
        status: "past_due",
        created: in_seconds(-40 * DAY),
        period: (since, since + 30 * DAY),
        ..Subscription::of(&unique("cus"))
    };
    world.applied(&late.event("updated").created_at(since)).await;
    let token = token(&account);
    world.everywhere("/premium/one", &token, 200).await;
    world.billing().rewrite(|text| text.replace("grace.past_due = \"14d\"", "grace.past_due = \"7d\""));
    let plan = world.tollgate(&["catalog", "plan", "catalog.toml"]).await.success();
    assert!(plan.contains("grace past_due: 14d → 7d") && plan.contains("1 account loses access by [grace]"), "{plan}");
    assert!(world.tollgate(&["catalog", "apply", "catalog.toml"]).await.failure().contains("--yes"));
    reload(&world).await;
    assert_eq!((held_back(world.billing()).await, warnings(world.billing()).await.len()), (1, 1));
    restart(&mut world).await;
    assert_eq!((held_back(world.billing()).await, warnings(world.billing()).await.len()), (1, 1));
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 200);
    world.tollgate(&["catalog", "apply", "catalog.toml", "--yes"]).await.success();
    world.everywhere("/premium/one", &token, 402).await;
    assert_eq!(warnings(world.billing()).await, [""; 0], "a person has agreed");
    // A longer one takes nothing: a reload puts it in force.
    world.billing().rewrite(|text| text.replace("grace.past_due = \"7d\"", "grace.past_due = \"21d\""));
    reload(&world).await;
    world.everywhere("/premium/one", &token, 200).await;
}

#[tokio::test]
async fn a_renamed_tier_goes_on_when_the_file_says_from_what() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let tokens = buyers(&world, BUYERS).await;
    let friend = unique("friend");
    world.tollgate(&["grant", &friend, "paid", "--reason", "a friend of the house"]).await.success();
    let friend = token(&friend);
    world.everywhere("/premium/one", &friend, 200).await;
    let plan = async |catalog: &str| {
        std::fs::write(world.dir().join("next.toml"), catalog).expect("it is written");
        world.tollgate(&["catalog", "plan", "next.toml"]).await.success()
    };
    assert!(plan(&renamed()).await.contains("6 accounts lose tier paid"));
    let from_what = renamed().replacen("name = \"Paid\"", "name = \"Paid\"\nrenamed_from = \"paid\"", 1);
    let planned = plan(&from_what).await;
    assert!(planned.contains("paid → basic") && planned.contains("no account loses anything"), "{planned}");
    // Routes still ask for the old code, and may.
    write(&world, &from_what);
    reload(&world).await;
    assert_eq!(held_back(world.billing()).await, 0);
    for token in tokens.iter().chain([&friend]) {
        eventually("the new code is told", async || {
            let answer = world.get("/premium/one", Some(token)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let received = world.upstream.received();
            let tier = received.last().and_then(|request| request.header("x-entitlement-tier").map(str::to_owned));
            (tier.as_deref() == Some("basic")).then_some(())
        })
        .await;
    }
    world.billing().rewrite(|text| text.replace("tier = \"paid\"", "tier = \"basic\""));
    restart(&mut world).await;
    all_pass(&world, &tokens, "/premium/one").await;
    all_pass(&world, &[friend], "/premium/one").await;
}

#[tokio::test]
async fn what_is_retired_is_sold_no_more_and_goes_on() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let tokens = buyers(&world, BUYERS).await;
    write(&world, &with("id = \"price_monthly\"", "id = \"price_monthly\"\nretired = true"));
    let plan = world.tollgate(&["catalog", "plan", "catalog.toml"]).await.success();
    assert!(plan.contains("it is retired") && plan.contains("no account loses anything"), "{plan}");
    reload(&world).await;
    let tiers = world.get("/api/billing/tiers", Some(&tokens[0])).await.json();
    let paid =
        tiers["tiers"].as_array().expect("tiers").iter().find(|tier| tier["code"] == "paid").expect("it is there");
    let cadences: Vec<&Value> =
        paid["prices"].as_array().expect("prices").iter().map(|price| &price["cadence"]).collect();
    assert_eq!(cadences, ["annual"]);
    all_pass(&world, &tokens, "/premium/one").await;
    let shown = world.get("/api/billing/subscription", Some(&tokens[0])).await.json();
    assert_eq!(shown["subscriptions"][0]["tier"], "paid", "{shown}");
}
