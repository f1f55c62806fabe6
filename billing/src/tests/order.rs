//! The order in which events come in does not change what they leave behind.

use chrono::TimeDelta;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, checkout, event, with};

/// All orders of a few things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = things.split_first() else { return vec![Vec::new()] };
    let insert = |order: Vec<T>| {
        (0..=order.len())
            .map(move |place| [&order[..place], std::slice::from_ref(first), &order[place..]].concat())
            .collect::<Vec<_>>()
    };
    // `first` is moved into the closure's products only by clone.
    orders(rest).into_iter().flat_map(insert).collect()
}

/// The events with every name made that of one run, so that all runs share a database.
fn renamed(events: &[Value], run: usize) -> Vec<Value> {
    let text = serde_json::to_string(events).expect("it encodes").replace("RUN", &run.to_string());
    serde_json::from_str(&text).expect("it decodes")
}

fn account(name: &str, run: usize) -> AccountId {
    AccountId::parse(&format!("{name}-{run}")).expect("an id")
}

/// Applies the events in every order, and says what is left of each run at some later moments.
pub async fn outcomes(world: &World, events: &[Value], accounts: &[&str]) -> Vec<Vec<String>> {
    let mut outcomes = Vec::new();
    for (run, order) in orders(events).into_iter().enumerate() {
        world.apply(&renamed(&order, run)).await;
        let mut left = Vec::new();
        for name in accounts {
            for days in [0, 20, 40, 100] {
                let at = world.now + TimeDelta::days(days);
                left.push(format!("{name} {days}: {}", world.has(&account(name, run), at).await));
            }
        }
        outcomes.push(left);
    }
    outcomes
}

#[sqlx::test(migrations = "../migrations")]
async fn a_life_from_checkout_to_a_scheduled_end_ends_the_same_in_every_order(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let object = active("cus_RUN", "sub_RUN", "price_monthly", world.now);
    let incomplete = with(&object, &json!({ "status": "incomplete" }));
    let canceling = with(&object, &json!({ "cancel_at": (world.now + TimeDelta::days(30)).timestamp() }));
    let ann = AccountId::parse("ann-RUN").expect("an id");
    let events = [
        checkout("evt_1_RUN", "cus_RUN", "sub_RUN", &ann, world.now),
        event("evt_2_RUN", "customer.subscription.created", world.now, &incomplete),
        event("evt_3_RUN", "customer.subscription.updated", world.now, &object),
        event("evt_4_RUN", "customer.subscription.updated", world.at(5), &canceling),
        event("evt_5_RUN", "invoice.paid", world.now, &json!({ "customer": "cus_RUN" })),
    ];
    let outcomes = outcomes(&world, &events, &["ann"]).await;
    assert_eq!(outcomes.len(), 120);
    for outcome in &outcomes {
        assert_eq!(
            outcome,
            &["ann 0: paid canceling", "ann 20: paid canceling", "ann 40: free none", "ann 100: free none"]
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn one_customer_that_pays_for_two_accounts_pays_for_both_in_every_order(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let (ann, bob) = (AccountId::parse("ann-RUN").expect("an id"), AccountId::parse("bob-RUN").expect("an id"));
    let told = |id: &str, sub: &str, price: &str| {
        event(id, "customer.subscription.created", world.now, &active("cus_RUN", sub, price, world.now))
    };
    let events = [
        checkout("evt_1_RUN", "cus_RUN", "sub_1_RUN", &ann, world.at(-9)),
        checkout("evt_2_RUN", "cus_RUN", "sub_2_RUN", &bob, world.at(-5)),
        told("evt_3_RUN", "sub_1_RUN", "price_monthly"),
        told("evt_4_RUN", "sub_2_RUN", "price_team"),
    ];
    for outcome in outcomes(&world, &events, &["ann", "bob"]).await {
        assert_eq!((outcome[0].as_str(), outcome[4].as_str()), ("ann 0: paid active", "bob 0: team active"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a6_a_checkout_takes_what_it_bought_from_what_metadata_names_in_every_order(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let (ann, bob) = (AccountId::parse("ann-RUN").expect("an id"), AccountId::parse("bob-RUN").expect("an id"));
    let object = active("cus_RUN", "sub_RUN", "price_monthly", world.now);
    let named = with(&object, &json!({ "metadata": { "account": bob } }));
    let customer = json!({ "id": "cus_RUN", "metadata": { "account": bob } });
    let events = [
        checkout("evt_1_RUN", "cus_RUN", "sub_RUN", &ann, world.now),
        event("evt_2_RUN", "customer.subscription.created", world.now, &named),
        event("evt_3_RUN", "customer.updated", world.now, &customer),
    ];
    for outcome in outcomes(&world, &events, &["ann", "bob"]).await {
        assert_eq!((outcome[0].as_str(), outcome[4].as_str()), ("ann 0: paid active", "bob 0: free none"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a6_a_checkout_for_another_account_leaves_what_metadata_alone_names_in_every_order(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let (child, parent) = (AccountId::parse("ann-RUN").expect("an id"), AccountId::parse("bob-RUN").expect("an id"));
    let named = json!({ "metadata": { "account": parent } });
    let own = with(&active("cus_RUN", "sub_RUN", "price_team", world.now), &named);
    let gift = active("cus_RUN", "sub_gift_RUN", "price_monthly", world.now);
    let customer = with(&json!({ "id": "cus_RUN" }), &named);
    let events = [
        event("evt_1_RUN", "customer.created", world.at(-9), &customer),
        event("evt_2_RUN", "customer.subscription.created", world.now, &own),
        checkout("evt_3_RUN", "cus_RUN", "sub_gift_RUN", &child, world.at(-5)),
        event("evt_4_RUN", "customer.subscription.created", world.now, &gift),
    ];
    for (run, outcome) in outcomes(&world, &events, &["ann", "bob"]).await.iter().enumerate() {
        assert_eq!((outcome[0].as_str(), outcome[4].as_str()), ("ann 0: paid active", "bob 0: team active"));
        let customer = world.billing.account_of(Provider::Stripe, &format!("cus_{run}")).await.expect("an answer");
        assert_eq!(customer, Some(account("bob", run)), "portal and invoices are the parent's");
    }
    // Told by the subscription's metadata alone, in whichever order.
    let events = [events[1].clone(), events[2].clone(), events[3].clone()];
    let text = serde_json::to_string(&events).expect("it encodes").replace("RUN", "alone-RUN");
    let events: Vec<Value> = serde_json::from_str(&text).expect("it decodes");
    for outcome in outcomes(&world, &events, &["ann-alone", "bob-alone"]).await {
        assert_eq!(
            (outcome[0].as_str(), outcome[4].as_str()),
            ("ann-alone 0: paid active", "bob-alone 0: team active")
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_checkouts_the_one_begun_first_says_whose_the_customer_is_in_every_order(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let (ann, bob) = (AccountId::parse("ann-RUN").expect("an id"), AccountId::parse("bob-RUN").expect("an id"));
    let object = active("cus_RUN", "sub_of_no_checkout_RUN", "price_monthly", world.now);
    let events = [
        checkout("evt_1_RUN", "cus_RUN", "sub_1_RUN", &bob, world.at(-9)),
        checkout("evt_2_RUN", "cus_RUN", "sub_2_RUN", &ann, world.at(-5)),
        event("evt_3_RUN", "customer.subscription.created", world.now, &object),
    ];
    for outcome in outcomes(&world, &events, &["ann", "bob"]).await {
        assert_eq!((outcome[0].as_str(), outcome[4].as_str()), ("ann 0: free none", "bob 0: paid active"));
    }
}
