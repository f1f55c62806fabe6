//! `tollgate import stripe`: a customer that names its account is linked, and no other.

use demo::provider::{CancelAt, Fault, FaultKind, Seed};
use serde_json::Value;

use super::{checkout, customer, first, naming, number, payer, provider, subscribed, world};
use crate::world::World;

async fn import(world: &World, options: &[&str]) -> Value {
    let arguments: Vec<&str> = ["import", "stripe", "--json"].iter().chain(options).copied().collect();
    serde_json::from_str(&world.tollgate(&arguments).await.success()).expect("JSON")
}

#[tokio::test]
async fn each_customer_that_names_its_account_is_linked_and_its_payers_pass() {
    let world = world().await;
    payer(&world, naming("account", "by-customer"), [].into());
    payer(&world, [].into(), naming("account", "by-subscription"));
    checkout(&world, &customer(&world, [].into()), "by-checkout").await;
    // The checkout goes before the metadata of its customer.
    let both = customer(&world, naming("account", "by-metadata"));
    checkout(&world, &both, "by-statement").await;
    let ended = customer(&world, naming("account", "ended"));
    let subscription = subscribed(&world, &ended, "price_monthly", [].into());
    provider(&world).cancel(&subscription, CancelAt::Now).expect("it ends");
    let nobody = payer(&world, [].into(), naming("user_id", "by-another-key"));
    let idle = customer(&world, [].into());
    let unknown = customer(&world, naming("account", "unknown-price"));
    subscribed(&world, &unknown, "price_domain", [].into());

    let shown = import(&world, &["--plan"]).await;
    assert_eq!(number(&world, "select count(*) from provider_customers").await, 0, "nothing is done");
    assert_eq!(first(&world, "by-customer").await, 402);
    let file = world.dir().join("unlinked.csv");
    let done = import(&world, &["--unlinked", file.to_str().expect("UTF-8")]).await;
    for told in [&shown, &done] {
        let counts = ["customers", "subscriptions", "running", "linked", "known", "unlinked_running"]
            .map(|name| told[name].as_u64().expect("a number"));
        assert_eq!(counts, [8, 7, 6, 6, 0, 1], "{told}");
        assert_eq!(told["unknown_prices"], serde_json::json!({ "price_domain": 1 }));
        assert_eq!(told["contradictions"][0]["customer"], both.as_str());
        assert_eq!(told["contradictions"][0]["account"], "by-statement");
        assert_eq!(told["unlinked"][0]["customer"], nobody.as_str(), "those that pay come first");
    }
    for account in ["by-customer", "by-subscription", "by-checkout", "by-statement"] {
        assert_eq!(first(&world, account).await, 200, "{account}");
    }
    for account in ["by-metadata", "ended", "unknown-price", "by-another-key", "user_id"] {
        assert_eq!(first(&world, account).await, 402, "{account}");
    }
    let again = import(&world, &[]).await;
    assert_eq!((&again["linked"], &again["known"]), (&Value::from(0), &Value::from(6)), "{again}");

    // The list of customers can be filled in, and another key is tried.
    let text = std::fs::read_to_string(&file).expect("it was written");
    assert_eq!(text, format!("account,stripe_customer\n,{nobody}\n,{idle}\n"));
    let taken = world.tollgate(&["import", "stripe", "--unlinked", file.to_str().expect("UTF-8")]).await;
    assert!(taken.failure().contains("nothing is overwritten"), "{taken:?}");
    let by_key = import(&world, &["--metadata-key", "user_id"]).await;
    assert_eq!((&by_key["linked"], first(&world, "by-another-key").await), (&Value::from(1), 200));
    let filled = text.replace(&format!(",{idle}"), &format!("idle,{idle}"));
    let filled = super::table(&world, filled, &["--apply"]).await;
    let told = filled.success();
    assert!(told.contains("1 customer linked") && told.contains("1 row without an account"), "{told}");
}

#[tokio::test]
async fn two_names_two_payments_and_customers_that_are_gone_are_counted_and_told() {
    let world = world().await;
    let split = payer(&world, naming("account", "by-customer"), naming("account", "by-subscription"));
    let own = provider(&world).subscriptions().pop().expect("it runs")["id"].clone();
    let twice = payer(&world, naming("account", "twice"), [].into());
    subscribed(&world, &twice, "price_annual", [].into());
    // Two things of one account are paid for once each.
    let once = payer(&world, naming("account", "once"), [].into());
    subscribed(&world, &once, "price_domain", [].into());
    let gone = customer(&world, [].into());
    checkout(&world, &gone, "gone").await;
    provider(&world).delete_customer(&gone).expect("it goes");
    for options in [&["--plan"][..], &[], &[]] {
        let told = import(&world, options).await;
        let count = |name: &str| told[name].as_u64().expect("a number");
        assert_eq!(
            (count("customers"), count("linked") + count("known"), told["unlinked"].clone()),
            (3, 3, [0; 0].into())
        );
        let expected = serde_json::json!([
            { "customer": split, "account": "by-customer", "named": "by-subscription", "subscription": own },
        ]);
        assert_eq!(told["contradictions"], expected, "{options:?}: {told}");
        let paid = &told["paid_twice"];
        assert_eq!((&paid[0]["account"], &paid[0]["what"]), (&Value::from("twice"), &Value::from("paid")), "{told}");
        assert_eq!((paid[0]["subscriptions"].as_array().map(Vec::len), &paid[1]), (Some(2), &Value::Null), "{told}");
    }
    let told = world.tollgate(&["import", "stripe"]).await.success();
    assert!(told.contains("twice pays for paid more than once, by sub_"), "{told}");
    assert!(told.contains("names by-subscription: correct the metadata"), "{told}");
    assert_eq!((first(&world, "by-subscription").await, first(&world, "by-customer").await), (200, 402));
}

#[tokio::test]
async fn accounts_that_are_gone_are_named_by_no_customer() {
    let world = world().await;
    let gone = payer(&world, naming("account", "erased"), [].into());
    let subscription = provider(&world).subscriptions().pop().expect("it runs")["id"].clone();
    assert_eq!(import(&world, &[]).await["linked"], 1);
    provider(&world).cancel(subscription.as_str().expect("an id"), CancelAt::Now).expect("it ends");
    world.tollgate(&["reconcile"]).await.success();
    world.tollgate(&["account", "erase", "erased", "--yes"]).await.success();
    world.tollgate(&["grant", "old", "paid", "--reason", "a gift"]).await.success();
    world.tollgate(&["account", "move", "old", "new", "--yes"]).await.success();
    // Of the erased one its customer is left, and others name the account; of the moved one its metadata.
    subscribed(&world, &gone, "price_monthly", [].into());
    payer(&world, [].into(), naming("account", "erased"));
    let moved = payer(&world, naming("account", "old"), [].into());
    for options in [&["--plan"][..], &[]] {
        let told = import(&world, options).await;
        assert_eq!((&told["linked"], &told["known"]), (&Value::from(1), &Value::from(0)), "{told}");
        assert_eq!(
            (&told["unlinked"], &told["contradictions"]),
            (&Value::from([0; 0]), &Value::from([0; 0])),
            "{told}"
        );
    }
    assert_eq!(number(&world, "select count(*) from provider_customers where account = 'new'").await, 1);
    assert_eq!(number(&world, "select count(*) from provider_customers").await, 1);
    for (command, told) in [
        (vec!["link", "old", &format!("stripe:{moved}"), "--yes"], "goes by `new` now"),
        (vec!["grant", "old", "paid", "--reason", "a gift"], "goes by `new` now"),
        (vec!["revoke", "old"], "goes by `new` now"),
        (vec!["account", "block", "old"], "goes by `new` now"),
        (vec!["account", "unblock", "old"], "goes by `new` now"),
    ] {
        let refused = world.tollgate(&command).await;
        assert!(refused.failure().contains(told), "{refused:?}");
    }
    let table = super::table(&world, "account,credit_until\nold,2031-01-31\nerased,2031-01-31\n", &["--apply"]).await;
    for told in
        ["line 2 (old) is left out: `old` goes by `new` now", "line 3 (erased) is left out: `erased` was erased"]
    {
        assert!(table.stdout.contains(told), "{table:?}");
    }
    assert_eq!(
        (first(&world, "old").await, first(&world, "erased").await, first(&world, "new").await),
        (402, 402, 200)
    );
}

#[tokio::test]
async fn a_provider_that_fails_in_the_middle_is_named_and_the_next_run_goes_on() {
    let world = world().await;
    let seed = Seed { count: 450, price: "price_monthly".into(), metadata: naming("account", "user-{n}") };
    provider(&world).seed(&seed).expect("there is room");
    for (path, skipped) in
        [("/v1/customers", "customers"), ("/v1/checkout", "checkouts"), ("/v1/subscriptions", "subscriptions")]
    {
        let fault = Fault { kind: FaultKind::ServerError, path: format!("GET {path}"), count: 9 };
        provider(&world).fail_calls(fault).expect("there is room");
        let failed = world.tollgate(&["import", "stripe"]).await;
        provider(&world).heal_calls();
        assert!(failed.failure().contains(&format!("reading the {skipped}")), "{failed:?}");
        assert!(failed.failure().contains("run it again"), "{failed:?}");
    }
    let done = import(&world, &[]).await;
    assert_eq!((&done["customers"], &done["running"]), (&Value::from(450), &Value::from(450)), "{done}");
    assert_eq!(number(&world, "select count(*) from subscriptions where state = 'active'").await, 450);
    assert_eq!(
        (first(&world, "user-0").await, first(&world, "user-449").await, first(&world, "user-450").await),
        (200, 200, 402)
    );
    let without = world.tollgate_with(("STRIPE_API_KEY", ""), &["import", "stripe"]).await;
    assert!(without.failure().contains("STRIPE_API_KEY"), "{without:?}");
}
