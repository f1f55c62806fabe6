//! Telling the story: one line for each step, with what was seen.

use std::fmt::Display;
use std::io::Write;

use anyhow::{Result, bail};

/// Writes the steps and counts them.
pub struct Teller<'a> {
    out: &'a mut (dyn Write + Send),
    step: usize,
    has_failed: bool,
}

/// Whether a step showed what it should.
pub enum Verdict {
    AsExpected,
    /// What should have been seen.
    Expected(String),
}

impl Verdict {
    /// `expected` says in words what `holds` checked.
    pub fn of(holds: bool, expected: impl Into<String>) -> Self {
        if holds { Self::AsExpected } else { Self::Expected(expected.into()) }
    }
}

impl<'a> Teller<'a> {
    pub fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, step: 0, has_failed: false }
    }

    /// Tells one step; a wrong one is an error.
    pub fn tell(&mut self, what: &str, seen: impl Display, verdict: Verdict) -> Result<()> {
        self.step += 1;
        let step = self.step;
        match verdict {
            Verdict::AsExpected => {
                writeln!(self.out, "ok   {step:>2}  {what:<52} {seen}")?;
                self.out.flush()?;
                Ok(())
            }
            Verdict::Expected(expected) => {
                self.has_failed = true;
                writeln!(self.out, "FAIL {step:>2}  {what}")?;
                writeln!(self.out, "         expected  {expected}")?;
                writeln!(self.out, "         seen      {seen}")?;
                bail!("step {step}, {what}: expected {expected}, seen {seen}");
            }
        }
    }

    /// Tells how it ended.
    pub fn end(self, played: Result<()>) -> Result<()> {
        match &played {
            Ok(()) => writeln!(self.out, "The story went as it should, in {} steps.", self.step)?,
            Err(_) if self.has_failed => {}
            Err(error) => writeln!(self.out, "FAIL {:>2}  {error:#}", self.step + 1)?,
        }
        played
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_a_line_and_a_wrong_one_says_what_was_seen() {
        let mut out = Vec::new();
        let mut teller = Teller::new(&mut out);
        teller.tell("the front page", "200", Verdict::of(true, "200")).expect("a right step");
        let wrong = teller.tell("the paid page", "200", Verdict::of(false, "303 → /login"));
        let ended = teller.end(wrong).expect_err("a wrong step").to_string();
        assert_eq!(ended, "step 2, the paid page: expected 303 → /login, seen 200");
        let told = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = told.lines().map(str::trim_end).collect();
        assert!(lines[0].starts_with("ok    1  the front page ") && lines[0].ends_with(" 200"), "{told}");
        assert_eq!(lines[1..], ["FAIL  2  the paid page", "         expected  303 → /login", "         seen      200"]);
    }

    #[test]
    fn what_breaks_a_step_is_told_too() {
        let mut out = Vec::new();
        let ended = Teller::new(&mut out).end(Err(anyhow::anyhow!("nobody answers")));
        assert!(ended.is_err());
        assert_eq!(String::from_utf8(out).expect("text"), "FAIL  1  nobody answers\n");
    }
}
