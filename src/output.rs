//! What a command says: answers on standard output, progress and errors on standard error.

#![expect(clippy::print_stderr, reason = "this module is where a command speaks")]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use chrono::SecondsFormat;
use clap::error::ErrorKind;
use entitlement::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Whether the answer is JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether standard output could not be written to, other than that its reader has seen enough.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Whether the answer stands on standard output already, as a long list does.
static IS_LISTED: AtomicBool = AtomicBool::new(false);

/// The answer that is JSON: one document, printed when the command is over.
static ANSWER: Mutex<Option<Value>> = Mutex::new(None);

/// From now on the answer is JSON, and nothing else stands on standard output.
pub fn answer_in_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Whether the answer is JSON.
pub fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// The answer, where it is JSON.
pub fn json(answer: &impl Serialize) -> Result<()> {
    if is_json() {
        let answer = serde_json::to_value(answer).context("the answer is no JSON")?;
        if let Ok(mut place) = ANSWER.lock() {
            *place = Some(answer);
        }
    }
    Ok(())
}

/// A list that is too long to be held: where the answer is JSON, an array that is printed item by item.
pub struct List {
    is_begun: bool,
}

impl List {
    pub fn begin() -> Self {
        if is_json() {
            IS_LISTED.store(true, Ordering::Relaxed);
            print("[");
        }
        Self { is_begun: false }
    }

    pub fn push(&mut self, item: &impl Serialize) -> Result<()> {
        if is_json() {
            let item = serde_json::to_string(item).context("the answer is no JSON")?;
            print(&format!("{}{item}", if self.is_begun { ",\n" } else { "\n" }));
            self.is_begun = true;
        }
        Ok(())
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if is_json() {
            print("\n]\n");
        }
    }
}

/// A text on standard output. A reader that has seen enough ends no command in the middle of its work.
fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    if let Err(error) = output.write_all(text.as_bytes()).and_then(|()| output.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        IS_LOST.store(true, Ordering::Relaxed);
    }
}

/// A moment as every command writes it, by the second: what is stored is finer than a person reads.
pub fn moment(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A verb for so many: `has` or `have`, `stops` or `stop`.
pub fn verb(number: impl Into<i128>, one: &'static str, more: &'static str) -> &'static str {
    if number.into() == 1 { one } else { more }
}

/// So many of something, whose name is a noun in the singular that takes an s.
pub fn count(number: impl Into<i128>, noun: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// One line of the answer; where that is JSON, it says the same.
pub fn line(text: impl Display) {
    if !is_json() {
        print(&format!("{text}\n"));
    }
}

/// A line for a person that no JSON says: on standard error, where the answer is JSON.
pub fn note(text: impl Display) {
    if is_json() { eprintln!("{text}") } else { line(text) }
}

/// What is going on, for the person who waits.
pub fn progress(text: impl Display) {
    eprintln!("{text}");
}

/// The warnings so far.
static WARNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Something that is accepted but should be known.
pub fn warning(text: impl Display) {
    eprintln!("warning: {text}");
    if let Ok(mut warned) = WARNED.lock() {
        warned.push(text.to_string());
    }
}

/// The warnings so far, for an answer that is JSON.
pub fn warned() -> Vec<String> {
    WARNED.lock().map(|warned| warned.clone()).unwrap_or_default()
}

/// Prints the answer that is JSON, and why the command failed: on standard error, and as `error` of the answer; and its `warnings`. An answer
/// that is a list has neither. Returns how the process ends.
pub fn finish(result: Result<()>) -> ExitCode {
    let failure = result.err().map(|error| told(&error));
    let answer = ANSWER.lock().ok().and_then(|mut answer| answer.take());
    if is_json() && !IS_LISTED.load(Ordering::Relaxed) {
        let mut answer = answer.unwrap_or_else(|| json!({}));
        if let Value::Object(answer) = &mut answer {
            answer.extend(failure.iter().map(|why| ("error".to_owned(), why.as_str().into())));
            add_warnings(answer, warned());
        }
        print(&format!("{answer:#}\n"));
    }
    if let Some(why) = &failure {
        eprintln!("tollgate: {why}");
    }
    if IS_LOST.load(Ordering::Relaxed) {
        eprintln!("tollgate: standard output cannot be written to");
        return ExitCode::FAILURE;
    }
    if failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Lays the warnings beside those that the answer has of its own.
fn add_warnings(answer: &mut Map<String, Value>, warned: Vec<String>) {
    if warned.is_empty() {
        return;
    }
    if let Value::Array(known) = answer.entry("warnings").or_insert_with(|| json!([])) {
        let new: Vec<Value> = warned.into_iter().map(Value::from).filter(|warning| !known.contains(warning)).collect();
        known.extend(new);
    }
}

/// An error in one line, causes after colons, each said once.
fn told(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(|cause| cause.to_string().replace('\n', " ")) {
        if !said.contains(cause.as_str()) {
            if !said.is_empty() {
                said.push_str(": ");
            }
            said.push_str(&cause);
        }
    }
    said
}

/// The document in place of an answer, where that would be JSON: that the command was called wrongly, its help, or the version.
pub fn instead(said: &clap::Error) {
    let text = said.to_string();
    let answer = match said.kind() {
        ErrorKind::DisplayHelp => json!({ "help": text }),
        ErrorKind::DisplayVersion => {
            json!({ "version": env!("CARGO_PKG_VERSION"), "commit": env!("TOLLGATE_COMMIT") })
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            json!({ "error": "a command or an argument is missing", "help": text })
        }
        _ => {
            let (why, usage) = text.split_once("Usage:").unwrap_or((text.as_str(), ""));
            let why: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let why = why.join(" ");
            let usage = usage.lines().next().unwrap_or_default().trim();
            json!({ "error": why.strip_prefix("error: ").unwrap_or(&why), "usage": usage })
        }
    };
    print(&format!("{answer:#}\n"));
}
