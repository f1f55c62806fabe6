//! The table of results, printed as it grows and written as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

/// What a value is held against.
pub enum Bar {
    None,
    Met(String),
    Missed(String),
}

/// What has been measured so far.
pub struct Report {
    machine: Vec<String>,
    rows: Vec<(String, String, Bar)>,
    notes: Vec<String>,
}

impl Bar {
    pub fn at_most(value: f64, limit: f64, unit: &str) -> Self {
        let text = format!("≤ {limit} {unit}");
        if value <= limit { Self::Met(text) } else { Self::Missed(text) }
    }

    pub fn at_least(value: f64, limit: f64, unit: &str) -> Self {
        let text = format!("≥ {limit} {unit}");
        if value >= limit { Self::Met(text) } else { Self::Missed(text) }
    }
}

impl Report {
    pub fn new(machine: Vec<String>) -> Self {
        Self { machine, rows: Vec::new(), notes: Vec::new() }
    }

    pub fn row(&mut self, what: impl Into<String>, value: impl Into<String>, bar: Bar) {
        let (what, value) = (what.into(), value.into());
        progress(&format!("  {what}: {value}"));
        self.rows.push((what, value, bar));
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Prints the whole report and writes it to `file`.
    #[expect(clippy::print_stdout, reason = "the report is what the program is for")]
    pub fn finish(&self, file: &Path) -> Result<()> {
        let text = self.text()?;
        std::fs::write(file, &text)?;
        println!("\n{text}");
        Ok(())
    }

    fn text(&self) -> Result<String> {
        let mut text = String::from("# Tollgate, measured\n\n");
        for line in &self.machine {
            writeln!(text, "- {line}")?;
        }
        let width = |of: fn(&(String, String, Bar)) -> usize| self.rows.iter().map(of).max().unwrap_or(0).max(8);
        let (first, second) = (width(|row| row.0.chars().count()), width(|row| row.1.chars().count()));
        writeln!(text, "\n| {:first$} | {:>second$} | bar             |        |", "what", "measured")?;
        writeln!(text, "| {:-<first$} | {:->second$}: | --------------- | ------ |", "", "", second = second - 1)?;
        for (what, value, bar) in &self.rows {
            let (bar, verdict) = match bar {
                Bar::None => ("", ""),
                Bar::Met(bar) => (bar.as_str(), "met"),
                Bar::Missed(bar) => (bar.as_str(), "missed"),
            };
            writeln!(text, "| {what:first$} | {value:>second$} | {bar:15} | {verdict:6} |")?;
        }
        writeln!(text)?;
        for note in &self.notes {
            writeln!(text, "- {note}")?;
        }
        Ok(text)
    }
}

/// Says what goes on.
#[expect(clippy::print_stderr, reason = "progress of a program that takes minutes")]
pub fn progress(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_which_bars_are_missed() {
        let mut report = Report::new(vec!["a machine".into()]);
        report.row("ratio", "1.2", Bar::at_most(1.2, 1.15, "×"));
        report.row("rate", "9/s", Bar::at_least(9.0, 8.0, "/s"));
        report.note("a note".into());
        let text = report.text().expect("text");
        assert!(text.contains("| ratio    |      1.2 | ≤ 1.15 ×        | missed |"), "{text}");
        assert!(text.contains("≥ 8 /s") && text.contains("| met    |"), "{text}");
        assert!(text.contains("- a machine\n") && text.ends_with("- a note\n"), "{text}");
    }
}
