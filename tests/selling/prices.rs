//! What the catalog says of prices, held against the provider.

use super::{provider, setup};
use crate::world::{Arrangement, World, eventually};

async fn warnings(world: &World) -> Vec<String> {
    world.billing().admin("/readyz").await.warnings()
}

#[tokio::test]
async fn a10_prices_that_differ_are_told_at_the_start_and_by_check() {
    let mut world = World::with(setup(Arrangement::AllPostgres)).await;
    let check = async |world: &World| world.tollgate(&["check", "--online"]).await;
    let agreed = check(&world).await.success();
    assert!(agreed.contains("stripe: 3 prices compared") && !agreed.contains("differs"), "{agreed}");

    provider(&world).set_price("price_monthly", |price| price.amount = 800).expect("there is one");
    provider(&world).set_price("price_business", |price| price.currency = "eur".into()).expect("there is one");
    provider(&world).set_enabled_events(Some(vec!["invoice.paid".into(), "customer.updated".into()]));
    let differs = check(&world).await;
    differs.failure();
    for told in [
        "differs   stripe price_monthly (tier paid): amount 700 in the catalog, 800 at the provider",
        "differs   stripe price_business (tier business): currency gbp in the catalog, eur at the provider",
        "is not told of customer.subscription.deleted",
    ] {
        assert!(differs.stdout.contains(told), "{told}: {differs:?}");
    }
    assert!(!differs.stdout.contains("not told of invoice.paid"), "{differs:?}");

    world.processes[0].restart();
    world.processes[0].ready().await;
    let told = eventually("it is told", async || {
        let told = warnings(&world).await;
        (told.iter().filter(|told| told.contains("at the provider")).count() == 2).then_some(told)
    })
    .await;
    assert!(told.iter().any(|told| told.contains("amount 700 in the catalog, 800 at the provider")), "{told:?}");
    let shown = world.billing().metric("tollgate_price_differences", &["provider=\"stripe\""]).await;
    assert!((shown - 2.0).abs() < f64::EPSILON, "{shown}");
}
