//! Every shape in which a provider speaks: old and new versions, thin events, and lists of which only a page is sent.

use std::time::Duration;

use demo::provider::{Cadence, EventForm, Price, Provider, Settings, Shape};
use serde_json::json;

use super::{Buyer, calm, number, provider, rests, shop};
use crate::world::provider::API_KEY;
use crate::world::stripe::SECRETS;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World};

#[tokio::test]
async fn w16_every_version_of_the_provider_is_understood_with_and_without_its_answers() {
    // Without a key what the events carry is all that is known.
    for key in [API_KEY, ""] {
        let setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive).environment("STRIPE_API_KEY", key);
        let world = World::with(setup).await;
        let provider = provider(&world);
        for shape in Shape::ALL {
            provider.set_shape(shape);
            let buyer = Buyer::at(provider);
            let subscription = buyer.subscribes(provider);
            buyer.reads(&world, 200, shape.api_version()).await;
            let standing = buyer.standing(&world).await;
            assert!(standing["subscriptions"][0]["period_end"].is_string(), "{shape:?} says until when: {standing}");
            let query = "select count(*) from webhook_events where api_version = $1";
            assert!(number(&world, query, shape.api_version()).await > 0, "{shape:?} is written down");
            // The invoice leads from the payment to the subscription, by ever other ways.
            let invoice =
                provider.invoices().into_iter().find(|invoice| invoice["customer"] == buyer.customer.as_str());
            let invoice = invoice.expect("it was billed")["id"].as_str().expect("an id").to_owned();
            provider.refund(&invoice, None).expect("refunded");
            buyer.reads(&world, 402, &format!("{shape:?}: refunded")).await;
            provider.advance(Duration::from_secs(31 * 86_400)).expect("later");
            buyer.reads(&world, 200, &format!("{shape:?}: renewed")).await;
            provider.cancel(&subscription, demo::provider::CancelAt::Now).expect("canceled");
            calm(&world).await;
        }
    }
}

#[tokio::test]
async fn w19_what_stands_behind_the_first_page_of_a_list_is_known_too() {
    // Eleven things beside the tier, which comes last.
    let price = |id: &str| Price {
        id: id.to_owned(),
        amount: 100,
        currency: "gbp".to_owned(),
        cadence: Cadence::Month,
        product: id.to_owned(),
        metered: false,
    };
    let others: Vec<String> = (0..11).map(|number| format!("price_beside_{number:02}")).collect();
    let mut prices: Vec<Price> = others.iter().map(|id| price(id)).collect();
    prices.push(price("price_monthly"));
    let provider = Provider::start(Settings { prices, ..Settings::new(API_KEY, SECRETS[0]) }).await.expect("it starts");
    let setup = Setup::new(Arrangement::AllPostgres)
        .environment("STRIPE_API_KEY", API_KEY)
        .key("stripe.api_base", &format!("\"{}/\"", provider.url()));
    let world = World::with(setup).await;
    provider.set_webhook_url(Some(format!("{}/api/stripe/webhook", world.url)));
    let buyer = Buyer::at(&provider);
    let order = buyer.order(&others[0]);
    let also = others[1..].iter().cloned().chain(["price_monthly".to_owned()]).collect();
    let subscription = provider.subscribe(demo::provider::Subscribe { also, ..order }).expect("it begins");
    let told = provider.subscription(&subscription).expect("it is there");
    assert_eq!((&told["items"]["has_more"], told["items"]["data"].as_array().map(Vec::len)), (&json!(true), Some(10)));
    provider.settled(DEADLINE).await.expect("everything is delivered");
    buyer.reads(&world, 200, "the twelfth item is the tier").await;
    // What runs is in no page of its own either: reconciliation sees the same.
    world.tollgate(&["reconcile"]).await.success();
    buyer.reads(&world, 200, "compared").await;
}

#[tokio::test]
async fn w21_an_event_that_only_names_its_object_is_enough() {
    let world = shop().await;
    let provider = provider(&world);
    provider.set_event_form(EventForm::Thin);
    let buyer = Buyer::at(provider);
    let subscription = buyer.subscribes(provider);
    buyer.reads(&world, 200, "begun").await;
    let invoice = provider.invoices()[0]["id"].as_str().expect("an id").to_owned();
    provider.refund(&invoice, None).expect("refunded");
    buyer.reads(&world, 402, "refunded").await;
    provider.advance(Duration::from_secs(31 * 86_400)).expect("later");
    buyer.reads(&world, 200, "renewed").await;
    provider.cancel(&subscription, demo::provider::CancelAt::Now).expect("canceled");
    buyer.reads(&world, 402, "over").await;
    assert!(!provider.thin_events().is_empty());

    // Nobody to ask: it is kept, and says what is missing.
    let setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive).environment("STRIPE_API_KEY", "");
    let world = World::with(setup).await;
    let provider = super::provider(&world);
    provider.set_event_form(EventForm::Thin);
    let buyer = Buyer::at(provider);
    buyer.subscribes(provider);
    buyer.reads(&world, 402, "nobody can be asked").await;
    let thin = provider
        .thin_events()
        .into_iter()
        .find(|event| event["type"].as_str().is_some_and(|kind| kind.contains("customer.subscription.created")));
    let (state, reason) = rests(&world, thin.expect("it was told")["id"].as_str().expect("an id")).await;
    assert!(state == "parked" && reason.contains("API key"), "{state} ({reason})");
}
