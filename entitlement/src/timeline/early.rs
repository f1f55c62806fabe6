//! What begins now, told to those whose clocks are behind.
//!
//! The moment at which something begins comes from one machine: the provider's, or the one that granted it. Whoever reads the
//! timeline on another, with a clock that is minutes behind, would see it begin in the future, and turn away somebody who has
//! just paid. So what has begun, or begins within the time that clocks may be apart, is told as if it always held. An end is
//! never moved.

use chrono::Duration;

use super::{Plan, Segment, Timeline};
use crate::Timestamp;

impl Timeline {
    /// The timeline as it is told at `now` to readers whose clocks are up to `apart` from ours: from the last moment on, up to
    /// `apart` from now, at which something is gained and nothing of now is lost, what holds then holds from the beginning.
    #[must_use]
    pub fn begun(self, now: Timestamp, apart: Duration) -> Self {
        let is_over = |segment: &Segment| segment.until.is_some_and(|until| until <= now);
        let current = self.segments.iter().take_while(|segment| is_over(segment)).count();
        let is_soon = |segment: &Segment| segment.until.is_some_and(|until| until <= now + apart);
        let ends = self.segments.iter().take_while(|segment| is_soon(segment)).count();
        let begins = |at: &usize| {
            let (Some(before), Some(next)) = (self.segments.get(at - 1), self.segments.get(*at)) else { return false };
            let is_gain = !before.plan.gives_all_of(&next.plan);
            let mut kept = self.segments.iter().take(*at).skip(current);
            is_gain && kept.all(|segment| next.plan.gives_all_of(&segment.plan))
        };
        let first = (1..=ends).rev().find(begins).unwrap_or(0);
        Self { segments: self.segments.into_iter().skip(first).collect() }
    }
}

impl Plan {
    /// Whether whoever has this plan may do everything that `other` opens.
    fn gives_all_of(&self, other: &Self) -> bool {
        let holds_tier = |tier| self.includes.contains(tier);
        let has_feature = |feature| self.features.contains(feature);
        other.includes.iter().all(holds_tier) && other.features.iter().all(has_feature)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Catalog;
    use crate::timeline::{Grant, Source, Status, timeline};

    const APART_MINUTES: i64 = 10;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::minutes(minute)
    }

    fn catalog() -> Catalog {
        toml::from_str(
            r#"
            tier = [
              { code = "free", name = "Free", rank = 0, features = ["basic"] },
              { code = "pro", name = "Pro", rank = 1, features = ["api"] },
              { code = "team", name = "Team", rank = 2, features = ["sso"] },
            ]
            "#,
        )
        .expect("a valid catalog")
    }

    fn grant(tier: &str, from: i64, until: Option<i64>) -> Grant {
        let (source, status) = (Source::Credit(from), Status::Active);
        Grant { source, tier: tier.into(), status, from: at(from), until: until.map(at) }
    }

    /// One word a segment: until which minute, and which tier. It is told in minute 100.
    fn told(grants: &[Grant]) -> String {
        let told = timeline(&catalog(), grants).begun(at(100), Duration::minutes(APART_MINUTES));
        let word = |segment: &Segment| {
            let until = segment.until.map_or("open".to_owned(), |until| (until - at(0)).num_minutes().to_string());
            format!("{until}:{}", segment.plan.tier)
        };
        told.segments().iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_has_begun_always_held_and_an_end_stays_where_it_is() {
        let cases = [
            ("nothing", vec![], "open:free"),
            ("bought just now", vec![grant("pro", 100, None)], "open:pro"),
            ("by a clock that is ahead of ours", vec![grant("pro", 107, None)], "open:pro"),
            ("much later", vec![grant("pro", 111, None)], "111:free open:pro"),
            ("a day", vec![grant("pro", 99, Some(1_500))], "1500:pro open:free"),
            ("it has just ended", vec![grant("pro", 0, Some(99))], "99:pro open:free"),
            ("it ends soon", vec![grant("pro", 0, Some(105))], "105:pro open:free"),
            ("more", vec![grant("pro", 0, None), grant("team", 100, None)], "open:team"),
            ("again, after a break", vec![grant("pro", 0, Some(95)), grant("pro", 100, None)], "open:pro"),
            ("a break to come", vec![grant("pro", 0, Some(103)), grant("pro", 105, None)], "open:pro"),
            (
                "less, after a break to come",
                vec![grant("team", 0, Some(103)), grant("pro", 105, None)],
                "103:team 105:free open:pro",
            ),
            ("less, after a break that is over", vec![grant("team", 0, Some(90)), grant("pro", 98, None)], "open:pro"),
        ];
        for (what, grants, expected) in cases {
            assert_eq!(told(&grants), expected, "{what}");
        }
    }

    fn any_grant() -> impl Strategy<Value = Grant> {
        let until = prop::option::of(80..200_i64);
        (prop::sample::select(vec!["pro", "team"]), 60..140_i64, until)
            .prop_map(|(tier, from, until)| grant(tier, from, until))
    }

    proptest! {
        /// The reader's clock may be wrong by ten minutes, either way.
        #[test]
        fn nobody_loses_by_a_wrong_clock_what_they_have_and_do_not_lose_soon(
            grants in prop::collection::vec(any_grant(), 0..5), wrong in -APART_MINUTES..=APART_MINUTES,
        ) {
            let (now, whole) = (at(100), timeline(&catalog(), &grants));
            let apart = Duration::minutes(APART_MINUTES);
            let cached = whole.clone().begun(now, apart).cacheable(now - apart);
            let read = &cached.at(now + Duration::minutes(wrong)).plan;
            // Whatever ends within the time that clocks are apart may end early or late by that much.
            let lasting = (100..=100 + APART_MINUTES).map(|minute| &whole.at(at(minute)).plan);
            let least = lasting.min_by_key(|plan| plan.includes.len()).expect("some minutes");
            prop_assert!(read.includes.len() >= least.includes.len(), "{} instead of {}", read.tier, least.tier);
        }

        /// A record is read long after it was written, too.
        #[test]
        fn what_is_told_early_is_all_that_changes(grants in prop::collection::vec(any_grant(), 0..5), later in 111..240_i64) {
            let whole = timeline(&catalog(), &grants);
            let told = whole.clone().begun(at(100), Duration::minutes(APART_MINUTES));
            prop_assert_eq!(told.at(at(later)), whole.at(at(later)));
        }
    }
}
