//! `init`, `setup stripe`, `run`, a purchase, and the page behind the gate: without a line that a person wrote.

use serde_json::{Value, json};

use super::{Beginning, KEY, SITE};
use crate::world::http::client;
use crate::world::stripe::unique;
use crate::world::token::{claims, signed};
use crate::world::tollgate::Tollgate;
use crate::world::{Answer, eventually, send};

/// A buyer, whose browser asks.
struct Buyer<'a> {
    beginning: &'a Beginning,
    token: String,
}

impl<'a> Buyer<'a> {
    fn new(beginning: &'a Beginning) -> Self {
        let mut claims = claims(&unique("buyer"));
        (claims["iss"], claims["aud"]) = (json!(SITE), json!("read.example"));
        Self { beginning, token: signed(&claims, &beginning.variable("TOLLGATE_JWT_SECRET")) }
    }

    async fn get(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.beginning.listen.public);
        send(client().get(url).header("host", "read.example").bearer_auth(&self.token)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let url = format!("http://{}{path}", self.beginning.listen.public);
        send(client().post(url).header("host", "read.example").bearer_auth(&self.token).json(body)).await
    }

    /// Orders, and pays on the provider's page; answers the price that was bought.
    async fn buys(&self) -> String {
        let opened = self.post("/api/billing/checkout", &json!({ "cadence": "monthly" })).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let sessions = self.beginning.rows("checkout/sessions");
        let session = sessions[0]["id"].as_str().expect("an id").to_owned();
        self.beginning.provider.complete_checkout(&session).expect("it is open");
        let subscriptions = self.beginning.rows("subscriptions");
        subscriptions[0]["items"]["data"][0]["price"]["id"].as_str().expect("a price").to_owned()
    }

    async fn passes(&self, path: &str) {
        eventually(&format!("{path} is let through"), async || (self.get(path).await.status == 200).then_some(()))
            .await;
    }
}

#[tokio::test]
async fn from_nothing_to_the_first_buyer_without_a_line_written_by_hand() {
    let beginning = Beginning::new().await;
    let written = beginning.init().await.success();
    assert!(written.contains("tollgate.toml") && written.contains("tollgate setup stripe"), "{written}");
    assert!(!written.contains("docker"), "its servers run: {written}");
    beginning.shell("check").await.success();
    let online = beginning.shell("check --online").await;
    assert!(online.code == 1 && online.stdout.contains("no price has this lookup key"), "{online:?}");
    assert!(
        online.stdout.contains("no webhook endpoint at") && online.stdout.contains("customer portal"),
        "{online:?}"
    );

    let planned = beginning.shell("setup stripe --plan").await.success();
    assert!(planned.contains("+ price paid_monthly: 700 gbp monthly"), "{planned}");
    assert_eq!((beginning.rows("products").len(), beginning.rows("webhook_endpoints").len()), (0, 0), "{planned}");
    let set_up = beginning.shell("setup stripe").await.success();
    assert_eq!(planned.lines().collect::<Vec<_>>(), set_up.lines().take(5).collect::<Vec<_>>());
    assert!(beginning.variable("STRIPE_WEBHOOK_SECRET").starts_with("whsec_"));
    assert!(!set_up.contains("whsec_"), "{set_up}");
    let agreed = beginning.shell("check --online").await.success();
    for told in ["2 prices compared", "test mode", "every event that is needed", "portal has a configuration"] {
        assert!(agreed.contains(told), "{told}: {agreed}");
    }

    let mut process = beginning.run().await;
    let buyer = Buyer::new(&beginning);
    assert_eq!(buyer.get("/premium/one").await.status, 402);
    let first = buyer.buys().await;
    buyer.passes("/premium/one").await;
    // No configuration of the portal is saved in the dashboard: that of `setup` serves.
    nothing_is_held_back(&beginning).await;
    let portal = buyer.post("/api/billing/portal", &json!({})).await;
    assert!(portal.json()["url"].as_str().is_some_and(|url| url.contains("/portal/")), "{portal:?}");

    a_dearer_price_takes_nothing_from_those_who_have_the_old_one(&beginning, &buyer, &first).await;
    a_start_without_the_provider_knows_the_prices(beginning, &mut process).await;
}

/// The catalog in force has prices by their lookup keys, and the file has none: that is no difference.
async fn nothing_is_held_back(beginning: &Beginning) {
    let explained = beginning.shell("explain account somebody --json").await.success();
    let explained: Value = serde_json::from_str(&explained).expect("JSON");
    let warnings = explained["warnings"].to_string();
    assert!(!warnings.contains("catalog.toml"), "{warnings}");
}

async fn a_dearer_price_takes_nothing_from_those_who_have_the_old_one(
    beginning: &Beginning,
    buyer: &Buyer<'_>,
    first: &str,
) {
    let path = beginning.dir().join("catalog.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("amount = 700 ", "amount = 900 ")).expect("written");
    let changed = beginning.shell("setup stripe").await.success();
    assert!(changed.contains(&format!("900 gbp monthly, in place of {first}")), "{changed}");
    assert!(changed.contains(&format!("- price {first}: archived")), "{changed}");
    assert!(beginning.shell("setup stripe").await.success().contains("nothing was to be done"));
    let applied = beginning.shell("catalog apply catalog.toml").await.success();
    assert!(applied.contains("it is retired") && applied.contains("no account loses anything"), "{applied}");
    nothing_is_held_back(beginning).await;
    assert_eq!(buyer.get("/premium/two").await.status, 200, "what was bought goes on");
    let later = Buyer::new(beginning);
    let second = later.buys().await;
    assert_ne!(second, first);
    later.passes("/premium/one").await;
    buyer.passes("/premium/three").await;
}

async fn a_start_without_the_provider_knows_the_prices(beginning: Beginning, process: &mut Tollgate) {
    beginning.provider.set_keys(Vec::new());
    process.restart();
    process.ready().await;
    let buyer = Buyer::new(&beginning);
    let tiers = buyer.get("/api/billing/tiers").await.json();
    let amounts: Vec<i64> = tiers["tiers"]
        .as_array()
        .expect("tiers")
        .iter()
        .flat_map(|tier| tier["prices"].as_array().cloned().unwrap_or_default())
        .filter_map(|price| price["amount"].as_i64())
        .collect();
    assert_eq!(amounts, [900, 7000], "{tiers}");
}

#[tokio::test]
async fn a_site_that_the_provider_cannot_reach_is_warned_of_and_runs() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    let path = beginning.dir().join("tollgate.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace(SITE, &format!("http://{}", beginning.listen.public))).expect("written");
    let set_up = beginning.shell("setup stripe").await;
    assert!(set_up.stderr.contains("stripe listen") && set_up.code == 0, "{set_up:?}");
    assert!(beginning.rows("webhook_endpoints").is_empty());
    let checked = beginning.shell("check --online").await;
    assert!(checked.stderr.contains("stripe listen") && checked.code == 0, "{checked:?}");
    beginning.run().await;
}

#[tokio::test]
async fn a_process_that_runs_already_learns_which_prices_are_made() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    let process = beginning.run().await;
    let buyer = Buyer::new(&beginning);
    let refused = buyer.post("/api/billing/checkout", &json!({ "cadence": "monthly" })).await;
    assert!(refused.status >= 400, "nothing is sold yet: {refused:?}");
    let told = eventually("readiness says so", async || {
        let told = process.admin("/readyz").await.warnings();
        told.iter().any(|told| told.contains("no price has this lookup key")).then_some(told)
    })
    .await;
    assert!(told.iter().any(|told| told.contains("paid_monthly")), "{told:?}");
    beginning.shell("setup stripe").await.success();
    eventually("it is sold", async || {
        let opened = buyer.post("/api/billing/checkout", &json!({ "cadence": "monthly" })).await;
        (opened.status == 200).then_some(())
    })
    .await;
}

/// The id of what is made by hand in the provider's account.
pub(super) async fn made(beginning: &Beginning, list: &str, form: &[(&str, &str)]) -> String {
    let url = format!("{}/v1/{list}", beginning.provider.url());
    let answer = send(client().post(url).bearer_auth(KEY).form(form)).await;
    answer.json()["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_product_that_is_archived_is_found_though_its_prices_are_not() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    beginning.shell("setup stripe").await.success();
    beginning.shell("check --online").await.success();
    let product = beginning.rows("products")[0]["id"].as_str().expect("an id").to_owned();
    made(&beginning, &format!("products/{product}"), &[("active", "false")]).await;
    let checked = beginning.shell("check --online").await;
    let told = " (tier paid): its product is archived at the provider: nobody can buy it";
    assert!(checked.code == 1 && checked.stdout.contains(told), "{checked:?}");
    beginning.shell("setup stripe").await.success();
    beginning.shell("check --online").await.success();
}

#[tokio::test]
async fn what_stripe_sells_becomes_a_catalog_that_check_accepts() {
    let beginning = Beginning::new().await;
    beginning.init().await.success();
    beginning.shell("setup stripe").await.success();
    let name = format!("Of\n\tall\t{}", "long ".repeat(42));
    let product = made(&beginning, "products", &[("name", &name)]).await;
    let terms = [("currency", "gbp"), ("unit_amount", "9900"), ("recurring[interval]", "month"), ("product", &product)];
    made(&beginning, "prices", &terms).await;
    std::fs::remove_file(beginning.dir().join("catalog.toml")).expect("removed");
    let shown = beginning.shell("catalog import stripe").await.success();
    assert!(shown.contains("lookup_key = \"paid_annual\""), "{shown}");
    assert!(
        shown.contains("name = \"Of  all long long") && shown.contains("# the name is another one in Stripe"),
        "{shown}"
    );
    beginning.shell("catalog import stripe --output catalog.toml").await.success();
    let checked = beginning.shell("check --online").await.success();
    assert!(checked.contains("free < paid < of_all_long") && checked.contains("3 prices compared"), "{checked}");
    let again = beginning.shell("catalog import stripe --output catalog.toml").await;
    assert!(again.failure().contains("is there already"), "{again:?}");
}
