//! How many is many: what would take access from more accounts than this at once waits for a person who was told how many.

/// Accounts that may always lose something within 24 hours, however few have access.
const ALWAYS: u64 = 3;

/// One in so many of those that have access: 2 %.
const ONE_IN: u64 = 50;

/// How many of `holders`, the accounts that have access, may lose something within 24 hours.
#[must_use]
pub const fn bound(holders: u64) -> u64 {
    let part = holders / ONE_IN;
    if part > ALWAYS { part } else { ALWAYS }
}

/// Whether so many accounts within 24 hours are many, where `holders` have access.
#[must_use]
pub const fn is_many(taken_in_24h: u64, holders: u64) -> bool {
    taken_in_24h > bound(holders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_three_and_more_than_two_percent_are_many() {
        for (taken, holders, expected) in [
            (0, 0, false),
            (3, 3, false),
            (4, 4, true),
            (3, 199, false),
            (4, 199, true),
            (4, 200, false),
            (5, 200, true),
            (20, 1_000, false),
            (21, 1_000, true),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(is_many(taken, holders), expected, "{taken} of {holders}");
        }
    }
}
