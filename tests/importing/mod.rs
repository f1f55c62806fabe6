//! From what exists: accounts from a table, customers and subscriptions from a provider that sold before.

mod accounts;
mod migrating;
mod stripe;
mod unlinked;

use std::collections::BTreeMap;

use demo::provider::{NewCustomer, Provider, Shape, Subscribe, Telling};
use serde_json::Value;

use crate::world::provider::API_KEY;
use crate::world::{Arrangement, Output, Setup, World, token};

/// A world whose provider sold before Tollgate was there: it sends no events, and nothing is compared by itself.
async fn world() -> World {
    let setup = Setup::new(Arrangement::AllPostgresRedis).provider(Shape::Endive);
    let world = World::with(setup.key("reconcile.full", "\"0s\"").key("reconcile.delta", "\"0s\"")).await;
    provider(&world).set_telling(Telling::Silent);
    world
}

fn provider(world: &World) -> &Provider {
    world.provider.as_ref().expect("this world has one")
}

/// `account` as metadata.
fn naming(key: &str, account: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), account.to_owned())])
}

/// A customer with this metadata.
fn customer(world: &World, metadata: BTreeMap<String, String>) -> String {
    provider(world).create_customer(NewCustomer { metadata, ..NewCustomer::default() }).expect("there is room")
}

/// A customer with a monthly subscription.
fn payer(world: &World, of_customer: BTreeMap<String, String>, of_subscription: BTreeMap<String, String>) -> String {
    let customer = customer(world, of_customer);
    subscribed(world, &customer, "price_monthly", of_subscription);
    customer
}

fn subscribed(world: &World, customer: &str, price: &str, metadata: BTreeMap<String, String>) -> String {
    let (customer, price) = (customer.to_owned(), price.to_owned());
    provider(world).subscribe(Subscribe { customer, price, metadata, ..Subscribe::default() }).expect("it begins")
}

/// A checkout for a customer, gone through, as a site of its own opens it.
async fn checkout(world: &World, customer: &str, account: &str) {
    let form = [
        ("mode", "subscription"),
        ("customer", customer),
        ("line_items[0][price]", "price_monthly"),
        ("client_reference_id", account),
        ("success_url", "https://read.example/thanks"),
    ];
    let url = format!("{}/v1/checkout/sessions", provider(world).url());
    let answer = crate::world::send(crate::world::http::client().post(url).bearer_auth(API_KEY).form(&form)).await;
    let session: Value = serde_json::from_str(&answer.body).expect("a session");
    provider(world).complete_checkout(session["id"].as_str().expect("an id")).expect("it is paid");
}

/// Imports a table; its options stand behind the file.
async fn table(world: &World, text: impl AsRef<[u8]>, options: &[&str]) -> Output {
    let path = world.dir().join("accounts.csv");
    std::fs::write(&path, text).expect("written");
    let mut arguments = vec!["import", "accounts", path.to_str().expect("UTF-8")];
    arguments.extend(options);
    world.tollgate(&arguments).await
}

async fn number(world: &World, query: &'static str) -> i64 {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("a number")
}

/// The status with which the first request of an account is answered.
async fn first(world: &World, account: &str) -> u16 {
    world.get("/premium/one", Some(&token(account))).await.status
}
