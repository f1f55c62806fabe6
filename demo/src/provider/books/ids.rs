//! Ids that look like Stripe's, sort in the order in which they were made, and cannot be guessed.

use rand::Rng;
use rand::distr::Alphanumeric;

/// Makes ids. Two providers never make the same one, so a database outlives the provider that filled it.
pub struct Ids {
    run: String,
    made: u64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { run: random(6), made: 0 }
    }
}

impl Ids {
    /// The next id with this prefix, such as `cus`.
    pub fn next(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{}{:06}{}", self.run, self.made, random(8))
    }
}

fn random(letters: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(letters).map(char::from).collect()
}
