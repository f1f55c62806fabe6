//! The inbox over HTTP, and what an operator is told of it.

use serde_json::{Value, json};

use super::{operator, setup};
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Setup, World, eventually, token};

#[tokio::test]
async fn the_inbox_is_looked_through_and_worked_on() {
    let world = World::with(setup(Arrangement::AllPostgres)).await;
    let operator = operator(&world);
    let (account, customer) = (unique("buyer"), unique("cus"));
    let subscription = Subscription::of(&customer);
    let parked = subscription.event("created");
    world.settled(&parked).await;
    assert_eq!(operator.listed("state=parked").await, [parked.id.as_str()]);
    let shown = operator.get(&format!("/admin/events/{}", parked.id)).await;
    assert!(shown["reason"].as_str().is_some_and(|reason| reason.contains(&customer)), "{shown}");
    assert!(shown["body"].as_str().is_some_and(|body| body.contains(&subscription.id)), "{shown}");

    // Nobody knows the customer yet, so it is parked again.
    let replayed = operator.post("/admin/events/replay?state=parked", None).await;
    assert_eq!(replayed, json!({ "replayed": 1, "next": null }));
    eventually("it is parked again", async || {
        (operator.listed("state=parked").await == [parked.id.as_str()]).then_some(())
    })
    .await;
    let bought = checkout_completed(Some(&account), &customer, &subscription.id);
    world.applied(&bought).await;
    world.everywhere("/premium/one", &token(&account), 200).await;

    let both = [parked.id.clone(), bought.id.clone()];
    let newest_first = [bought.id.as_str(), parked.id.as_str()];
    assert_eq!(operator.listed("").await, newest_first);
    assert_eq!(operator.listed(&format!("account={account}&state=applied")).await, newest_first);
    assert_eq!(operator.listed("type=customer.subscription.created").await, both[..1]);
    assert_eq!(operator.listed("provider=stripe&limit=1000").await.len(), 2);
    assert_eq!(operator.listed("provider=polar").await, [""; 0]);
    let page = operator.get("/admin/events?limit=1").await;
    assert_eq!(page["events"][0]["event_id"], bought.id.as_str());
    let page = operator.get(&format!("/admin/events?limit=1&before={}", page["next"])).await;
    assert_eq!(page["events"][0]["event_id"], parked.id.as_str());
    assert_eq!(operator.get(&format!("/admin/events?before={}", page["next"])).await["next"], Value::Null);

    let number = page["events"][0]["id"].as_i64().expect("a number");
    for id in [parked.id.clone(), number.to_string()] {
        assert_eq!(operator.post(&format!("/admin/events/{id}/replay"), None).await, json!({ "event": number }));
    }
    for wrong in ["state=lost", "stat=dead", "limit=0", "limit=1001", "provider=paypal", "before=x"] {
        let answer = operator.ask("GET", &format!("/admin/events?{wrong}"), None).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{wrong}");
    }
    for wrong in ["", "state=applied", "state=dead&acount=alice"] {
        let answer = operator.ask("POST", &format!("/admin/events/replay?{wrong}"), None).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{wrong}");
    }
}

#[tokio::test]
async fn an_old_body_is_pruned_and_what_happened_is_still_known() {
    for arrangement in [Arrangement::AllEmbedded, Arrangement::AllPostgres] {
        let world = World::with(setup(arrangement).key("retention.bodies", "\"1s\"")).await;
        let operator = operator(&world);
        let event = checkout_completed(Some(&unique("buyer")), &unique("cus"), &unique("sub"));
        world.accepted(&event).await;
        let path = format!("/admin/events/{}", event.id);
        let shown = eventually("the body is pruned", async || {
            Some(operator.get(&path).await).filter(|shown| !shown["body_pruned_at"].is_null())
        })
        .await;
        assert_eq!((&shown["body"], &shown["state"]), (&Value::Null, &json!("applied")));
        let again = world.deliver(&event).await;
        assert_eq!((again.status, &again.json()["status"]), (200, &json!("duplicate")), "{again:?}");
        let refused = operator.ask("POST", &format!("{path}/replay"), None).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "body_pruned"));
        if arrangement.has_postgres() {
            let shown = world.tollgate(&["events", "show", &event.id]).await.success();
            assert!(shown.contains("pruned at") && shown.contains("applied"), "{shown}");
            let refused = world.tollgate(&["events", "replay", &event.id]).await;
            assert!(refused.failure().contains("its body is pruned"), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn too_many_waiting_events_are_told_once_and_so_is_their_end() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).key("inbox.alert", "2")).await;
    let mut database = world.database.as_ref().expect("a database").connect().await;
    let alert = async |expected: f64| {
        eventually(&format!("the alert is {expected}"), async || {
            (world.billing().metric("tollgate_inbox_alert", &[]).await == expected).then_some(())
        })
        .await;
    };
    let lines = |part: &str| world.billing().process.log().lines().filter(|line| line.contains(part)).count();
    alert(0.0).await;
    // Not due, so that no worker takes them.
    let insert =
        "insert into webhook_events (provider, event_id, type, received_at, state, attempts, next_attempt_at, body)
        select 'stripe', 'waiting_' || n, 't', now(), 'pending', 0, now() + interval '1 day', '{}'
        from generate_series(1, 3) n";
    sqlx::query(insert).execute(&mut database).await.expect("they are stored");
    alert(1.0).await;
    let one_less = "delete from webhook_events where event_id = 'waiting_1'";
    sqlx::query(one_less).execute(&mut database).await.expect("it is deleted");
    alert(0.0).await;
    let told_once = async |part: &str| {
        eventually(&format!("{part:?} is told"), async || (lines(part) > 0).then_some(())).await;
        assert_eq!(lines(part), 1, "{part:?}");
    };
    told_once("too many events wait in the inbox: `tollgate events list").await;
    told_once("no longer too many events wait").await;
    let kill = "update webhook_events set state = 'dead', reason = 'broken', next_attempt_at = null";
    sqlx::query(kill).execute(&mut database).await.expect("they are dead");
    eventually("dead events are told", async || (lines("events are dead: ") == 1).then_some(())).await;
}
