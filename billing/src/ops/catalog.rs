//! Declares what is sold.

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::TimeDelta;
use entitlement::catalog::{Addon, Catalog, Price, Tier};
use entitlement::subscription::{Hold, Loss};
use serde::Serialize;

use crate::clock;
use crate::component::Billing;
use crate::store::StoreError;
use crate::store::catalogs::{self, Rules};

/// The difference between what is sold and what was to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CatalogReport {
    /// One line for each difference; none when nothing changed.
    pub changes: Vec<String>,
    /// The accounts that are told of it.
    pub accounts: u64,
}

impl Billing {
    /// What applying a catalog would change.
    ///
    /// # Errors
    /// When the database fails, or holds a catalog that this build cannot read.
    pub async fn plan_catalog(&self, catalog: &Catalog) -> Result<CatalogReport, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let current = self.rules(&mut conn).await?;
        Ok(CatalogReport { changes: differences(&current, &self.wanted(catalog)), accounts: 0 })
    }

    /// Makes a catalog, and the configured grace and policy, current. When that changes anything, every account gets a new version
    /// and the cache is told of all of them, in the background.
    ///
    /// # Errors
    /// When the database fails, or holds a catalog that this build cannot read.
    pub async fn apply_catalog(&self, catalog: &Catalog) -> Result<CatalogReport, StoreError> {
        let wanted = self.wanted(catalog);
        let is_current = |rules: &Rules| rules.id.is_some() && Rules { id: None, ..rules.clone() } == wanted;
        let mut tx = self.pool().begin().await?;
        // The usual case, at every start: nothing to lock for.
        if is_current(&*self.rules(&mut tx).await?) {
            return Ok(CatalogReport::default());
        }
        catalogs::lock(&mut tx).await?;
        let current = self.rules(&mut tx).await?;
        if is_current(&current) {
            return Ok(CatalogReport::default());
        }
        let changes = differences(&current, &wanted);
        let now = clock::now();
        catalogs::insert(&mut tx, &wanted, now).await?;
        let accounts = catalogs::all_changed(&mut tx, now).await?;
        tx.commit().await?;
        self.shared().untold.notify_one();
        tracing::info!(accounts, changes = changes.len(), "a new catalog is in force");
        Ok(CatalogReport { changes, accounts })
    }

    /// A catalog with the rules of the configuration that go with it.
    fn wanted(&self, catalog: &Catalog) -> Rules {
        let settings = self.settings();
        Rules { id: None, catalog: catalog.clone(), grace: settings.grace, policy: settings.policy }
    }
}

fn differences(current: &Rules, next: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    let (before, after) = (&current.catalog, &next.catalog);
    compare("tier", before.tiers(), after.tiers(), |tier| &tier.code, tier_changes, &mut lines);
    compare("add-on", before.addons(), after.addons(), |addon| &addon.code, addon_changes, &mut lines);
    let graces = [
        ("past_due", current.grace.past_due, next.grace.past_due),
        ("renewal", current.grace.renewal, next.grace.renewal),
        ("trial", current.grace.trial, next.grace.trial),
    ];
    for (name, before, after) in graces {
        changed(&format!("grace {name}"), days(before), days(after), &mut lines);
    }
    let (before, after) = (current.policy, next.policy);
    let hold = |hold: Hold| if hold == Hold::Keep { "keep" } else { "suspend" };
    let loss = |loss: Loss| if loss == Loss::Keep { "keep" } else { "end" };
    changed("policy refund", loss(before.refund), loss(after.refund), &mut lines);
    changed("policy dispute", hold(before.dispute), hold(after.dispute), &mut lines);
    changed("policy pause", hold(before.pause), hold(after.pause), &mut lines);
    changed("policy unpaid", hold(before.unpaid), hold(after.unpaid), &mut lines);
    lines
}

/// What was added, removed and changed among things with a code.
fn compare<T>(
    kind: &str,
    before: &[T],
    after: &[T],
    code: impl Fn(&T) -> &String,
    changes: impl Fn(&T, &T, &str, &mut Vec<String>),
    lines: &mut Vec<String>,
) {
    for gone in before.iter().filter(|old| after.iter().all(|new| code(new) != code(old))) {
        lines.push(format!("- {kind} {}", code(gone)));
    }
    for new in after {
        match before.iter().find(|old| code(old) == code(new)) {
            Some(old) => changes(old, new, &format!("{kind} {}", code(new)), lines),
            None => lines.push(format!("+ {kind} {}", code(new))),
        }
    }
}

fn tier_changes(before: &Tier, after: &Tier, what: &str, lines: &mut Vec<String>) {
    changed(&format!("{what} name"), &before.name, &after.name, lines);
    changed(&format!("{what} rank"), before.rank, after.rank, lines);
    let listed = |tier: &Tier| tier.features.iter().cloned().collect::<Vec<_>>().join(", ");
    changed(&format!("{what} features"), listed(before), listed(after), lines);
    changed(&format!("{what} limits"), numbers(&before.limits), numbers(&after.limits), lines);
    changed(&format!("{what} levels"), numbers(&before.levels), numbers(&after.levels), lines);
    price_changes(&before.prices, &after.prices, what, lines);
}

fn addon_changes(before: &Addon, after: &Addon, what: &str, lines: &mut Vec<String>) {
    changed(&format!("{what} name"), &before.name, &after.name, lines);
    changed(&format!("{what} requires"), before.requires.join(", "), after.requires.join(", "), lines);
    price_changes(&before.prices, &after.prices, what, lines);
}

fn price_changes(before: &[Price], after: &[Price], what: &str, lines: &mut Vec<String>) {
    let kind = format!("{what} price");
    compare(
        &kind,
        before,
        after,
        |price| &price.id,
        |old, new, what, lines| {
            if old != new {
                lines.push(format!("~ {what}: its terms change"));
            }
        },
        lines,
    );
}

fn changed<T: PartialEq + Display>(what: &str, before: T, after: T, lines: &mut Vec<String>) {
    if before != after {
        lines.push(format!("~ {what}: {before} → {after}"));
    }
}

/// In days where it is whole days, else in seconds.
fn days(span: TimeDelta) -> String {
    if span == TimeDelta::days(span.num_days()) {
        format!("{}d", span.num_days())
    } else {
        format!("{}s", span.num_seconds())
    }
}

fn numbers(limits: &BTreeMap<String, u64>) -> String {
    limits.iter().map(|(metric, limit)| format!("{metric}={limit}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use entitlement::subscription::{Grace, Policy};

    use super::*;

    #[test]
    fn a_plan_names_every_difference_once() {
        let read = |text: &str| toml::from_str::<Catalog>(text).expect("a catalog");
        let price = |id: &str, amount| {
            format!(
                r#"{{ provider = "stripe", id = "{id}", cadence = "annual", amount = {amount}, currency = "gbp" }}"#
            )
        };
        let before = format!(
            r#"
            tier = [
              {{ code = "old", name = "Old", rank = 3 }},
              {{ code = "pro", name = "Pro", rank = 1, features = ["api"], limits = {{ calls = 5 }}, price = [{}, {}] }},
            ]
            "#,
            price("a", 700),
            price("b", 900),
        );
        let after = format!(
            r#"
            tier = [
              {{ code = "pro", name = "Pro", rank = 2, features = ["api", "sso"], limits = {{ calls = 9 }}, price = [{}, {}] }},
            ]
            addon = [{{ code = "domain", name = "Domain" }}]
            "#,
            price("b", 950),
            price("c", 1),
        );
        let grace = |days| Grace { past_due: Duration::days(days), renewal: Duration::zero(), trial: Duration::zero() };
        let policy = Policy::default();
        let current = Rules { id: Some(1), catalog: read(&before), grace: grace(14), policy };
        let policy = Policy { refund: Loss::Keep, ..policy };
        let next = Rules { id: None, catalog: read(&after), grace: grace(7), policy };
        let lines = differences(&current, &next);
        let expected = [
            "- tier old",
            "~ tier pro rank: 1 → 2",
            "~ tier pro features: api → api, sso",
            "~ tier pro limits: calls=5 → calls=9",
            "- tier pro price a",
            "~ tier pro price b: its terms change",
            "+ tier pro price c",
            "+ add-on domain",
            "~ grace past_due: 14d → 7d",
            "~ policy refund: end → keep",
        ];
        assert_eq!(lines, expected);
        assert_eq!(differences(&current, &current), Vec::<String>::new());
    }
}
