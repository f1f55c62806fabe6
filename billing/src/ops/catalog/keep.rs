//! Start and reload: nobody is there to be asked, so a catalog that takes something waits for a person's word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entitlement::authorize::Lacking;
use entitlement::catalog::Catalog;

use super::tallied;
use super::{CatalogPlan, Proposal, Word, is_in_force};
use crate::component::Billing;
use crate::metrics;
use crate::ops::OperatorError;
use crate::store::StoreError;
use crate::store::catalogs::{self, Rules};
use crate::takings::What;

/// How long readiness waits for the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a plan is made anew when another process has put something else in force meanwhile.
const TRIES: usize = 3;

/// How a process comes by a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its file is as it was, or the process starts: one that was superseded is not put back.
    SameFile,
    /// A person has changed the file since this process read it.
    ChangedFile,
}

/// What is to become of a catalog that was read from a file.
#[derive(Clone, Debug)]
pub enum Considered {
    /// It is in force.
    InForce,
    /// It can come in force.
    Apply(CatalogPlan),
    /// What is in force stays, and why.
    Keep {
        /// What is in force.
        kept: Arc<Rules>,
        why: String,
    },
}

impl Considered {
    /// The catalog that stays in force instead.
    #[must_use]
    pub fn kept(&self) -> Option<&Catalog> {
        match self {
            Self::Keep { kept, .. } => Some(&kept.catalog),
            Self::InForce | Self::Apply(_) => None,
        }
    }
}

/// A catalog that a file names and that is not in force.
#[derive(Clone, Debug)]
pub(crate) struct HeldBack {
    wanted: Rules,
    why: String,
    /// Tiers and features of it that the one in force lacks.
    lacking: Lacking,
}

impl HeldBack {
    /// The rules that are held back, with the prices that their lookup keys have in force.
    fn wanted_beside(&self, current: &Rules) -> Rules {
        Rules { catalog: self.wanted.catalog.resolved(&current.catalog, &BTreeMap::new()), ..self.wanted.clone() }
    }
}

impl Billing {
    /// Decides what is to become of a catalog that was read from a file. Changes nothing.
    ///
    /// # Errors
    /// When the database fails, or holds a catalog that this build cannot read.
    pub async fn consider_catalog(&self, proposal: &Proposal, origin: Origin) -> Result<Considered, StoreError> {
        let wanted = proposal.rules();
        let mut conn = self.pool().acquire().await?;
        let current = self.rules(&mut conn).await?;
        if is_in_force(&current, &wanted) {
            return Ok(Considered::InForce);
        }
        let is_superseded = origin == Origin::SameFile && catalogs::is_superseded(&mut conn, &wanted).await?;
        drop(conn);
        let file = &proposal.file;
        if is_superseded {
            let why = format!(
                "{file} was in force before and another catalog has taken its place: that one stays. \
                 `tollgate catalog apply {file}` puts this one back"
            );
            return Ok(Considered::Keep { kept: current, why });
        }
        let plan = self.plan_catalog(proposal).await?;
        if plan.taken(Word::None).is_ok() {
            return Ok(Considered::Apply(plan));
        }
        let apply = if plan.is_many() {
            format!("`tollgate catalog apply {file} --force` applies it")
        } else {
            format!("`tollgate catalog apply {file}` asks and applies it")
        };
        let why = format!(
            "{file} is not put in force: {}. The catalog that was in force stays until a person agrees: \
             `tollgate catalog plan {file}` shows what changes, {apply}, \
             or write accept = \"{}\" into the file",
            plan.told(),
            plan.digest
        );
        Ok(Considered::Keep { kept: current, why })
    }

    /// Does what was decided of a catalog: puts it in force, or says why it is held back.
    ///
    /// # Errors
    /// When the database fails, or others go on putting something else in force.
    pub async fn settle_catalog(
        &self,
        proposal: &Proposal,
        origin: Origin,
        mut considered: Considered,
    ) -> Result<Considered, OperatorError> {
        for _ in 0..TRIES {
            match &considered {
                Considered::InForce => {
                    *self.shared().held_back.lock() = None;
                    return Ok(considered);
                }
                Considered::Apply(plan) => match self.apply_catalog(proposal, plan, Word::None).await {
                    Ok(_) => considered = Considered::InForce,
                    Err(OperatorError::CatalogMoved) => considered = self.consider_catalog(proposal, origin).await?,
                    Err(error) => return Err(error),
                },
                Considered::Keep { kept, why } => {
                    self.hold_back(proposal, &kept.catalog, why);
                    return Ok(considered);
                }
            }
        }
        Err(OperatorError::CatalogMoved)
    }

    /// Says that a catalog is held back: in the log, in a metric, and as a warning of readiness.
    pub fn hold_back(&self, proposal: &Proposal, kept: &Catalog, why: &str) {
        tracing::error!(why, "a catalog is held back");
        metrics::count_held_back(What::Catalog, 1);
        let wanted = proposal.rules();
        let lacking = Lacking::between(&wanted.catalog, kept);
        *self.shared().held_back.lock() = Some(HeldBack { wanted, why: why.to_owned(), lacking });
    }

    /// What an operator should know of a catalog that is held back.
    pub(crate) async fn catalog_warnings(&self) -> Vec<String> {
        self.held_back_now().await.map(|(why, _)| why).into_iter().collect()
    }

    /// Why a catalog is held back, and what the one in force lacks of it; `None` when none is.
    pub(crate) async fn held_back_now(&self) -> Option<(String, Lacking)> {
        let held = self.shared().held_back.lock().clone()?;
        let current = tokio::time::timeout(PATIENCE, async {
            let mut conn = self.pool().acquire().await?;
            self.rules(&mut conn).await
        });
        match current.await {
            Ok(Ok(current)) if is_in_force(&current, &held.wanted_beside(&current)) => {
                *self.shared().held_back.lock() = None;
                None
            }
            Ok(Ok(current)) => Some((held.why, Lacking::between(&held.wanted.catalog, &current.catalog))),
            _ => Some((held.why, held.lacking)),
        }
    }
}

impl CatalogPlan {
    /// What would be lost, in one sentence without its end.
    #[must_use]
    pub fn told(&self) -> String {
        let losses = &self.losses;
        let by: Vec<String> = losses.by.iter().map(|(what, count)| tallied(*count, what)).collect();
        format!(
            "{} would lose something ({} have access), with {}: {}",
            tallied(losses.accounts, "accounts"),
            losses.holders,
            tallied(losses.subscriptions, "running subscriptions"),
            by.join("; ")
        )
    }
}
