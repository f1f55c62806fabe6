//! How far a proxy has heard a database to have come: what tells a database that has gone back when Redis has forgotten it.

use std::fmt;
use std::str::FromStr;

use super::DatabaseId;

/// The header in which a proxy says it to billing.
pub const HIGH_WATER_HEADER: &str = "tollgate-heard";

/// The furthest mark of the database that a proxy follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HighWater {
    pub database: DatabaseId,
    /// Grows with every change of an account.
    pub mark: u64,
    /// How long ago that database was last heard of, in milliseconds.
    pub age_ms: u64,
}

/// The text is no such mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a database, its mark and an age in milliseconds are needed")]
pub struct NoHighWater;

impl fmt::Display for HighWater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.database, self.mark, self.age_ms)
    }
}

impl FromStr for HighWater {
    type Err = NoHighWater;

    fn from_str(text: &str) -> Result<Self, NoHighWater> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let &[database, mark, age_ms] = parts.as_slice() else { return Err(NoHighWater) };
        let number = |text: &str| text.parse().map_err(|_| NoHighWater);
        let database = database.parse().map_err(|_| NoHighWater)?;
        Ok(Self { database, mark: number(mark)?, age_ms: number(age_ms)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_as_it_is_written_and_nothing_else_is_one() {
        let heard = HighWater { database: DatabaseId::new(7), mark: 42, age_ms: 1_000 };
        assert_eq!(heard.to_string().parse(), Ok(heard));
        for text in ["", "::", "1:2", "1:2:3:4", "x:1:1", "00000000000000000000000000000007:-1:0"] {
            assert_eq!(text.parse::<HighWater>(), Err(NoHighWater), "{text}");
        }
    }
}
