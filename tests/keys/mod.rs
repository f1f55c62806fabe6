//! Keys of a provider: one of another mode or account takes nothing from anybody, and what would take access from many waits
//! for a person.

mod bound;
mod events;
mod gone;
mod live;
mod polar;
mod replaced;
mod wrong;

use std::collections::BTreeMap;

use demo::provider::{CancelAt, NewCustomer, Provider, Shape, Subscribe, Telling};
use serde_json::Value;

use crate::world::stripe::unique;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, token};

/// A setup in which nothing is compared unless a test asks for it.
fn setup() -> Setup {
    let setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive);
    setup.key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"")
}

/// An account with a subscription at the provider.
struct Subscriber {
    account: String,
    token: String,
    subscription: String,
}

impl Subscriber {
    fn at(provider: &Provider) -> Self {
        let account = unique("subscriber");
        let metadata = BTreeMap::from([("account".to_owned(), account.clone())]);
        let customer = NewCustomer { metadata: metadata.clone(), ..NewCustomer::default() };
        let customer = provider.create_customer(customer).expect("there is room");
        let order = Subscribe { customer, price: "price_monthly".to_owned(), metadata, ..Subscribe::default() };
        let subscription = provider.subscribe(order).expect("it begins");
        Self { token: token(&account), account, subscription }
    }

    /// Cancels without a word to anybody.
    fn ends_unheard(&self, provider: &Provider) {
        provider.set_telling(Telling::Silent);
        provider.cancel(&self.subscription, CancelAt::Now).expect("canceled");
        provider.set_telling(Telling::Aloud);
    }

    /// What the account has by the rows.
    async fn tier(&self, world: &World) -> String {
        let answer = world.get("/api/billing/subscription", Some(&self.token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["tier"].as_str().expect("a tier").to_owned()
    }
}

fn provider(world: &World) -> &Provider {
    world.provider.as_ref().expect("this world has one")
}

/// So many subscribers, all of whom are let through.
async fn subscribers(world: &World, count: usize) -> Vec<Subscriber> {
    let subscribers: Vec<_> = (0..count).map(|_| Subscriber::at(provider(world))).collect();
    calm(world).await;
    all_have(world, &subscribers, "paid", "they have just subscribed").await;
    subscribers
}

/// Requires that each has a tier by the rows, and that the gate agrees.
async fn all_have(world: &World, subscribers: &[Subscriber], tier: &str, what: &str) {
    for subscriber in subscribers {
        assert_eq!(subscriber.tier(world).await, tier, "{what}: {}", subscriber.account);
        let status = if tier == "free" { 402 } else { 200 };
        world.everywhere("/premium/one", &subscriber.token, status).await;
    }
}

/// Waits until everything that was told is worked off.
async fn calm(world: &World) {
    provider(world).settled(DEADLINE).await.expect("everything is delivered");
    eventually("the inbox is worked off", async || {
        (number(world, "select count(*) from webhook_events where state = 'pending'").await == 0).then_some(())
    })
    .await;
}

async fn number(world: &World, query: &'static str) -> i64 {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let number = sqlx::query_scalar(query).fetch_one(&mut connection).await;
    number.unwrap_or_else(|error| panic!("{query}: {error}"))
}

async fn execute(world: &World, statement: &str) {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    crate::world::servers::execute(&mut connection, statement.to_owned()).await;
}

/// Waits until the process has logged a line with this text so often.
async fn logged(world: &World, text: &str, times: usize) {
    eventually(&format!("{text:?} is logged {times} times"), async || {
        let log = world.billing().process.log();
        (log.lines().filter(|line| line.contains(text)).count() == times).then_some(())
    })
    .await;
}

/// What a report says of the only comparison of everything in it.
fn full(report: &str) -> Value {
    let reports: Vec<Value> = serde_json::from_str(report).expect("JSON");
    reports.into_iter().find(|report| report["kind"] == "full").expect("everything was compared")
}
