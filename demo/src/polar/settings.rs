//! What a simulated Polar is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use uuid::Uuid;

use crate::delivery::{KeyForm, StandardSecret};
use crate::provider::{Cadence, Exhausted};

/// Where it listens, who may call it, and whom it tells.
///
/// Has no `Debug`: it holds a token and secrets.
#[derive(Clone)]
pub struct Settings {
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The token that API callers must present.
    pub access_token: String,
    /// Where events go; `None`: they are kept, but sent nowhere. See `Polar::set_webhook_url`.
    pub webhook_url: Option<String>,
    /// Each of them signs every delivery.
    pub webhook_secrets: Vec<StandardSecret>,
    /// Everything that it sells.
    pub products: Vec<Product>,
    /// How long to wait before each further try of a failed delivery; after the last one it is given up.
    pub retry_delays: Vec<Duration>,
    /// After how many failed tries in a row the endpoint is switched off: 10 at Polar; `None`: never.
    pub failed_max: Option<u32>,
    /// What becomes of a subscription that nobody pays.
    pub exhausted: Exhausted,
}

impl Settings {
    /// Listens on a free loopback port, sells nothing, tells nobody, and signs as Polar does today.
    #[must_use]
    pub fn new(access_token: impl Into<String>, webhook_secret: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            access_token: access_token.into(),
            webhook_url: None,
            webhook_secrets: vec![StandardSecret { secret: webhook_secret.into(), form: KeyForm::Decoded }],
            products: Vec::new(),
            retry_delays: [100, 300, 1_000, 3_000, 10_000].map(Duration::from_millis).to_vec(),
            failed_max: None,
            exhausted: Exhausted::Unpaid,
        }
    }
}

/// One recurring product with one fixed price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// A UUID.
    pub id: String,
    pub name: String,
    /// In minor units.
    pub amount: i64,
    /// Three letters, lower case.
    pub currency: String,
    pub cadence: Cadence,
}

impl Product {
    /// The id of its price, which follows from its own.
    #[must_use]
    pub fn price_id(&self) -> String {
        let mut bytes = Uuid::parse_str(&self.id).unwrap_or_default().into_bytes();
        bytes[15] ^= 0xff;
        Uuid::from_bytes(bytes).to_string()
    }
}
