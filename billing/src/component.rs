//! The billing component: what its parts share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use cache::Lasting;
use entitlement::naming::Names;
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::api::invoices::Billed;
use crate::apply::Asking;
use crate::asks::{Asks, Kept};
use crate::credentials::Providers;
use crate::lineage::{Caches, Elsewhere, Lineage, Word};
use crate::metrics;
use crate::ops::{HeldBack, Naming};
use crate::prices::Prices;
use crate::publish::Outlets;
use crate::readiness::Contact;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::catalogs::{self, Rules};

/// The billing component. Cloning is cheap: all clones share one pool and one set of limits.
#[derive(Clone)]
pub struct Billing {
    inner: Arc<Inner>,
}

/// What the parts share. A pool may have a single connection: never ask for one while holding one.
pub(crate) struct Inner {
    pub pool: PgPool,
    pub settings: Settings,
    pub outlets: Outlets,
    /// How the providers are spoken with right now.
    pub providers: ArcSwap<Providers>,
    pub contact: Contact,
    /// Wakes the worker: an event is due.
    pub event_due: Notify,
    /// Wakes the publisher: something could not be published at once.
    pub untold: Notify,
    /// That the cache cannot be told of changes.
    pub publish_faults: Lasting,
    /// Wakes the watch of open checkouts: what one of them sells may have been bought elsewhere.
    pub checkout_superseded: Notify,
    /// Wakes the watch of the keys: they were replaced.
    pub keys_replaced: Notify,
    /// Deliveries that are taken in at once: whose body is in memory.
    pub intake: Semaphore,
    /// Events that are applied while their sender waits; beyond, they are left to the worker.
    pub inline: Arc<Semaphore>,
    inline_max: usize,
    /// Questions to the providers: one at a time about each customer.
    pub asking: Asking,
    /// Checkouts: one request at a time works on that of each account.
    pub selling: Asking,
    /// How often the providers are asked because of one account.
    pub asks: Asks,
    /// What is known of the providers' prices.
    pub prices: Prices,
    /// What was billed to whom.
    pub billed: Kept<Arc<Vec<Billed>>>,
    /// What goes on after its request was answered, to be waited for at shutdown.
    pub tasks: TaskTracker,
    /// Whether this is a command: it takes the word from nobody.
    only_looks: AtomicBool,
    rules: ArcSwap<Rules>,
    /// Whose word counts in the cache.
    pub lineage: ArcSwap<Lineage>,
    /// The state that operators were told of.
    pub word_told: parking_lot::Mutex<Word>,
    /// One at a time asks that.
    pub looking: Arc<tokio::sync::Mutex<()>>,
    /// Whether Redis holds what it was told.
    pub caches: Caches,
    /// Other installations of which Redis knew at the start of this process.
    pub elsewhere: Elsewhere,
    /// Whether it is noted that the records of this database stand under this process's namespace.
    pub stands_here: AtomicBool,
    /// How accounts are named.
    pub naming: watch::Sender<Naming>,
    /// How they are to be named by the configuration.
    pub names_wanted: ArcSwap<Names>,
    /// Wakes the keeper: other records are held.
    pub held_changed: Notify,
    /// A catalog that a file names and that is not in force.
    pub held_back: parking_lot::Mutex<Option<HeldBack>>,
}

/// Each delivery may be 1 MiB.
const INTAKE_MAX: usize = 128;

/// Deliveries at once from which on taking them in goes before applying them.
const CROWD: usize = 8;

/// Few: what is applied inline takes connections from what only has to be made durable.
const INLINE_MAX: usize = 4;

impl Billing {
    pub(crate) fn new(pool: PgPool, settings: Settings, outlets: Outlets) -> Self {
        let rules = Rules {
            id: None,
            catalog: entitlement::catalog::Catalog::empty(),
            grace: settings.grace,
            policy: settings.policy,
        };
        metrics::show_from_the_start();
        let connections = usize::try_from(settings.pool_size).unwrap_or(INLINE_MAX);
        let inline_max = connections.div_ceil(4).clamp(1, INLINE_MAX);
        let inner = Inner {
            pool,
            outlets,
            providers: ArcSwap::from_pointee(Providers::at_start(&settings)),
            contact: Contact::default(),
            event_due: Notify::new(),
            untold: Notify::new(),
            publish_faults: Lasting::default(),
            checkout_superseded: Notify::new(),
            keys_replaced: Notify::new(),
            intake: Semaphore::new(INTAKE_MAX),
            inline: Arc::new(Semaphore::new(inline_max)),
            inline_max,
            asking: Asking::default(),
            selling: Asking::default(),
            asks: Asks::default(),
            prices: Prices::default(),
            billed: Kept::default(),
            tasks: TaskTracker::new(),
            rules: ArcSwap::from_pointee(rules),
            lineage: ArcSwap::from_pointee(Lineage::unknown()),
            only_looks: AtomicBool::new(false),
            word_told: parking_lot::Mutex::new(Word::Unknown),
            looking: Arc::default(),
            caches: Caches::default(),
            elsewhere: Elsewhere::default(),
            stands_here: AtomicBool::new(false),
            naming: watch::Sender::default(),
            names_wanted: ArcSwap::from_pointee(settings.names.clone()),
            held_changed: Notify::new(),
            held_back: parking_lot::Mutex::default(),
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// For a command beside running processes: it looks who has the word in the cache, takes it from nobody, and gives the database no other
    /// id, as it may lead to a copy of the one that they use.
    #[must_use]
    pub fn as_command(self) -> Self {
        self.inner.only_looks.store(true, Ordering::Relaxed);
        self
    }

    /// From now on as a running process does.
    pub(crate) fn act(&self) {
        self.inner.only_looks.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_command(&self) -> bool {
        self.inner.only_looks.load(Ordering::Relaxed)
    }

    /// What billing was told at start. The secrets of the providers may have been replaced since: see
    /// [`Billing::replace_credentials`].
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The pool. It may have a single connection: never ask for one while holding one.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// Whether so many deliveries come in that applying them has to wait: what is not durable yet could be lost.
    pub(crate) fn is_crowded(&self) -> bool {
        INTAKE_MAX.saturating_sub(self.inner.intake.available_permits()) >= CROWD
    }

    /// Whether at most one event is applied while its sender waits.
    pub(crate) fn is_alone(&self) -> bool {
        self.inner.inline.available_permits() + 1 >= self.inner.inline_max
    }

    pub(crate) fn shared(&self) -> &Inner {
        &self.inner
    }

    /// The current catalog and its rules.
    pub(crate) async fn rules(&self, conn: &mut PgConnection) -> Result<Arc<Rules>, StoreError> {
        let id = catalogs::current_id(conn).await?;
        self.rules_of(conn, id).await
    }

    /// The catalog in force.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn catalog_in_force(&self) -> Result<entitlement::catalog::Catalog, StoreError> {
        let mut conn = self.pool().acquire().await?;
        Ok(self.rules(&mut conn).await?.catalog.clone())
    }

    /// The rules that were in force when they were last asked for.
    pub(crate) fn known_rules(&self) -> Arc<Rules> {
        self.inner.rules.load_full()
    }

    /// The rules of one row, which never change once written; read only when another row was current until now.
    pub(crate) async fn rules_of(&self, conn: &mut PgConnection, id: Option<i64>) -> Result<Arc<Rules>, StoreError> {
        let cached = self.inner.rules.load_full();
        let Some(id) = id.filter(|id| cached.id != Some(*id)) else { return Ok(cached) };
        let rules = catalogs::find(conn, id).await?.ok_or_else(|| StoreError::missing("catalogs", id))?;
        let rules = Arc::new(rules);
        self.inner.rules.store(Arc::clone(&rules));
        Ok(rules)
    }
}
