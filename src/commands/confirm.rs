//! A person's word before something is taken: asked for on a terminal, given beforehand where there is none.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};

/// The answer that was given beforehand.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Answer {
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

/// Asks whether to go on. Where nobody can be asked, only `--yes` goes on.
///
/// # Errors
/// When the answer is no, or there is none.
pub fn confirm(question: &str, answer: Answer) -> Result<()> {
    if answer.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("{question} Nothing is done: there is no terminal to ask on, so say --yes");
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{question} [y/N] ")
        .and_then(|()| terminal.flush())
        .context("the terminal cannot be written to")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("the terminal cannot be read")?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing is done"),
    }
}
