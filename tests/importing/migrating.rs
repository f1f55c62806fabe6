//! docs/migrate.md, played: two databases that sold before become an enforced gate, by the SQL that stands there.

use demo::polar::{NewCustomer, Subscribe};
use demo::provider::{CancelAt, Shape, Telling};

use super::{customer, first, number, payer, provider, subscribed, table};
use crate::world::polar::{Asking, PAID, WithPolar};
use crate::world::process::signal;
use crate::world::servers::{Database, Postgres, execute};
use crate::world::{Arrangement, Setup, World, eventually, token};

/// As the document says, while the site's own code decides.
const SHADOWED: &str = "\n[[route]]\npath = \"/premium/**\"\nrequire = { tier = \"paid\" }\nmode = \"shadow\"\n\n\
    [[route]]\npath = \"/business/**\"\nrequire = { tier = \"business\" }\nmode = \"shadow\"\n";

/// A statement of the document.
fn statement(name: &str) -> &'static str {
    let document = include_str!("../../docs/migrate.md");
    let (_, rest) = document.split_once(&format!("<!-- {name} -->\n```sql\n")).expect("it is there");
    rest.split_once("\n```").expect("it ends").0
}

/// Asks the site's database as the document does.
async fn csv(site: &Database, name: &str) -> String {
    let mut psql = tokio::process::Command::new("psql");
    psql.args([&site.url, "--csv", "--no-psqlrc", "--command", statement(name)]);
    let output = psql.output().await.expect("psql runs");
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The rows of a statement that has one column.
async fn ids(site: &Database, name: &str) -> Vec<String> {
    csv(site, name).await.lines().skip(1).map(str::to_owned).collect()
}

async fn site(tables: &str) -> Database {
    let site = Postgres::shared().database().await;
    execute(&mut site.connect().await, tables.to_owned()).await;
    site
}

async fn grant(world: &World, accounts: Vec<String>, tier: &str) {
    for account in accounts {
        world.tollgate(&["grant", &account, tier, "--reason", "given before"]).await.success();
    }
}

/// Everything passes until the gate closes; then each account passes that may, on the first request.
async fn closes(world: &World, payers: &[&str], others: &[&str], path: &str) {
    let status = async |account: &str| world.get(path, Some(&token(account))).await.status;
    assert_eq!(status("passer-by").await, 200, "it only watches");
    assert!(world.proxy().metric("tollgate_requests_total", &["verdict=\"shadow\""]).await > 0.0);
    world.proxy().rewrite(|text| text.replace("mode = \"shadow\"\n", ""));
    signal(world.proxy().process.id(), "HUP");
    eventually("it closes", async || (status("passer-by").await == 402).then_some(())).await;
    for account in payers {
        assert_eq!(status(account).await, 200, "{account}");
    }
    for account in others {
        assert_eq!(status(account).await, 402, "{account}");
    }
}

#[tokio::test]
async fn users_with_one_paid_tier_come_over_and_no_payer_is_refused() {
    let setup = Setup::new(Arrangement::AllPostgresRedis).provider(Shape::Endive).routes(SHADOWED);
    let setup = setup.key("reconcile.full", "\"0s\"").key("reconcile.delta", "\"0s\"");
    let WithPolar { world, polar } = WithPolar::start(setup, Asking::Yes).await;
    provider(&world).set_telling(Telling::Silent);
    polar.set_telling(Telling::Silent);
    let stripe = payer(&world, [].into(), [].into());
    let (ending, lost) = (payer(&world, [].into(), [].into()), customer(&world, [].into()));
    let ended = subscribed(&world, &lost, "price_monthly", [].into());
    provider(&world).cancel(&ended, CancelAt::Now).expect("it ends");
    let last = provider(&world).subscriptions().into_iter().find(|one| one["customer"] == ending.as_str());
    let last = last.expect("it is there")["id"].as_str().expect("an id").to_owned();
    provider(&world).cancel(&last, CancelAt::PeriodEnd).expect("it will end");
    let by_polar = polar.create_customer(NewCustomer::default()).expect("a customer");
    let product = Subscribe { customer: by_polar.clone(), product: PAID.into(), ..Subscribe::default() };
    polar.subscribe(product).expect("a subscription");
    let site = site(&format!(
        "create table users (id text primary key, email text, tier text not null default 'free', stripe_customer_id text,
            polar_customer_id text, credit_until timestamptz, trial_started_at timestamptz, referral_code text);
         create table referrals (id serial primary key, referrer_id text, referee_id text unique, credited_at timestamptz);
         insert into users values
            ('by-stripe', 'a@b.example', 'paid', '{stripe}', null, null, now() - interval '300 days', 'AbCd1234'),
            ('ending', 'c@b.example', 'paid', '{ending}', null, null, null, 'ending-1'),
            ('by-polar', 'd@b.example', 'paid', null, '{by_polar}', null, null, 'polar_01'),
            ('by-credit', 'e@b.example', 'free', null, null, now() + interval '20 days', null, 'credit01'),
            ('by-hand', 'f@b.example', 'paid', null, null, null, null, null),
            ('lost-event', 'g@b.example', 'paid', '{lost}', null, null, null, null),
            ('was-credited', 'h@b.example', 'free', null, null, now() - interval '1 day', null, null),
            ('free', 'i@b.example', 'free', null, null, null, null, 'freecode'),
            ('invited', 'j@b.example', 'free', null, null, null, null, null);
         insert into referrals (referrer_id, referee_id, credited_at) values
            ('free', 'invited', null), ('by-stripe', 'by-polar', now() - interval '90 days');"
    ))
    .await;

    let accounts = csv(&site, "users: accounts.sql").await;
    assert!(
        table(&world, &accounts, &[]).await.success().contains("nothing is done yet")
            || number(&world, "select count(*) from accounts").await == 0
    );
    let done = table(&world, &accounts, &["--apply"]).await.success();
    assert!(done.contains("9 rows: 9 accounts new") && done.contains("1 invitation "), "{done}");
    let imported = world.tollgate(&["import", "stripe"]).await.success();
    assert!(imported.contains("3 customers: 3 linked before, 0 linked now"), "{imported}");
    world.tollgate(&["reconcile"]).await.success();
    grant(&world, ids(&site, "users: given.sql").await, "paid").await;

    let payers = ids(&site, "users: payers.sql").await;
    assert_eq!(payers, ["by-credit", "by-hand", "by-polar", "by-stripe", "ending", "lost-event"]);
    let payers = ["by-credit", "by-hand", "by-polar", "by-stripe", "ending"];
    let others = ["lost-event", "was-credited", "free", "invited", "a@b.example"];
    closes(&world, &payers, &others, "/premium/one").await;
    let again = table(&world, &accounts, &["--apply"]).await.success();
    assert!(again.contains("9 rows: 0 accounts new") && again.contains("9 rows with nothing new"), "{again}");
    assert_eq!(
        number(&world, "select count(*) from referrals where referrer = 'free' and referee = 'invited'").await,
        1
    );
    assert_eq!(number(&world, "select count(*) from referrals").await, 1, "nobody is rewarded twice");
    assert_eq!(first(&world, "by-polar").await, 200);
}

const CATALOG: &str = r#"
[[tier]]
code = "essential"
name = "Essential"
rank = 1
levels = { products = 200, team_members = 1 }
[[tier.price]]
provider = "stripe"
id = "price_monthly"
cadence = "monthly"
amount = 700
currency = "gbp"
[[tier]]
code = "business"
name = "Business"
rank = 3
[[tier.price]]
provider = "stripe"
id = "price_business"
cadence = "monthly"
amount = 2900
currency = "gbp"
[[tier]]
code = "enterprise"
name = "Enterprise"
rank = 4
[[addon]]
code = "domain"
name = "Custom domain"
[[addon.price]]
provider = "stripe"
id = "price_domain"
cadence = "annual"
amount = 1500
currency = "gbp"
"#;

#[tokio::test]
async fn vendors_with_tiers_and_add_ons_come_over_and_no_payer_is_refused() {
    let setup = Setup::new(Arrangement::AllPostgresRedis).provider(Shape::Endive);
    let setup = setup.routes(&SHADOWED.replace("\"paid\"", "\"essential\""));
    let setup = Setup { catalog: CATALOG.to_owned(), ..setup };
    let world = World::with(setup.key("reconcile.full", "\"0s\"").key("reconcile.delta", "\"0s\"")).await;
    provider(&world).set_telling(Telling::Silent);
    let buys = |price: &str| {
        let buyer = customer(&world, [].into());
        let subscription = subscribed(&world, &buyer, price, [].into());
        (buyer, subscription)
    };
    let (small, large, addon, over) =
        (buys("price_monthly"), buys("price_business"), buys("price_domain"), buys("price_business"));
    provider(&world).cancel(&over.1, CancelAt::Now).expect("it ends");
    let site = site(&format!(
        "create table vendors (id int primary key, name text);
         create table subscription_tiers (id int primary key, code text, name text, max_products int, max_orders_per_month int,
            max_team_members int, stripe_price_monthly_id text, stripe_price_annual_id text, display_order int);
         create table vendor_subscriptions (id serial primary key, vendor_id int references vendors, tier_id int references subscription_tiers,
            status text, stripe_customer_id text, stripe_subscription_id text, trial_start timestamp, current_period_end timestamp);
         create table vendor_addons (id serial primary key, vendor_id int references vendors, addon_type text, domain_name text,
            stripe_customer_id text, stripe_subscription_id text, status text);
         insert into vendors values (1, 'Small'), (2, 'Large'), (3, 'Contract'), (4, 'Over'), (5, 'Never');
         insert into subscription_tiers values
            (1, 'essential', 'Essential', 200, 100, 1, 'price_monthly', null, 1),
            (2, 'business', 'Business', null, 2000, 10, 'price_business', null, 2),
            (3, 'enterprise', 'Enterprise', null, null, null, null, null, 3);
         insert into vendor_subscriptions (vendor_id, tier_id, status, stripe_customer_id, stripe_subscription_id, trial_start) values
            (1, 1, 'active', '{}', '{}', '2026-01-02 03:04:05.678'), (2, 2, 'active', '{}', '{}', null),
            (3, 3, 'active', null, null, null), (4, 2, 'active', '{}', '{}', null);
         insert into vendor_addons (vendor_id, addon_type, domain_name, stripe_customer_id, stripe_subscription_id, status) values
            (2, 'domain', 'shop.example', '{}', '{}', 'active');",
        small.0, small.1, large.0, large.1, over.0, over.1, addon.0, addon.1
    ))
    .await;
    assert!(csv(&site, "vendors: tiers.sql").await.contains("business,Business,,2000,10,price_business,"));

    let accounts = csv(&site, "vendors: accounts.sql").await;
    let done = table(&world, &accounts, &["--apply"]).await.success();
    assert!(done.contains("4 customers linked") && done.contains("1 trial noted as used"), "{done}");
    let imported = world.tollgate(&["import", "stripe"]).await.success();
    assert!(imported.contains("4 subscriptions, of which 3 run") && !imported.contains("nobody"), "{imported}");
    grant(&world, ids(&site, "vendors: given.sql").await, "enterprise").await;

    closes(&world, &["1", "2", "3"], &["4", "5", "Small"], "/premium/one").await;
    let business = async |vendor: &str| world.get("/business/one", Some(&token(vendor))).await.status;
    assert_eq!((business("1").await, business("2").await, business("3").await), (402, 200, 200));
    let addons = world.get("/api/billing/my-addons", Some(&token("2"))).await;
    assert!(addons.body.contains("\"domain\""), "{addons:?}");
}
