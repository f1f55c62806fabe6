//! `setup stripe`, when calls fail, rights are missing, and things are there already.

use std::os::unix::fs::PermissionsExt;

use demo::provider::{Fault, FaultKind};

use crate::world::servers::execute;

use super::{Beginning, WITHOUT_ENDPOINTS, WITHOUT_PRICES};

/// Calls of one setup, in their order: those that change something, and one that reads.
const CALLS: [&str; 5] = [
    "POST /v1/products",
    "POST /v1/prices",
    "GET /v1/webhook_endpoints",
    "POST /v1/webhook_endpoints",
    "POST /v1/billing_portal/configurations",
];

/// How often the client tries one call.
const TRIES: u32 = 3;

fn is_whole(beginning: &Beginning) {
    let keys: Vec<String> =
        beginning.rows("prices?active=true").iter().map(|price| price["lookup_key"].to_string()).collect();
    assert_eq!(keys, ["\"paid_annual\"", "\"paid_monthly\""]);
    for (list, count) in
        [("products", 1), ("prices", 2), ("webhook_endpoints", 1), ("billing_portal/configurations", 1)]
    {
        assert_eq!(beginning.rows(list).len(), count, "{list}");
    }
    assert!(beginning.variable("STRIPE_WEBHOOK_SECRET").starts_with("whsec_"));
}

#[tokio::test]
async fn a_failure_at_any_call_leaves_what_the_next_run_goes_on_with() {
    for kind in [FaultKind::ServerError, FaultKind::Lose] {
        let beginning = Beginning::new().await;
        beginning.init().await.success();
        for call in CALLS {
            let fault = Fault { kind: kind.clone(), path: call.to_owned(), count: TRIES };
            beginning.provider.fail_calls(fault).expect("there is room");
            let failed = beginning.shell("setup stripe").await;
            let told = failed.failure().to_owned();
            assert!(told.contains("run this again"), "{call} {kind:?}: {told}");
            beginning.provider.heal_calls();
        }
        let mut ended = beginning.shell("setup stripe").await;
        if kind == FaultKind::Lose {
            // The endpoint was made, and its secret was lost with the answer.
            assert!(ended.failure().contains("--new-secret"), "{ended:?}");
            assert_eq!(beginning.variable("STRIPE_WEBHOOK_SECRET"), "");
            ended = beginning.shell("setup stripe --new-secret").await;
        }
        ended.success();
        is_whole(&beginning);
        assert!(beginning.shell("setup stripe").await.success().contains("nothing was to be done"));
    }
}

#[tokio::test]
async fn a_dearer_price_that_fails_in_the_middle_is_finished_later() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    beginning.shell("setup stripe").await.success();
    let path = beginning.dir().join("catalog.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("amount = 700 ", "amount = 900 ")).expect("written");
    let old = beginning.rows("prices?lookup_keys[]=paid_monthly")[0]["id"].as_str().expect("an id").to_owned();
    let archiving = format!("POST /v1/prices/{old}");
    for kind in [FaultKind::ServerError, FaultKind::BadGateway] {
        let fault = Fault { kind, path: archiving.clone(), count: TRIES };
        beginning.provider.fail_calls(fault).expect("there is room");
        let failed = beginning.shell("setup stripe").await;
        assert!(failed.failure().contains("run this again"), "{failed:?}");
        beginning.provider.heal_calls();
    }
    assert_eq!(beginning.rows("prices?active=true").len(), 3, "the old one can still be bought");
    let finished = beginning.shell("setup stripe").await.success();
    assert!(finished.contains(&format!("- price {old}")), "{finished}");
    assert_eq!((beginning.rows("prices?active=true").len(), beginning.rows("prices").len()), (2, 3));
}

#[tokio::test]
async fn a_right_that_a_key_lacks_is_named_and_a_live_key_is_not_used_by_mistake() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    let with = async |key: &str, command: &str| beginning.shell_with(&format!("STRIPE_API_KEY={key}"), command).await;
    for (key, right) in [(WITHOUT_PRICES, "\"Prices: Write\""), (WITHOUT_ENDPOINTS, "\"Webhook Endpoints: Read\"")] {
        let refused = with(key, "setup stripe").await;
        assert!(refused.failure().contains(right), "{refused:?}");
    }
    let live = with("sk_live_of_nobody", "setup stripe").await;
    assert!(live.failure().contains("say --live"), "{live:?}");
    let test = with("sk_test_of_the_tests", "setup stripe --live").await;
    assert!(test.failure().contains("of test mode"), "{test:?}");
    let none = with("", "setup stripe").await;
    assert!(none.failure().contains("STRIPE_API_KEY is not set"), "{none:?}");
    let unknown = with("sk_test_of_nobody", "setup stripe").await;
    assert!(unknown.failure().contains("status 401"), "{unknown:?}");
}

#[tokio::test]
async fn another_secret_is_written_beside_the_lines_that_are_there() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    beginning.shell("setup stripe").await.success();
    let path = beginning.dir().join(".env");
    let before = std::fs::read_to_string(&path).expect("readable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    let old = beginning.variable("STRIPE_WEBHOOK_SECRET");
    let renewed = beginning.shell("setup stripe --new-secret").await.success();
    assert!(renewed.contains("the one before") && !renewed.contains("whsec_"), "{renewed}");
    let (new, kept) = {
        let both = beginning.variable("STRIPE_WEBHOOK_SECRET");
        let (new, kept) = both.split_once(',').expect("two secrets");
        (new.to_owned(), kept.to_owned())
    };
    assert!(kept == old && new != old);
    let after = std::fs::read_to_string(&path).expect("readable");
    let others = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("STRIPE_WEBHOOK_SECRET")).map(str::to_owned).collect()
    };
    assert_eq!(others(&after), others(&before));
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(beginning.rows("webhook_endpoints").len(), 1);
    let linked = beginning.dir().join("linked.env");
    std::os::unix::fs::symlink(&path, &linked).expect("linked");
    let refused = beginning.shell("setup stripe --new-secret --env-file linked.env").await;
    assert!(refused.failure().contains("is a link"), "{refused:?}");
    assert_eq!(beginning.rows("webhook_endpoints").len(), 1, "nothing was made before");
}

#[tokio::test]
async fn a_new_secret_that_fails_in_the_middle_makes_no_third_endpoint() {
    for (call, kind) in [
        ("DELETE /v1/webhook_endpoints", FaultKind::ServerError),
        ("POST /v1/webhook_endpoints/we_", FaultKind::ServerError),
        ("POST /v1/webhook_endpoints", FaultKind::Lose),
    ] {
        let beginning = Beginning::new().await;
        beginning.init().await.success();
        beginning.shell("setup stripe").await.success();
        let first = beginning.variable("STRIPE_WEBHOOK_SECRET");
        for _ in 0..2 {
            let fault = Fault { kind: kind.clone(), path: call.to_owned(), count: TRIES };
            beginning.provider.fail_calls(fault).expect("there is room");
            let failed = beginning.shell("setup stripe --new-secret").await;
            assert!(failed.failure().contains("run this again"), "{call}: {failed:?}");
            beginning.provider.heal_calls();
            assert_eq!(beginning.rows("webhook_endpoints").len(), 2, "{call}: one beside the old one");
        }
        beginning.shell("setup stripe --new-secret").await.success();
        is_whole(&beginning);
        assert_ne!(beginning.variable("STRIPE_WEBHOOK_SECRET").split(',').next(), Some(first.as_str()), "{call}");
        assert!(beginning.shell("setup stripe").await.success().contains("nothing was to be done"), "{call}");
    }
}

#[tokio::test]
async fn a_key_of_another_account_than_what_is_stored_makes_nothing() {
    const STORED: &str = "insert into accounts (account, version, created_at) values ('a', 1, now());
        insert into provider_customers (provider, customer_id, account, created_at) values ('stripe', 'cus_1', 'a', now());
        insert into subscriptions (provider, subscription_id, account, customer_id, prices, state, started_at, as_of, updated_at, livemode,
            provider_account, observation)
            values ('stripe', 'sub_1', 'a', 'cus_1', '{price_1}', 'active', now(), now(), now(), false, 'acct_other', 1)";
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    assert!(beginning.shell("setup stripe --plan").await.success().contains("product"), "before there is a table");
    beginning.shell("migrate").await.success();
    let mut database = beginning.database.connect().await;
    for (statement, told) in [
        (STORED, "it belongs to another account, acct_simulated: the stored subscriptions are of acct_other"),
        ("update subscriptions set livemode = true", "it is a test key, and live subscriptions are stored"),
    ] {
        execute(&mut database, statement.to_owned()).await;
        for command in ["setup stripe --plan", "setup stripe", "setup stripe --take-over --new-secret"] {
            let refused = beginning.shell(command).await;
            assert!(refused.failure().contains(told), "{command}: {refused:?}");
        }
    }
    for list in ["products", "prices", "webhook_endpoints"] {
        assert!(beginning.rows(list).is_empty(), "{list}: nothing is made");
    }
    let away = beginning.shell_with("DATABASE_URL=postgres://127.0.0.1:9/none", "setup stripe").await;
    assert!(away.failure().contains("cannot be said, so nothing is done: PostgreSQL has to run first"), "{away:?}");
    execute(&mut database, "update subscriptions set livemode = false, provider_account = 'acct_simulated'".to_owned())
        .await;
    beginning.shell("setup stripe").await.success();
    is_whole(&beginning);
}
