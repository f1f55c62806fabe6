//! What is never told: events that got lost or were never made, and what the provider no longer has.

use demo::provider::{CancelAt, Fault, FaultKind, Shape, Telling};
use serde_json::json;

use super::{Buyer, calm, execute, number, provider, shop};
use crate::world::setup::CATALOG;
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, Setup, World, eventually, token};

#[tokio::test]
async fn w24_what_was_never_told_is_made_good_by_comparing() {
    let world = shop().await;
    let provider = provider(&world);
    // Made, but never delivered: the provider lists them.
    let late = Buyer::at(provider);
    calm(&world).await;
    provider.hold();
    late.subscribes(provider);
    for event in provider.waiting() {
        provider.discard(&event).expect("it waits");
    }
    provider.release();
    late.reads(&world, 402, "nobody was told").await;
    provider.fail_calls(busy("/v1/events")).expect("there is room");
    world.tollgate(&["reconcile", "--events"]).await.success();
    late.reads(&world, 200, "the events were taken over").await;

    // Never even made: only the objects know.
    let (begins, ends) = (Buyer::at(provider), Buyer::at(provider));
    let over = ends.subscribes(provider);
    ends.reads(&world, 200, "it runs").await;
    provider.set_telling(Telling::Silent);
    begins.subscribes(provider);
    provider.cancel(&over, CancelAt::Now).expect("canceled");
    provider.set_telling(Telling::Aloud);
    world.tollgate(&["reconcile", "--events"]).await.success();
    begins.reads(&world, 402, "no event tells of it").await;
    ends.reads(&world, 200, "no event tells of it").await;
    provider.fail_calls(busy("/v1/subscriptions")).expect("there is room");
    let report = world.tollgate(&["reconcile", "--json"]).await.success();
    assert!(report.contains("\"drift\": 2"), "{report}");
    begins.reads(&world, 200, "compared").await;
    ends.reads(&world, 402, "compared").await;
    let report = world.tollgate(&["reconcile", "--json"]).await.success();
    assert!(
        !report.contains("\"drift\": 2") && report.contains("\"drift\": 0"),
        "and nothing is left to repair: {report}"
    );

    by_itself().await;
}

/// With nobody to run a command: a process that starts compares what is due.
async fn by_itself() {
    let setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive);
    let mut world = World::with(setup).await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    let subscription = buyer.subscribes(provider);
    buyer.reads(&world, 200, "it runs").await;
    provider.set_telling(Telling::Silent);
    provider.cancel(&subscription, CancelAt::Now).expect("canceled");
    buyer.reads(&world, 200, "nobody was told").await;
    let ended = "select count(*) from reconciliations where ended_at is not null and provider = $1";
    eventually("it has compared", async || (number(&world, ended, "stripe").await == 2).then_some(())).await;
    execute(&world, "update reconciliations set ended_at = ended_at - interval '1 day'").await;
    world.processes[0].restart();
    world.processes[0].ready().await;
    world.everywhere("/premium/one", &buyer.token, 402).await;
}

/// "Too many requests", once.
fn busy(path: &str) -> Fault {
    Fault { kind: FaultKind::TooManyRequests { retry_after_secs: 0 }, path: path.to_owned(), count: 1 }
}

#[tokio::test]
async fn a_dispute_that_only_a_comparison_finds_is_told_with_its_account() {
    let world = shop().await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    calm(&world).await;
    // Of the payment nobody was told, either.
    provider.set_telling(Telling::Silent);
    let subscription = buyer.subscribes(provider);
    let invoices = provider.invoices();
    let invoice = invoices.iter().find(|invoice| invoice.to_string().contains(&subscription)).expect("an invoice");
    let dispute = provider.dispute(invoice["id"].as_str().expect("an id"), "needs_response").expect("disputed");
    let compared = world.tollgate(&["reconcile"]).await;
    let told = compared.stderr.lines().find(|line| line.contains(&dispute));
    let told = told.unwrap_or_else(|| panic!("it is told: {compared:?}"));
    assert!(told.contains("a payment is disputed") && told.contains(&buyer.account), "{told}");
    let again = world.tollgate(&["reconcile"]).await;
    assert!(!again.stderr.contains(&dispute), "once: {again:?}");
    buyer.reads(&world, 402, "its bank has taken the money for now").await;
}

#[tokio::test]
async fn w25_comparing_looks_at_what_is_over_and_ends_nothing_that_is_gone() {
    let world = shop().await;
    let provider = provider(&world);
    let (over, unpaid, runs) = (Buyer::at(provider), Buyer::at(provider), Buyer::at(provider));
    let ended = over.subscribes(provider);
    let paused = unpaid.subscribes(provider);
    runs.subscribes(provider);
    // A row of which the provider knows nothing: of a restored backup, or a subscription that was deleted for good.
    let ghost = Buyer::at(provider);
    calm(&world).await;
    world.applied(&Subscription::of(&ghost.customer).event("created")).await;
    for buyer in [&over, &unpaid, &runs, &ghost] {
        buyer.reads(&world, 200, "it runs").await;
    }
    provider.set_telling(Telling::Silent);
    provider.cancel(&ended, CancelAt::Now).expect("canceled");
    provider.pause_collection(&paused, demo::provider::PauseBehavior::Void, None).expect("paused");
    world.tollgate(&["reconcile"]).await.success();
    over.reads(&world, 402, "it ended unheard").await;
    unpaid.reads(&world, 402, "it was paused unheard").await;
    ghost.reads(&world, 200, "that the provider has no such subscription is no end").await;
    runs.reads(&world, 200, "it still runs").await;
}

#[tokio::test]
async fn w27_a_customer_that_is_gone_is_made_anew_once_and_for_no_other_reason() {
    // One price of the catalog is not the provider's: its word for that is the same, about another thing.
    let mut setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive);
    setup.catalog = CATALOG.replace("id = \"price_annual\"", "id = \"price_of_another_mode\"");
    let world = World::with(setup).await;
    let provider = provider(&world);
    let made = || provider.customers().len();
    for telling in [Telling::Aloud, Telling::Silent] {
        let (account, before) = (unique("buyer"), made());
        let token = token(&account);
        // Each goes on to another page: equal calls within a minute are answered like the first of them.
        let checkout = async |cadence: &str, next: &str| {
            world.post("/api/billing/checkout", &token, &json!({ "cadence": cadence, "next": next })).await.status
        };
        assert_eq!(checkout("annual", "/a").await, 502, "there is no such price");
        assert_eq!(checkout("annual", "/b").await, 502, "and there is none the second time");
        assert_eq!(made(), before + 1, "which is no reason for another customer");
        assert_eq!(checkout("monthly", "/c").await, 200);
        assert_eq!(made(), before + 1);
        let gone = provider.customers().last().expect("one")["id"].as_str().expect("an id").to_owned();
        provider.set_telling(telling);
        provider.delete_customer(&gone).expect("deleted");
        provider.set_telling(Telling::Aloud);
        calm(&world).await;
        assert_eq!(checkout("monthly", "/d").await, 200, "{telling:?}");
        assert_eq!(checkout("monthly", "/e").await, 200, "{telling:?}, again");
        assert_eq!(made(), before + 2, "{telling:?}: one more, once");
        let session = provider.sessions().last().expect("a checkout").clone();
        assert_ne!(session["customer"], gone.as_str());
        provider.complete_checkout(session["id"].as_str().expect("an id")).expect("paid");
        calm(&world).await;
        world.everywhere("/premium/one", &token, 200).await;
        let query = "select count(*) from provider_customers where account = $1";
        assert_eq!(number(&world, query, &account).await, 2, "who they were is still known");
    }
    // Who is deleted loses what they had.
    let buyer = Buyer::at(provider);
    buyer.subscribes(provider);
    buyer.reads(&world, 200, "it runs").await;
    provider.delete_customer(&buyer.customer).expect("deleted");
    buyer.reads(&world, 402, "the customer is gone").await;
}

#[tokio::test]
async fn what_the_provider_does_not_have_is_warned_of_once() {
    let world = shop().await;
    let unknown = Subscription { metadata: Some(unique("buyer")), ..Subscription::of(&unique("cus")) };
    world.applied(&unknown.event("created")).await;
    world.billing().logs(&unknown.id).await;
    let log = world.billing().process.log();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("WARN") && line.contains(&unknown.id)).collect();
    assert!(warned.len() == 1 && warned[0].contains("the provider has no such object"), "{warned:?}");
    assert!(!log.contains("request returned error status") && !log.contains("request failed after"), "{log}");
}
