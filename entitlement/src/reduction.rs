//! What an account may do less under one plan than under another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::timeline::Plan;

/// Something that a plan gave, and another does not give, or gives less of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reduction {
    /// A tier that was reached.
    Tier(Arc<str>),
    Feature(Arc<str>),
    /// A metric whose limit is lower, or that had none.
    Limit(Arc<str>),
    Level(Arc<str>),
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tier(code) => write!(f, "tier {code}"),
            Self::Feature(name) => write!(f, "feature {name}"),
            Self::Limit(metric) => write!(f, "a part of the limit {metric}"),
            Self::Level(metric) => write!(f, "a part of the level {metric}"),
        }
    }
}

/// What `after` gives less than `before`; nothing when it gives all of it, or more.
#[must_use]
pub fn reductions(before: &Plan, after: &Plan) -> Vec<Reduction> {
    let tiers = missing(&before.includes, &after.includes).map(Reduction::Tier);
    let features = missing(&before.features, &after.features).map(Reduction::Feature);
    let limits = lowered(&before.limits, &after.limits).map(Reduction::Limit);
    let levels = lowered(&before.levels, &after.levels).map(Reduction::Level);
    tiers.chain(features).chain(limits).chain(levels).collect()
}

fn missing<'a>(before: &'a [Arc<str>], after: &'a [Arc<str>]) -> impl Iterator<Item = Arc<str>> + 'a {
    before.iter().filter(|name| !after.contains(name)).cloned()
}

/// A metric that is absent is unlimited.
fn lowered<'a>(
    before: &'a BTreeMap<Arc<str>, u64>,
    after: &'a BTreeMap<Arc<str>, u64>,
) -> impl Iterator<Item = Arc<str>> + 'a {
    let is_lower = |metric: &Arc<str>, limit: &u64| before.get(metric).is_none_or(|before| limit < before);
    after.iter().filter(move |(metric, limit)| is_lower(metric, limit)).map(|(metric, _)| Arc::clone(metric))
}

#[cfg(test)]
mod tests {
    use crate::Timestamp;
    use crate::catalog::Catalog;
    use crate::timeline::{Grant, Source, Status, timeline};

    use super::*;

    const BEFORE: &str = r#"tier = [
        { code = "free", name = "Free", rank = 0, limits = { calls = 5 } },
        { code = "paid", name = "Paid", rank = 1, features = ["api", "sso"], limits = { calls = 10 }, levels = { seats = 3 } },
    ]"#;

    /// What an account loses that holds the tier `paid`, or nothing.
    fn lost(holds: &[&str], after: &str) -> String {
        let plan = |text: &str| {
            let catalog: Catalog = toml::from_str(text).expect("a catalog");
            let grant = |tier: &&str| Grant {
                source: Source::Credit(1),
                tier: (*tier).to_owned(),
                status: Status::Credit,
                from: Timestamp::UNIX_EPOCH,
                until: None,
            };
            let grants: Vec<Grant> = holds.iter().map(grant).collect();
            Arc::clone(&timeline(&catalog, &grants).at(Timestamp::UNIX_EPOCH).plan)
        };
        let told = reductions(&plan(BEFORE), &plan(after));
        told.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_thing_that_is_less_is_named_and_nothing_that_is_more() {
        let renamed = BEFORE.replace("\"paid\"", "\"pro\"");
        let cases = [
            ("the same", BEFORE.to_owned(), ""),
            ("a feature less", BEFORE.replace("\"api\", ", ""), "feature api"),
            ("a feature more", BEFORE.replace("\"api\"", "\"api\", \"more\""), ""),
            ("a lower limit", BEFORE.replace("calls = 10", "calls = 9"), "a part of the limit calls"),
            ("a higher limit", BEFORE.replace("calls = 10", "calls = 11"), ""),
            ("no limit", BEFORE.replace("limits = { calls = 10 }, ", ""), ""),
            (
                "a limit where none was",
                BEFORE.replace("calls = 10", "calls = 10, mails = 1"),
                "a part of the limit mails",
            ),
            ("a lower level", BEFORE.replace("seats = 3", "seats = 2"), "a part of the level seats"),
            (
                "renamed, and nobody says from what",
                renamed.clone(),
                "tier paid, feature api, feature sso, a part of the limit calls",
            ),
            ("renamed", renamed.replace("name = \"Paid\"", "name = \"Paid\", renamed_from = \"paid\""), ""),
        ];
        for (what, after, expected) in cases {
            assert_eq!(lost(&["paid"], &after), expected, "{what}");
        }
        assert_eq!(lost(&[], &BEFORE.replace("calls = 5", "calls = 4")), "a part of the limit calls");
    }
}
