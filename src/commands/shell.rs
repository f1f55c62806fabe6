//! `tollgate completions` and `tollgate man`: what a shell and a manual need to know of the commands.

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use crate::output;

/// Print the completions for a shell
///
/// Such as: tollgate completions bash > /etc/bash_completion.d/tollgate
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual pages
///
/// One file for each command, such as: tollgate man /usr/local/share/man/man1
#[derive(clap::Args)]
pub struct Man {
    /// The directory that they are written to; it is made if it is not there
    directory: PathBuf,
}

/// Prints them.
pub fn complete(arguments: &Completions, command: &mut Command) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, command, "tollgate", &mut text);
    if output::is_json() {
        let (shell, text) = (arguments.shell.to_string(), String::from_utf8_lossy(&text));
        return output::json(&json!({ "shell": shell, "completions": text }));
    }
    match io::Write::write_all(&mut io::stdout(), &text) {
        // A reader that has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output cannot be written to"),
    }
}

/// Writes them, and says where.
pub fn man(arguments: &Man, command: Command) -> Result<()> {
    let directory = &arguments.directory;
    let place = || format!("the manual pages cannot be written to {}", directory.display());
    std::fs::create_dir_all(directory).with_context(place)?;
    clap_mangen::generate_to(command.name("tollgate"), directory).with_context(place)?;
    output::line(format_args!("the manual pages are in {}", directory.display()));
    output::json(&json!({ "directory": directory }))
}
