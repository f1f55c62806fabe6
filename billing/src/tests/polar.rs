//! What a simulated Polar tells and answers ends in the right state.

use std::time::Duration;

use chrono::TimeDelta;
use demo::polar::{
    Fault, FaultKind, NewCustomer, NewRefund, PauseAt, Polar, Product, RefundReason, RefundStatus, Settings, Subscribe,
};
use demo::provider::{Cadence, Card};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::contract::{self, Stage, Standing, Status, VOICES};
use super::{World, billing_on, settings};
use crate::ops::{Asker, Cancel, EraseWish, Rehearsal};
use crate::settings::Secret;
use crate::store::events::{self, Arrival};

const TOKEN: &str = "polar_oat_of_the_tests";

/// A world and a Polar that sells what its catalog names. Nothing is delivered by itself.
struct Scene {
    world: World,
    polar: Polar,
}

/// One event as Polar tells it.
type Told = (String, Value);

/// One customer of Polar, with an account and a subscription.
struct Reader {
    account: AccountId,
    customer: String,
    subscription: String,
    /// How many events there were before.
    first_event: usize,
}

impl Scene {
    async fn new(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        let world = contract::world(options, connect).await;
        let mut sells = Settings::new(TOKEN, "whsec_unused");
        let product = |id: &str| Product {
            id: id.into(),
            name: "Paid".into(),
            amount: 700,
            currency: "gbp".into(),
            cadence: Cadence::Month,
        };
        sells.products = vec![product("basic"), product("more")];
        Self { world, polar: Polar::start(sells).await.expect("a Polar") }
    }

    /// As [`Scene::new`], and Polar can be asked.
    async fn asking(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        let mut scene = Self::new(options, connect).await;
        let mut asking = settings();
        asking.polar.access_token = Some(Secret::from(TOKEN));
        asking.polar.api_base = format!("{}/", scene.polar.url());
        scene.world.billing = billing_on(&scene.world.pool, asking, None);
        scene
    }

    fn reader(&self, name: &str) -> Reader {
        let account = AccountId::parse(&format!("{}-{name}", self.world.account)).expect("an id");
        let first_event = self.polar.events().len();
        let customer = NewCustomer { external_id: Some(account.to_string()), ..NewCustomer::default() };
        let customer = self.polar.create_customer(customer).expect("a customer");
        let new = Subscribe { customer: customer.clone(), product: "basic".into(), ..Subscribe::default() };
        let subscription = self.polar.subscribe(new).expect("a subscription");
        Reader { account, customer, subscription, first_event }
    }

    /// What Polar has told since the reader came.
    fn told(&self, reader: &Reader) -> Vec<Told> {
        self.polar.events().split_off(reader.first_event)
    }

    /// Takes events in as if they came now, whenever they were told, and applies each.
    async fn take_in(&self, told: &[Told]) {
        for (id, event) in told {
            let body = serde_json::to_vec(event).expect("it encodes");
            let received_at = self.polar.now();
            let arrival = Arrival {
                provider: Provider::Polar,
                event_id: id,
                kind: event["type"].as_str().expect("a type"),
                api_version: None,
                livemode: None,
                body: &body,
                received_at,
                due_at: received_at,
            };
            let mut conn = self.world.pool.acquire().await.expect("a connection");
            events::insert(&mut conn, arrival).await.expect("it is stored");
            drop(conn);
            self.world.billing.apply_due(received_at).await.expect("the inbox is worked on");
        }
    }

    async fn has(&self, reader: &Reader, at: Timestamp) -> String {
        self.world.has(&reader.account, at).await
    }

    async fn has_now(&self, reader: &Reader) -> String {
        self.has(reader, self.polar.now()).await
    }

    fn days_pass(&self, days: u64) {
        self.polar.advance(Duration::from_secs(days * 86_400)).expect("time passes");
    }

    fn order_of(&self, reader: &Reader, number: usize) -> String {
        let orders = self.polar.orders();
        let mut own = orders.iter().filter(|order| order["subscription_id"] == reader.subscription.as_str());
        own.nth(number).expect("an order")["id"].as_str().expect("an id").to_owned()
    }

    fn refund(&self, order: String, amount: Option<i64>, status: RefundStatus) -> String {
        let new = NewRefund { order, amount, status, reason: RefundReason::default() };
        self.polar.refund(&new).expect("a refund")
    }
}

fn of_kind(told: &[Told], kind: &str) -> Vec<Told> {
    told.iter().filter(|(_, event)| event["type"] == kind).cloned().collect()
}

fn without(told: &[Told], prefix: &str) -> Vec<Told> {
    told.iter()
        .filter(|(_, event)| !event["type"].as_str().is_some_and(|kind| kind.starts_with(prefix)))
        .cloned()
        .collect()
}

/// Everything that can happen to a subscription but its end; it runs at the end. Two months have 59 to 62 days, and three
/// at least 89; payments that failed are tried again for three weeks.
fn live(scene: &Scene, reader: &Reader) {
    let (polar, id) = (&scene.polar, reader.subscription.as_str());
    polar.cancel(id).expect("canceled");
    polar.uncancel(id).expect("taken back");
    polar.pause(id, PauseAt::Now, None).expect("paused");
    polar.resume(id).expect("resumed");
    scene.days_pass(35);
    polar.set_card(&reader.customer, Card::Declined).expect("a card");
    scene.days_pass(30);
    polar.set_card(&reader.customer, Card::Good).expect("a card");
    scene.days_pass(20);
    polar.change_product(id, "more").expect("another product");
    polar.cancel(id).expect("canceled");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_life_ends_the_same_in_any_order_and_told_twice(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::new(options, connect).await;
    for seed in 0..12 {
        let reader = scene.reader(&format!("reader-{seed}"));
        live(&scene, &reader);
        let is_over = seed % 3 == 0;
        if is_over {
            scene.polar.revoke(&reader.subscription).expect("revoked");
        }
        let mut told = scene.told(&reader);
        assert!(told.len() > 30, "{}", told.len());
        if seed > 0 {
            told.shuffle(&mut StdRng::seed_from_u64(seed));
        }
        scene.take_in(&told).await;
        scene.take_in(&told[..10]).await;
        let expected = if is_over { ["free none", "free none"] } else { ["team canceling", "free none"] };
        let later = scene.polar.now() + TimeDelta::days(40);
        assert_eq!([scene.has_now(&reader).await, scene.has(&reader, later).await], expected, "seed {seed}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customers_state_makes_up_for_what_was_lost(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::new(options, connect).await;
    let reader = scene.reader("reader");
    let states = |from: usize| of_kind(&scene.told(&reader)[from..], "customer.state_changed");
    scene.take_in(&states(0)).await;
    assert_eq!(scene.has_now(&reader).await, "paid active", "nothing else was told");
    let seen = scene.told(&reader).len();
    scene.polar.revoke(&reader.subscription).expect("revoked");
    let (before, revoked) = (states(0), states(seen));
    scene.take_in(&revoked).await;
    assert_eq!(scene.has_now(&reader).await, "free none", "the end was never told");
    for old in before {
        let again = (format!("again-{}", old.0), old.1);
        scene.take_in(&[again]).await;
    }
    assert_eq!(scene.has_now(&reader).await, "free none", "what is older changes nothing");
    let new = Subscribe { customer: reader.customer.clone(), product: "more".into(), ..Subscribe::default() };
    let seen = scene.told(&reader).len();
    scene.polar.subscribe(new).expect("a subscription");
    scene.take_in(&states(seen)).await;
    assert_eq!(scene.has_now(&reader).await, "team active");
}

#[sqlx::test(migrations = "../migrations")]
async fn who_has_to_pay_again_is_given_time_although_nothing_runs(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::new(options, connect).await;
    let reader = scene.reader("reader");
    scene.polar.set_card(&reader.customer, Card::Declined).expect("a card");
    scene.days_pass(32);
    let told = scene.told(&reader);
    assert!(!of_kind(&told, "subscription.past_due").is_empty());
    scene.take_in(&told).await;
    assert_eq!(scene.has_now(&reader).await, "paid past_due", "its customer's state does not name it");
    assert_eq!(scene.has(&reader, scene.polar.now() + TimeDelta::days(15)).await, "free none");
    let late = scene.reader("late");
    scene.polar.set_card(&late.customer, Card::Declined).expect("a card");
    scene.days_pass(32);
    let mut told = scene.told(&late);
    told.reverse();
    scene.take_in(&told).await;
    assert_eq!(scene.has_now(&late).await, "paid past_due", "nor when all came in reverse");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_a_full_refund_of_what_runs_ends_it(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::new(options, connect).await;
    for seed in 0..6 {
        let reader = scene.reader(&format!("reader-{seed}"));
        scene.days_pass(32);
        let shuffled = |told: Vec<Told>| {
            let mut told = told;
            told.shuffle(&mut StdRng::seed_from_u64(seed));
            told
        };
        scene.refund(scene.order_of(&reader, 0), None, RefundStatus::Succeeded);
        scene.refund(scene.order_of(&reader, 1), Some(699), RefundStatus::Succeeded);
        let pending = scene.refund(scene.order_of(&reader, 1), Some(1), RefundStatus::Pending);
        scene.take_in(&shuffled(scene.told(&reader))).await;
        assert_eq!(scene.has_now(&reader).await, "paid active", "seed {seed}: last month, and a part of this one");
        let seen = scene.told(&reader).len();
        scene.polar.set_refund(&pending, RefundStatus::Succeeded).expect("decided");
        let mut rest = scene.told(&reader).split_off(seen);
        // Either of the two says enough.
        let kind = if seed % 2 == 0 { "order." } else { "refund." };
        rest = without(&rest, kind);
        scene.take_in(&shuffled(rest)).await;
        let later = scene.polar.now() + TimeDelta::seconds(1);
        assert_eq!(scene.has(&reader, later).await, "free none", "seed {seed}: without {kind}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_that_is_deleted_has_nothing_left(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::new(options, connect).await;
    for (name, kept) in [("told", "customer.deleted"), ("in-its-state", "customer.state_changed")] {
        let reader = scene.reader(name);
        scene.take_in(&scene.told(&reader)).await;
        assert_eq!(scene.has_now(&reader).await, "paid active");
        let seen = scene.told(&reader).len();
        scene.polar.delete_customer(&reader.customer).expect("deleted");
        let last = of_kind(&scene.told(&reader)[seen..], kept);
        assert!(!last.is_empty(), "{kept}");
        scene.take_in(&last).await;
        let later = scene.polar.now() + TimeDelta::seconds(1);
        assert_eq!(scene.has(&reader, later).await, "free none", "{kept} alone");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn metadata_names_the_account_where_the_site_set_no_id(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::new(options, connect).await;
    let account = &scene.world.account;
    let customer = scene.polar.create_customer(NewCustomer::default()).expect("a customer");
    let metadata = [("account".to_owned(), account.to_string())].into_iter().collect();
    let new = Subscribe { customer, product: "basic".into(), metadata, ..Subscribe::default() };
    scene.polar.subscribe(new).expect("a subscription");
    let told = scene.polar.events();
    let (others, own): (Vec<Told>, Vec<Told>) =
        told.into_iter().partition(|(_, event)| event["type"] == "customer.state_changed");
    scene.take_in(&others).await;
    assert_eq!(scene.world.has(account, scene.polar.now()).await, "free none", "an e-mail address names nobody");
    scene.take_in(&own).await;
    assert_eq!(scene.world.has(account, scene.polar.now()).await, "paid active");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_one_provider_ends_the_other_still_gives(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = contract::world(options, connect).await;
    let [stripe, polar] = VOICES.map(|voice| Stage { account: world.account.clone(), ..Stage::new(&world, voice) });
    for stage in [&stripe, &polar] {
        stage.tell(&stage.linked("evt-1", "c-1")).await;
        stage.tell(&stage.voice.subscription("evt-2", "c-1", &stage.standing(Status::Active, 0))).await;
    }
    for (number, stage) in [(3, &stripe), (4, &polar)] {
        assert_eq!(polar.has(world.at(60)).await, "paid active");
        let ended = Standing { at: world.at(number), ..stage.standing(Status::Ended, 0) };
        stage.tell(&stage.voice.subscription(&format!("evt-{number}"), "c-1", &ended)).await;
    }
    assert_eq!(polar.has(world.at(60)).await, "free none", "then nothing is left");
}

#[sqlx::test(migrations = "../migrations")]
async fn with_a_token_what_polar_says_now_counts(options: PgPoolOptions, connect: PgConnectOptions) {
    let scene = Scene::asking(options, connect).await;
    let reader = scene.reader("reader");
    let told = scene.told(&reader);
    scene.polar.revoke(&reader.subscription).expect("revoked");
    scene.take_in(&told).await;
    assert_eq!(scene.has_now(&reader).await, "free none", "though every event said that it runs");
    assert!(scene.polar.calls().keys().any(|call| call.contains("/v1/subscriptions")), "{:?}", scene.polar.calls());
}

#[sqlx::test(migrations = "../migrations")]
async fn with_a_token_a_life_ends_the_same_in_any_order_though_calls_fail(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let scene = Scene::asking(options, connect).await;
    for seed in 0..4 {
        let reader = scene.reader(&format!("reader-{seed}"));
        live(&scene, &reader);
        let mut told = scene.told(&reader);
        told.shuffle(&mut StdRng::seed_from_u64(seed));
        let (some, rest) = told.split_at(told.len() / 2);
        let refused = Fault { count: 5, ..Fault::next(FaultKind::TooManyRequests { retry_after_secs: 60 }) };
        scene.polar.fail_calls(refused).expect("planned");
        scene.take_in(some).await;
        scene.take_in(rest).await;
        assert_eq!(scene.has_now(&reader).await, "team canceling", "seed {seed}");
        scene.polar.revoke(&reader.subscription).expect("revoked");
        scene.take_in(&scene.told(&reader).split_off(told.len())[..1]).await;
        assert_eq!(scene.has_now(&reader).await, "free none", "seed {seed}: one hint is enough");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_names_no_customer_is_emptied_once_its_account_is_erased(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let mut scene = Scene::new(options, connect).await;
    let reader = scene.reader("reader");
    scene.polar.revoke(&reader.subscription).expect("revoked");
    let told = scene.told(&reader);
    scene.take_in(&told).await;
    let (cancel, asker, rehearsal) = (Cancel::Refuse, Asker::Operator, Rehearsal::No);
    let wish = EraseWish { account: &reader.account, cancel, id: None, asker, rehearsal };
    scene.world.billing.erase_account(wish).await.expect("it goes");
    let mut later: Vec<Value> = Vec::new();
    for kind in ["subscription.updated", "subscription.revoked", "order.paid", "order.created"] {
        let (_, mut event) = of_kind(&told, kind).pop().expect(kind);
        let object = event["data"].as_object_mut().expect("an object");
        object.remove("customer");
        object.insert("customer_id".into(), Value::Null);
        later.push(event);
    }
    let moment = later[0]["timestamp"].clone();
    let open = |fields: Value| {
        let mut checkout = json!({ "id": "c-1", "status": "open", "customer_id": null });
        checkout.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        json!({ "type": "checkout.updated", "timestamp": moment, "data": checkout })
    };
    later.push(open(json!({ "external_customer_id": reader.account })));
    later.push(open(json!({ "metadata": { "account": reader.account } })));
    later.push(open(json!({ "customer_metadata": { "account": reader.account } })));
    let order = scene.order_of(&reader, 0);
    later.push(json!({ "type": "order.updated", "timestamp": moment, "data": {
        "id": order, "status": "paid", "created_at": moment, "metadata": { "account": reader.account },
    } }));
    let mut away = settings();
    away.polar.access_token = Some(Secret::from(TOKEN));
    for can_be_asked in [false, true] {
        if can_be_asked {
            // Nothing listens there.
            scene.world.billing = billing_on(&scene.world.pool, away.clone(), None);
        }
        for (number, event) in later.iter().enumerate() {
            let mut event = event.clone();
            event["data"]["customer_email"] = json!("reader@read.example");
            let id = format!("late-{can_be_asked}-{number}");
            scene.take_in(&[(id.clone(), event.clone())]).await;
            let (line, body) = scene.world.billing.event(&id).await.expect("the inbox").expect("the event");
            let erased = line.reason.as_deref().is_some_and(|reason| reason.starts_with("erased"));
            assert!(line.state == "ignored" && erased && body.is_empty(), "{line:?}: {event}");
            assert_eq!((line.account, line.customer_id), (None, None), "{event}");
        }
    }
}
