//! What goes wrong with webhooks in the wild: one test for each known trap, named after its number.

mod answering;
mod bills;
mod durability;
mod linking;
mod lost;
mod money;
mod order;
mod periods;
mod providers;
mod selling;
mod shapes;
mod status;
mod trust;
mod written_off;

use std::collections::BTreeMap;

use demo::provider::{NewCustomer, Provider, Shape, Subscribe};
use serde_json::Value;

use crate::world::stripe::{checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, token};

/// An account, and the customer at the provider that it is.
struct Buyer {
    account: String,
    token: String,
    customer: String,
}

impl Buyer {
    /// One whose customer a checkout has named, by hand.
    async fn linked(world: &World) -> Self {
        let (account, customer) = (unique("buyer"), unique("cus"));
        world.applied(&checkout_completed(Some(&account), &customer, &unique("sub"))).await;
        Self { token: token(&account), account, customer }
    }

    /// One whose customer the provider has, with the account in its metadata.
    fn at(provider: &Provider) -> Self {
        let account = unique("buyer");
        let metadata = BTreeMap::from([("account".to_owned(), account.clone())]);
        let customer = provider.create_customer(NewCustomer { metadata, ..NewCustomer::default() });
        Self { token: token(&account), account, customer: customer.expect("there is room") }
    }

    /// Begins a monthly subscription at the provider; its id.
    fn subscribes(&self, provider: &Provider) -> String {
        provider.subscribe(self.order("price_monthly")).expect("it begins")
    }

    fn order(&self, price: &str) -> Subscribe {
        Subscribe { customer: self.customer.clone(), price: price.to_owned(), ..Subscribe::default() }
    }

    /// What the account has by the rows, once everything that was told is worked off.
    async fn standing(&self, world: &World) -> Value {
        calm(world).await;
        let answer = world.get("/api/billing/subscription", Some(&self.token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Waits until everything that was told is worked off, and requires that the page is open, or closed, by the rows and
    /// at the gate.
    async fn reads(&self, world: &World, status: u16, what: &str) {
        let standing = self.standing(world).await;
        assert_eq!(standing["tier"] != "free", status == 200, "{what}: {standing}");
        world.everywhere("/premium/one", &self.token, status).await;
    }

    /// How often what the account may use has changed.
    async fn changes(&self, world: &World) -> i64 {
        number(world, "select count(*) from audit_log where account = $1", &self.account).await
    }
}

/// A world whose provider tells what happens there, and can be asked.
async fn shop() -> World {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    // A new process compares everything once: on a busy machine that would see what a test does not want to be seen.
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    eventually("the comparisons of the start are over", async || {
        let over = "select count(*) from reconciliations where provider = 'stripe' and ended_at is not null";
        let over: i64 = sqlx::query_scalar(over).fetch_one(&mut connection).await.expect("they can be read");
        (over == 2).then_some(())
    })
    .await;
    world
}

fn provider(world: &World) -> &Provider {
    world.provider.as_ref().expect("this world has one")
}

/// Waits until everything that was told is worked off.
async fn calm(world: &World) {
    if let Some(provider) = &world.provider {
        provider.settled(DEADLINE).await.expect("everything is delivered");
    }
    world.worked_off().await;
}

/// Asks the database for one number about one thing.
async fn number(world: &World, query: &'static str, about: &str) -> i64 {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let number = sqlx::query_scalar(query).bind(about).fetch_one(&mut connection).await;
    number.unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Runs one statement on the database of the world.
async fn execute(world: &World, statement: &str) {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    crate::world::servers::execute(&mut connection, statement.to_owned()).await;
}

/// The event's state in the inbox, and the reason.
async fn rests(world: &World, event_id: &str) -> (String, String) {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let row: (String, Option<String>) = sqlx::query_as("select state, reason from webhook_events where event_id = $1")
        .bind(event_id)
        .fetch_one(&mut connection)
        .await
        .expect("it is in the inbox");
    (row.0, row.1.unwrap_or_default())
}
