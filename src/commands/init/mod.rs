//! `tollgate init`: the files of a new installation, from a few answers.

mod answers;
mod texts;

use std::convert::Infallible;
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::confirm::Answer;
use crate::config::{self, Config};
use crate::{dotenv, files, output};
use answers::{Answers, ask};

/// The file that is read first, the one that it names, and that of the secrets, in the order in which they are put in place: what a crash
/// leaves names nothing that is not there.
const NAMES: [(&str, u32); 3] =
    [(".env", files::SECRET), ("catalog.toml", files::PLAIN), ("tollgate.toml", files::PLAIN)];

/// Write tollgate.toml, catalog.toml and .env for a new installation
///
/// Asks on a terminal; --yes takes the defaults. Overwrites nothing: a file that is there stays, and the others are written beside it.
/// .env gets new keys, and what of Tollgate's variables is set in the environment.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the files are written
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    answer: Answer,
    /// A key of tollgate.toml, such as `site.url=https://read.example`; what is given is not asked. May be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// The price of a month, in minor units: 700 for 7.00
    #[arg(long, value_name = "AMOUNT")]
    monthly: Option<u32>,
    /// The price of a year; 0: nothing is sold by the year
    #[arg(long, value_name = "AMOUNT")]
    annual: Option<u32>,
    /// Of these amounts
    #[arg(long, value_name = "CODE", value_parser = |text: &str| Ok::<_, Infallible>(text.to_ascii_lowercase()))]
    currency: Option<String>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it like site.url=https://read.example")?;
    let is_key = |key: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        key.split('.').count() >= 2 && key.split('.').all(|part| !part.is_empty() && part.chars().all(plain))
    };
    if !is_key(key) {
        return Err(format!("`{key}` is no key of a section: write it like site.url=https://read.example"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Writes the files.
pub fn run(arguments: &Arguments) -> Result<()> {
    let dir = &arguments.dir;
    let path = |name: &str| dir.join(name);
    let (there, missing): (Vec<_>, Vec<_>) = NAMES.into_iter().partition(|(name, _)| files::is_taken(&path(name)));
    let there: Vec<&str> = there.into_iter().map(|(name, _)| name).collect();
    if missing.is_empty() {
        bail!("{} are there already in {}: nothing is written", there.join(", "), dir.display());
    }
    check_place(dir)?;
    let environment = |name: &str| std::env::var(name).ok();
    let mut answers = Answers::of(arguments);
    texts::Texts::of(&answers, environment)?.check_keys()?;
    if !arguments.answer.yes {
        if !std::io::stdin().is_terminal() {
            bail!("there is no terminal to ask on, so say --yes: nothing is written");
        }
        ask(&mut answers, &mut std::io::stdin().lock(), &mut std::io::stderr())?;
    }
    let texts = texts::Texts::of(&answers, environment)?;
    check(&texts, dir)?;
    write(dir, &missing, &texts)?;
    missing.iter().for_each(|(name, _)| output::line(format_args!("written   {}", path(name).display())));
    if there.contains(&".env") {
        warn_of_secrets(&path(".env"));
    }
    there.iter().for_each(|name| output::line(format_args!("kept      {}, as it was there", path(name).display())));
    next_steps(dir, &texts);
    let written: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    output::json(&json!({ "written": written, "kept": there, "warnings": output::warned() }))
}

/// Whether files can be made in a directory, or the directory itself; before anything is asked.
fn check_place(dir: &Path) -> Result<()> {
    let is_there = |place: &&Path| place.as_os_str().is_empty() || files::is_taken(place);
    let place = dir.ancestors().find(is_there).unwrap_or(dir);
    files::check_writable(&place.join(NAMES[0].0)).with_context(|| {
        let deed = if place == dir { "written to" } else { "made" };
        format!("{} cannot be {deed}: nothing is written", dir.display())
    })
}

/// Writes all files that are missing, or none: half of them would be taken for what the operator has.
fn write(dir: &Path, missing: &[(&str, u32)], texts: &texts::Texts) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    for (at, (name, mode)) in missing.iter().enumerate() {
        if let Err(error) = files::create(&dir.join(name), texts.of_file(name), *mode) {
            let written = missing[..at].iter().map(|(name, _)| dir.join(name));
            let left: Vec<_> = written.filter(|path| std::fs::remove_file(path).is_err()).collect();
            let told =
                left.iter().map(|path| format!("{} is left over", path.display())).collect::<Vec<_>>().join(", ");
            return Err(if left.is_empty() { error } else { error.context(told) });
        }
    }
    Ok(())
}

/// Whether the files would be accepted, beside those that are there; before any of them is written.
fn check(texts: &texts::Texts, dir: &Path) -> Result<()> {
    let catalog = config::parse_catalog(texts.of_file("catalog.toml"), Path::new("catalog.toml"))?;
    if files::is_taken(&dir.join("tollgate.toml")) {
        output::warning("tollgate.toml was there: it has to say catalog = \"catalog.toml\" for that file to count");
        return Ok(());
    }
    let text = texts.of_file("tollgate.toml");
    if files::is_taken(&dir.join("catalog.toml")) {
        Config::parse(text, dir.to_path_buf()).context("tollgate.toml")?;
    } else {
        // The catalog has no place yet.
        let text = text.replacen(texts::CATALOG_LINE, "", 1);
        Config::parse_with(&text, dir.to_path_buf(), Some(catalog.catalog)).context("tollgate.toml")?;
    }
    Ok(())
}

/// Says what a file of secrets that was there has to have, and that others may read it.
fn warn_of_secrets(path: &Path) {
    let Ok(text) = std::fs::read_to_string(path) else {
        output::warning(format_args!("{} cannot be read: no key is made for it", path.display()));
        return;
    };
    let is_set = |name: &str| std::env::var_os(name).is_some() || dotenv::value_of(&text, name).is_some();
    let is_missing = |name: &&str| !is_set(name) && !is_set(&format!("{name}_FILE"));
    let missing: Vec<&str> = texts::MADE.into_iter().chain(["DATABASE_URL"]).filter(is_missing).collect();
    if !missing.is_empty() {
        output::warning(format_args!(
            "{} was there and stays as it was: it lacks {}. A key is made by `openssl rand -hex 32`",
            path.display(),
            missing.join(", ")
        ));
    }
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        output::warning(format_args!("others may read {}: chmod 600 {}", path.display(), path.display()));
    }
}

fn next_steps(dir: &Path, texts: &texts::Texts) {
    let sourced = dotenv::sourced(Path::new(".env"));
    output::line("next:");
    if dir != Path::new(".") {
        output::line(format_args!("  cd {}", dir.display()));
    }
    if !texts.has_stripe_key {
        output::line("  write your Stripe key of test mode into .env: STRIPE_API_KEY=sk_test_…");
    }
    if !texts.starts.is_empty() {
        output::line("  start PostgreSQL and Redis, where .env says that they are, or for a trial:");
        texts.starts.iter().for_each(|start| output::line(format_args!("    {start}")));
    }
    output::line(format_args!("  {sourced} && tollgate setup stripe"));
    output::line(format_args!("  {sourced} && tollgate check --online && tollgate run"));
}
