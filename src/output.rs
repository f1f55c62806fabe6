//! What a command says: answers on standard output, progress and errors on standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this module is where a command speaks")]

use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use serde::Serialize;

/// Whether the answer is JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on the answer is JSON, and what is meant for a person stands on standard error.
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
        println!("{}", serde_json::to_string_pretty(answer).context("the answer is no JSON")?);
    }
    Ok(())
}

/// One of many answers, on a line of its own, where they are JSON.
pub fn json_line(answer: &impl Serialize) -> Result<()> {
    if is_json() {
        println!("{}", serde_json::to_string(answer).context("the answer is no JSON")?);
    }
    Ok(())
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

/// One line of the answer.
pub fn line(text: impl Display) {
    if is_json() {
        eprintln!("{text}");
    } else {
        println!("{text}");
    }
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

/// Why the command failed: one line, causes after colons, each said once.
pub fn error(error: &anyhow::Error) {
    let mut said = String::new();
    for cause in error.chain().map(|cause| cause.to_string().replace('\n', " ")) {
        if !said.contains(cause.as_str()) {
            if !said.is_empty() {
                said.push_str(": ");
            }
            said.push_str(&cause);
        }
    }
    eprintln!("tollgate: {said}");
}
