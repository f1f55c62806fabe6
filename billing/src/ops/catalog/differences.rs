//! What one catalog changes of another, in lines for a person.

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::TimeDelta;
use entitlement::catalog::{Addon, Price, Tier};
use entitlement::subscription::{Hold, Loss};

use crate::store::catalogs::Rules;

/// One line for each difference.
pub(super) fn differences(current: &Rules, next: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    let (before, after) = (&current.catalog, &next.catalog);
    let is_same = |old: &Tier, new: &Tier| new.is_called(&old.code);
    compare("tier", (before.tiers(), after.tiers()), (|tier| &tier.code, is_same), tier_changes, &mut lines);
    let is_same = |old: &Addon, new: &Addon| old.code == new.code;
    compare("add-on", (before.addons(), after.addons()), (|addon| &addon.code, is_same), addon_changes, &mut lines);
    let graces = [
        ("past_due", current.grace.past_due, next.grace.past_due),
        ("renewal", current.grace.renewal, next.grace.renewal),
        ("trial", current.grace.trial, next.grace.trial),
        ("trial, when the bank asks the buyer", current.grace.authentication, next.grace.authentication),
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
    (before, after): (&[T], &[T]),
    (code, is_same): (impl Fn(&T) -> &String, impl Fn(&T, &T) -> bool),
    changes: impl Fn(&T, &T, &str, &mut Vec<String>),
    lines: &mut Vec<String>,
) {
    for gone in before.iter().filter(|old| !after.iter().any(|new| is_same(old, new))) {
        lines.push(format!("- {kind} {}", code(gone)));
    }
    for new in after {
        match before.iter().find(|old| is_same(old, new)) {
            Some(old) => changes(old, new, &format!("{kind} {}", code(new)), lines),
            None => lines.push(format!("+ {kind} {}", code(new))),
        }
    }
}

fn tier_changes(before: &Tier, after: &Tier, what: &str, lines: &mut Vec<String>) {
    changed(&format!("{what} code"), &before.code, &after.code, lines);
    if before.code == after.code {
        let from = |tier: &Tier| tier.renamed_from.clone().unwrap_or_else(|| "nothing".to_owned());
        changed(&format!("{what} renamed_from"), from(before), from(after), lines);
    }
    changed(&format!("{what} name"), &before.name, &after.name, lines);
    let described = |tier: &Tier| tier.description.clone().unwrap_or_else(|| "nothing".to_owned());
    changed(&format!("{what} description"), described(before), described(after), lines);
    changed(&format!("{what} highlight"), before.highlight, after.highlight, lines);
    changed(&format!("{what} hidden"), before.hidden, after.hidden, lines);
    changed(&format!("{what} rank"), before.rank, after.rank, lines);
    changed(&format!("{what} features"), before.features.join(", "), after.features.join(", "), lines);
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
    let is_same = |old: &Price, new: &Price| (old.provider, old.name()) == (new.provider, new.name());
    let terms = |old: &Price, new: &Price, what: &str, lines: &mut Vec<String>| match (old.retired, new.retired) {
        (false, true) => lines.push(format!("~ {what}: it is retired")),
        (true, false) => lines.push(format!("~ {what}: it is sold again")),
        _ if old != new => lines.push(format!("~ {what}: its terms change")),
        _ => {}
    };
    compare(&kind, (before, after), (Price::name, is_same), terms, lines);
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
    use entitlement::catalog::Catalog;
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
              {{ code = "small", name = "Small", rank = 5 }},
              {{ code = "pro", name = "Pro", rank = 1, features = ["api"], limits = {{ calls = 5 }}, price = [{}, {}] }},
            ]
            "#,
            price("a", 700),
            price("b", 900),
        );
        let after = format!(
            r#"
            tier = [
              {{ code = "tiny", name = "Small", rank = 5, renamed_from = "small" }},
              {{ code = "pro", name = "Pro", rank = 2, features = ["api", "sso"], limits = {{ calls = 9 }}, price = [{}, {}] }},
            ]
            addon = [{{ code = "domain", name = "Domain" }}]
            "#,
            price("b", 950),
            price("c", 1),
        );
        let grace = |days| Grace { past_due: Duration::days(days), renewal: Duration::zero(), ..Grace::default() };
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
            "~ tier tiny code: small → tiny",
            "+ add-on domain",
            "~ grace past_due: 14d → 7d",
            "~ policy refund: end → keep",
        ];
        assert_eq!(lines, expected);
        assert_eq!(differences(&current, &current), Vec::<String>::new());
    }
}
