//! An error in one line, with all its causes, each told once.

use std::error::Error;

/// The error and its sources, joined by `: `.
pub fn told(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
