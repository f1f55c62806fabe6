//! A change of the catalog: what it takes is counted before, and everybody is told of it without being held up.

use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use entitlement::subscription::{Loss, Policy};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, billing_on, catalog, checkout, event, proposal, put_in_force, settings, shown, with};
use crate::ops::{Considered, OperatorError, Origin, Proposal, Word};
use crate::publish::{Told, Why};

const CREATED: &str = "customer.subscription.created";

fn changed(from: &str, to: &str) -> Catalog {
    let text = toml::to_string(&catalog()).expect("it encodes");
    assert!(text.contains(from), "{from} in {text}");
    toml::from_str(&text.replace(from, to)).expect("a catalog")
}

/// Gives `count` accounts the tier `paid`.
async fn grant(world: &World, count: usize) -> Vec<AccountId> {
    let accounts: Vec<AccountId> = (0..count).map(|n| world.other(n)).collect();
    for account in &accounts {
        world.billing.grant(account, "paid", "a gift", None, None).await.expect("granted");
    }
    accounts
}

async fn subscribed(world: &World, n: usize, price: &str) {
    let (customer, subscription) = (format!("cus_{n}"), format!("sub_{n}"));
    let running = active(&customer, &subscription, price, world.now);
    let bought = checkout(&format!("evt_{n}a"), &customer, &subscription, &world.other(n), world.now);
    world.apply(&[bought, event(&format!("evt_{n}b"), CREATED, world.now, &running)]).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn what_accounts_would_lose_is_counted_and_said_by_what(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    for n in 0..2 {
        subscribed(&world, n, "price_monthly").await;
    }
    subscribed(&world, 2, "price_team").await;
    world.billing.grant(&world.other(3), "paid", "a gift", None, None).await.expect("granted");
    let cases = [
        ("nothing", catalog(), (0, 0), vec![]),
        ("more", changed("\"archive\"", "\"archive\", \"more\""), (0, 0), vec![]),
        ("another name", changed("\"Paid\"", "\"Basic\""), (0, 0), vec![]),
        ("a feature", changed("\"archive\"", "\"else\""), (3, 2), vec![(3, "accounts lose feature archive")]),
        (
            "a price replaced",
            changed("price_monthly", "price_new"),
            (2, 2),
            vec![
                (2, "accounts lose feature archive"),
                (2, "accounts lose tier paid"),
                (
                    2,
                    "running subscriptions are of the stripe price price_monthly, which the catalog would not name any more",
                ),
            ],
        ),
        (
            "a tier renamed",
            changed("\"paid\"", "\"basic\""),
            (4, 2),
            vec![(1, "accounts lose feature archive"), (4, "accounts lose tier paid")],
        ),
        (
            "and it is said from what",
            changed("code = \"paid\"", "code = \"basic\"\nrenamed_from = \"paid\""),
            (0, 0),
            vec![],
        ),
        ("retired", changed("id = \"price_monthly\"", "id = \"price_monthly\"\nretired = true"), (0, 0), vec![]),
        (
            "a limit",
            changed("features = [\"sso\"]\n\n[tier.limits]\n", "features = [\"sso\"]\n\n[tier.limits]\ncalls = 5\n"),
            (1, 1),
            vec![(1, "accounts lose a part of the limit calls")],
        ),
    ];
    for (what, next, (accounts, subscriptions), by) in cases {
        let plan = world.billing.plan_catalog(&proposal(&world.billing, &next)).await.expect("planned");
        let told: Vec<(u64, &str)> = plan.losses.by.iter().map(|(what, count)| (*count, what.as_str())).collect();
        assert_eq!((plan.losses.accounts, told), (accounts, by), "{what}");
        // Those whose account loses something of what the subscription itself gives.
        assert_eq!(plan.losses.subscriptions > 0, subscriptions > 0, "{what}");
        assert_eq!(plan.losses.holders, if what == "nothing" { 0 } else { 4 }, "{what}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_price_of_an_add_on_that_means_something_else_is_a_loss(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let with_addon = |code: &str, price: &str| {
        let price = format!(
            r#"{{ provider = "stripe", id = "{price}", cadence = "monthly", amount = 300, currency = "gbp" }}"#
        );
        let text = toml::to_string(&catalog()).expect("it encodes").replace("addon = []\n", "");
        let text = format!("addon = [{{ code = \"{code}\", name = \"One\", price = [{price}] }}]\n{text}");
        toml::from_str::<Catalog>(&text).expect("a catalog")
    };
    put_in_force(&world.billing, &with_addon("domain", "price_domain")).await;
    subscribed(&world, 0, "price_domain").await;
    let of = "running subscriptions are of the stripe price price_domain, which the catalog would";
    let as_tier = toml::to_string(&catalog()).expect("it encodes").replace("price_team", "price_domain");
    for (next, lost) in [
        (with_addon("domain", "price_domain"), None),
        (with_addon("site", "price_domain"), Some(format!("{of} sell as the add-on site in the place of domain"))),
        (with_addon("domain", "price_other"), Some(format!("{of} not name any more"))),
        (
            toml::from_str(&as_tier).expect("a catalog"),
            Some(format!("{of} sell as the tier team in the place of the add-on domain")),
        ),
    ] {
        let plan = world.billing.plan_catalog(&proposal(&world.billing, &next)).await.expect("planned");
        let count = u64::from(lost.is_some());
        assert_eq!((plan.losses.accounts, plan.losses.subscriptions), (count, count), "{plan:?}");
        assert_eq!(plan.losses.by.into_keys().next(), lost);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_shorter_grace_takes_and_a_longer_one_does_not(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let now = crate::clock::now();
    let running = active("cus_0", "sub_0", "price_monthly", now - chrono::TimeDelta::days(40));
    let late = with(&running, &json!({ "status": "past_due" }));
    let told = now - chrono::TimeDelta::days(10);
    world
        .apply(&[checkout("evt_1", "cus_0", "sub_0", &world.account, told), event("evt_2", CREATED, told, &late)])
        .await;
    assert_eq!(world.has(&world.account, now).await, "paid past_due");
    let days = |days| {
        let mut proposal = proposal(&world.billing, &catalog());
        proposal.grace.past_due = chrono::TimeDelta::days(days);
        proposal
    };
    for (shorter, accounts) in [(21, 0), (12, 0), (7, 1)] {
        let plan = world.billing.plan_catalog(&days(shorter)).await.expect("planned");
        assert_eq!(plan.losses.accounts, accounts, "{shorter} days: {plan:?}");
        let by_grace = plan.losses.by.get("accounts lose access by [grace] or [policy]");
        assert_eq!(by_grace.copied().unwrap_or_default(), accounts, "{plan:?}");
    }
    let policy = Policy { refund: Loss::Keep, ..world.billing.settings().policy };
    let kinder = Proposal { policy, ..proposal(&world.billing, &catalog()) };
    assert_eq!(world.billing.plan_catalog(&kinder).await.expect("planned").losses.accounts, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_everybody_has_is_lost_by_all_accounts(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let basic = changed(
        "code = \"free\"\nname = \"Free\"\nrank = 0\nfeatures = []",
        "code = \"free\"\nname = \"Free\"\nrank = 0\nfeatures = [\"basic\"]",
    );
    put_in_force(&world.billing, &basic).await;
    grant(&world, 1).await;
    let mut conn = world.pool.acquire().await.expect("a connection");
    crate::store::accounts::ensure(&mut conn, &world.other(7), world.now).await.expect("a row");
    drop(conn);
    let plan = world.billing.plan_catalog(&proposal(&world.billing, &catalog())).await.expect("planned");
    assert_eq!((plan.losses.accounts, plan.losses.holders), (2, 1), "{plan:?}");
    assert_eq!(plan.losses.by.get("accounts lose feature basic"), Some(&2));
}

#[sqlx::test(migrations = "../migrations")]
async fn many_need_more_than_a_yes_and_what_was_taken_today_counts(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    grant(&world, 3).await;
    for n in 3..5 {
        subscribed(&world, n, "price_team").await;
    }
    // Three lose something: that is the bound.
    let first = proposal(&world.billing, &changed("\"archive\"", "\"else\""));
    let plan = world.billing.plan_catalog(&first).await.expect("planned");
    assert!(!plan.is_many() && plan.losses.accounts == 3, "{plan:?}");
    let unasked = world.billing.apply_catalog(&first, &plan, Word::None).await;
    assert!(matches!(unasked, Err(OperatorError::TakesAccess(3))), "{unasked:?}");
    world.billing.apply_catalog(&first, &plan, Word::Agreed).await.expect("applied");
    // One more within the day is one too many, whatever takes it.
    let mut conn = world.pool.acquire().await.expect("a connection");
    let verdict = crate::takings::weigh(&mut conn, 1, crate::clock::now()).await.expect("weighed");
    assert!(verdict.tally.taken == 3 && verdict.is_many(), "{verdict:?}");
    drop(conn);
    let second = proposal(&world.billing, &changed("\"archive\"", "\"other\""));
    let plan = world.billing.plan_catalog(&second).await.expect("planned");
    assert!(plan.is_many() && plan.losses.taken_before == 3, "{plan:?}");
    assert!(world.billing.apply_catalog(&second, &plan, Word::Agreed).await.is_err());
    let accepted = Proposal { accept: Some(plan.digest.clone()), ..second.clone() };
    let of_another = Proposal { accept: Some("0123456789abcdef".into()), ..second };
    assert!(!world.billing.plan_catalog(&of_another).await.expect("planned").is_accepted);
    let plan = world.billing.plan_catalog(&accepted).await.expect("planned");
    assert!(plan.is_accepted);
    world.billing.apply_catalog(&accepted, &plan, Word::None).await.expect("a person has agreed in the file");
    let moved = world.billing.apply_catalog(&first, &plan, Word::Forced).await;
    assert!(matches!(moved, Err(OperatorError::CatalogMoved)), "what was planned is not this change: {moved:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_file_that_takes_something_or_was_superseded_waits(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    grant(&world, 1).await;
    let billing = &world.billing;
    let consider = async |proposal: &Proposal, origin| {
        let considered = billing.consider_catalog(proposal, origin).await.expect("considered");
        billing.settle_catalog(proposal, origin, considered).await.expect("settled")
    };
    let (old, more) =
        (proposal(billing, &catalog()), proposal(billing, &changed("\"archive\"", "\"archive\", \"more\"")));
    assert!(matches!(consider(&old, Origin::SameFile).await, Considered::InForce));
    assert!(matches!(consider(&more, Origin::SameFile).await, Considered::InForce), "nobody loses anything");
    assert_eq!(billing.catalog_warnings().await, [""; 0]);
    // A process that has the old file still.
    let Considered::Keep { why, .. } = consider(&old, Origin::SameFile).await else { panic!("it is put back") };
    assert!(why.contains("tollgate catalog apply catalog.toml"), "{why}");
    assert_eq!(billing.catalog_warnings().await, [why]);
    let less = proposal(billing, &changed("\"archive\"", "\"else\""));
    for origin in [Origin::SameFile, Origin::ChangedFile] {
        let Considered::Keep { why, .. } = consider(&less, origin).await else { panic!("it takes something") };
        assert!(why.contains("1 account would lose something"), "{why}");
        assert_eq!(billing.catalog_warnings().await, [why]);
    }
    // A person agrees, elsewhere.
    put_in_force(&billing_on(&world.pool, settings(), None), &less.catalog).await;
    assert_eq!(billing.catalog_warnings().await, [""; 0]);
    // A person changes the file back, and nobody loses anything by it but what is counted.
    assert!(matches!(consider(&more, Origin::ChangedFile).await, Considered::Keep { .. }), "`else` is lost");
}

#[sqlx::test(migrations = "../migrations")]
async fn every_account_is_told_in_batches_and_what_was_renamed_goes_on(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let accounts = grant(&world, 3).await;
    let mut conn = world.pool.acquire().await.expect("a connection");
    for n in 3..450 {
        crate::store::accounts::ensure(&mut conn, &world.other(n), world.now).await.expect("a row");
    }
    drop(conn);
    let renamed = changed("code = \"paid\"", "code = \"basic\"\nrenamed_from = \"paid\"");
    assert_eq!(put_in_force(&world.billing, &renamed).await.accounts, 450);
    // At once, before anybody was told.
    assert_eq!(world.has(&accounts[0], world.now).await, "basic credit");
    assert!(world.billing.catalog_walk().await.expect("rows").is_some());
    let nobody_here = billing_on(&world.pool, crate::Settings { redis_url: None, ..settings() }, None);
    assert_eq!(nobody_here.publish_due(crate::clock::now()).await.expect("no fault").told, 0, "others have to tell");
    let published = world.billing.publish_due(crate::clock::now()).await.expect("no fault");
    assert_eq!((published.told, published.put_off), (450, 0));
    assert_eq!(world.billing.catalog_walk().await.expect("rows"), None);
    let told = world.billing.compute(&accounts[1], world.now).await.expect("rows").record.entitlement;
    assert_eq!((told.version, shown(&told, world.now)), (3, "basic credit".to_owned()));
    assert_eq!(world.billing.publish(&accounts, Why::Due, world.now).await.expect("no fault"), Told::Everybody);
    // Its credits are of the new code: the old one need not be known for ever.
    let without = changed("code = \"paid\"", "code = \"basic\"");
    let plan = world.billing.plan_catalog(&proposal(&world.billing, &without)).await.expect("planned");
    assert_eq!(plan.losses.by.keys().collect::<Vec<_>>(), ["accounts lose tier paid"], "which routes may still name");
    put_in_force(&world.billing, &without).await;
    assert_eq!(world.has(&accounts[0], world.now).await, "basic credit");
}
