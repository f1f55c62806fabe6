//! The gate's decision on one request, and the only place that makes a [`Permit`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::record::Entitlement;
use crate::timeline::Plan;

/// What a route asks of its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    /// Nothing.
    Public,
    /// A valid token.
    SignedIn,
    /// A tier of this rank or higher.
    Tier(String),
    /// A feature of any granted tier.
    Feature(String),
    /// Each of these.
    All(Vec<Requirement>),
    /// One of these.
    Any(Vec<Requirement>),
}

impl Requirement {
    /// Whether a plan meets it. Who has a plan is signed in.
    fn is_met(&self, plan: &Plan) -> bool {
        match self {
            Self::Public | Self::SignedIn => true,
            Self::Tier(code) => plan.includes.iter().any(|held| **held == **code),
            Self::Feature(name) => plan.features.iter().any(|held| **held == **name),
            Self::All(parts) => parts.iter().all(|part| part.is_met(plan)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(plan)),
        }
    }

    fn join(f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str) -> fmt::Result {
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                f.write_str(word)?;
            }
            match part {
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                _ => write!(f, "{part}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::SignedIn => f.write_str("signed in"),
            Self::Tier(code) => write!(f, "tier {code}"),
            Self::Feature(name) => write!(f, "feature {name}"),
            Self::All(parts) => Self::join(f, parts, " and "),
            Self::Any(parts) => Self::join(f, parts, " or "),
        }
    }
}

/// What to do when nobody can say what the caller has paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    #[default]
    Deny,
    Allow,
}

/// Whether a denial is served or only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Enforce,
    Shadow,
}

/// What a credential that does not verify is worth where none is required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidToken {
    /// As much as none: an expired session must not close the pages from which one signs in again.
    #[default]
    Ignore,
    /// A denial: who tries to be somebody is told that it failed.
    Deny,
}

/// A route's rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub require: Requirement,
    pub invalid_token: InvalidToken,
    pub on_error: OnError,
    pub mode: Mode,
    /// Whether anything sold meets the requirement: else the answer is "forbidden", not "pay".
    pub for_sale: bool,
    /// Whether the catalog in force has what the requirement names: else nobody can say what is missing.
    pub is_known: bool,
}

impl Policy {
    /// Open to everybody.
    #[must_use]
    pub const fn public() -> Self {
        Self {
            require: Requirement::Public,
            invalid_token: InvalidToken::Ignore,
            on_error: OnError::Deny,
            mode: Mode::Enforce,
            for_sale: true,
            is_known: true,
        }
    }
}

/// Who asks, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// No credential.
    Anonymous,
    /// A credential that does not verify.
    Rejected,
    /// A credential that nobody can verify now.
    Unverified,
    /// A valid token, and what its account has.
    Known(&'a Entitlement),
    /// A valid token, but nobody could say what its account has.
    Unresolved,
}

/// Proof that a request was authorised. Without one, no upstream is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    basis: Basis,
}

/// Why a request may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The requirement is met.
    Met,
    /// Nobody could say, and the route's policy is to let pass.
    Fallback,
    /// It would have been denied, but the route only watches.
    Shadow(Denial),
}

impl Permit {
    /// Why the request may pass.
    #[must_use]
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }
}

/// Why a request may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// 401: no credential.
    SignIn,
    /// 401: a credential that does not verify.
    BadCredential,
    /// 402: something that is sold would open it.
    Pay { required: Requirement, current: String },
    /// 403: nothing that is sold would open it.
    Forbidden { required: Requirement, current: String },
    /// 503: nobody could say.
    Unknown,
}

impl Denial {
    /// The HTTP status of this answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::SignIn | Self::BadCredential => 401,
            Self::Pay { .. } => 402,
            Self::Forbidden { .. } => 403,
            Self::Unknown => 503,
        }
    }

    /// The stable code of this answer, in problem documents, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::BadCredential => "invalid_token",
            Self::Pay { .. } => "payment_required",
            Self::Forbidden { .. } => "forbidden",
            Self::Unknown => "entitlement_unknown",
        }
    }
}

/// Decides one request.
///
/// # Errors
/// The denial to serve.
pub fn authorize(caller: Caller<'_>, policy: &Policy, now: Timestamp) -> Result<Permit, Denial> {
    let Err(denial) = check(caller, policy, now) else { return Ok(Permit { basis: Basis::Met }) };
    let basis = match (policy.mode, policy.on_error, denial) {
        (Mode::Shadow, _, denial) => Basis::Shadow(denial),
        (Mode::Enforce, OnError::Allow, Denial::Unknown) => Basis::Fallback,
        (Mode::Enforce, _, denial) => return Err(denial),
    };
    Ok(Permit { basis })
}

/// Whether the requirement is met, before the route's policy on faults and shadowing.
fn check(caller: Caller<'_>, policy: &Policy, now: Timestamp) -> Result<(), Denial> {
    let entitlement = match (&policy.require, caller) {
        (Requirement::Public, Caller::Rejected) if policy.invalid_token == InvalidToken::Deny => {
            return Err(Denial::BadCredential);
        }
        (Requirement::Public, _) => return Ok(()),
        (_, Caller::Anonymous) => return Err(Denial::SignIn),
        (_, Caller::Rejected) => return Err(Denial::BadCredential),
        (_, Caller::Unverified) => return Err(Denial::Unknown),
        (Requirement::SignedIn, _) => return Ok(()),
        (_, Caller::Unresolved) => return Err(Denial::Unknown),
        (_, Caller::Known(entitlement)) => entitlement,
    };
    let plan = &entitlement.timeline.at(now).plan;
    if policy.require.is_met(plan) {
        return Ok(());
    }
    if !policy.is_known {
        return Err(Denial::Unknown);
    }
    let (required, current) = (policy.require.clone(), plan.tier.to_string());
    Err(if policy.for_sale { Denial::Pay { required, current } } else { Denial::Forbidden { required, current } })
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use proptest::prelude::*;

    use super::*;
    use crate::account::AccountId;
    use crate::catalog::Catalog;
    use crate::timeline::{Grant, Source, Status, timeline};

    fn at(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::days(day)
    }

    fn catalog() -> Catalog {
        toml::from_str(
            r#"
            tier = [
              { code = "pro", name = "Pro", rank = 1, features = ["api"] },
              { code = "team", name = "Team", rank = 2, features = ["sso"] },
            ]
            "#,
        )
        .expect("a valid catalog")
    }

    fn holding(tier: &str, until: Option<i64>) -> Entitlement {
        let grant = Grant {
            source: Source::Credit(1),
            tier: tier.into(),
            status: Status::Credit,
            from: at(0),
            until: until.map(at),
        };
        let account = AccountId::parse("a").expect("an id");
        Entitlement { account, version: 1, timeline: timeline(&catalog(), &[grant]) }
    }

    fn policy(require: Requirement) -> Policy {
        Policy { require, ..Policy::public() }
    }

    fn tier(code: &str) -> Requirement {
        Requirement::Tier(code.into())
    }

    fn feature(name: &str) -> Requirement {
        Requirement::Feature(name.into())
    }

    fn both() -> Requirement {
        Requirement::All(vec![tier("pro"), feature("sso")])
    }

    fn either() -> Requirement {
        Requirement::Any(vec![tier("team"), feature("api")])
    }

    #[test]
    fn a_bad_token_counts_on_a_public_route_only_where_that_is_wanted() {
        let strict = Policy { invalid_token: InvalidToken::Deny, ..Policy::public() };
        let holder = holding("pro", None);
        for (caller, expected) in [
            (Caller::Rejected, Some(Denial::BadCredential)),
            (Caller::Anonymous, None),
            (Caller::Unverified, None),
            (Caller::Unresolved, None),
            (Caller::Known(&holder), None),
        ] {
            assert_eq!(authorize(caller, &strict, at(1)).err(), expected, "{caller:?}");
        }
    }

    #[test]
    fn the_gate_decides_as_this_table_says() {
        let (pro, team, free) = (holding("pro", Some(30)), holding("team", None), holding("gone", None));
        let (pro, team, free) = (Caller::Known(&pro), Caller::Known(&team), Caller::Known(&free));
        let pay = |required, current: &str| Err(Denial::Pay { required, current: current.into() });
        let cases = [
            ("public, nobody", Caller::Anonymous, Requirement::Public, Ok(())),
            ("public, a bad token", Caller::Rejected, Requirement::Public, Ok(())),
            ("public, cache down", Caller::Unresolved, Requirement::Public, Ok(())),
            ("public, no keys", Caller::Unverified, Requirement::Public, Ok(())),
            ("signed in, nobody", Caller::Anonymous, Requirement::SignedIn, Err(Denial::SignIn)),
            ("signed in, a bad token", Caller::Rejected, Requirement::SignedIn, Err(Denial::BadCredential)),
            ("signed in, cache down", Caller::Unresolved, Requirement::SignedIn, Ok(())),
            ("signed in, no keys", Caller::Unverified, Requirement::SignedIn, Err(Denial::Unknown)),
            ("signed in, free", free, Requirement::SignedIn, Ok(())),
            ("tier, nobody", Caller::Anonymous, tier("pro"), Err(Denial::SignIn)),
            ("tier, a bad token", Caller::Rejected, tier("pro"), Err(Denial::BadCredential)),
            ("tier, cache down", Caller::Unresolved, tier("pro"), Err(Denial::Unknown)),
            ("tier, no keys", Caller::Unverified, tier("pro"), Err(Denial::Unknown)),
            ("tier, free", free, tier("pro"), pay(tier("pro"), "free")),
            ("everybody's tier", free, tier("free"), Ok(())),
            ("tier, met", pro, tier("pro"), Ok(())),
            ("tier, higher", team, tier("pro"), Ok(())),
            ("tier, lower", pro, tier("team"), pay(tier("team"), "pro")),
            ("tier that nobody defined", team, tier("gold"), pay(tier("gold"), "team")),
            ("feature, met", pro, feature("api"), Ok(())),
            ("feature, not met", pro, feature("sso"), pay(feature("sso"), "pro")),
            ("both, nobody", Caller::Anonymous, both(), Err(Denial::SignIn)),
            ("both, cache down", Caller::Unresolved, both(), Err(Denial::Unknown)),
            ("both, one of them", pro, both(), pay(both(), "pro")),
            ("both, met", team, both(), Ok(())),
            ("either, none", free, either(), pay(either(), "free")),
            ("either, met", pro, either(), Ok(())),
            ("either, cache down", Caller::Unresolved, either(), Err(Denial::Unknown)),
        ];
        for (what, caller, require, expected) in cases {
            assert_eq!(authorize(caller, &policy(require), at(1)).map(|_| ()), expected, "{what}");
        }
    }

    #[test]
    fn the_end_of_a_grant_closes_the_gate_by_time_alone() {
        let held = holding("pro", Some(30));
        let caller = Caller::Known(&held);
        assert!(authorize(caller, &policy(tier("pro")), at(30) - Duration::seconds(1)).is_ok());
        assert!(authorize(caller, &policy(tier("pro")), at(30)).is_err());
    }

    #[test]
    fn what_is_not_sold_is_forbidden_not_payable() {
        let held = holding("pro", None);
        let closed = Policy { for_sale: false, ..policy(feature("staff")) };
        let denial = authorize(Caller::Known(&held), &closed, at(1)).expect_err("nothing grants it");
        assert_eq!(denial.code(), "forbidden");
    }

    #[test]
    fn what_the_catalog_in_force_does_not_have_is_unknown_to_those_who_do_not_meet_it() {
        let held = holding("pro", None);
        let kept = |on_error, require| Policy { is_known: false, on_error, ..policy(require) };
        let asked =
            |policy: &Policy| authorize(Caller::Known(&held), policy, at(1)).map(|permit| permit.basis().clone());
        assert_eq!(asked(&kept(OnError::Deny, tier("gold"))), Err(Denial::Unknown));
        assert_eq!(asked(&kept(OnError::Allow, tier("gold"))), Ok(Basis::Fallback));
        assert_eq!(asked(&kept(OnError::Deny, Requirement::Any(vec![tier("gold"), tier("pro")]))), Ok(Basis::Met));
        assert_eq!(authorize(Caller::Anonymous, &kept(OnError::Allow, tier("gold")), at(1)), Err(Denial::SignIn));
    }

    #[test]
    fn only_a_fault_is_forgiven_by_on_error_and_everything_by_shadow() {
        let open = Policy { on_error: OnError::Allow, ..policy(tier("pro")) };
        let permit = authorize(Caller::Unresolved, &open, at(1)).expect("the policy says so");
        assert_eq!(permit.basis(), &Basis::Fallback);
        assert_eq!(authorize(Caller::Anonymous, &open, at(1)), Err(Denial::SignIn));
        let watched = Policy { mode: Mode::Shadow, ..policy(tier("pro")) };
        let permit = authorize(Caller::Anonymous, &watched, at(1)).expect("it only watches");
        assert_eq!(permit.basis(), &Basis::Shadow(Denial::SignIn));
    }

    proptest! {
        #[test]
        fn no_permit_below_the_requirement(
            held in prop::option::of(prop::sample::select(vec!["free", "pro", "team"])),
            required in prop::sample::select(vec!["free", "pro", "team"]),
            until in prop::option::of(0..40_i64),
            day in 0..40_i64,
        ) {
            let catalog = catalog();
            let rank = |code: &str| catalog.tier(code).map_or(0, |tier| tier.rank);
            let entitlement = holding(held.unwrap_or("gone"), until);
            let expired = until.is_some_and(|until| until <= day);
            let holds = if expired { 0 } else { rank(held.unwrap_or("free")) };
            let permitted = authorize(Caller::Known(&entitlement), &policy(tier(required)), at(day)).is_ok();
            prop_assert_eq!(permitted, holds >= rank(required));
        }
    }
}
