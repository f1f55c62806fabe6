//! By which claims of a token accounts are known: with others accounts are other ones, so the former ones stay in force until a
//! person who was told how many have access agrees.

use std::sync::Arc;
use std::time::Duration;

use entitlement::naming::{LostNames, Names};
use sqlx::PgConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{OperatorError, check_told};
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::metrics;
use crate::store::naming::{self, InForce};
use crate::store::{StoreError, takings as store};
use crate::takings::{self, Verdict, What};

/// How often it is looked whether a person has agreed, in this process or another one.
const EVERY: Duration = Duration::from_secs(2);

/// How long a naming is held back before those who would lose access by it are counted again.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// The naming in force, as far as this process knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Naming {
    /// Way by way; `None` where that is not known.
    names: Option<Names>,
    /// Why the configured one is not in force.
    held_back: Option<String>,
}

/// The effect of naming accounts as the configuration says.
#[derive(Clone, Debug)]
pub struct NamingPlan {
    /// The naming in force; the configured one where it is that.
    pub before: String,
    pub now: String,
    /// Whether accounts may become other ones.
    pub is_other: bool,
    /// Accounts that have access and become other ones.
    pub accounts: Verdict,
}

/// The consequence of naming accounts by `now` that were named by `before`.
#[must_use]
pub fn renamed_accounts(before: &str, now: &str, lost: &LostNames) -> String {
    format!(
        "accounts were named by {before} and would be named by {now}: {lost} becomes another one, and what was paid for stays with the old names"
    )
}

/// Why the names of the configuration, `now`, are not in force in the place of `before`.
#[must_use]
pub fn names_held_back(before: &str, now: &str, lost: &LostNames) -> String {
    let told = renamed_accounts(before, now, lost);
    format!(
        "{told}. They stay in force where the way of signing in is still there: `tollgate identity accept` with this configuration, where the database can be reached, says how many accounts have access, and puts the new ones in force"
    )
}

impl Billing {
    /// The effect that naming accounts by `wanted` would have on those that were named before, in an operator's words; `None` when nothing.
    ///
    /// # Errors
    /// When the database fails, or is not migrated.
    pub async fn renames(&self, wanted: &Names) -> Result<Option<String>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let Some(before) = naming::find(&mut conn).await? else { return Ok(None) };
        let lost = lost(&before, wanted);
        let takes = losing(&mut conn, &lost).await?.wanted > 0;
        Ok(takes.then(|| renamed_accounts(&before.told, &wanted.to_string(), &lost)))
    }

    /// The naming that was noted last, way by way; `None` where none is, or not way by way.
    ///
    /// # Errors
    /// When the database fails, or is not migrated.
    pub async fn noted_names(&self) -> Result<Option<Names>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        Ok(naming::find(&mut conn).await?.and_then(|noted| noted.names))
    }

    /// How accounts are to be named.
    fn names_wanted(&self) -> Arc<Names> {
        self.shared().names_wanted.load_full()
    }

    /// Takes in how accounts are to be named by a configuration that was read again; it is put in force, or held back, as at a start.
    pub async fn want_names(&self, wanted: Names) {
        self.shared().names_wanted.store(Arc::new(wanted));
        if let Err(error) = self.settle_naming().await {
            tracing::debug!(error = chain::told(&error), "how accounts are named is looked up again");
        }
    }

    /// Puts the configured naming in force, unless accounts would be other ones by it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle_naming(&self) -> Result<(), StoreError> {
        self.settle_naming_unless(|_| false).await
    }

    /// As [`Billing::settle_naming`], unless `is_kept` says of why it is held back that this stays as it is.
    async fn settle_naming_unless(&self, is_kept: impl FnOnce(&str) -> bool) -> Result<(), StoreError> {
        let wanted = &*self.names_wanted();
        let known = {
            let mut conn = self.pool().acquire().await?;
            naming::find(&mut conn).await?
        };
        let lost = known.as_ref().map(|before| lost(before, wanted)).unwrap_or_default();
        let why = known.as_ref().map(|before| names_held_back(&before.told, &wanted.to_string(), &lost));
        let is_forgotten = !lost.is_nothing() && self.were_in_force(wanted).await && self.has_forgotten().await;
        if !is_forgotten && why.as_deref().is_some_and(is_kept) {
            return Ok(());
        }
        let mut conn = self.pool().acquire().await?;
        // Where nobody who has access loses it, none is taken.
        let takes = !is_forgotten && losing(&mut conn, &lost).await?.wanted > 0;
        let naming = match known {
            Some(before) if takes => Naming { names: before.names, held_back: why },
            Some(InForce { names: Some(names), .. }) if names == *wanted => {
                Naming { names: Some(names), held_back: None }
            }
            _ => {
                naming::set(&mut conn, wanted, clock::now()).await?;
                Naming { names: Some(wanted.clone()), held_back: None }
            }
        };
        drop(conn);
        if let (Some(names), None, true) = (&naming.names, &naming.held_back, self.lineage().is_settled())
            && let Ok(text) = serde_json::to_string(names)
        {
            self.shared().outlets.note_names(&text).await;
        }
        self.note_naming(naming);
        Ok(())
    }

    /// Whether accounts were known by these names lately, as this process or the cache knows.
    async fn were_in_force(&self, wanted: &Names) -> bool {
        if self.names().as_ref() == Some(wanted) {
            return true;
        }
        let noted = self.shared().outlets.names().await;
        let noted = noted.and_then(|noted| serde_json::from_str::<Names>(&noted).ok());
        noted.is_some_and(|noted| noted.lost_by(wanted).is_nothing())
    }

    /// Whether the database has gone back, and does not know any more what a person has agreed to since.
    async fn has_forgotten(&self) -> bool {
        self.look().await.is_ok_and(|lineage| lineage.is_held_back())
    }

    fn note_naming(&self, naming: Naming) {
        let before = self.shared().naming.send_replace(naming.clone());
        if before == naming {
            return;
        }
        match &naming.held_back {
            Some(why) => {
                metrics::count_held_back(What::Identity, 1);
                tracing::error!(why, "other names of accounts are held back");
            }
            None if before.held_back.is_some() => tracing::info!("accounts are named as the configuration says"),
            None => {}
        }
        metrics::show_other_names(naming.held_back.is_some());
    }

    /// Looks until told to stop whether a person has agreed.
    pub(crate) async fn run_naming(self, stop: CancellationToken) {
        let mut counted = Instant::now();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let is_due = counted.elapsed() >= COUNT_EVERY;
            if is_due {
                counted = Instant::now();
            }
            // Counting reads each subscription; a person's word is what ends the wait, and is one row.
            let is_kept = |why: &str| !is_due && self.naming_warning().as_deref() == Some(why);
            if let Err(error) = self.settle_naming_unless(is_kept).await {
                tracing::debug!(error = chain::told(&error), "how accounts are named cannot be looked up");
            }
        }
    }

    /// The naming in force, way by way; `None` as long as it is not known.
    #[must_use]
    pub fn names(&self) -> Option<Names> {
        self.shared().naming.borrow().names.clone()
    }

    /// Why the configured naming is not in force.
    pub(crate) fn naming_warning(&self) -> Option<String> {
        self.shared().naming.borrow().held_back.clone()
    }

    /// The naming in force, each time that it changes.
    pub async fn names_change(&self, known: Option<&Names>) -> Option<Names> {
        let mut naming = self.shared().naming.subscribe();
        let changed = naming.wait_for(|naming| naming.names.as_ref() != known).await;
        changed.ok().and_then(|naming| naming.names.clone())
    }

    /// The effect of naming accounts as the configuration says.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plan_naming(&self) -> Result<NamingPlan, OperatorError> {
        let wanted = self.names_wanted();
        let mut conn = self.pool().acquire().await?;
        let known = naming::find(&mut conn).await?;
        let lost = known.as_ref().map(|before| lost(before, &wanted)).unwrap_or_default();
        let now = wanted.to_string();
        let before = known.map_or_else(|| now.clone(), |before| before.told);
        let accounts = losing(&mut conn, &lost).await?;
        Ok(NamingPlan { before, now, is_other: !lost.is_nothing(), accounts })
    }

    /// Puts the configured naming in force, by a person's word. The accounts count as taken from, unless the person was told that they
    /// are many.
    ///
    /// # Errors
    /// When more accounts have access by now than the plan says, or the database fails.
    pub async fn accept_naming(&self, plan: &NamingPlan) -> Result<(), OperatorError> {
        let again = self.plan_naming().await?;
        check_told(plan.accounts.wanted, again.accounts.wanted)?;
        let (wanted, now) = (self.names_wanted(), clock::now());
        let mut tx = self.pool().begin().await?;
        let lost = naming::find(&mut tx).await?.map(|before| lost(&before, &wanted)).unwrap_or_default();
        naming::set(&mut tx, &wanted, now).await?;
        if !plan.accounts.is_many() {
            let (gone, kept): (Vec<&str>, Vec<&str>) = (lost.gone().collect(), lost.kept().collect());
            let losing = store::named(&mut tx, (&gone, &kept), now).await?;
            takings::taken(&mut tx, What::Identity, &losing, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// The accounts that become other ones.
fn lost(before: &InForce, wanted: &Names) -> LostNames {
    match &before.names {
        Some(names) => names.lost_by(wanted),
        None if before.told == wanted.to_string() => LostNames::default(),
        None => LostNames::all(),
    }
}

/// How many of them have access.
async fn losing(conn: &mut PgConnection, lost: &LostNames) -> Result<Verdict, StoreError> {
    if lost.is_nothing() {
        return Ok(Verdict { wanted: 0, tally: store::Tally::default() });
    }
    let now = clock::now();
    let (gone, kept): (Vec<&str>, Vec<&str>) = (lost.gone().collect(), lost.kept().collect());
    let wanted = store::holders_named(conn, (&gone, &kept), now).await?;
    takings::weigh(conn, wanted, now).await
}
