//! Stacking, as a table and as properties.

use proptest::prelude::*;

use super::*;
use crate::catalog::Provider;
use crate::subscription::SubscriptionId;
use crate::timeline::timeline;

fn at(day: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::days(day)
}

fn catalog() -> Catalog {
    toml::from_str(
        r#"
        tier = [
          { code = "free", name = "Free", rank = 0 },
          { code = "pro", name = "Pro", rank = 1 },
          { code = "team", name = "Team", rank = 2 },
        ]
        "#,
    )
    .expect("a valid catalog")
}

fn subscribed(tier: &str, from: i64, until: Option<i64>) -> Grant {
    let id = SubscriptionId { provider: Provider::Stripe, id: format!("sub_{from}") };
    let source = Source::Subscription(id);
    Grant { source, tier: tier.into(), status: Status::Active, from: at(from), until: until.map(at) }
}

fn credit(id: i64, tier: &str, days: u32, given: i64) -> DayCredit {
    DayCredit { id, tier: tier.into(), days, given_at: at(given), revoked_at: None }
}

/// `id from..until`, in days.
fn shown(spendings: &[Spending]) -> Vec<String> {
    let day = |moment: Timestamp| (moment - at(0)).num_days();
    let line = |spending: &Spending, grant: &Grant| {
        format!("{} {}..{}", spending.credit.id, day(grant.from), day(grant.until.expect("an end")))
    };
    let lines = spendings.iter().flat_map(|spending| spending.grants.iter().map(move |grant| line(spending, grant)));
    lines.collect()
}

/// What is granted otherwise, the credits, and when they are spent.
type Case = (&'static str, Vec<Grant>, Vec<DayCredit>, &'static [&'static str]);

#[test]
fn what_is_paid_for_goes_first_and_credits_follow_one_another() {
    let taken = |day| DayCredit { revoked_at: Some(at(day)), ..credit(1, "pro", 45, 0) };
    let cases: [Case; 13] = [
        ("alone", vec![], vec![credit(1, "pro", 45, 10)], &["1 10..55"]),
        ("two at once", vec![], vec![credit(1, "pro", 45, 10), credit(2, "pro", 45, 10)], &["1 10..55", "2 55..100"]),
        ("a later one", vec![], vec![credit(1, "pro", 45, 0), credit(2, "pro", 45, 20)], &["1 0..45", "2 45..90"]),
        ("after a pause", vec![], vec![credit(1, "pro", 10, 0), credit(2, "pro", 10, 30)], &["1 0..10", "2 30..40"]),
        ("earned while paying", vec![subscribed("pro", 0, Some(30))], vec![credit(1, "pro", 45, 5)], &["1 30..75"]),
        (
            "bought while it runs",
            vec![subscribed("pro", 15, Some(30))],
            vec![credit(1, "pro", 45, 5)],
            &["1 5..15", "1 30..65"],
        ),
        ("never while one goes on", vec![subscribed("pro", 0, None)], vec![credit(1, "pro", 45, 5)], &[]),
        (
            "a lower tier that is paid for",
            vec![subscribed("pro", 0, Some(30))],
            vec![credit(1, "team", 10, 5)],
            &["1 5..15"],
        ),
        (
            "a higher tier that is paid for",
            vec![subscribed("team", 0, Some(30))],
            vec![credit(1, "pro", 10, 5)],
            &["1 30..40"],
        ),
        (
            "the higher credit first",
            vec![],
            vec![credit(1, "pro", 10, 0), credit(2, "team", 10, 5)],
            &["2 5..15", "1 0..5", "1 15..20"],
        ),
        ("taken back", vec![], vec![taken(20), credit(2, "pro", 45, 3)], &["1 0..20", "2 20..65"]),
        ("taken back before it began", vec![subscribed("pro", 0, Some(30))], vec![taken(20)], &[]),
        ("of a tier that is gone", vec![], vec![credit(1, "gone", 45, 0)], &[]),
    ];
    for (what, grants, credits, expected) in cases {
        assert_eq!(shown(&spend(&catalog(), &grants, &credits)), expected, "{what}");
    }
}

#[test]
fn what_is_left_shrinks_only_while_it_is_spent() {
    let credits = [credit(1, "pro", 45, 5)];
    let left = |grants: &[Grant], day| spend(&catalog(), grants, &credits)[0].left(at(day)).num_days();
    let paying = [subscribed("pro", 15, Some(30))];
    for (day, expected) in [(0, 45), (5, 45), (15, 35), (29, 35), (31, 34), (65, 0), (99, 0)] {
        assert_eq!(left(&paying, day), expected, "day {day}");
    }
    assert_eq!(left(&[subscribed("pro", 15, None)], 99), 35, "it waits for ever");
    let taken = DayCredit { revoked_at: Some(at(20)), ..credit(1, "pro", 45, 5) };
    let spending = &spend(&catalog(), &[], &[taken])[0];
    assert_eq!((spending.left(at(19)).num_days(), spending.left(at(20)).num_days()), (31, 0));
}

#[test]
fn a_credit_longer_than_the_calendar_ends_with_it() {
    let spendings =
        spend(&catalog(), &[], &[DayCredit { given_at: Timestamp::MAX_UTC, ..credit(1, "pro", 36_500, 0) }]);
    assert!(spendings[0].grants.is_empty());
}

fn tier() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["pro", "team"])
}

fn any_grants() -> impl Strategy<Value = Vec<Grant>> {
    let grant = (tier(), 0..40_i64, 0..20_i64).prop_map(|(tier, from, days)| subscribed(tier, from, Some(from + days)));
    prop::collection::vec(grant, 0..5)
}

fn any_credits() -> impl Strategy<Value = Vec<DayCredit>> {
    prop::collection::vec((tier(), 1..15_u32, 0..40_i64), 0..5).prop_map(|credits| {
        let numbered = (1_i64..).zip(credits);
        numbered.map(|(id, (tier, days, given))| credit(id, tier, days, given)).collect()
    })
}

fn days(spending: &Spending) -> i64 {
    spending.grants.iter().map(|grant| (grant.until.expect("an end") - grant.from).num_days()).sum()
}

proptest! {
    #[test]
    fn not_a_day_is_lost_and_none_is_spent_twice(grants in any_grants(), credits in any_credits()) {
        let catalog = catalog();
        let rank = |tier: &str| catalog.tier(tier).map(|tier| tier.rank);
        let spendings = spend(&catalog, &grants, &credits);
        for spending in &spendings {
            prop_assert_eq!(days(spending), i64::from(spending.credit.days));
        }
        for day in 0..400 {
            let holds = |grant: &&Grant| grant.from <= at(day) && grant.until.is_none_or(|until| at(day) < until);
            let spent: Vec<&Grant> = spendings.iter().flat_map(|spending| &spending.grants).filter(holds).collect();
            prop_assert!(spent.len() <= 1 || spent[0].tier != spent[1].tier, "two of one tier on one day");
            for grant in spent {
                let enough = grants.iter().filter(holds).any(|other| rank(&other.tier) >= rank(&grant.tier));
                prop_assert!(!enough, "a day of credit on a day that is paid for");
            }
        }
    }

    #[test]
    fn neither_order_matters(grants in any_grants(), credits in any_credits()) {
        let (mut turned, mut backwards) = (grants.clone(), credits.clone());
        turned.reverse();
        backwards.reverse();
        prop_assert_eq!(spend(&catalog(), &grants, &credits), spend(&catalog(), &turned, &backwards));
    }

    #[test]
    fn one_more_credit_takes_no_day_from_anybody(grants in any_grants(), credits in any_credits(), more in 1..15_u32) {
        let catalog = catalog();
        let covered = |credits: &[DayCredit]| {
            let spent = spend(&catalog, &grants, credits).into_iter().flat_map(|spending| spending.grants);
            let all: Vec<Grant> = grants.iter().cloned().chain(spent).collect();
            let merged = timeline(&catalog, &all);
            (0..400).filter(|day| *merged.at(at(*day)).plan.tier != *"free").count()
        };
        let mut with = credits.clone();
        with.push(credit(99, "pro", more, 20));
        prop_assert!(covered(&with) >= covered(&credits));
    }
}
