//! What every provider's webhooks have in common: the same cases for each of them, through the route.

mod answers;
mod states;
mod voice;

use axum::body::Body;
use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::{Catalog, Provider};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

pub use self::voice::{Message, Standing, Status, VOICES, Voice};
use super::{WEBHOOK_SECRET, World};
use crate::component::Billing;

/// Both providers sell the same two tiers.
fn catalog() -> Catalog {
    let prices = |id: &str| {
        let one = |provider: Provider| {
            format!(
                r#"{{ provider = "{provider}", id = "{id}", cadence = "monthly", amount = 700, currency = "gbp" }}"#
            )
        };
        VOICES.map(|Voice(provider)| one(provider)).join(", ")
    };
    let text = format!(
        r#"
        tier = [
          {{ code = "paid", name = "Paid", rank = 1, features = ["archive"], price = [{}] }},
          {{ code = "team", name = "Team", rank = 2, features = ["sso"], price = [{}] }},
        ]
        "#,
        prices("basic"),
        prices("more"),
    );
    toml::from_str(&text).expect("a catalog")
}

/// One provider, its own account, and the billing that it speaks to.
pub struct Stage<'a> {
    pub world: &'a World,
    pub voice: Voice,
    pub account: AccountId,
}

pub async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let world = World::new(options, connect).await;
    super::put_in_force(&world.billing, &catalog()).await;
    world
}

/// What a delivery was answered, and with which word.
pub async fn send(
    billing: &Billing,
    voice: Voice,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> (StatusCode, Value) {
    let request =
        headers.iter().fold(Request::post(voice.route()), |request, (name, value)| request.header(*name, value));
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    let response = billing.router().oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 65_536).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

impl<'a> Stage<'a> {
    pub fn new(world: &'a World, voice: Voice) -> Self {
        Self::of(world, voice, "one")
    }

    /// With an account of its own.
    pub fn of(world: &'a World, voice: Voice, name: &str) -> Self {
        let account = AccountId::parse(&format!("{}-{}-{name}", world.account, voice.0)).expect("an id");
        Self { world, voice, account }
    }

    pub async fn deliver(&self, message: &Message) -> (StatusCode, Value) {
        let headers = self.voice.signed(&[WEBHOOK_SECRET], crate::clock::now().timestamp(), message);
        send(&self.world.billing, self.voice, &headers, &message.body).await
    }

    /// Delivers what is accepted, and has everything applied.
    pub async fn tell(&self, message: &Message) {
        let (status, answer) = self.deliver(message).await;
        assert_eq!(status, StatusCode::OK, "{:?}: {answer}", self.voice);
        self.world.billing.apply_due(crate::clock::now()).await.expect("the worker");
    }

    pub async fn has(&self, at: Timestamp) -> String {
        self.world.has(&self.account, at).await
    }

    /// A subscription as it stands some seconds from now, in its first period.
    pub fn standing(&self, status: Status, second: i64) -> Standing {
        Standing {
            id: "s-1".into(),
            product: "basic",
            status,
            at: self.world.at(second),
            period_start: self.world.now - TimeDelta::minutes(10),
            ends_with_period: false,
            before: None,
        }
    }

    pub fn linked(&self, id: &str, customer: &str) -> Message {
        self.voice.linked(id, customer, &self.account, self.world.now - TimeDelta::minutes(9))
    }
}

pub fn ok(word: &str) -> (StatusCode, Value) {
    (StatusCode::OK, json!({ "status": word }))
}
