//! How many is many: what takes access from more accounts than this waits for a person who was told how many.

/// From how many accounts access may be taken within 24 hours, when so many have it: 2 %, and three where those are few.
#[must_use]
pub const fn bound(holders: u64) -> u64 {
    let share = holders / 50;
    if share > 3 { share } else { 3 }
}

/// Whether access taken from so many accounts within 24 hours is too much to happen by itself. `holders` are the accounts
/// that had it before.
#[must_use]
pub const fn is_many(taken_in_24h: u64, holders: u64) -> bool {
    taken_in_24h > bound(holders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_is_more_than_three_and_more_than_two_percent() {
        let cases = [
            (0, 0, false),
            (3, 0, false),
            (4, 0, true),
            (3, 20, false),
            (4, 20, true),
            (3, 199, false),
            (4, 199, true),
            (4, 200, false),
            (5, 200, true),
            (5, 299, true),
            (20_000, 1_000_000, false),
            (20_001, 1_000_000, true),
        ];
        for (taken, holders, expected) in cases {
            assert_eq!(is_many(taken, holders), expected, "{taken} of {holders}");
        }
    }
}
