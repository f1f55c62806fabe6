//! Selling on a database that is behind: an account pays already for what the database has lost.

use demo::provider::CancelAt;

use super::{Buyer, annual, monthly, provider, setup, text};
use crate::restored::{billing_remembers, dump, move_to, operator, restored};
use crate::world::{Arrangement, World, eventually};

#[tokio::test]
async fn nothing_is_sold_to_an_account_that_pays_for_what_the_database_has_lost() {
    let setup = setup(Arrangement::AllPostgresRedis).key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"");
    let mut world = World::with(setup).await;
    let known = Buyer::new(&world);
    // The customer as which it buys is known of one of them.
    known.buys(&monthly()).await;
    known.becomes("active").await;
    provider(&world).cancel(&text(&known.subscription(), "id"), CancelAt::Now).expect("it runs");
    known.becomes("none").await;
    billing_remembers(&world).await;
    let dumped = dump(&world, "before.sql");
    let lost = Buyer::new(&world);
    for buyer in [&known, &lost] {
        buyer.buys(&monthly()).await;
        buyer.becomes("active").await;
    }
    billing_remembers(&world).await;
    let accounts = [&known, &lost].map(|buyer| (buyer.account.clone(), buyer.token.clone()));
    move_to(&mut world, restored(&dumped).await).await;
    let [known, lost] = accounts.map(|(account, token)| Buyer { world: &world, account, token });
    let sessions = provider(&world).sessions().len();
    eventually("it is held", async || {
        let ready = world.billing().admin("/readyz").await;
        ready.body.contains("tollgate database accept").then_some(())
    })
    .await;
    for buyer in [&known, &lost] {
        world.everywhere("/premium/held", &buyer.token, 200).await;
    }
    let refused = known.orders(&monthly()).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("already_subscribed")), "{refused:?}");
    assert_eq!(known.becomes("active").await["tier"], "paid", "the provider has been asked");
    for _ in 0..2 {
        let refused = lost.orders(&monthly()).await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("access_unsettled")), "{refused:?}");
    }
    assert_eq!(provider(&world).sessions().len(), sessions, "nothing was opened");
    eventually("the log says so", async || {
        world.billing().process.log().contains("nothing is sold to an account").then_some(())
    })
    .await;
    // An account that has nothing buys.
    let new = Buyer::new(&world);
    new.buys(&monthly()).await;
    new.becomes("active").await;
    operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
    // Another order than before: Stripe takes equal ones within a minute for the same.
    lost.opens(&annual()).await;
}
