//! A database that goes back while Redis is lost as well: processes that run on are the only ones that remember.

use std::collections::BTreeMap;

use demo::provider::{NewCustomer, Shape, Subscribe};

use super::*;
use crate::world::stripe::Subscription;
use crate::world::{Arrangement, Setup, eventually};

/// Changes are enforced within a second without push. Billing has more time than usual, as the tests share their machine: a denial that it
/// does not confirm in time is none.
fn setup() -> Setup {
    super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"")
}

async fn is_warned(world: &World) {
    eventually("readiness says so", async || {
        let answer = world.billing().admin("/readyz").await;
        (answer.status == 200 && answer.body.contains(ACCEPT)).then_some(())
    })
    .await;
}

/// Until billing says how far the database is, to whoever asks.
async fn billing_says(world: &World) {
    let mut database = world.database.as_ref().expect("this world has a database").connect().await;
    let mark: i64 = sqlx::query_scalar("select max(id) from audit_log").fetch_one(&mut database).await.expect("a mark");
    let mark = format!("\"mark\":{mark}");
    eventually("billing says it", async || {
        let told = client().get(format!("http://{}/internal/told", world.billing().listen.billing));
        send(told).await.body.contains(&mark).then_some(())
    })
    .await;
}

/// The database of a world that runs has again what the dump holds.
fn put_back(world: &World, dumped: &str) {
    let url = &world.database.as_ref().expect("this world has a database").url;
    shell(&format!(
        "psql --quiet --set=ON_ERROR_STOP=1 --single-transaction --dbname='{url}' \
         --command='drop schema public cascade; create schema public' --file='{dumped}'"
    ));
}

/// Until billing has said to every proxy how far the database is; Redis is away then.
async fn proxies_remember(world: &mut World) {
    billing_says(world).await;
    // That the cache cannot be told is heard of with the next look of each proxy.
    world.redis.as_mut().expect("this arrangement has one").kill();
    world.taken(&Reader::new().purchase()).await;
    for proxy in world.proxies() {
        eventually("it has looked", async || {
            proxy.process.log().contains("billing cannot tell the cache of changes").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn proxies_that_ran_on_are_witnesses_when_redis_is_lost_together_with_the_newest_changes() {
    for is_empty in [false, true] {
        let mut world = World::with(setup()).await;
        let (early, leaver) = (buys(&world).await, buys(&world).await);
        let dumped = dump(&world, "before.sql");
        let (late, second) = (buys(&world).await, buys(&world).await);
        ends(&world, &leaver).await;
        proxies_remember(&mut world).await;
        world.processes[0].process.kill();
        world.redis.as_mut().expect("this arrangement has one").restart();
        let database = if is_empty { Postgres::shared().database().await } else { restored(&dumped).await };
        move_to(&mut world, database).await;
        is_warned(&world).await;
        for (reader, status) in [(&early, 200), (&late, 200), (&second, 200), (&leaver, 402)] {
            stays(&world, reader, status).await;
        }
        // What is new counts, above what the proxies have.
        world.applied(&leaver.again().event("created")).await;
        world.everywhere("/premium/again", &leaver.token, 200).await;
        world.applied(&late.purchase()).await;
        ends(&world, &late).await;
        ends(&world, &early).await;
        let new = buys(&world).await;
        ends(&world, &new).await;
        stays(&world, &second, 200).await;
        operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
        world.everywhere("/premium/accepted", &second.token, 402).await;
        world.everywhere("/premium/accepted", &leaver.token, 200).await;
        assert_eq!(warnings(world.billing()).await, [""; 0]);
    }
}

/// The database that billing has now, and whether billing runs on meanwhile.
#[derive(Clone, Copy, Debug)]
enum Then {
    DumpUnderBilling,
    Dump,
    Empty,
}

#[tokio::test]
async fn a_proxy_that_starts_when_redis_and_the_newest_changes_are_lost_serves_as_those_that_ran_on() {
    for then in [Then::DumpUnderBilling, Then::Dump, Then::Empty] {
        let mut world = World::with(setup()).await;
        let (early, leaver) = (buys(&world).await, buys(&world).await);
        let dumped = dump(&world, "before.sql");
        let late = buys(&world).await;
        ends(&world, &leaver).await;
        proxies_remember(&mut world).await;
        match then {
            Then::DumpUnderBilling => put_back(&world, &dumped),
            Then::Dump | Then::Empty => world.processes[0].process.kill(),
        }
        world.redis.as_mut().expect("this arrangement has one").restart();
        match then {
            Then::DumpUnderBilling => {}
            Then::Dump => move_to(&mut world, restored(&dumped).await).await,
            Then::Empty => move_to(&mut world, Postgres::shared().database().await).await,
        }
        is_warned(&world).await;
        let all = [(&early, 200), (&late, 200), (&leaver, 402)];
        for round in ["at once", "when Redis is lost once more"] {
            world.processes[2].restart();
            world.processes[2].ready().await;
            for (reader, status) in all {
                let why = format!("{then:?}, {round}: {status} everywhere");
                eventually(&why, async || {
                    for proxy in world.proxies() {
                        let request = world.request_to(proxy, "GET", "/premium/fresh", Some(&reader.token));
                        if crate::world::http::try_send(request).await.ok()?.status != status {
                            return None;
                        }
                    }
                    Some(())
                })
                .await;
                stays(&world, reader, status).await;
            }
            if round == "at once" {
                world.redis.as_mut().expect("this arrangement has one").restart();
                crate::outage::pushed(&world, 1.0).await;
            }
        }
        // It stands where it is counted.
        let asked = operator(&world, &["database", "accept"]).await;
        assert!(!asked.failure().contains("cannot be counted"), "{then:?}: {asked:?}");
        operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
        world.everywhere("/premium/accepted", &late.token, 402).await;
    }
}

#[tokio::test]
async fn a_database_that_goes_back_under_a_process_that_runs_is_found_by_what_that_remembers() {
    let mut world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let leaver = buys(&world).await;
    let dumped = dump(&world, "before.sql");
    let late = buys(&world).await;
    ends(&world, &leaver).await;
    billing_remembers(&world).await;
    world.redis.as_mut().expect("this arrangement has one").kill();
    put_back(&world, &dumped);
    world.redis.as_mut().expect("this arrangement has one").restart();
    is_warned(&world).await;
    stays(&world, &late, 200).await;
    stays(&world, &leaver, 402).await;
    world.applied(&leaver.again().event("created")).await;
    world.everywhere("/premium/again", &leaver.token, 200).await;
}

#[tokio::test]
async fn what_happens_while_redis_is_lost_is_remembered_as_well() {
    let mut world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let (early, leaver) = (buys(&world).await, buys(&world).await);
    billing_remembers(&world).await;
    let dumped = dump(&world, "before.sql");
    world.redis.as_mut().expect("this arrangement has one").kill();
    world.taken(&leaver.end()).await;
    world.everywhere("/premium/ended", &leaver.token, 402).await;
    billing_says(&world).await;
    put_back(&world, &dumped);
    world.redis.as_mut().expect("this arrangement has one").restart();
    is_warned(&world).await;
    stays(&world, &early, 200).await;
    world.applied(&early.end()).await;
    world.everywhere("/premium/ended", &early.token, 402).await;
}

#[tokio::test]
async fn a_held_payer_keeps_access_when_another_purchase_of_the_account_fails() {
    let setup = super::of(Arrangement::AllPostgresRedis).provider(Shape::Endive);
    let setup = setup.key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"");
    let mut world = World::with(setup).await;
    let dumped = dump(&world, "before.sql");
    let reader = Reader::new();
    let metadata = BTreeMap::from([("account".to_owned(), reader.account.clone())]);
    let customer = {
        let provider = world.provider.as_ref().expect("this world has one");
        let customer = NewCustomer { metadata: metadata.clone(), ..NewCustomer::default() };
        let customer = provider.create_customer(customer).expect("there is room");
        let order = Subscribe {
            customer: customer.clone(),
            price: "price_monthly".to_owned(),
            metadata: metadata.clone(),
            ..Subscribe::default()
        };
        provider.subscribe(order).expect("it begins");
        customer
    };
    world.everywhere("/premium/bought", &reader.token, 200).await;
    billing_remembers(&world).await;
    move_to(&mut world, restored(&dumped).await).await;
    is_warned(&world).await;
    stays(&world, &reader, 200).await;
    // Another one that is never paid for: the database knows of none that is.
    let metadata = Some(reader.account.clone());
    let another = Subscription { metadata, status: "incomplete", ..Subscription::of(&customer) };
    world.applied(&another.event("created")).await;
    stays(&world, &reader, 200).await;
}
