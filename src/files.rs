//! Files that commands write: whole or not at all, and never over another one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The mode of a file with secrets, and of one without.
pub const SECRET: u32 = 0o600;
pub const PLAIN: u32 = 0o644;

/// Whether something has this name: a link that leads nowhere, too.
pub fn is_taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes a file with this content. There is nothing of this name, or all of it.
///
/// # Errors
/// When there is something of this name already, or it cannot be written.
pub fn create(path: &Path, content: &str, mode: u32) -> Result<()> {
    let unwritable = || format!("{} cannot be written", path.display());
    let staged = stage(path, content, mode).with_context(unwritable)?;
    // Unlike a renaming, it fails where there is something.
    let linked = fs::hard_link(&staged, path);
    let removed = fs::remove_file(&staged);
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} is there already, and nothing is overwritten", path.display())
        }
        linked => linked.and(removed).and_then(|()| sync_directory(path)).with_context(unwritable),
    }
}

/// Puts this content in the place of a file's, for its owner alone to read. Until then the file is as it was.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &str) -> std::io::Result<()> {
    let staged = stage(path, content, SECRET)?;
    let replaced = fs::metadata(path).ok().map_or(Ok(()), |old| {
        let new = File::open(&staged)?;
        let (now, before) = (new.metadata()?, (old.uid(), old.gid()));
        if (now.uid(), now.gid()) == before { Ok(()) } else { fchown(&new, Some(before.0), Some(before.1)) }
    });
    let replaced = replaced.and_then(|()| fs::rename(&staged, path)).and_then(|()| sync_directory(path));
    if replaced.is_err() {
        // It may be there or not: the failure is told either way.
        let _ = fs::remove_file(&staged);
    }
    replaced
}

/// Whether a file could be made or replaced at this place.
///
/// # Errors
/// When it could not.
pub fn check_writable(path: &Path) -> std::io::Result<()> {
    stage(path, "", SECRET).and_then(fs::remove_file)
}

/// The content under another name beside its place. What a run that was killed has left there is replaced.
fn stage(path: &Path, content: &str, mode: u32) -> std::io::Result<PathBuf> {
    let mut name = path.file_name().map(std::ffi::OsStr::to_os_string).unwrap_or_default();
    name.push(".tollgate-new");
    let staged = path.with_file_name(name);
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&staged)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    Ok(staged)
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("catalog.toml");
        // As a run that was killed leaves it.
        fs::write(dir.path().join("catalog.toml.tollgate-new"), "half").expect("written");
        create(&path, "first", PLAIN).expect("it is made");
        let told = create(&path, "second", PLAIN).expect_err("it is there").to_string();
        assert!(told.contains("catalog.toml is there already"), "{told}");
        let dangling = dir.path().join(".env");
        symlink("/nowhere/at/all", &dangling).expect("linked");
        assert!(is_taken(&dangling) && create(&dangling, "x", SECRET).is_err());
        assert!(create(&dir.path().join("no/such/place"), "x", PLAIN).is_err());
        assert_eq!(fs::read_to_string(&path).expect("readable"), "first");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 2);
    }

    #[test]
    fn a_file_that_is_replaced_is_its_owners_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(".env");
        fs::write(&path, "A=1\n").expect("written");
        check_writable(&path).expect("it can");
        replace(&path, "A=2\n").expect("it is replaced");
        assert_eq!(fs::read_to_string(&path).expect("readable"), "A=2\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, SECRET);
        assert!(check_writable(&dir.path().join("no/.env")).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }
}
