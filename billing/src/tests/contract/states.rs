//! What a provider tells of subscriptions ends in the right state.

use chrono::TimeDelta;
use entitlement::account::AccountId;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::voice::{DAYS, Message, Standing, Status, VOICES, Voice};
use super::{Stage, ok, world};
use crate::tests::World;

#[sqlx::test(migrations = "../migrations")]
async fn each_status_gives_the_access_that_this_table_says(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let cases = [
            (Status::Incomplete, "free none", "free none"),
            (Status::Trialing, "paid trialing", "free none"),
            (Status::Active, "paid active", "free none"),
            (Status::PastDue, "paid past_due", "free none"),
            (Status::Paused, "free none", "free none"),
            (Status::Unpaid, "free none", "free none"),
            (Status::Ended, "free none", "free none"),
            (Status::OfTomorrow, "free none", "free none"),
        ];
        for (status, now, later) in cases {
            let name = format!("{status:?}").to_lowercase();
            let stage = Stage::of(&world, voice, &name);
            stage.tell(&stage.linked(&format!("evt-l-{name}"), &format!("c-{name}"))).await;
            let standing = Standing { id: format!("s-{name}"), ..stage.standing(status, 0) };
            stage.tell(&voice.subscription(&format!("evt-s-{name}"), &format!("c-{name}"), &standing)).await;
            assert_eq!(stage.has(world.at(60)).await, now, "{voice:?} {status:?}");
            let after = world.now + TimeDelta::days(DAYS + 5);
            assert_eq!(stage.has(after).await, later, "{voice:?} {status:?}, when nothing more is told");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_names_nobody_waits_for_whoever_says_whose_it_is(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let stage = Stage::new(&world, voice);
        let subscribed = voice.subscription("evt-1", "c-1", &stage.standing(Status::Active, 0));
        assert_eq!(stage.deliver(&subscribed).await, ok("accepted"), "{voice:?}");
        assert_eq!(stage.has(world.at(60)).await, "free none", "{voice:?}");
        let later = world.now + TimeDelta::hours(1);
        world.billing.apply_due(later).await.expect("the worker");
        assert_eq!(stage.has(later).await, "free none", "{voice:?}: an e-mail address names nobody");
        stage.tell(&stage.linked("evt-2", "c-1")).await;
        assert_eq!(stage.has(world.at(60)).await, "paid active", "{voice:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_end_of_one_subscription_takes_nothing_from_another(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let stage = Stage::new(&world, voice);
        stage.tell(&stage.linked("evt-1", "c-1")).await;
        let one = stage.standing(Status::Active, 0);
        let more = Standing { id: "s-2".into(), product: "more", ..one.clone() };
        stage.tell(&voice.subscription("evt-2", "c-1", &one)).await;
        stage.tell(&voice.subscription("evt-3", "c-1", &more)).await;
        assert_eq!(stage.has(world.at(60)).await, "team active", "{voice:?}");
        let ended = Standing { status: Status::Ended, at: world.at(1), ..more };
        stage.tell(&voice.subscription("evt-4", "c-1", &ended)).await;
        assert_eq!(stage.has(world.at(60)).await, "paid active", "{voice:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_late_update_does_not_bring_back_what_ended(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let stage = Stage::new(&world, voice);
        stage.tell(&stage.linked("evt-1", "c-1")).await;
        stage.tell(&voice.subscription("evt-2", "c-1", &stage.standing(Status::Ended, 0))).await;
        let late = voice.subscription("evt-3", "c-1", &stage.standing(Status::Active, 5));
        assert_eq!(stage.deliver(&late).await, ok("ignored"), "{voice:?}");
        assert_eq!(stage.has(world.at(60)).await, "free none", "{voice:?}");
    }
}

/// Every order of a few messages.
fn orders(messages: &[Message]) -> Vec<Vec<Message>> {
    let Some((first, rest)) = messages.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}

/// Tells `messages` of each run in another order, until all orders were told, and says what is left at the end.
async fn left_in_every_order(
    world: &World,
    voice: Voice,
    messages: impl Fn(&Stage<'_>, Run) -> Vec<Message>,
) -> Vec<String> {
    let mut left = Vec::new();
    for run in 0.. {
        let stage = Stage::of(world, voice, &format!("run-{run}"));
        let Some(order) = orders(&messages(&stage, Run(run))).into_iter().nth(run) else { break };
        for message in &order {
            stage.tell(message).await;
        }
        left.push(stage.has(world.at(60)).await);
    }
    left
}

/// What is named otherwise in each run.
#[derive(Clone, Copy)]
struct Run(usize);

impl Run {
    fn linked(self, stage: &Stage<'_>) -> Message {
        stage.linked(&format!("evt-{}-l", self.0), &format!("c-{}", self.0))
    }

    fn told(self, stage: &Stage<'_>, event: &str, standing: &Standing) -> Message {
        let standing = Standing { id: format!("s-{}", self.0), ..standing.clone() };
        stage.voice.subscription(&format!("evt-{}-{event}", self.0), &format!("c-{}", self.0), &standing)
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_life_ends_the_same_in_every_order(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let left = left_in_every_order(&world, voice, |stage, run| {
            let canceling = Standing { ends_with_period: true, ..stage.standing(Status::Active, 6) };
            vec![
                run.linked(stage),
                run.told(stage, "a", &stage.standing(Status::Incomplete, 4)),
                run.told(stage, "b", &stage.standing(Status::Active, 5)),
                run.told(stage, "c", &canceling),
            ]
        });
        assert_eq!(left.await, vec!["paid canceling"; 24], "{voice:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_changes_in_one_second_the_second_counts(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let left = left_in_every_order(&world, voice, |stage, run| {
            let active = stage.standing(Status::Active, 5);
            let at = active.at + TimeDelta::microseconds(1500);
            let paused = Standing { status: Status::Paused, before: Some(Status::Active), at, ..active.clone() };
            vec![run.linked(stage), run.told(stage, "a", &active), run.told(stage, "b", &paused)]
        });
        assert_eq!(left.await, vec!["free none"; 6], "{voice:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_that_names_no_customer_finds_its_account_or_waits(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let stage = Stage::new(&world, voice);
        let nameless = |id: &str, status, second, subscription: &str, account: Option<&AccountId>| {
            let standing = Standing { id: subscription.into(), ..stage.standing(status, second) };
            let Message { id, body } = voice.subscription(id, "c-1", &standing);
            let mut event: Value = serde_json::from_slice(&body).expect("JSON");
            let place = if event["data"]["object"].is_object() { "/data/object" } else { "/data" };
            let object = event.pointer_mut(place).and_then(Value::as_object_mut).expect("an object");
            object.remove("customer");
            object.remove("customer_id");
            object.insert("metadata".into(), json!({ "account": account }));
            Message { id, body: event.to_string().into() }
        };
        let fate = async |id: &str| world.fate(id).await;
        let named = |id: &str| format!("{}-{id}", voice.0);
        // Nothing leads to an account, or to a customer of one.
        stage.tell(&nameless(&named("1"), Status::Active, 0, "s-1", None)).await;
        stage.tell(&nameless(&named("2"), Status::Active, 0, "s-1", Some(&stage.account))).await;
        for id in ["1", "2"] {
            let (state, reason) = fate(&named(id)).await;
            assert_eq!(state, "parked", "{voice:?}: {reason:?}");
            assert!(reason.is_some_and(|reason| reason.contains("whose it is")), "{voice:?}");
        }
        assert_eq!(stage.has(world.at(60)).await, "free none", "{voice:?}");
        // The account that the metadata names has a customer.
        stage.tell(&stage.linked(&named("3"), "c-1")).await;
        stage.tell(&nameless(&named("4"), Status::Active, 0, "s-1", Some(&stage.account))).await;
        assert_eq!(fate(&named("4")).await.0, "applied", "{voice:?}");
        assert_eq!(stage.has(world.at(60)).await, "paid active", "{voice:?}");
        // The subscription is known.
        stage.tell(&nameless(&named("5"), Status::Ended, 1, "s-1", None)).await;
        assert_eq!(fate(&named("5")).await.0, "applied", "{voice:?}");
        assert_eq!(stage.has(world.at(60)).await, "free none", "{voice:?}");
    }
}
