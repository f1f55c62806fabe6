//! What the handlers decide, against a real Postgres with a single connection and the simulated provider.

mod buyers;
mod component;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use chrono::Duration;
use demo::provider::{Cadence, CancelAt, Price, Provider, Settings as ProviderSettings, Subscribe};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::assertion::{Actor, AssertionKey, Claims};
use entitlement::catalog::Provider as ProviderName;
use entitlement::decide::Known;
use entitlement::subscription::{Grace, Policy, State, Subscription, SubscriptionId};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use super::standing::examples::{CATALOG, subscription};
use crate::checkout::{self, Order};
use crate::settings::ASSERTION_AUDIENCE;
use crate::store::catalogs::{self, Rules};
use crate::store::{links, subscriptions};
use crate::{Billing, clock};
use component::billing;

const SITE: &str = "https://read.example";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A site that sells, its provider, and its one buyer.
struct Shop {
    provider: Provider,
    billing: Billing,
    router: Router,
    buyer: AccountId,
    /// The user who acts for the buyer, and whether that user may buy; none: the buyer itself.
    acting: Option<(&'static str, bool)>,
}

/// How a shop differs from the usual one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twist {
    None,
    NoKey,
    WrongKey,
    Unreachable,
}

impl Shop {
    async fn open(pool: PgPoolOptions, database: PgConnectOptions, twist: Twist) -> Self {
        let mut settings = ProviderSettings::new("sk_test_shop", "whsec_shop");
        settings.prices = vec![price("price_monthly", 700, Cadence::Month), price("price_annual", 7000, Cadence::Year)];
        let provider = Provider::start(settings).await.expect("a provider");
        let pool = pool.max_connections(1).connect_with(database).await.expect("a pool");
        let catalog = toml::from_str(CATALOG).expect("a catalog");
        let mut conn = pool.acquire().await.expect("a connection");
        let rules = Rules { id: None, catalog, grace: grace(), policy: Policy::default() };
        catalogs::insert(&mut conn, &rules, 0, clock::now()).await.expect("a catalog");
        drop(conn);
        let key = match twist {
            Twist::None | Twist::Unreachable => Some("sk_test_shop"),
            Twist::NoKey => None,
            Twist::WrongKey => Some("sk_test_other"),
        };
        // Nobody may listen on port 1 without asking the operating system first.
        let url = if twist == Twist::Unreachable { "http://127.0.0.1:1" } else { provider.url() };
        let billing = billing(pool, url, key);
        let router = super::router(&billing).merge(crate::pages::router(&billing));
        let router = router.layer(axum::middleware::from_fn(crate::caller::kept)).with_state(billing.clone());
        Self { provider, billing, router, buyer: AccountId::parse("user-1").expect("an id"), acting: None }
    }

    fn assertion(&self, audience: &str) -> String {
        let now = clock::now().timestamp();
        let claims = Claims {
            iss: SITE.into(),
            aud: audience.into(),
            sub: self.buyer.clone(),
            act: self.acting.map(|(user, _)| Actor { sub: user.parse().expect("an id") }),
            buyer: self.acting.is_none_or(|(_, is_buyer)| is_buyer),
            iat: now,
            exp: now + 60,
            tier: None,
            status: None,
            features: vec![],
            valid_until: None,
        };
        AssertionKey::parse(SECRET).expect("a key").sign(&claims).expect("a token")
    }

    /// As the buyer's browser asks, through the proxy.
    async fn get(&self, path: &str) -> Response {
        let request = Request::get(path).header("x-entitlement-assertion", self.assertion(ASSERTION_AUDIENCE));
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header("x-entitlement-assertion", self.assertion(ASSERTION_AUDIENCE))
            .header("content-type", "application/json")
            .header("origin", SITE);
        answer(self.send(request.body(Body::from(body.to_string())).expect("a request")).await).await
    }

    async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("an answer")
    }

    /// The code of the problem that a POST ends in.
    async fn refusal(&self, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.post(path, body).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Stores a subscription of the buyer as its webhook would.
    async fn put(&self, subscription: &Subscription) {
        let mut transaction = self.billing.pool().begin().await.expect("a transaction");
        let now = clock::now();
        let link = links::Link {
            provider: ProviderName::Stripe,
            customer: &subscription.customer,
            account: &self.buyer,
            stated_at: Some(now),
            cause: "test",
        };
        let customer = [(ProviderName::Stripe, subscription.customer.as_str())];
        links::lock(&mut transaction, customer, links::Placing::Adds).await.expect("it is held");
        links::link(&mut transaction, link, now).await.expect("a link");
        let known = Known { subscription: subscription.clone(), observation: 0 };
        subscriptions::put(&mut transaction, &self.buyer, &known, subscriptions::Origin::default(), now)
            .await
            .expect("a subscription");
        transaction.commit().await.expect("a commit");
    }

    /// Subscribes the buyer at the provider, and stores that; answers the subscription's id.
    async fn subscribed(&self) -> String {
        let customer = self.provider.create_customer(demo::provider::NewCustomer::default()).expect("a customer");
        let subscribe = Subscribe { customer: customer.clone(), price: "price_monthly".into(), ..Subscribe::default() };
        let id = self.provider.subscribe(subscribe).expect("a subscription");
        let stripe = SubscriptionId { provider: ProviderName::Stripe, id: id.clone() };
        self.put(&Subscription { id: stripe, customer, ..active() }).await;
        id
    }
}

fn price(id: &str, amount: i64, cadence: Cadence) -> Price {
    Price { id: id.into(), amount, currency: "gbp".into(), cadence, product: "Paid".into(), metered: false }
}

fn grace() -> Grace {
    Grace { past_due: Duration::days(14), renewal: Duration::days(3), trial: Duration::days(1), ..Grace::default() }
}

/// Begun a day ago, paid for a month.
fn active() -> Subscription {
    let now: Timestamp = clock::now();
    let state = State::Active { paid_until: Some(now + Duration::days(29)) };
    Subscription { started_at: now - Duration::days(1), ..subscription("price_monthly", state) }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = text(response).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {body}")))
}

async fn text(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(body.to_vec()).expect("text")
}

fn location(response: &Response) -> &str {
    response.headers()["location"].to_str().expect("ASCII")
}

const MONTHLY: fn() -> Value = || json!({"cadence": "monthly", "consent": "monthly-waiver-1"});

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_for_those_who_are_not_signed_in(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    let routes = [
        (Method::POST, "/api/billing/checkout"),
        (Method::POST, "/api/stripe/checkout"),
        (Method::POST, "/api/billing/portal"),
        (Method::POST, "/api/stripe/portal"),
        (Method::POST, "/api/billing/cancel"),
        (Method::POST, "/api/billing/reactivate"),
        (Method::GET, "/api/billing/subscription"),
        (Method::GET, "/api/billing/tiers"),
    ];
    let foreign = shop.assertion("read.example");
    let forged = format!("{}x", shop.assertion(ASSERTION_AUDIENCE));
    for (method, path) in routes {
        // That billing cannot verify an assertion is the operator's to mend.
        let refused = (503, "invalid_assertion");
        for (assertion, (expected, code)) in
            [(None, (401, "sign_in")), (Some(&foreign), refused), (Some(&forged), refused)]
        {
            let mut request = Request::builder().method(&method).uri(path).header("content-type", "application/json");
            if let Some(assertion) = assertion {
                request = request.header("x-entitlement-assertion", assertion);
            }
            let (status, answer) = answer(shop.send(request.body(Body::from("{}")).expect("a request")).await).await;
            assert_eq!((status.as_u16(), &answer["code"]), (expected, &json!(code)), "{method} {path}");
            assert_eq!(answer["reference"].is_string(), expected == 503, "{answer}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_checkout_is_opened_for_a_customer_that_stays(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    for path in ["/api/billing/checkout", "/api/stripe/checkout"] {
        let (status, answer) = shop.post(path, MONTHLY()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(answer["url"].as_str().is_some_and(|url| url.starts_with(shop.provider.url())), "{answer}");
    }
    let (status, _) = shop.post("/api/billing/checkout", json!({"tier": "paid", "cadence": "annual"})).await;
    assert_eq!(status, StatusCode::OK);
    let customers = shop.provider.customers();
    assert_eq!(customers.len(), 1, "three checkouts, one customer");
    assert_eq!(customers[0]["metadata"]["account"], "user-1");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_tabs_make_one_customer(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    let order: Order = serde_json::from_value(MONTHLY()).expect("an order");
    let now = clock::now();
    let open = || checkout::open(&shop.billing, &shop.buyer, &order, now);
    let (one, other) = tokio::join!(open(), open());
    assert_eq!(one.expect("a URL"), other.expect("a URL"), "one checkout");
    assert_eq!(shop.provider.customers().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_order_that_cannot_be_filled_says_why(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    let cases = [
        (json!({"cadence": "weekly"}), (400, "unknown_cadence")),
        (json!({"cadence": "monthly"}), (400, "consent_required")),
        (json!({"cadence": "monthly", "tier": "gold"}), (404, "tier_not_found")),
        (json!({"cadence": "monthly", "tier": "enterprise"}), (400, "no_price")),
        (json!({"cadence": 7}), (400, "not_json")),
        (json!({"cadence": "monthly", "filling": "x".repeat(17_000)}), (413, "too_large")),
    ];
    for (order, (status, code)) in cases {
        assert_eq!(shop.refusal("/api/billing/checkout", order).await, (status, code.to_owned()));
    }
    assert!(shop.provider.customers().is_empty(), "nobody was made for nothing");
    shop.subscribed().await;
    assert_eq!(shop.refusal("/api/billing/checkout", MONTHLY()).await, (409, "already_subscribed".into()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_that_the_provider_lost_is_made_again(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    assert_eq!(shop.post("/api/billing/checkout", MONTHLY()).await.0, StatusCode::OK);
    let lost = shop.provider.customers()[0]["id"].as_str().expect("an id").to_owned();
    shop.provider.delete_customer(&lost).expect("it is there");
    assert_eq!(shop.refusal("/api/billing/portal", json!({})).await, (404, "no_customer".into()));
    // Another order: the same one within a minute would be answered from memory.
    let (status, answer) = shop.post("/api/billing/checkout", json!({"cadence": "annual"})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, answer) = shop.post("/api/billing/portal", json!({})).await;
    assert_eq!(status, StatusCode::OK, "the new one has a portal: {answer}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_portal_is_for_those_who_bought(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    assert_eq!(shop.refusal("/api/stripe/portal", json!({})).await, (404, "no_customer".into()));
    shop.subscribed().await;
    let (status, answer) = shop.post("/api/stripe/portal", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["url"].as_str().is_some_and(|url| url.starts_with(shop.provider.url())), "{answer}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_end_is_scheduled_and_taken_back(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    for path in ["/api/billing/cancel", "/api/billing/reactivate"] {
        assert_eq!(shop.refusal(path, json!({})).await, (400, "no_active_subscription".into()));
    }
    let id = shop.subscribed().await;
    let ends_at = || shop.provider.subscriptions()[0]["cancel_at"].as_i64();
    assert_eq!(shop.refusal("/api/billing/reactivate", json!({})).await, (400, "not_canceling".into()));
    for _ in 0..2 {
        let (status, answer) = shop.post("/api/billing/cancel", json!({})).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("scheduled")));
        let told: Timestamp = answer["ends_at"].as_str().expect("a date").parse().expect("RFC 3339");
        assert_eq!(Some(told.timestamp()), ends_at());
    }
    assert_eq!(shop.post("/api/billing/reactivate", json!({})).await, (StatusCode::OK, json!({"status": "active"})));
    assert_eq!(ends_at(), None);
    // The portal of flexible billing sets the date alone.
    shop.provider.cancel(&id, CancelAt::PeriodEnd).expect("it runs");
    assert_eq!(shop.post("/api/billing/reactivate", json!({})).await.0, StatusCode::OK);
    assert_eq!(ends_at(), None);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_fault_of_the_provider_is_a_502_and_no_key_a_503(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool.clone(), database.clone(), Twist::NoKey).await;
    for path in ["/api/billing/checkout", "/api/billing/portal", "/api/billing/cancel", "/api/billing/reactivate"] {
        assert_eq!(shop.refusal(path, MONTHLY()).await, (503, "not_configured".into()), "{path}");
    }
    for (twist, code) in [(Twist::WrongKey, "provider_error"), (Twist::Unreachable, "provider_unavailable")] {
        let shop = Shop::open(pool.clone(), database.clone(), twist).await;
        let (status, answer) = shop.post("/api/billing/checkout", MONTHLY()).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_GATEWAY, &json!(code)));
        assert!(!answer.to_string().contains("sk_test"), "{answer}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_interface_shows_what_is_held_and_what_is_sold(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    let (_, nobody) = answer(shop.get("/api/billing/subscription").await).await;
    assert_eq!(
        (&nobody["tier"], &nobody["status"], &nobody["subscriptions"]),
        (&json!("free"), &json!("none"), &json!([]))
    );
    let id = shop.subscribed().await;
    let response = shop.get("/api/billing/subscription").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (_, shown) = answer(response).await;
    assert_eq!(
        (&shown["account"], &shown["tier"], &shown["status"]),
        (&json!("user-1"), &json!("paid"), &json!("active"))
    );
    let subscription = &shown["subscriptions"][0];
    assert_eq!((&subscription["id"], &subscription["cadence"]), (&json!(id), &json!("monthly")));
    assert!(subscription["period_end"].is_string() && subscription["cancel_at"].is_null(), "{shown}");
    let (_, sold) = answer(shop.get("/api/billing/tiers").await).await;
    assert_eq!(sold["tiers"][1]["prices"][0]["consent"], "monthly-waiver-1");
    assert_eq!(sold["tiers"][1]["prices"][1]["trial_days"], 14);
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_send_the_anonymous_to_sign_in_and_are_never_stored(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    let anonymous = |path: &str| shop.send(Request::get(path).body(Body::empty()).expect("a request"));
    for (path, expected) in [
        ("/billing", "/login?next=%2Fbilling"),
        ("/billing/return?session_id=cs_1&next=/a", "/login?next=%2Fbilling%2Freturn%3Fnext%3D%252Fa"),
    ] {
        let response = anonymous(path).await;
        assert_eq!((response.status(), location(&response)), (StatusCode::SEE_OTHER, expected), "{path}");
    }
    let response = anonymous("/billing/pricing?next=//evil.example").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(response.headers()["content-security-policy"].to_str().expect("ASCII").starts_with("default-src 'none'"));
    let html = text(response).await;
    assert!(html.contains("/login?next=%2Fbilling%2Fpricing\"") && !html.contains("evil.example"), "{html}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_buyer_who_is_back_before_the_webhook_waits_for_it(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    let back = shop.get("/billing/return?session_id=cs_1&next=/premium/a");
    let (response, _) = tokio::join!(back, shop.subscribed());
    assert_eq!((response.status(), location(&response)), (StatusCode::SEE_OTHER, "/premium/a"));
    for next in ["", "&next=https://evil.example/", "&next=//evil.example"] {
        let response = shop.get(&format!("/billing/return?session_id=cs_1{next}")).await;
        assert_eq!(location(&response), "/billing?upgraded=1", "{next}");
    }
    let page = text(shop.get("/billing?upgraded=1").await).await;
    assert!(!page.contains("Your plan is active"), "it was bought a day ago: the address alone earns no thanks");
}
