//! The files of a configuration, as text; where one cannot be read, what to do about it.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

/// Reads a file. `what` says which of the files it is, `missing` what to do where there is none.
///
/// # Errors
/// When it cannot be read, or is no text.
pub fn read(path: &Path, what: &str, missing: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| error.kind()).or_else(|kind| {
        let why = match kind {
            ErrorKind::NotFound => format!("there is none: {missing}"),
            ErrorKind::InvalidData => "it is not encoded as UTF-8: save it as UTF-8".to_owned(),
            ErrorKind::IsADirectory => "it is a directory: name the file in it".to_owned(),
            ErrorKind::PermissionDenied => "the user that Tollgate runs as may not read it".to_owned(),
            other => other.to_string(),
        };
        Err(anyhow::anyhow!("{why}")).with_context(|| format!("cannot read the {what} {}", path.display()))
    })
}
