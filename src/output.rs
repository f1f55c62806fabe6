//! What a command says: answers on standard output, progress and errors on standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this module is where a command speaks")]

use std::fmt::Display;

/// One line of the answer.
pub fn line(text: impl Display) {
    println!("{text}");
}

/// What is going on, for the person who waits.
pub fn progress(text: impl Display) {
    eprintln!("{text}");
}

/// Something that is accepted but should be known.
pub fn warning(text: impl Display) {
    eprintln!("warning: {text}");
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
