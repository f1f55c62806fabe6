//! The gate's decisions as a table.

use chrono::Duration;
use proptest::prelude::*;

use super::*;
use crate::account::AccountId;
use crate::catalog::Catalog;
use crate::timeline::{Grant, Source, Status, Timeline, timeline};

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
fn a_blocked_account_passes_no_gated_route_whatever_it_has_paid_for() {
    let account = AccountId::parse("a").expect("an id");
    let blocked = Entitlement { account, version: 2, timeline: Timeline::blocked(&catalog()) };
    let blocked = Caller::Known(&blocked);
    let any = || Requirement::Any(vec![Requirement::SignedIn, tier("pro")]);
    for require in [Requirement::SignedIn, tier("free"), tier("pro"), feature("api"), both(), any()] {
        let (gated, open) = (policy(require.clone()), OnError::Allow);
        assert_eq!(authorize(blocked, &gated, at(1)).err(), Some(Denial::Blocked), "{require}");
        let lenient = Policy { on_error: open, is_known: false, ..gated };
        assert_eq!(authorize(blocked, &lenient, at(1)).err(), Some(Denial::Blocked), "{require}, lenient");
    }
    assert!(authorize(blocked, &Policy::public(), at(1)).is_ok());
    let shadowed = Policy { mode: Mode::Shadow, ..policy(tier("pro")) };
    let permit = authorize(blocked, &shadowed, at(1)).expect("it only watches");
    assert_eq!(permit.basis(), &Basis::Shadow(Denial::Blocked));
    assert_eq!((Denial::Blocked.status(), Denial::Blocked.code()), (403, "account_blocked"));
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
    let asked = |policy: &Policy| authorize(Caller::Known(&held), policy, at(1)).map(|permit| permit.basis().clone());
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

#[test]
fn two_rules_hold_together_as_this_table_says() {
    let shadow = |require| Policy { mode: Mode::Shadow, ..policy(require) };
    let lenient = |require| Policy { on_error: OnError::Allow, ..policy(require) };
    let unsold = |require| Policy { for_sale: false, ..policy(require) };
    for (one, other, expected) in [
        (policy(Requirement::Public), policy(tier("pro")), policy(tier("pro"))),
        (policy(Requirement::SignedIn), policy(tier("pro")), policy(tier("pro"))),
        (policy(Requirement::Public), policy(Requirement::SignedIn), policy(Requirement::SignedIn)),
        (policy(tier("pro")), policy(tier("pro")), policy(tier("pro"))),
        (policy(tier("pro")), policy(feature("sso")), policy(both())),
        // A rule that only watches does not weaken one that decides.
        (shadow(tier("pro")), policy(feature("sso")), policy(feature("sso"))),
        (lenient(tier("pro")), policy(tier("pro")), policy(tier("pro"))),
        (unsold(tier("pro")), policy(tier("pro")), unsold(tier("pro"))),
    ] {
        assert_eq!(one.and(&other), expected, "{one:?} and {other:?}");
        let turned = other.and(&one);
        assert_eq!((turned.mode, turned.on_error), (expected.mode, expected.on_error), "in either order");
    }
}

#[test]
fn a_request_that_its_route_lets_in_passes_whatever_that_requires() {
    let denied = Policy { invalid_token: InvalidToken::Deny, is_known: false, ..policy(tier("team")) };
    for policy in [policy(tier("team")), policy(Requirement::SignedIn), policy(both()), denied] {
        let permit = authorize(Caller::LetIn, &policy, at(0)).expect("it is let in");
        assert_eq!(permit.basis(), &Basis::LetIn, "{policy:?}");
    }
}
