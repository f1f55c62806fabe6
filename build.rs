//! Names the commit that is built, where the sources are a checkout.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let told = Command::new("git").args(arguments).output().ok().filter(|told| told.status.success())?;
        Some(String::from_utf8_lossy(&told.stdout).trim().to_owned())
    };
    println!("cargo:rerun-if-changed=build.rs");
    // A checkout inside of another one's tree would name that one's commit.
    let is_ours = git(&["rev-parse", "--show-prefix"]).is_some_and(|prefix| prefix.is_empty());
    let commit = is_ours.then(|| git(&["rev-parse", "--short=12", "HEAD"])).flatten().unwrap_or_default();
    if is_ours && let Some(directory) = git(&["rev-parse", "--absolute-git-dir"]) {
        println!("cargo:rerun-if-changed={directory}/HEAD");
        println!("cargo:rerun-if-changed={directory}/logs/HEAD");
    }
    // Sources that are packed without a checkout have it named.
    println!("cargo:rerun-if-env-changed=TOLLGATE_COMMIT");
    let is_commit = |text: &String| (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = std::env::var("TOLLGATE_COMMIT").ok().filter(is_commit);
    let commit = if commit.is_empty() { named.unwrap_or_default() } else { commit };
    println!("cargo:rustc-env=TOLLGATE_COMMIT={commit}");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = if commit.is_empty() { version } else { format!("{version} ({commit})") };
    println!("cargo:rustc-env=TOLLGATE_VERSION={version}");
}
