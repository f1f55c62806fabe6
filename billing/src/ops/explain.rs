//! Why an account has what it has.

use std::sync::Arc;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Sold;
use entitlement::payment::{Invoice, Part};
use entitlement::record::{DatabaseId, Record};
use entitlement::subscription::{Item, Subscription, SubscriptionId, WayBack, Withheld};
use entitlement::timeline::{Source, Timeline, timeline};
use serde::Serialize;

use crate::api::standing::{Standing, is_running};
use crate::chain;
use crate::component::Billing;
use crate::publish::{self, Computed};
use crate::resolve::ResolveError;
use crate::store::audit::{self, AuditLine};
use crate::store::catalogs::Rules;
use crate::store::credits::Credit;
use crate::store::inbox::{self, EventLine, Filter};
use crate::store::links::{self, Customer};
use crate::store::money::{self, Money};
use crate::store::snapshot::Snapshot;
use crate::store::{StoreError, accounts, snapshot, takings};

/// How many events and changes are shown.
const RECENT: i64 = 20;

/// Most changes that one listing shows.
const LIST_MAX: u32 = 1000;

/// Everything that is known of an account.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    pub account: AccountId,
    /// Whether anything is known of it: else it has what everybody has, and may be misspelt.
    pub known: bool,
    /// 0 when nothing of it was ever told.
    pub version: u64,
    /// Since when a person has blocked the account: no gated route passes, whatever the segments say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_at: Option<Timestamp>,
    /// The row of the catalog that was used; `None` when none was ever applied.
    pub catalog: Option<i64>,
    /// All of time; the segment that holds at the moment asked about is marked.
    pub segments: Vec<ExplainedSegment>,
    /// The timeline by which the gate decides: that of the record that is held, where one serves in the place of the rows.
    #[serde(skip)]
    pub timeline: Timeline,
    pub subscriptions: Vec<Subscription>,
    /// The subscriptions that give nothing although they are not over.
    pub withheld: Vec<WithheldSubscription>,
    /// Each thing that subscriptions are for which are not over, as far as the catalog names it.
    pub items: Vec<ExplainedItem>,
    /// The prices of running subscriptions that the catalog does not name: they give nothing.
    pub unnamed_prices: Vec<UnnamedPrice>,
    /// Those that the provider no longer shows. They stay as they are until a person ends them.
    pub unseen: Vec<UnseenSince>,
    /// Subscriptions of test mode, which grant nothing beside live ones.
    pub of_test_mode: Vec<Subscription>,
    pub credits: Vec<Credit>,
    /// The newest bills, newest first, and how often their payment was tried.
    pub invoices: Vec<Invoice>,
    /// The payments of which something went back, or was about to.
    pub returned: Vec<ReturnedMoney>,
    pub customers: Vec<Customer>,
    /// The newest events of the account, newest first.
    pub events: Vec<EventLine>,
    /// The newest changes of the account, newest first.
    pub changes: Vec<AuditLine>,
    /// The version that Redis holds; `None` when it holds none.
    pub cached_version: Option<u64>,
    /// The record of another database that serves in the place of the rows, until a person agrees.
    pub held: Option<Held>,
    /// That the records of another installation stand beside those of this one, and serve nobody here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Why Redis could not say.
    pub cache_fault: Option<String>,
    /// Changes that would take access from the account, and wait for a person's word.
    pub held_back: Vec<Waiting>,
    /// A catalog or a database that is held back, so that something older is in force, for all accounts.
    pub warnings: Vec<String>,
}

/// A payment, with how much of it did go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReturnedMoney {
    #[serde(flatten)]
    pub money: Money,
    /// Minor units: neither what is on its way, nor a refund that failed.
    pub went_back: i64,
}

impl ReturnedMoney {
    fn of(money: Money) -> Self {
        let Money { payment, refunds, disputes, .. } = &money;
        let went_back = Part { payment, refunds, disputes }.refunded();
        Self { money, went_back }
    }
}

/// Access that a comparison with a provider would take from an account, and that waits for a person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub provider: Option<String>,
    /// The object that was compared, such as a subscription, and its id at the provider.
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
    pub since: Timestamp,
}

/// Why a subscription gives nothing although it is not over, and what brings access back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WithheldSubscription {
    pub subscription: SubscriptionId,
    pub reason: Withheld,
    pub way_back: WayBack,
}

/// One thing that a subscription is for, and why it gives nothing, where that is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedItem {
    pub subscription: SubscriptionId,
    pub price: String,
    /// `tier` or `addon`.
    pub kind: &'static str,
    /// Its code in the catalog.
    pub code: String,
    /// Until when its period runs, where it has one of its own.
    pub until: Option<Timestamp>,
    pub reason: Option<Withheld>,
    pub way_back: Option<WayBack>,
}

/// A record that another database had told, and that serves until a person agrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The database that had told it.
    pub database: DatabaseId,
    pub version: u64,
    pub tier: String,
    pub status: String,
    pub why: String,
    #[serde(skip)]
    timeline: Timeline,
}

/// A price that the catalog does not name, and the running subscription of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnnamedPrice {
    pub subscription: SubscriptionId,
    pub price: String,
}

/// A subscription that the provider no longer shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnseenSince {
    pub subscription: SubscriptionId,
    pub since: Timestamp,
}

/// A stretch of time in which nothing changes, and why it is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedSegment {
    /// `None`: since ever.
    pub from: Option<Timestamp>,
    /// `None`: for good.
    pub until: Option<Timestamp>,
    pub tier: String,
    pub status: String,
    pub features: Vec<String>,
    /// `stripe:sub_…`, `credit:…`.
    pub sources: Vec<String>,
    /// Whether it holds at the moment asked about.
    pub holds: bool,
}

impl From<takings::Held> for Waiting {
    fn from(held: takings::Held) -> Self {
        let takings::Held { provider, object_kind, object_id, noted_at, .. } = held;
        Self { provider, object_kind, object_id, since: noted_at }
    }
}

impl Billing {
    /// Explains what an account has at a moment, from the rows as they stand now.
    ///
    /// # Errors
    /// When the database fails. A cache that fails is no error.
    pub async fn explain_account(&self, account: &AccountId, at: Timestamp) -> Result<Explained, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let snapshot = snapshot::read_one(&mut conn, account).await?;
        let rules = self.rules_of(&mut conn, snapshot.catalog).await?;
        let filter = Filter { account: Some(account.to_string()), ..Filter::default() };
        let events = inbox::list(&mut conn, &filter, RECENT).await?;
        let changes = audit::recent(&mut conn, account, None, RECENT).await?;
        let customers = links::customers_of(&mut conn, account).await?;
        let invoices = money::invoices_of(&mut conn, account, RECENT).await?;
        let held_back = takings::held_from(&mut conn, account).await?;
        let known = accounts::is_known(&mut conn, account).await?;
        drop(conn);
        let timeline = timeline(&rules.catalog, &publish::grants(&snapshot, &rules));
        // A cache that does not say is told below.
        let _ = self.look_long(snapshot.database).await;
        let cached = self.cached(account, &snapshot, &rules, at).await;
        let (cached_version, held, cache_fault) = match cached {
            Ok((version, held)) => (version, held, None),
            Err(error) => (None, None, Some(chain::told(&error))),
        };
        let mut warnings = self.catalog_warnings().await;
        let (beside, of_database) = match self.database_warning() {
            told if self.lineage().is_beside() => (told, None),
            told => (None, told),
        };
        warnings.extend(of_database);
        let standing = Standing::read(account, snapshot.clone(), (Arc::clone(&rules), &customers), at);
        let withheld = snapshot.subscriptions.iter().filter_map(|own| {
            let (reason, way_back) = (standing.withheld(&own.id)?, standing.way_back(own, at)?);
            Some(WithheldSubscription { subscription: own.id.clone(), reason, way_back })
        });
        Ok(Explained {
            items: items(&snapshot.subscriptions, &standing, at),
            withheld: withheld.collect(),
            account: account.clone(),
            known,
            version: snapshot.version,
            catalog: snapshot.catalog,
            segments: explained(&timeline, at),
            timeline: match &held {
                Some(held) => held.timeline.clone(),
                None if snapshot.blocked_at.is_some() => Timeline::blocked(&rules.catalog),
                None => timeline,
            },
            beside,
            blocked_at: snapshot.blocked_at,
            unnamed_prices: unnamed(&snapshot.subscriptions, &rules, at),
            unseen: snapshot
                .unseen
                .into_iter()
                .map(|(subscription, since)| UnseenSince { subscription, since })
                .collect(),
            of_test_mode: snapshot.of_test_mode,
            subscriptions: snapshot.subscriptions,
            credits: snapshot.credits,
            invoices,
            returned: snapshot.returned.into_iter().map(ReturnedMoney::of).collect(),
            customers,
            events,
            changes,
            cached_version,
            held,
            cache_fault,
            held_back: held_back.into_iter().map(Waiting::from).collect(),
            warnings,
        })
    }

    /// The version that the cache holds of an account, and what serves in its place.
    async fn cached(
        &self,
        account: &AccountId,
        snapshot: &Snapshot,
        rules: &Rules,
        at: Timestamp,
    ) -> Result<(Option<u64>, Option<Held>), ResolveError> {
        let database = snapshot.database;
        let version = self.shared().outlets.cached_version(database, account).await.map_err(ResolveError::Held)?;
        let entitlement = publish::entitlement_of(account, snapshot, rules, at);
        let computed = Computed { record: Record { database, entitlement }, is_new: snapshot.is_new };
        let held = self.held_instead(&computed, at).await?.map(|held| {
            let segment = held.entitlement.timeline.at(at);
            let why = self.lineage().warning(&self.settings().namespace);
            Held {
                database: held.database,
                version: held.entitlement.version,
                tier: segment.plan.tier.to_string(),
                status: segment.status.as_str().to_owned(),
                why: why.unwrap_or_default(),
                timeline: held.entitlement.timeline,
            }
        });
        Ok((version, held))
    }

    /// The newest changes of an account, newest first, at most a thousand; with `before` only those of rows with a
    /// smaller id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes(
        &self,
        account: &AccountId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditLine>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        audit::recent(&mut conn, account, before, i64::from(limit.min(LIST_MAX))).await
    }
}

fn items(subscriptions: &[Subscription], standing: &Standing, at: Timestamp) -> Vec<ExplainedItem> {
    let of = |own: &Subscription, item: Item| {
        let (kind, code) = match standing.catalog().sold(own.id.provider, &item.price)? {
            Sold::Tier(tier) => ("tier", tier.code.clone()),
            Sold::Addon(addon) => ("addon", addon.code.clone()),
        };
        let reason = standing.withheld_price(&own.id, &item.price);
        let way_back = standing.way_back_of_price(own, &item.price, at);
        let Item { price, until, .. } = item;
        Some(ExplainedItem { subscription: own.id.clone(), price, kind, code, until, reason, way_back })
    };
    let running = subscriptions.iter().filter(|own| !own.is_over(at));
    running.flat_map(|own| own.all_items().into_iter().filter_map(move |item| of(own, item))).collect()
}

fn unnamed(subscriptions: &[Subscription], rules: &Rules, at: Timestamp) -> Vec<UnnamedPrice> {
    let running = subscriptions.iter().filter(|subscription| is_running(subscription, at));
    let unnamed = running.flat_map(|subscription| {
        let provider = subscription.id.provider;
        let prices = subscription.prices.iter().filter(move |price| rules.catalog.sold(provider, price).is_none());
        prices.map(|price| UnnamedPrice { subscription: subscription.id.clone(), price: price.clone() })
    });
    unnamed.collect()
}

fn explained(timeline: &Timeline, at: Timestamp) -> Vec<ExplainedSegment> {
    let starts = timeline.segments().iter().map(|segment| segment.until);
    let starts = std::iter::once(None).chain(starts);
    let segments = starts.zip(timeline.segments()).map(|(from, segment)| ExplainedSegment {
        from,
        until: segment.until,
        tier: segment.plan.tier.to_string(),
        status: segment.status.as_str().to_owned(),
        features: segment.plan.features.iter().map(ToString::to_string).collect(),
        sources: segment.sources.iter().flat_map(|sources| sources.iter()).map(Source::to_string).collect(),
        holds: from.is_none_or(|from| from <= at) && segment.until.is_none_or(|until| at < until),
    });
    segments.collect()
}
