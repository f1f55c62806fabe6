//! Declares what is sold, and says before what that would take, and from how many.

pub(super) mod count;
mod differences;
mod keep;

pub use count::{Losses, tallied};
pub(crate) use keep::HeldBack;
pub use keep::{Considered, Origin};

use entitlement::Timestamp;
use entitlement::catalog::Catalog;
use entitlement::many;
use entitlement::subscription::{Grace, Policy};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{OperatorError, check_told};
use crate::clock;
use crate::component::Billing;
use crate::store::catalogs::{self, Rules};
use crate::store::{StoreError, outbox, takings};
use differences::differences;

/// How many bytes of a digest are shown: enough that no two changes of one site share it.
const DIGEST_BYTES: usize = 8;

/// A catalog that is to come in force, with the rules of the configuration that go with it.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub catalog: Catalog,
    pub grace: Grace,
    pub policy: Policy,
    /// The digest of a change to which a person has agreed in the file.
    pub accept: Option<String>,
    /// Where the file is, for what a person is told to do.
    pub file: String,
}

impl Proposal {
    fn rules(&self) -> Rules {
        Rules { id: None, catalog: self.catalog.clone(), grace: self.grace, policy: self.policy }
    }
}

/// What putting a catalog in force would do.
#[derive(Clone, Debug)]
pub struct CatalogPlan {
    /// One line for each difference; none when nothing changes.
    pub changes: Vec<String>,
    /// What accounts would lose.
    pub losses: Losses,
    /// Names this very change, from what is in force to what is to be, and how many accounts lose something by it: the word of
    /// a person is for so many.
    pub digest: String,
    /// Whether the file says that a person has agreed to it.
    pub is_accepted: bool,
    /// The change alone.
    change: String,
}

/// What a person who was told of the losses has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nobody was asked.
    None,
    /// To go on, as long as they are not many.
    Agreed,
    /// To go on, however many they are.
    Forced,
}

/// What was put in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CatalogReport {
    /// One line for each difference; none when nothing changed.
    pub changes: Vec<String>,
    /// The accounts that are told of it.
    pub accounts: u64,
}

impl CatalogPlan {
    /// Whether those that would lose something are many, together with those of the last 24 hours.
    #[must_use]
    pub const fn is_many(&self) -> bool {
        many::is_many(self.losses.accounts.saturating_add(self.losses.taken_before), self.losses.holders)
    }

    /// How many accounts count as taken from without a word that they may be many.
    fn taken(&self, word: Word) -> Result<u64, OperatorError> {
        match word {
            _ if !self.losses.is_any() || self.is_accepted || word == Word::Forced => Ok(0),
            Word::Agreed if !self.is_many() => Ok(self.losses.accounts),
            _ => Err(OperatorError::TakesAccess(self.losses.accounts)),
        }
    }
}

impl Billing {
    /// What putting a catalog in force would change, and what accounts would lose by it. The accounts are read in pages, without
    /// a lock.
    ///
    /// # Errors
    /// When the database fails, or holds a catalog that this build cannot read.
    pub async fn plan_catalog(&self, proposal: &Proposal) -> Result<CatalogPlan, StoreError> {
        let (wanted, now) = (proposal.rules(), clock::now());
        let mut conn = self.pool().acquire().await?;
        let current = self.rules(&mut conn).await?;
        let taken_before = takings::tally(&mut conn, now).await?.taken;
        drop(conn);
        let changes = differences(&current, &wanted);
        let change = digest(&current, &wanted)?;
        let losses = match is_in_force(&current, &wanted) {
            true => Losses::default(),
            false => self.losses(&current, &wanted, now).await?,
        };
        let digest = format!("{change}-{}", losses.accounts);
        let is_accepted = proposal.accept.as_ref().is_some_and(|accept| accepts(accept, &change, losses.accounts));
        Ok(CatalogPlan { changes, losses: Losses { taken_before, ..losses }, digest, is_accepted, change })
    }

    /// Makes a catalog, and the grace and the policy that go with it, current: from then on everything is computed with it. Every
    /// account gets a new version, and the cache is told of all of them, in batches and in the background.
    ///
    /// # Errors
    /// When it takes more than `word` allows, something else has come in force since it was planned, or the database fails.
    pub async fn apply_catalog(
        &self,
        proposal: &Proposal,
        plan: &CatalogPlan,
        word: Word,
    ) -> Result<CatalogReport, OperatorError> {
        let wanted = proposal.rules();
        let mut tx = self.pool().begin().await?;
        // The usual case, at every start: nothing to lock for.
        if is_in_force(&*self.rules(&mut tx).await?, &wanted) {
            return Ok(CatalogReport::default());
        }
        let taken = plan.taken(word)?;
        catalogs::lock(&mut tx).await?;
        let current = self.rules(&mut tx).await?;
        if is_in_force(&current, &wanted) {
            return Ok(CatalogReport::default());
        }
        if digest(&current, &wanted)? != plan.change {
            return Err(OperatorError::CatalogMoved);
        }
        let changes = differences(&current, &wanted);
        let id = catalogs::insert(&mut tx, &wanted, taken, clock::now()).await?;
        let accounts = catalogs::accounts(&mut tx).await?;
        tx.commit().await?;
        self.shared().untold.notify_one();
        tracing::info!(catalog = id, accounts, changes = changes.len(), "a new catalog is in force");
        Ok(CatalogReport { changes, accounts })
    }

    /// That by now no more accounts lose something than a plan says: the person who was told may have taken long to answer.
    ///
    /// # Errors
    /// When it is so, or the database fails.
    pub async fn check_catalog_plan(&self, proposal: &Proposal, plan: &CatalogPlan) -> Result<(), OperatorError> {
        let again = self.plan_catalog(proposal).await?;
        check_told(plan.losses.accounts, again.losses.accounts)
    }

    /// Whether the cache has not been told of something that was committed until a moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_untold(&self, until: Timestamp) -> Result<bool, StoreError> {
        let mut conn = self.pool().acquire().await?;
        outbox::has_untold(&mut conn, until).await
    }
}

/// Whether a catalog with its rules is what is in force.
fn is_in_force(current: &Rules, wanted: &Rules) -> bool {
    current.id.is_some() && Rules { id: None, ..current.clone() } == *wanted
}

/// Whether a person's word in a file is for this change, and for so many accounts as lose something by it now.
fn accepts(accept: &str, change: &str, accounts: u64) -> bool {
    let told = accept.strip_prefix(change).and_then(|rest| rest.strip_prefix('-'));
    told.and_then(|told| told.parse().ok()).is_some_and(|told: u64| accounts <= told)
}

/// Names a change by what it leads from and to.
fn digest(current: &Rules, wanted: &Rules) -> Result<String, StoreError> {
    let told = |rules: &Rules| {
        let Grace { past_due, renewal, trial, authentication } = rules.grace;
        let grace = [past_due, renewal, trial, authentication].map(|grace| grace.num_seconds());
        serde_json::to_vec(&(&rules.catalog, grace, rules.policy)).map_err(|e| StoreError::row("catalogs", "new", &e))
    };
    let mut hash = Sha256::new();
    hash.update(told(current)?);
    hash.update([0]);
    hash.update(told(wanted)?);
    Ok(hex::encode(&hash.finalize()[..DIGEST_BYTES]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_a_file_is_for_one_change_and_for_so_many() {
        for (accept, accounts, expected) in [
            ("00ff-5", 5, true),
            ("00ff-5", 4, true),
            ("00ff-5", 6, false),
            ("00fe-5", 5, false),
            ("00ff", 5, false),
            ("00ff-", 0, false),
            ("00ff-+5", 5, true),
            ("", 0, false),
        ] {
            assert_eq!(accepts(accept, "00ff", accounts), expected, "{accept} of {accounts}");
        }
    }
}
