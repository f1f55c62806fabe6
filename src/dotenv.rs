//! Files of environment variables, as a shell (`set -a; . ./.env`) and systemd (`EnvironmentFile=`) read them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A value as both read it: as it stands where that is safe, else in single quotes; `None` where neither can hold it.
pub fn quoted(value: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(is_plain) {
        return Some(value.to_owned());
    }
    // systemd reads a backslash before the end of a line, and a shell a quote, in its own way.
    let is_unsafe = |c: char| c == '\'' || c == '\\' || c.is_control();
    (!value.contains(is_unsafe)).then(|| format!("'{value}'"))
}

/// How a shell reads a file: it looks for a bare name elsewhere.
pub fn sourced(path: &Path) -> String {
    let here = if path.components().count() == 1 && path.is_relative() { "./" } else { "" };
    format!("set -a; . {here}{}; set +a", path.display())
}

/// The value that a text gives a variable; the last one counts.
pub fn value_of(text: &str, name: &str) -> Option<String> {
    let value = text.lines().filter_map(|line| assigned(line, name)).next_back()?.trim();
    let inner =
        [('\'', '\''), ('"', '"')].into_iter().find_map(|(open, close)| value.strip_prefix(open)?.strip_suffix(close));
    Some(inner.unwrap_or(value).to_owned()).filter(|value| !value.is_empty())
}

/// The text with another value of a variable. All other lines stay as they are.
pub fn with_value(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name}={value}");
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().rposition(|line| assigned(line, name).is_some()) {
        Some(place) => lines[place] = &line,
        None => lines.push(&line),
    }
    lines.join("\n") + "\n"
}

/// The text behind the `=` of a line that sets this variable.
fn assigned<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    line.strip_prefix(name)?.strip_prefix('=')
}

/// A file of variables that one is written to.
#[derive(Debug)]
pub struct EnvFile {
    path: PathBuf,
    text: String,
}

impl EnvFile {
    /// Reads it; one that is not there is an empty one. Nothing is written yet, and it is known that it could be.
    ///
    /// # Errors
    /// When it is something else than a file, or could not be written.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
            Ok(found) if found.is_symlink() => bail!("{shown} is a link: name the file itself"),
            Ok(found) if !found.is_file() => bail!("{shown} is no file"),
            Ok(_) => {
                let mut text = String::new();
                let file = fs::File::open(path).with_context(|| format!("{shown} cannot be read"))?;
                let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
                read.with_context(|| format!("{shown} cannot be read as text"))?;
                if text.len() as u64 > FILE_BYTES_MAX {
                    bail!("{shown} is larger than 1 MiB: that is no file of variables");
                }
                text
            }
        };
        files::check_writable(path).with_context(|| format!("{shown} cannot be written"))?;
        Ok(Self { path: path.to_owned(), text })
    }

    pub fn value_of(&self, name: &str) -> Option<String> {
        value_of(&self.text, name)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes another value of a variable.
    ///
    /// # Errors
    /// When it cannot be written: then the file is as it was.
    pub fn set(&mut self, name: &str, value: &str) -> std::io::Result<()> {
        let value =
            quoted(value).ok_or_else(|| std::io::Error::other("the value has characters that no file can hold"))?;
        let text = with_value(&self.text, name, &value);
        files::replace(&self.path, &text)?;
        self.text = text;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const HARD: [&str; 6] =
        ["", "plain-value_1", "postgres://u:p%40@h:5432/db?a=b&c=d", "a b $HOME `id` \"x\" #y", "*", "~/x;true|false"];

    #[test]
    fn a_shell_reads_what_was_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(".env");
        for value in HARD {
            fs::write(&path, format!("VALUE={}\n", quoted(value).expect("it can be held"))).expect("written");
            let mut shell = Command::new("sh");
            let script = "set -a; . ./.env; set +a; printenv VALUE";
            let output = shell.current_dir(dir.path()).args(["-c", script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{value}\n"));
        }
        for unsafe_value in ["it's", "two\nlines", "back\\slash"] {
            assert_eq!(quoted(unsafe_value), None, "{unsafe_value:?}");
        }
    }

    #[test]
    fn one_variable_changes_and_all_other_lines_stay() {
        let text =
            "# STRIPE_WEBHOOK_SECRET=no\nSTRIPE_WEBHOOK_SECRET_FILE=x\nexport STRIPE_WEBHOOK_SECRET='whsec_a'\nB=1";
        assert_eq!(value_of(text, "STRIPE_WEBHOOK_SECRET").as_deref(), Some("whsec_a"));
        let changed = with_value(text, "STRIPE_WEBHOOK_SECRET", "whsec_b");
        let expected = "# STRIPE_WEBHOOK_SECRET=no\nSTRIPE_WEBHOOK_SECRET_FILE=x\nSTRIPE_WEBHOOK_SECRET=whsec_b\nB=1\n";
        assert_eq!(changed, expected);
        assert_eq!(with_value("", "A", "1"), "A=1\n");
        assert_eq!(with_value("B=2", "A", "1"), "B=2\nA=1\n");
        assert_eq!((value_of("A=\n", "A"), value_of("A=1\nA=\"2\"\n", "A").as_deref()), (None, Some("2")));
    }

    #[test]
    fn what_is_no_file_of_variables_is_refused_before_anything_is_done() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink("elsewhere", place("link")).expect("linked");
        fs::write(place("binary"), b"A=\xff").expect("written");
        fs::create_dir(place("directory")).expect("made");
        for (name, told) in [
            ("link", "is a link"),
            ("binary", "as text"),
            ("directory", "is no file"),
            ("no/such/place", "cannot be written"),
        ] {
            let refused = format!("{:#}", EnvFile::open(&place(name)).expect_err(name));
            assert!(refused.contains(told), "{refused}");
        }
        let mut made = EnvFile::open(&place("new")).expect("it can be made");
        assert!(!place("new").exists());
        made.set("A", "1").expect("written");
        assert_eq!(EnvFile::open(&place("new")).expect("readable").value_of("A").as_deref(), Some("1"));
    }
}
