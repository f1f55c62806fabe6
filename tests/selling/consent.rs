//! What a buyer agrees to is written down before anything is sold, and an operator can show it.

use serde_json::{Value, json};

use super::{Buyer, WAIVER, annual, monthly, provider, setup};
use crate::world::http::client;
use crate::world::{Arrangement, World, now, send};

const OPERATOR: &str = "the operator's own token";

#[tokio::test]
async fn a_consent_is_recorded_once_for_each_checkout_and_can_be_listed() {
    let world = World::with(setup(Arrangement::AllPostgres).environment("TOLLGATE_ADMIN_TOKEN", OPERATOR)).await;
    let (ann, bob) = (Buyer::new(&world), Buyer::new(&world));
    let before = now();
    assert_eq!(ann.orders(&json!({ "cadence": "monthly" })).await.code(), "consent_required");
    assert_eq!(listed(&world, "").await, Vec::<Value>::new(), "nobody agreed to anything");
    let session = ann.opens(&monthly()).await;
    ann.opens(&monthly()).await;
    bob.opens(&annual()).await;
    let all = listed(&world, "").await;
    let [consent] = all.as_slice() else { panic!("one consent: {all:?}") };
    assert_eq!(
        (&consent["account"], &consent["text"], &consent["provider"], &consent["price"]),
        (&json!(ann.account), &json!(WAIVER), &json!("stripe"), &json!("price_monthly"))
    );
    let agreed_at: chrono::DateTime<chrono::Utc> =
        consent["agreed_at"].as_str().and_then(|at| at.parse().ok()).expect("a moment");
    assert!(before <= agreed_at && agreed_at <= now(), "{consent}");
    // Another checkout is another agreement.
    provider(&world).expire_checkout(&session).expect("expired");
    ann.opens(&monthly()).await;
    bob.opens(&monthly()).await;
    assert_eq!(listed(&world, &format!("?account={}", ann.account)).await.len(), 2);
    let newest = listed(&world, "?limit=1").await;
    assert_eq!(newest[0]["account"], bob.account.as_str());
    assert_eq!(listed(&world, &format!("?before={}", newest[0]["id"])).await.len(), 2);

    let printed = world.tollgate(&["consents", "--account", &bob.account]).await.success();
    assert!(printed.contains(&format!("{} {WAIVER} stripe:price_monthly", bob.account)), "{printed}");
    assert!(!printed.contains(&ann.account), "{printed}");
    let json: Value = serde_json::from_str(&world.tollgate(&["consents", "--json"]).await.success()).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(3), "{json}");
}

async fn listed(world: &World, query: &str) -> Vec<Value> {
    let url = format!("http://{}/admin/consents{query}", world.billing().listen.admin);
    let stranger = send(client().get(&url)).await;
    assert_eq!(stranger.status, 401, "it is the operator's: {stranger:?}");
    let answer = send(client().get(&url).bearer_auth(OPERATOR)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["consents"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a9_what_is_recorded_is_the_text_that_the_buyer_agreed_to() {
    let new = "monthly-waiver-2";
    let setup = setup(Arrangement::AllPostgres).environment("TOLLGATE_ADMIN_TOKEN", OPERATOR);
    let world = World::with(setup.key(&format!("pages.consents.{new}"), "\"Begin at once.\"")).await;
    let buyer = Buyer::new(&world);
    let session = buyer.opens(&monthly()).await;
    let catalog = world.dir().join("next.toml");
    std::fs::write(&catalog, super::catalog().replace(WAIVER, "monthly-wavier-2")).expect("it is written");
    let named = catalog.to_str().expect("a path");
    let mistyped = world.tollgate(&["catalog", "apply", named, "--yes"]).await;
    assert!(mistyped.code != 0 && mistyped.stderr.contains(new), "it names the nearest: {mistyped:?}");
    std::fs::write(&catalog, super::catalog().replace(WAIVER, new)).expect("it is written");
    world.tollgate(&["catalog", "apply", named, "--yes"]).await.success();
    let again = buyer.opens(&json!({ "cadence": "monthly", "consent": new })).await;
    assert_eq!(again, session, "it is still open");
    let texts: Vec<Value> = listed(&world, "").await.iter().map(|consent| consent["text"].clone()).collect();
    assert_eq!(texts, [new, WAIVER], "newest first");
}

#[tokio::test]
async fn a9_a_text_that_is_changed_under_its_id_is_asked_for_again_and_recorded_as_it_was_shown() {
    let own = "own-waiver-1";
    let mut setup = setup(Arrangement::AllPostgres).environment("TOLLGATE_ADMIN_TOKEN", OPERATOR);
    setup.catalog = setup.catalog.replace(WAIVER, own);
    let mut world = World::with(setup.key(&format!("pages.consents.{own}"), "\"Begin at once.\"")).await;
    let (first, digest) = {
        let buyer = Buyer::new(&world);
        let session = buyer.opens(&json!({ "cadence": "monthly", "consent": own })).await;
        (session, digest_on_the_page(&world, &buyer).await)
    };
    let account = listed(&world, "").await[0]["account"].as_str().expect("an account").to_owned();
    let billing = world.processes.iter_mut().find(|process| process.role != "proxy").expect("billing");
    billing.rewrite(|text| text.replace("Begin at once.", "Begin at once, without a way back."));
    billing.restart();
    billing.ready().await;
    // A page that was loaded before, sent now.
    let buyer = Buyer { token: crate::world::token(&account), account, world: &world };
    let stale = sends_form(&buyer, own, &digest).await;
    assert!(stale.status == 409 && stale.body.contains("has changed since this page was loaded"), "{stale:?}");
    let order = json!({ "cadence": "monthly", "consent": own, "consent_digest": digest });
    let refused = buyer.orders(&order).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "consent_changed"), "{refused:?}");
    let new = digest_on_the_page(&world, &buyer).await;
    assert_ne!(new, digest);
    assert_eq!(sends_form(&buyer, own, &new).await.status, 200);
    assert_eq!(provider(&world).sessions().len(), 1, "the first one is still open: {first}");
    let wordings: Vec<Value> = listed(&world, "").await.iter().map(|consent| consent["wording"].clone()).collect();
    assert_eq!(wordings, ["Begin at once, without a way back.", "Begin at once."], "newest first");
}

/// By what the text is known that the pricing page shows.
async fn digest_on_the_page(world: &World, buyer: &Buyer<'_>) -> String {
    let page = world.browse("/billing/pricing?cadence=monthly", Some(&buyer.token)).await.body;
    let (_, rest) = page.split_once("name=\"consent_digest\" value=\"").unwrap_or_else(|| panic!("a digest: {page}"));
    rest.split('"').next().expect("a value").to_owned()
}

async fn sends_form(buyer: &Buyer<'_>, consent: &str, digest: &str) -> crate::world::Answer {
    let form = buyer.world.request("POST", "/billing/checkout", None);
    let form = form.header("cookie", format!("session={}", buyer.token)).header("sec-fetch-site", "same-origin");
    let form = form.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
    let fields = format!("tier=paid&cadence=monthly&provider=stripe&consent={consent}&consent_digest={digest}");
    send(form.body(fields)).await
}
