//! The table of results, printed as it grows and written as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::plot::{self, Bin, Point};

/// What a value is held against.
pub enum Bar {
    None,
    Met(String),
    Missed(String),
}

/// Many values of several things, side by side.
pub struct Table {
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// What has been measured so far.
pub struct Report {
    machine: Vec<String>,
    rows: Vec<(String, String, Bar)>,
    tables: Vec<Table>,
    notes: Vec<String>,
    points: Vec<Point>,
    bins: Vec<Bin>,
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
        Self { machine, rows: Vec::new(), tables: Vec::new(), notes: Vec::new(), points: Vec::new(), bins: Vec::new() }
    }

    pub fn row(&mut self, what: impl Into<String>, value: impl Into<String>, bar: Bar) {
        let (what, value) = (what.into(), value.into());
        progress(&format!("  {what}: {value}"));
        self.rows.push((what, value, bar));
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// What a request costs each contender, for the picture.
    pub fn plot(&mut self, points: Vec<Point>) {
        self.points = points;
    }

    /// How soon changes were enforced, for the picture.
    pub fn histogram(&mut self, bins: Vec<Bin>) {
        self.bins = bins;
    }

    /// Prints the whole report and writes it into `directory` as `NAME.md`, with the picture beside it as `bench.svg`.
    #[expect(clippy::print_stdout, reason = "the report is what the program is for")]
    pub fn finish(&self, directory: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut text = self.text()?;
        if let Some(picture) = plot::svg(&self.points, &self.bins) {
            std::fs::write(directory.join("bench.svg"), picture)?;
            text = text.replacen("\n\n", "\n\n![CPU time of a gated request, beside its peers](bench.svg)\n\n", 1);
        }
        std::fs::write(directory.join(format!("{name}.md")), &text)?;
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
        for table in &self.tables {
            writeln!(text, "\n## {}\n\n| {} |", table.title, table.head.join(" | "))?;
            // Names stand on the left, numbers on the right.
            writeln!(text, "| --- |{}", " ---: |".repeat(table.head.len().saturating_sub(1)))?;
            for row in &table.rows {
                writeln!(text, "| {} |", row.join(" | "))?;
            }
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
        let row = vec!["nginx".into(), "9 µs".into()];
        report.table(Table { title: "Peers".into(), head: vec!["who".into(), "CPU".into()], rows: vec![row] });
        let text = report.text().expect("text");
        assert!(text.contains("| ratio    |      1.2 | ≤ 1.15 ×        | missed |"), "{text}");
        assert!(text.contains("≥ 8 /s") && text.contains("| met    |"), "{text}");
        assert!(text.contains("## Peers\n\n| who | CPU |\n| --- | ---: |\n| nginx | 9 µs |\n"), "{text}");
        assert!(text.contains("- a machine\n") && text.ends_with("- a note\n"), "{text}");
    }
}
