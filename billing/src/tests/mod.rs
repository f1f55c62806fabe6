//! The parts together, on a real Postgres (`DATABASE_URL`) and a real Redis (`REDIS_URL`).
//!
//! Every test has a database of its own and an account id of its own, and hands in the time.

mod apply;
mod asking;
mod catalog;
mod contract;
mod failing;
mod gone;
mod groups;
mod held;
mod inbox;
mod ingest;
mod lives;
mod money;
mod operator;
mod order;
mod plans;
mod polar;
mod publish;
mod reconcile;
mod referral;
mod retention;
mod routes;
mod shop;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::catalog::{Catalog, Provider};
use entitlement::record::{Entitlement, Namespace, Record};
use entitlement::subscription::{Grace, Policy};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::broadcast;

use crate::component::Billing;
use crate::ops::{CatalogReport, Proposal, Word};
use crate::publish::Outlets;
use crate::settings::{ASSERTION_AUDIENCE, Polar, Reconcile, Referral, Secret, Settings, Stripe};
use crate::store::events::{self, Arrival, Arrived};

pub const WEBHOOK_SECRET: &str = "whsec_of_the_tests";
const ASSERTION_KEY: &str = "0123456789abcdef0123456789abcdef";

pub fn redis_url() -> String {
    std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned())
}

/// One for each test, which has a thread and a database of its own: Redis is shared.
pub fn namespace() -> Namespace {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").replace(' ', "-");
    Namespace::parse(&format!("{test}-{}", std::process::id())).expect("a namespace")
}

pub fn settings() -> Settings {
    Settings {
        site_url: "https://read.example".into(),
        origins: vec!["https://read.example".into()],
        pricing_url: "/billing/pricing".into(),
        login: entitlement::login::Login::default(),
        pages: std::sync::Arc::new(crate::pages::examples::pages()),
        assertion: AssertionKey::parse(ASSERTION_KEY).expect("a key"),
        assertion_audience: ASSERTION_AUDIENCE.into(),
        identity_audience: "read.example".into(),
        stripe: Stripe {
            api_key: None,
            api_base: "http://127.0.0.1:9/".into(),
            webhook_secrets: vec![Secret::from(WEBHOOK_SECRET)],
            webhook_path: "/api/stripe/webhook".into(),
            metadata_key: "account".into(),
            account: None,
        },
        polar: Polar {
            access_token: None,
            api_base: "http://127.0.0.1:9/".into(),
            webhook_secrets: vec![Secret::from(WEBHOOK_SECRET)],
            metadata_key: "account".into(),
        },
        grace: Grace {
            past_due: TimeDelta::days(14),
            renewal: TimeDelta::days(3),
            authentication: TimeDelta::days(3),
            ..Grace::default()
        },
        policy: Policy::default(),
        operator_token: Some("the operator's token".into()),
        app_tokens: Vec::new(),
        session_ways: Vec::new(),
        referral: Referral::default(),
        reconcile: Reconcile::default(),
        bodies_kept: None,
        consents_kept: None,
        inbox_alert: 1000,
        redis_url: Some(Secret::from(redis_url())),
        migration_url: None,
        names: entitlement::naming::Names::default(),
        addresses: std::collections::BTreeMap::new(),
        namespace: namespace(),
        pool_size: 1,
        inline_wait: Duration::from_secs(5),
    }
}

pub fn catalog() -> Catalog {
    let price = |id: &str| {
        format!(r#"{{ provider = "stripe", id = "{id}", cadence = "monthly", amount = 700, currency = "gbp" }}"#)
    };
    let text = format!(
        r#"
        tier = [
          {{ code = "paid", name = "Paid", rank = 1, features = ["archive"], price = [{}] }},
          {{ code = "team", name = "Team", rank = 2, features = ["sso"], price = [{}] }},
        ]
        "#,
        price("price_monthly"),
        price("price_team"),
    );
    toml::from_str(&text).expect("a catalog")
}

/// What a file with this catalog asks for, with the grace and policy of the settings.
pub fn proposal(billing: &Billing, catalog: &Catalog) -> Proposal {
    let (grace, policy) = (billing.settings().grace, billing.settings().policy);
    Proposal { catalog: catalog.clone(), grace, policy, accept: None, file: "catalog.toml".into() }
}

/// Makes a catalog current, whatever it takes.
pub async fn put_in_force(billing: &Billing, catalog: &Catalog) -> CatalogReport {
    let proposal = proposal(billing, catalog);
    let plan = billing.plan_catalog(&proposal).await.expect("planned");
    billing.apply_catalog(&proposal, &plan, Word::Forced).await.expect("a catalog is applied")
}

/// One test's billing, on a pool of exactly one connection, as with the embedded Postgres.
pub struct World {
    pub billing: Billing,
    pub pool: PgPool,
    /// Different in every test: Redis is shared.
    pub account: AccountId,
    /// The moment at which the test begins.
    pub now: Timestamp,
}

impl World {
    pub async fn new(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        Self::with(options, connect, settings()).await
    }

    pub async fn with(options: PgPoolOptions, connect: PgConnectOptions, settings: Settings) -> Self {
        let pool = options.max_connections(settings.pool_size).connect_with(connect).await.expect("a database");
        let billing = billing_on(&pool, settings, None);
        put_in_force(&billing, &catalog()).await;
        // No account is there yet whom it concerns.
        billing.publish_due(crate::clock::now()).await.expect("no fault");
        let account = AccountId::parse(&format!("user-{}", uuid::Uuid::new_v4())).expect("an id");
        // Whole seconds, as Stripe counts them.
        let now = Timestamp::from_timestamp(crate::clock::now().timestamp(), 0).expect("in range");
        Self { billing, pool, account, now }
    }

    /// Another account of this world.
    pub fn other(&self, n: usize) -> AccountId {
        AccountId::parse(&format!("{}-{n}", self.account)).expect("an id")
    }

    /// `now` and some seconds.
    pub fn at(&self, seconds: i64) -> Timestamp {
        self.now + TimeDelta::seconds(seconds)
    }

    /// Puts an event into the inbox as if it had just been verified. Returns its row.
    pub async fn receive(&self, event: &Value) -> i64 {
        self.receive_at(event, self.now).await
    }

    /// The same, at a later moment.
    pub async fn receive_at(&self, event: &Value, now: Timestamp) -> i64 {
        let body = serde_json::to_vec(event).expect("it encodes");
        let arrival = Arrival {
            provider: Provider::Stripe,
            event_id: event["id"].as_str().expect("an id"),
            kind: event["type"].as_str().expect("a type"),
            api_version: None,
            livemode: event["livemode"].as_bool(),
            body: &body,
            received_at: now,
            due_at: now,
        };
        let mut conn = self.pool.acquire().await.expect("a connection");
        match events::insert(&mut conn, arrival).await.expect("it is stored") {
            Arrived::New(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Receives and applies events, one after the other.
    pub async fn apply(&self, events: &[Value]) {
        for event in events {
            self.receive(event).await;
            self.billing.apply_due(self.now).await.expect("the inbox is worked on");
        }
    }

    /// The state and the reason of an event.
    pub async fn fate(&self, event_id: &str) -> (String, Option<String>) {
        let (line, _) = self.billing.event(event_id).await.expect("the inbox").expect("the event");
        (line.state, line.reason)
    }

    /// What an account has, from Postgres: `tier status`.
    pub async fn has(&self, account: &AccountId, at: Timestamp) -> String {
        shown(&self.billing.compute(account, at).await.expect("rows").record.entitlement, at)
    }

    pub async fn version(&self) -> u64 {
        self.billing.compute(&self.account, self.now).await.expect("rows").record.entitlement.version
    }

    /// What Redis holds of the account of this test.
    pub async fn cached(&self) -> Option<Entitlement> {
        let client = redis::Client::open(redis_url()).expect("a URL");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
        let key = self.key().await;
        let text: Option<String> = redis::cmd("GET").arg(key).query_async(&mut redis).await.expect("an answer");
        text.map(|text| entitlement::record::decode_for(&self.account, &text).expect("a record").entitlement)
    }

    /// Where Redis holds the record of the account of this test.
    pub async fn key(&self) -> String {
        let mut conn = self.pool.acquire().await.expect("a connection");
        let database = crate::store::identity::read(&mut conn).await.expect("it is migrated").id;
        self.billing.settings().namespace.key(database, &self.account)
    }
}

/// Another process on the same database.
pub fn billing_on(pool: &PgPool, settings: Settings, local: Option<broadcast::Sender<Arc<Record>>>) -> Billing {
    let outlets = Outlets::new(settings.redis_url.as_ref(), &settings.namespace, local).expect("a URL");
    Billing::new(pool.clone(), settings, outlets)
}

pub fn shown(entitlement: &Entitlement, at: Timestamp) -> String {
    let segment = entitlement.timeline.at(at);
    format!("{} {}", segment.plan.tier, segment.status.as_str())
}

/// An event, made at `created`.
pub fn event(id: &str, kind: &str, created: Timestamp, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": created.timestamp(), "livemode": false,
        "api_version": "2025-03-31.basil", "data": { "object": object },
    })
}

/// A completed checkout of customer `cus` for an account.
pub fn checkout(id: &str, cus: &str, sub: &str, account: &AccountId, created: Timestamp) -> Value {
    let session = json!({
        "id": format!("cs_{id}"), "object": "checkout.session", "customer": cus, "subscription": sub,
        "client_reference_id": account, "created": created.timestamp(), "mode": "subscription",
    });
    event(id, "checkout.session.completed", created, &session)
}

/// An active subscription of customer `cus`, paid for a month from the moment at which it is told.
pub fn active(cus: &str, sub: &str, price: &str, told: Timestamp) -> Value {
    let period = (told.timestamp(), (told + TimeDelta::days(30)).timestamp());
    json!({
        "id": sub, "object": "subscription", "customer": cus, "status": "active",
        "start_date": told.timestamp(), "created": told.timestamp(), "metadata": {},
        "items": { "data": [{
            "price": { "id": price }, "current_period_start": period.0, "current_period_end": period.1,
        }] },
    })
}

/// The same object with other fields.
pub fn with(object: &Value, fields: &Value) -> Value {
    let mut object = object.clone();
    let fields = fields.as_object().expect("an object").clone();
    object.as_object_mut().expect("an object").extend(fields);
    object
}
