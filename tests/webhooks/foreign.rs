//! Events of customers that are of no account here: asked about once, and not kept.

use std::time::Duration;

use demo::provider::{NewCustomer, Provider, Shape, Subscribe};

use crate::world::http::client;
use crate::world::provider::API_KEY;
use crate::world::stripe::{checkout_completed, unique};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World, eventually, send, token};

async fn world() -> World {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    // The comparisons of the start ask, too.
    eventually("the comparisons of the start are over", async || {
        let over = "select count(*) from reconciliations where provider = 'stripe' and ended_at is not null";
        (number(&world, over, "").await == 2).then_some(())
    })
    .await;
    world
}

/// A customer of another shop on the same account of the provider, with a subscription.
fn stranger(provider: &Provider) -> (String, String) {
    let customer = provider.create_customer(NewCustomer::default()).expect("there is room");
    let order = Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
    let subscription = provider.subscribe(order).expect("it begins");
    (customer, subscription)
}

/// One number about one thing, which the query may leave out.
async fn number(world: &World, query: &'static str, about: &str) -> i64 {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let query = format!("with about as (select $1::text as it) {query}");
    let number = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(about).fetch_one(&mut connection).await;
    number.expect("a number")
}

/// Waits until everything that was told is worked off.
async fn calm(world: &World) {
    let provider = world.provider.as_ref().expect("this world has one");
    provider.settled(DEADLINE).await.expect("everything is delivered");
    eventually("the inbox is worked off", async || {
        (number(world, "select count(*) from webhook_events where next_attempt_at is not null", "").await == 0)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn b16_events_of_a_stranger_are_asked_about_once_and_leave_no_body() {
    let world = world().await;
    let provider = world.provider.as_ref().expect("this world has one");
    provider.forget_calls();
    let (customer, _) = stranger(provider);
    calm(&world).await;
    provider.forget_calls();
    provider.advance(Duration::from_secs(65 * 86_400)).expect("two renewals");
    let invoice = provider.invoices().pop().expect("an invoice")["id"].as_str().expect("an id").to_owned();
    provider.refund(&invoice, None).expect("refunded");
    provider.dispute(&invoice, "needs_response").expect("disputed");
    calm(&world).await;
    let asked = ["/v1/subscriptions", "/v1/customers", "/v1/invoices", "/v1/charges", "/v1/disputes", "/v1/refunds"];
    let again: Vec<_> =
        provider.calls().into_keys().filter(|call| asked.iter().any(|kind| call.contains(kind))).collect();
    assert!(again.is_empty(), "it is known whose they are not: {again:?}");
    // The payment of an invoice names no account.
    let personal =
        "select count(*) from webhook_events where octet_length(body) > 0 and type <> 'invoice_payment.paid'";
    assert_eq!(number(&world, personal, &customer).await, 0, "{:?}", kinds_kept(&world).await);
    let about_them = "select count(*) from webhook_events where type like 'customer.subscription.%' and customer_id = (select it from about)";
    let events = number(&world, about_them, &customer).await;
    assert!(events >= 3, "{events} events");
    // The subscription, and who its customer is.
    let calls: u64 = provider.calls().values().sum();
    let all = number(&world, "select count(*) from webhook_events", "").await;
    assert!(
        calls <= 2 * u64::try_from(all).expect("a count"),
        "{calls} calls for {all} events: {:?}",
        provider.calls()
    );
    let kept = "select count(*) from webhook_events where customer_id = (select it from about)
        and (state = 'parked' or (type like 'customer.subscription.%'
            and (state <> 'ignored' or octet_length(body) > 0 or reason not like '%of no account here%')))";
    assert_eq!(number(&world, kept, &customer).await, 0);
    let parked = world.billing().metric("tollgate_inbox", &["state=\"parked\""]).await;
    assert!(parked == 0.0, "{parked} are parked");
}

/// The types of events whose bodies are kept.
async fn kinds_kept(world: &World) -> Vec<String> {
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let kinds = "select distinct type || ' ' || state || ' ' || coalesce(reason, '') from webhook_events where octet_length(body) > 0";
    sqlx::query_scalar(kinds).fetch_all(&mut connection).await.expect("they can be read")
}

/// Writes the account into the metadata of a customer, at the provider.
async fn name(world: &World, customer: &str, account: &str) {
    let provider = world.provider.as_ref().expect("this world has one");
    let request = client().post(format!("{}/v1/customers/{customer}", provider.url())).bearer_auth(API_KEY);
    let named = send(request.form(&[("metadata[account]", account)])).await;
    assert_eq!(named.status, 200, "{named:?}");
}

#[tokio::test]
async fn b16_a_stranger_is_known_as_soon_as_anything_names_its_account() {
    let world = world().await;
    let provider = world.provider.as_ref().expect("this world has one");
    let (told, compared, asked) = (stranger(provider), stranger(provider), stranger(provider));
    calm(&world).await;
    let (by_event, by_comparison, by_time) = (unique("told"), unique("compared"), unique("asked"));
    name(&world, &told.0, &by_event).await;
    world.everywhere("/premium/one", &token(&by_event), 200).await;
    provider.set_telling(demo::provider::Telling::Silent);
    name(&world, &compared.0, &by_comparison).await;
    name(&world, &asked.0, &by_time).await;
    let known = "select count(*) from foreign_customers where customer_id = (select it from about)";
    assert_eq!(number(&world, known, &asked.0).await, 1);
    // The answer counts for a day.
    let mut connection = world.database.as_ref().expect("a database").connect().await;
    let older = "update foreign_customers set asked_at = asked_at - interval '1 day'";
    sqlx::query(older).execute(&mut connection).await.expect("they can be written");
    provider.set_telling(demo::provider::Telling::Aloud);
    provider.change_price(&asked.1, "price_annual", demo::provider::Proration::None).expect("changed");
    world.everywhere("/premium/one", &token(&by_time), 200).await;
    world.tollgate(&["reconcile"]).await.success();
    world.everywhere("/premium/one", &token(&by_comparison), 200).await;
    for customer in [&told.0, &compared.0, &asked.0] {
        assert_eq!(number(&world, known, customer).await, 0, "it is linked");
    }
}

#[tokio::test]
async fn b16_a_link_brings_a_stranger_back_by_comparison() {
    let world = world().await;
    let provider = world.provider.as_ref().expect("this world has one");
    let (by_hand, by_checkout) = (stranger(provider), stranger(provider));
    calm(&world).await;
    // What became of it since, nobody has told.
    provider.set_telling(demo::provider::Telling::Silent);
    let order = Subscribe { customer: by_hand.0.clone(), price: "price_annual".into(), ..Subscribe::default() };
    provider.subscribe(order).expect("it begins");
    provider.set_telling(demo::provider::Telling::Aloud);
    let (owner, buyer) = (unique("owner"), unique("buyer"));
    let named = format!("stripe:{}", by_hand.0);
    let unknown = world.tollgate(&["link", &owner, &named]).await;
    assert!(unknown.failure().contains("Nothing is known of the account"), "{unknown:?}");
    world.tollgate(&["link", &owner, &named, "--yes"]).await.success();
    world.everywhere("/premium/one", &token(&owner), 200).await;
    let has_both = "select count(*) from subscriptions where account = (select it from about)";
    eventually("both are known", async || (number(&world, has_both, &owner).await == 2).then_some(())).await;

    world.applied(&checkout_completed(Some(&buyer), &by_checkout.0, &by_checkout.1)).await;
    world.everywhere("/premium/one", &token(&buyer), 200).await;
    calm(&world).await;
}

#[tokio::test]
async fn a_link_brings_what_no_event_has_told() {
    let world = world().await;
    let provider = world.provider.as_ref().expect("this world has one");
    provider.set_telling(demo::provider::Telling::Silent);
    let (customer, _) = stranger(provider);
    provider.set_telling(demo::provider::Telling::Aloud);
    let (owner, named) = (unique("owner"), format!("stripe:{customer}"));
    let keyless = world.tollgate_with(("STRIPE_API_KEY", ""), &["link", &owner, &named, "--yes"]).await;
    assert!(keyless.stderr.contains("comes with its next event"), "{keyless:?}");
    keyless.success();
    assert_eq!(
        number(&world, "select count(*) from subscriptions where customer_id = (select it from about)", &customer)
            .await,
        0
    );
    world.tollgate(&["link", &owner, &named, "--yes"]).await.success();
    world.everywhere("/premium/one", &token(&owner), 200).await;
}

#[tokio::test]
async fn b16_a_customer_that_names_its_account_itself_is_no_stranger() {
    let world = world().await;
    let provider = world.provider.as_ref().expect("this world has one");
    let account = unique("account");
    // From before the endpoint was there: nobody was told of the customer.
    provider.set_telling(demo::provider::Telling::Silent);
    let metadata = [("account".to_owned(), account.clone())].into();
    let customer = provider.create_customer(NewCustomer { metadata, ..NewCustomer::default() }).expect("room");
    provider.set_telling(demo::provider::Telling::Aloud);
    let order = Subscribe { customer, price: "price_monthly".into(), ..Subscribe::default() };
    provider.subscribe(order).expect("it begins");
    world.everywhere("/premium/one", &token(&account), 200).await;
    calm(&world).await;
}
