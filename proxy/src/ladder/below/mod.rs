//! What is below Redis: the billing component, in this process or behind its internal listener.

mod error;

pub use error::BelowError;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cache::CacheId;
use entitlement::account::AccountId;
use entitlement::assertion::{AssertionError, AssertionKey, Claims, LIFETIME_SECONDS};
use entitlement::authorize::Lacking;
use entitlement::naming::Names;
use entitlement::record::forget::Forget;
use entitlement::record::{
    self, DatabaseId, Entitlement, HIGH_WATER_HEADER, HighWater, RECORD_BYTES_MAX, RecordError, before,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONNECTION};
use serde::{Deserialize, Serialize};

use super::line::Heard;
use crate::clock;

/// Says which format of records is read.
const FORMAT_HEADER: &str = "tollgate-record";

/// Says which database was asked.
const DATABASE_HEADER: &str = "tollgate-database";

/// Longest answer about the cache that is read.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What an operator does about it.
const OTHER_KEY: &str = "billing refuses the assertions of this proxy, so nobody's access is known: TOLLGATE_ASSERTION_KEY and site.url have to be the \
                         same in both, and their clocks within a minute";

/// The audience of assertions that are meant for billing.
pub const BILLING_AUDIENCE: &str = "tollgate-billing";

/// Billing's answer about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub entitlement: Entitlement,
    /// The database that was asked; an older build does not say.
    pub asked: Option<DatabaseId>,
}

impl From<Entitlement> for Answer {
    fn from(entitlement: Entitlement) -> Self {
        Self { entitlement, asked: None }
    }
}

/// Billing's word on the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether the cache has been told of every change that is not of this very moment. While it has not, neither the cache
    /// nor what is pushed can be relied on.
    pub is_told: bool,
    /// Which records there are billing's.
    pub heard: Heard,
    /// How far the database of the line has come; 0 where billing does not say.
    pub mark: u64,
    /// News of billing itself.
    pub beside: Beside,
}

/// News of billing that concern proxies as well. Older builds say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// In an operator's words.
    pub warnings: Vec<String>,
    /// Tiers and features that the catalog in force lacks, while another one is held back.
    pub lacking: Lacking,
    /// The id of billing's cache, empty where it has none; `None` where it does not say.
    pub cache: Option<CacheId>,
    /// By which claims accounts are named, whatever this process's configuration says; `None` where billing does not say.
    pub names: Option<Names>,
    /// The addresses of pages and webhooks that billing goes by, by the keys of the configuration.
    pub addresses: BTreeMap<String, String>,
}

/// The mark beside a line.
#[derive(Deserialize)]
struct Marked {
    #[serde(default)]
    mark: u64,
}

/// Who knows the truth about an account.
#[async_trait]
pub trait Below: Send + Sync + 'static {
    /// What the account has. An account that nobody knows has a record of version 0.
    ///
    /// # Errors
    /// When it cannot be said now; the caller falls back to what it has.
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError>;

    /// The word on the cache. Billing is told what this process remembers of the database: Redis may have forgotten it.
    ///
    /// # Errors
    /// When it cannot be said now.
    async fn told(&self, remembered: Option<HighWater>) -> Result<Told, BelowError> {
        let _ = remembered;
        Ok(Told { is_told: true, heard: Heard::Nothing, mark: 0, beside: Beside::default() })
    }

    /// Tells all processes of sessions that have ended.
    ///
    /// # Errors
    /// When not all of them could be told.
    async fn ended(&self, forget: &Forget) -> Result<(), BelowError> {
        let _ = forget;
        Ok(())
    }

    /// Hands over records of a database whose place another one has taken, as they stand in the cache. Older builds take none.
    ///
    /// # Errors
    /// When they could not be taken in now.
    async fn hand_over(&self, records: &[String]) -> Result<(), BelowError> {
        let _ = records;
        Ok(())
    }

    /// Notes that another one should be asked than whoever answered: the connections of so many questions are closed after their
    /// answers, and what comes then may lead elsewhere.
    fn elsewhere(&self, questions: u32) {
        let _ = questions;
    }

    /// Why it answers no question about any account, in an operator's words.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Whether it can be asked at all: what readiness waits for.
    ///
    /// # Errors
    /// When there is no contact.
    async fn reach(&self) -> Result<(), BelowError> {
        Ok(())
    }
}

/// Billing behind its internal listener: `GET /internal/entitlements/{account}`.
pub struct HttpBilling {
    client: reqwest::Client,
    /// Ends with a slash.
    base: String,
    key: AssertionKey,
    issuer: String,
    /// The addresses that billing has to have, too, by the keys of the configuration.
    addresses: BTreeMap<String, String>,
    deadline: Duration,
    /// Questions after which their connection is closed.
    closing: AtomicU32,
    /// Whether our assertions do not verify there.
    is_refused: AtomicBool,
    /// Whether something else than billing listens there.
    is_stranger: AtomicBool,
}

impl HttpBilling {
    /// Billing at this address. `issuer` is the site's public URL, `addresses` are those that both go by, by the keys of the
    /// configuration; `deadline` bounds one question and its answer.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        billing: SocketAddr,
        key: AssertionKey,
        (issuer, addresses): (String, BTreeMap<String, String>),
        deadline: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(deadline)
            .timeout(deadline)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            client,
            base: format!("http://{billing}/"),
            key,
            issuer,
            addresses,
            deadline,
            closing: AtomicU32::new(0),
            is_refused: AtomicBool::new(false),
            is_stranger: AtomicBool::new(false),
        })
    }

    /// A question, which may be the last over its connection.
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.base));
        let less = |closing: u32| closing.checked_sub(1);
        let closes = self.closing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if closes { request.header(CONNECTION, "close") } else { request }
    }

    /// Tells billing something.
    async fn post(&self, path: &str, body: &impl Serialize) -> Result<reqwest::StatusCode, BelowError> {
        let probe = AccountId::parse(record::PROBE).map_err(|error| BelowError::Failed(error.into()))?;
        let request = self.client.post(format!("{}{path}", self.base));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.assertion(&probe)?)).json(body);
        Ok(request.send().await.map_err(Self::failure)?.status())
    }

    /// Proof, for a minute, that it is this proxy that asks about this account.
    fn assertion(&self, account: &AccountId) -> Result<String, AssertionError> {
        let iat = clock::now().timestamp();
        self.key.sign(&Claims {
            iss: self.issuer.clone(),
            aud: BILLING_AUDIENCE.to_owned(),
            sub: account.clone(),
            act: None,
            buyer: true,
            iat,
            exp: iat + LIFETIME_SECONDS,
            tier: None,
            status: None,
            features: Vec::new(),
            valid_until: None,
        })
    }

    async fn text(response: &mut reqwest::Response, bytes_max: usize) -> Result<String, BelowError> {
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Self::failure)? {
            if text.len() + chunk.len() > bytes_max {
                return Err(RecordError::TooLong.into());
            }
            text.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Tells operators once that no question is answered, and when they are again.
    fn note_refusal(&self, is_refused: bool) {
        if self.is_refused.swap(is_refused, Ordering::Relaxed) == is_refused {
            return;
        }
        if is_refused {
            tracing::error!("{OTHER_KEY}");
        } else {
            tracing::info!("billing takes the assertions of this proxy again");
        }
    }

    /// The advice about something else that listens there.
    fn stranger(&self) -> String {
        let place = self.base.trim_start_matches("http://").trim_end_matches('/');
        format!(
            "listen.billing = \"{place}\" answers, but is not billing's listener: name the address of listen.billing there"
        )
    }

    /// Tells operators once that something else listens there, and when it is billing.
    fn note_stranger(&self, is_stranger: bool) {
        if self.is_stranger.swap(is_stranger, Ordering::Relaxed) == is_stranger {
            return;
        }
        if is_stranger {
            tracing::error!("{}", self.stranger());
        } else {
            tracing::info!("billing answers where listen.billing leads");
        }
    }

    /// Warnings of the addresses that billing has otherwise: one of the two would lead users and providers to nowhere.
    fn differences(&self, theirs: &BTreeMap<String, String>) -> Vec<String> {
        let differs = |(key, ours): (&String, &String)| {
            let theirs = theirs.get(key).filter(|theirs| *theirs != ours)?;
            Some(format!("{key} is {ours} in this proxy and {theirs} in billing: give both the same"))
        };
        self.addresses.iter().filter_map(differs).collect()
    }

    fn failure(error: reqwest::Error) -> BelowError {
        if error.is_timeout() { BelowError::Timeout } else { BelowError::Unreachable(error.without_url()) }
    }
}

#[async_trait]
impl Below for HttpBilling {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        let id = utf8_percent_encode(account.as_str(), NON_ALPHANUMERIC);
        let request = self.get(&format!("internal/entitlements/{id}"));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.assertion(account)?));
        let request = request.header(FORMAT_HEADER, record::FORMAT);
        let mut response = request.send().await.map_err(Self::failure)?;
        self.note_refusal(response.status() == reqwest::StatusCode::UNAUTHORIZED);
        if response.status() != reqwest::StatusCode::OK {
            if is_of_stranger(response.status()) {
                self.note_stranger(true);
            }
            return Err(BelowError::Status(response.status().as_u16()));
        }
        let asked = response.headers().get(DATABASE_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let text = Self::text(&mut response, RECORD_BYTES_MAX).await?;
        // Every build answers with a format and a version before all else.
        let decoded = record::decode_for(account, &text);
        self.note_stranger(matches!(decoded, Err(RecordError::NoVersion)));
        let entitlement = match decoded {
            Ok(record) => record.entitlement,
            // An older build, which does not name its database.
            Err(RecordError::Format(before::FORMAT)) => before::decode_for(account, &text)?,
            Err(error) => return Err(error.into()),
        };
        Ok(Answer { entitlement, asked })
    }

    async fn told(&self, remembered: Option<HighWater>) -> Result<Told, BelowError> {
        let mut request = self.get("internal/told");
        if let (Some(remembered), Ok(probe)) = (remembered, AccountId::parse(record::PROBE)) {
            request = request.header(HIGH_WATER_HEADER, remembered.to_string());
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.assertion(&probe)?));
        }
        let mut response = request.send().await.map_err(Self::failure)?;
        let is_told = match response.status() {
            // Not found: an older build, which cannot say.
            reqwest::StatusCode::OK | reqwest::StatusCode::NOT_FOUND => true,
            reqwest::StatusCode::CONFLICT => false,
            status => return Err(BelowError::Status(status.as_u16())),
        };
        let text = Self::text(&mut response, LINE_BYTES_MAX).await?;
        // Older builds say no more than the status.
        let heard = serde_json::from_str(&text).map_or(Heard::Before, |line| Heard::Line(Arc::new(line)));
        let mark = serde_json::from_str::<Marked>(&text).map_or(0, |marked| marked.mark);
        let mut beside: Beside = serde_json::from_str(&text).unwrap_or_default();
        beside.warnings.extend(self.differences(&beside.addresses));
        Ok(Told { is_told, heard, mark, beside })
    }

    async fn ended(&self, forget: &Forget) -> Result<(), BelowError> {
        match self.post("internal/sessions/ended", forget).await? {
            reqwest::StatusCode::NO_CONTENT => Ok(()),
            status => Err(BelowError::Status(status.as_u16())),
        }
    }

    async fn hand_over(&self, records: &[String]) -> Result<(), BelowError> {
        match self.post("internal/records/held", &records).await? {
            // Not found: an older build.
            reqwest::StatusCode::NO_CONTENT | reqwest::StatusCode::NOT_FOUND => Ok(()),
            status => Err(BelowError::Status(status.as_u16())),
        }
    }

    fn elsewhere(&self, questions: u32) {
        self.closing.fetch_max(questions, Ordering::Relaxed);
    }

    async fn reach(&self) -> Result<(), BelowError> {
        // Any answer will do: it is the contact that counts.
        self.client.get(&self.base).send().await.map(|_| ()).map_err(Self::failure)?;
        if let Ok(account) = AccountId::parse(record::PROBE) {
            // Whether it is refused is noted.
            let _ = self.resolve(&account).await;
        }
        Ok(())
    }

    fn refusal(&self) -> Option<String> {
        if self.is_stranger.load(Ordering::Relaxed) {
            return Some(self.stranger());
        }
        self.is_refused.load(Ordering::Relaxed).then(|| OTHER_KEY.to_owned())
    }
}

/// Whether billing of no build answers a question about an account like this: the question is answered at another port.
fn is_of_stranger(status: reqwest::StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 400 | 402 | 403 | 404 | 405 | 421)
}

impl std::fmt::Debug for HttpBilling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpBilling")
            .field("base", &self.base)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
