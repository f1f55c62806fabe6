//! `tollgate init`: what it writes, and what it leaves alone.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use crate::world::tollgate::{Output, tollgate};

const LIMIT: Duration = Duration::from_secs(30);

async fn init(dir: &Path, arguments: &[&str]) -> Output {
    tollgate(dir, &[], LIMIT, &[&["init"], arguments].concat()).await
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_written_is_accepted_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let unasked = init(dir.path(), &["site"]).await;
    assert!(unasked.failure().contains("--yes"), "{unasked:?}");
    assert_eq!(names(dir.path()), [""; 0]);
    let next = init(dir.path(), &["site", "--yes"]).await.success();
    let at = |what: &str| next.find(what).unwrap_or_else(|| panic!("{what}: {next}"));
    assert!(at(" postgres:") < at(" redis:") && at(" redis:") < at("tollgate setup stripe"), "{next}");
    let site = dir.path().join("site");
    assert_eq!(names(&site), [".env", "catalog.toml", "tollgate.toml"]);
    let mode = std::fs::metadata(site.join(".env")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(site.join(".env")).expect("readable");
    let environment: Vec<(String, String)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    tollgate(&site, &environment, LIMIT, &["check"]).await.success();
    let again = init(dir.path(), &["site", "--yes"]).await;
    assert!(again.failure().contains("are there already"), "{again:?}");
    assert_eq!(std::fs::read_to_string(site.join(".env")).expect("readable"), text);
}

#[tokio::test]
async fn what_a_crash_has_left_is_completed_by_the_next_run() {
    let dir = tempfile::tempdir().expect("a directory");
    // As it looks when the machine stopped between the first file and the second.
    std::fs::write(dir.path().join(".env"), "MINE=1\n").expect("written");
    std::fs::write(dir.path().join("catalog.toml.tollgate-new"), "[[tier").expect("written");
    let completed = init(dir.path(), &["--yes"]).await;
    assert!(completed.stderr.contains("it lacks TOLLGATE_JWT_SECRET"), "{completed:?}");
    assert!(completed.stderr.contains("others may read"), "{completed:?}");
    assert!(completed.success().contains(".env, as it was there"));
    assert_eq!(names(dir.path()), [".env", "catalog.toml", "tollgate.toml"]);
    assert_eq!(std::fs::read_to_string(dir.path().join(".env")).expect("readable"), "MINE=1\n");
}

#[tokio::test]
async fn a_site_below_a_path_has_its_routes_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let warned = init(dir.path(), &["other", "--yes", "--set", "site.url=https://x.example/app"]).await;
    let text = std::fs::read_to_string(dir.path().join("other/tollgate.toml")).expect("readable");
    assert!(text.contains("\"/app/premium/**\"") && text.contains("login_url = \"/app/login\""), "{warned:?} {text}");
}

#[tokio::test]
async fn what_cannot_be_used_or_written_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = async |arguments: &[&str], told: &str| {
        let output = init(dir.path(), &[arguments, &["--yes"]].concat()).await;
        assert!(output.stderr.contains(told) && output.code != 0, "{arguments:?}: {output:?}");
        assert!(!dir.path().join("tollgate.toml").exists() && !dir.path().join(".env").exists(), "{arguments:?}");
    };
    refused(&["--set", "site.url=read.example"], "site.url").await;
    refused(&["--set", "site.ulr=https://read.example"], "ulr").await;
    refused(&["--set", "nothing"], "write it like").await;
    refused(&["--currency", "pounds"], "ISO 4217").await;
    // An argument that cannot be is told before a question is asked.
    std::fs::write(dir.path().join("file"), "").expect("written");
    for arguments in [&["file"][..], &["file/below"], &["--set", "site.ulr=https://read.example"]] {
        let told = init(dir.path(), arguments).await;
        assert!(!told.failure().contains("--yes"), "{arguments:?}: {told:?}");
    }
    // The second file cannot be written, and the first is taken away again.
    std::fs::create_dir_all(dir.path().join("half/catalog.toml.tollgate-new")).expect("made");
    let half = init(dir.path(), &["half", "--yes", "--currency", "GBP"]).await;
    assert!(half.failure().contains("catalog.toml cannot be written"), "{half:?}");
    assert_eq!(names(&dir.path().join("half")), ["catalog.toml.tollgate-new"]);
    std::fs::remove_dir(dir.path().join("half/catalog.toml.tollgate-new")).expect("removed");
    init(dir.path(), &["half", "--yes", "--currency", "GBP"]).await.success();
    let catalog = std::fs::read_to_string(dir.path().join("half/catalog.toml")).expect("readable");
    assert!(catalog.contains("currency = \"gbp\""), "{catalog}");
    std::fs::remove_dir_all(dir.path().join("half")).expect("removed");
    refused(&["file"], "file cannot be written to").await;
    refused(&["file/below"], "cannot be made").await;
    // A link that leads nowhere is something: it is not followed.
    symlink("/nowhere/at/all", dir.path().join("catalog.toml")).expect("linked");
    let kept = init(dir.path(), &["--yes"]).await;
    assert!(kept.failure().contains("catalog.toml"), "{kept:?}");
    assert_eq!(names(dir.path()), ["catalog.toml", "file"]);
}
