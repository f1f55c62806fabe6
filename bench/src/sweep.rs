//! A full comparison with a provider that has ten thousand subscriptions: the first finds them all new, the second
//! finds no difference.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use demo::provider::{Cadence, Price, Provider, Seed, Settings};

use crate::report::{Bar, Report};
use crate::world::World;

const SUBSCRIPTIONS: u32 = 10_000;
const LIMIT: Duration = Duration::from_secs(600);
const KEY: &str = "sk_test_of_the_sweep";

pub async fn measure(world: &World, report: &mut Report) -> Result<()> {
    // What the measurements before have sold is not this provider's.
    world.servers.query("truncate accounts, webhook_events cascade").await?;
    let mut settings = Settings::new(KEY, "whsec_unused");
    settings.prices = vec![Price {
        id: "price_monthly".into(),
        amount: 700,
        currency: "gbp".into(),
        cadence: Cadence::Month,
        product: "Reader".into(),
        metered: false,
    }];
    let provider = Provider::start(settings).await?;
    let metadata = [("account".to_owned(), "swept-{n}".to_owned())].into_iter().collect();
    provider.seed(&Seed { count: SUBSCRIPTIONS, price: "price_monthly".into(), metadata })?;
    let first = sweep(world, &provider).await?;
    let known = world.servers.query("select count(*) from subscriptions where account like 'swept-%'").await?;
    ensure!(known == SUBSCRIPTIONS.to_string(), "{known} subscriptions were found");
    let again = sweep(world, &provider).await?;
    let what = "full comparison with 10 000 subscriptions";
    report.row(format!("{what}, all of them new"), format!("{first:.1} s"), Bar::at_most(first, 60.0, "s"));
    report.row(format!("{what}, without a difference"), format!("{again:.1} s"), Bar::at_most(again, 60.0, "s"));
    provider.shutdown().await;
    Ok(())
}

/// How long `tollgate reconcile` takes, in seconds.
async fn sweep(world: &World, provider: &Provider) -> Result<f64> {
    let began = Instant::now();
    world.reconcile(KEY, &format!("{}/", provider.url()), LIMIT).await?;
    Ok(began.elapsed().as_secs_f64())
}
