//! Before somebody is told to pay first: who is asked, how often, and what ends the wait.

use super::*;

#[tokio::test]
async fn before_a_denial_billing_is_asked_again_however_soon() {
    let world = World::new(PLENTY);
    world.holds(record(1, "free"));
    let found = world.ask(world.start).await.expect("an answer");
    assert!(world.ladder.recheck(&found, world.start, never).await.is_err(), "billing has just said so");
    let found = world.ask(world.start).await.expect("an answer");
    assert_eq!(found.layer, FromL1);
    world.holds(record(2, "paid"));
    let newer = world.ladder.recheck(&found, world.start, never).await.expect("an answer");
    assert_eq!((newer.layer, newer.entry.record().version), (FromBilling, 2));
    assert_eq!(world.told(0.3).await, Some((FromL1, 2, Fresh)), "and everybody knows it now");
}

/// Nothing that is pushed lets them in.
fn never(_: &Entitlement) -> bool {
    false
}

#[tokio::test(start_paused = true)]
async fn who_waits_before_a_denial_goes_on_when_a_change_is_pushed_that_lets_them_in() {
    let is_paid = |record: &Entitlement| &*record.timeline.segments()[0].plan.tier == "paid";
    let cases = [("paid", 20, 2, 1), ("free", 150, 3, 2)];
    for (pushed, waits_ms, expected, questions) in cases {
        let world = World::new(PLENTY);
        world.holds(record(1, "free"));
        assert_eq!(world.told(1.0).await, Some((FromBilling, 1, Fresh)));
        world.holds(record(3, "free"));
        let now = world.after(1.05);
        let denied = world.ask(now).await.expect("an answer");
        let began = tokio::time::Instant::now();
        let push = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.ladder.pushed(Arc::new(record(2, pushed)));
        };
        let (newest, ()) = tokio::join!(
            async { (world.ladder.recheck(&denied, now, is_paid).await.expect("an answer"), began.elapsed()) },
            push
        );
        let told = (newest.0.entry.record().version, newest.1.as_millis(), world.questions());
        assert_eq!(told, (expected, waits_ms, questions), "{pushed}");
    }
}

#[tokio::test]
async fn however_many_are_denied_at_once_billing_is_asked_for_all_of_them_together() {
    let world = World::new(PLENTY);
    world.holds(record(1, "free"));
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    let found = world.ask(world.start).await.expect("an answer");
    let asking = (0..100).map(|_| {
        let (ladder, found, now) = (Arc::clone(&world.ladder), found.clone(), world.start);
        tokio::spawn(async move { ladder.recheck(&found, now, never).await.is_ok() })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert!(asked.await.expect("no panic"));
    }
    assert_eq!(world.questions(), 2, "one for the answer, one for all who were denied");
}

#[tokio::test]
async fn a_denial_that_cannot_be_checked_does_not_become_a_flood() {
    let world = World::new(PLENTY);
    world.holds(record(1, "free"));
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    let found = world.ask(world.after(2.0)).await.expect("an answer");
    world.forgets();
    for _ in 0..50 {
        assert!(world.ladder.recheck(&found, world.after(2.0), never).await.is_err());
    }
    assert_eq!(world.questions(), 1 + billing::FAILURES_MAX as usize);
}
