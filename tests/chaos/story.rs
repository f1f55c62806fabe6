//! What was done in one run, told when it fails.

use std::cell::RefCell;

/// The lines of one seed.
pub struct Story {
    seed: u64,
    lines: RefCell<Vec<String>>,
}

impl Story {
    pub fn of(seed: u64) -> Self {
        Self { seed, lines: RefCell::default() }
    }

    pub fn tell(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, lines) = (self.seed, self.lines.borrow());
            say(&format!("--- chaos: seed {seed}: what was done:\n{}", lines.join("\n")));
            say(&format!("--- chaos: seed {seed} failed. To repeat it: CHAOS_SEED={seed} make chaos"));
        }
    }
}

/// Tells who watches.
#[expect(clippy::print_stderr, reason = "who runs many seeds wants to see how far they are")]
pub fn say(line: &str) {
    eprintln!("{line}");
}
