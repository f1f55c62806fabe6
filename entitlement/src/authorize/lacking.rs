//! Tiers and features of a catalog that is held back which the one in force lacks: routes that name them cannot be decided.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Requirement;
use crate::catalog::Catalog;

/// Tiers and features that the catalog in force lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    tiers: BTreeSet<String>,
    features: BTreeSet<String>,
}

impl Lacking {
    /// Everything that `wanted` has and `kept`, which is in force in its place, has not.
    #[must_use]
    pub fn between(wanted: &Catalog, kept: &Catalog) -> Self {
        let codes = wanted.tiers().iter().map(|tier| tier.code.as_str()).chain(wanted.renamed().map(|(old, _)| old));
        let features = wanted.tiers().iter().flat_map(|tier| &tier.features);
        Self {
            tiers: codes.filter(|code| kept.tier(code).is_none()).map(str::to_owned).collect(),
            features: features.filter(|name| !has_feature(kept, name)).cloned().collect(),
        }
    }

    /// Whether nothing is lacking.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty() && self.features.is_empty()
    }

    /// Whether a requirement names something of it. Of alternatives, one that is there is enough.
    #[must_use]
    pub fn is_needed_by(&self, requirement: &Requirement) -> bool {
        match requirement {
            Requirement::Public | Requirement::SignedIn => false,
            Requirement::Tier(code) => self.tiers.contains(code.as_str()),
            Requirement::Feature(name) => self.features.contains(name.as_str()),
            Requirement::All(parts) => parts.iter().any(|part| self.is_needed_by(part)),
            Requirement::Any(parts) => parts.iter().all(|part| self.is_needed_by(part)),
        }
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers = self.tiers.iter().map(|tier| ("tier", tier));
        let features = self.features.iter().map(|feature| ("feature", feature));
        for (index, (kind, code)) in tiers.chain(features).enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(f, "{between}{kind} {code}")?;
        }
        Ok(())
    }
}

fn has_feature(catalog: &Catalog, name: &str) -> bool {
    catalog.tiers().iter().any(|tier| tier.has_feature(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_in_words() {
        let lacking = |tiers: &[&str], features: &[&str]| {
            let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            Lacking { tiers: all(tiers), features: all(features) }.to_string()
        };
        assert_eq!(lacking(&["gold"], &["archive", "search"]), "tier gold, feature archive, feature search");
        assert_eq!(lacking(&[], &["archive"]), "feature archive");
        assert_eq!(lacking(&[], &[]), "");
    }
}
