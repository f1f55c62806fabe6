//! The billing component: what its parts share.

use std::sync::Arc;

use sqlx::PgPool;

use crate::settings::Settings;

/// The billing component. Cloning is cheap: all clones share one pool.
#[derive(Clone)]
pub struct Billing {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    settings: Settings,
}

impl Billing {
    /// What billing was told at start.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The pool. It may have a single connection: never ask for one while holding one.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.inner.pool
    }
}
