//! A person's word for what takes access: asked for on a terminal, given by `--yes` without one, and by `--force` where it
//! takes access from many.

use anyhow::{Result, bail};
use billing::Verdict;

use super::confirm::{Answer, confirm};
use crate::output;

/// The flags by which a person says yes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Consent {
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Do it although it takes access from many: more than 3 accounts and more than 2 % of those that have it, in 24 hours
    #[arg(long)]
    force: bool,
}

impl Consent {
    /// Whether it is to be done although it takes access from many.
    pub const fn is_forced(self) -> bool {
        self.force
    }

    /// Asks whether to go on with what has been forced, where that is to be asked.
    ///
    /// # Errors
    /// When the answer is no, or there is none.
    pub fn agree(self, is_asked: bool, what: &str) -> Result<()> {
        if is_asked { confirm(&format!("{what}. Go on?"), Answer { yes: self.yes }) } else { Ok(()) }
    }

    /// Says what would happen, and returns when a person wants it.
    ///
    /// # Errors
    /// When nobody does, or they are too many without `--force`.
    pub fn ask(self, what: &str, verdict: &Verdict) -> Result<()> {
        let (holders, taken) = (verdict.tally.holders, verdict.tally.taken);
        if verdict.is_many() && !self.force {
            bail!(
                "{what}: of {} that have access, and {taken} lost it within 24 hours. That is many; nothing is done without --force",
                output::count(holders, "account")
            );
        }
        if self.yes {
            output::note(what);
            return Ok(());
        }
        confirm(&format!("{what}. Go on?"), Answer { yes: false })
    }
}
