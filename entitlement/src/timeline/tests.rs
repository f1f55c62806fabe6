//! How grants merge into segments of time.

use chrono::Duration;
use proptest::prelude::*;

use super::*;
use crate::catalog::Provider;

fn at(day: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::days(day)
}

fn catalog() -> Catalog {
    toml::from_str(
        r#"
        tier = [
          { code = "free", name = "Free", rank = 0, features = ["basic"], limits = { calls = 10 } },
          { code = "pro", name = "Pro", rank = 1, features = ["api"], limits = { calls = 100 } },
          { code = "team", name = "Team", rank = 2, features = ["sso"], limits = { calls = 50, seats = 5 } },
        ]
        "#,
    )
    .expect("a valid catalog")
}

fn grant(name: &str, tier: &str, status: Status, from: i64, until: Option<i64>) -> Grant {
    let id = SubscriptionId { provider: Provider::Stripe, id: name.into() };
    let until = until.map(at);
    Grant { source: Source::Subscription(id), tier: tier.into(), status, from: at(from), until }
}

/// One line a segment: `until tier status features`.
fn shown(timeline: &Timeline) -> Vec<String> {
    let line = |segment: &Segment| {
        let until = segment.until.map_or("open".to_owned(), |until| (until - at(0)).num_days().to_string());
        format!("{until} {} {} {}", segment.plan.tier, segment.status.as_str(), segment.plan.features.join(","))
    };
    timeline.segments.iter().map(line).collect()
}

#[test]
fn grants_merge_into_segments_of_time() {
    use Status::{Active, Canceling, Credit, PastDue};
    let cases: [(&str, Vec<Grant>, &[&str]); 7] = [
        ("nobody", vec![], &["open free none basic"]),
        (
            "a canceled month",
            vec![grant("a", "pro", Canceling, 0, Some(30))],
            &["0 free none basic", "30 pro canceling api,basic", "open free none basic"],
        ),
        (
            "credit after a subscription goes on by itself",
            vec![grant("a", "pro", Canceling, 0, Some(30)), grant("b", "pro", Credit, 10, Some(50))],
            &[
                "0 free none basic",
                "10 pro canceling api,basic",
                "30 pro canceling api,basic",
                "50 pro credit api,basic",
                "open free none basic",
            ],
        ),
        (
            "the higher tier shows, the lower still adds its features",
            vec![grant("a", "pro", Active, 0, None), grant("b", "team", PastDue, 5, Some(9))],
            &[
                "0 free none basic",
                "5 pro active api,basic",
                "9 team past_due api,basic,sso",
                "open pro active api,basic",
            ],
        ),
        (
            "a renewal beside a replaced subscription leaves no gap",
            vec![grant("a", "pro", Active, 0, Some(30)), grant("b", "pro", Active, 30, None)],
            &["0 free none basic", "30 pro active api,basic", "open pro active api,basic"],
        ),
        ("a tier that is no longer sold", vec![grant("a", "gone", Active, 0, None)], &["open free none basic"]),
        ("over before it began", vec![grant("a", "pro", Active, 5, Some(5))], &["open free none basic"]),
    ];
    for (what, grants, expected) in cases {
        assert_eq!(shown(&timeline(&catalog(), &grants)), expected, "{what}");
    }
}

#[test]
fn the_most_generous_limit_wins_and_an_absent_one_is_unlimited() {
    let both = [grant("a", "pro", Status::Active, 0, None), grant("b", "team", Status::Active, 0, None)];
    let plan = Arc::clone(&timeline(&catalog(), &both).at(at(1)).plan);
    assert_eq!(plan.limits.get("calls"), Some(&100), "pro is more generous than team, and free does not count");
    assert_eq!(plan.limits.get("seats"), None, "pro does not limit seats");
    let free = timeline(&catalog(), &[]);
    assert_eq!(free.at(at(1)).plan.limits.get("calls"), Some(&10));
}

#[test]
fn what_is_cached_has_neither_the_past_nor_a_change_of_sources_alone() {
    let grants = [grant("a", "pro", Status::Canceling, 0, Some(30)), grant("b", "pro", Status::Credit, 15, Some(20))];
    let whole = timeline(&catalog(), &grants);
    assert_eq!(whole.segments.len(), 5);
    let cached = whole.cacheable(at(10));
    assert_eq!(shown(&cached), ["30 pro canceling api,basic", "open free none basic"]);
    assert_eq!(cached.at(at(30)).status, Status::None, "an end is exclusive");
}

#[test]
fn segments_that_leave_time_uncovered_are_refused() {
    let segments: Vec<Segment> = timeline(&catalog(), &[grant("a", "pro", Status::Active, 0, Some(9))]).into();
    let mut closed = segments.clone();
    closed.pop();
    assert_eq!(Timeline::try_from(closed), Err(TimelineError::NotOpenEnded));
    assert_eq!(Timeline::try_from(vec![]), Err(TimelineError::NotOpenEnded));
    let mut swapped = segments;
    swapped.swap(0, 1);
    assert_eq!(Timeline::try_from(swapped), Err(TimelineError::Unordered));
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let tier = prop::sample::select(vec!["pro", "team", "gone"]);
    let status = prop::sample::select(vec![Status::Active, Status::Trialing, Status::PastDue, Status::Credit]);
    (0..6_i64, tier, status, 0..20_i64, prop::option::of(0..20_i64))
        .prop_map(|(id, tier, status, from, until)| grant(&id.to_string(), tier, status, from, until))
}

proptest! {
    #[test]
    fn the_order_of_grants_does_not_matter(grants in prop::collection::vec(any_grant(), 0..8), seed in any::<u64>()) {
        let mut shuffled = grants.clone();
        shuffled.sort_by_key(|grant| {
            use std::hash::{DefaultHasher, Hash, Hasher};
            let mut hasher = DefaultHasher::new();
            (seed, format!("{grant:?}")).hash(&mut hasher);
            hasher.finish()
        });
        prop_assert_eq!(timeline(&catalog(), &grants), timeline(&catalog(), &shuffled));
    }

    #[test]
    fn at_every_moment_the_highest_granted_tier_holds(grants in prop::collection::vec(any_grant(), 0..8), day in -1..25_i64) {
        let catalog = catalog();
        let merged = timeline(&catalog, &grants);
        let now = at(day);
        let held = grants.iter().filter(|grant| grant.holds_at(now)).filter_map(|grant| catalog.tier(&grant.tier));
        let expected = held.max_by_key(|tier| tier.rank).unwrap_or(catalog.base());
        prop_assert_eq!(&*merged.at(now).plan.tier, expected.code.as_str());
    }

    #[test]
    fn ending_one_source_never_removes_what_another_grants(
        grants in prop::collection::vec(any_grant(), 1..8), day in 0..20_i64,
    ) {
        let catalog = catalog();
        let fewer = &grants[1..];
        let ranks = |grants: &[Grant]| catalog.tier(&timeline(&catalog, grants).at(at(day)).plan.tier).map(|t| t.rank);
        let removed_rank = catalog.tier(&grants[0].tier).filter(|_| grants[0].holds_at(at(day))).map_or(0, |t| t.rank);
        prop_assert!(ranks(fewer) >= ranks(&grants) || ranks(&grants) == Some(removed_rank));
    }
}

#[test]
fn a_plan_that_lets_do_less_in_anything_does_not_give_as_much() {
    use Status::Active;
    let plan = |tiers: &[&str]| {
        let grants: Vec<Grant> = tiers.iter().map(|tier| grant(tier, tier, Active, 0, None)).collect();
        Arc::clone(&timeline(&catalog(), &grants).at(at(1)).plan)
    };
    let (nothing, pro, team, both) = (plan(&[]), plan(&["pro"]), plan(&["team"]), plan(&["pro", "team"]));
    let cases = [
        ("the same", &pro, &pro, true),
        ("more than nothing", &pro, &nothing, true),
        ("nothing", &nothing, &pro, false),
        ("a feature is missing", &team, &pro, false),
        ("a tier is missing", &pro, &team, false),
        ("both", &both, &team, true),
        ("one of both", &team, &both, false),
    ];
    for (what, now, before, expected) in cases {
        assert_eq!(now.gives_as_much_as(before), expected, "{what}");
    }
    let limited = |calls: Option<u64>| Plan {
        limits: calls.map(|calls| ("calls".into(), calls)).into_iter().collect(),
        ..(*nothing).clone()
    };
    let cases = [(Some(5), Some(5), true), (Some(6), Some(5), true), (Some(5), Some(6), false)];
    let cases = cases.into_iter().chain([(None, Some(5), true), (Some(5), None, false)]);
    for (now, before, expected) in cases {
        assert_eq!(limited(now).gives_as_much_as(&limited(before)), expected, "{now:?} after {before:?}");
    }
}
