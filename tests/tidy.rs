//! What must not be there: the absences that keep the design as it is.

use std::path::{Path, PathBuf};

use crate::world::tollgate::tollgate;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LINES_MAX: usize = 400;

/// The product's own sources; tests and the simulated provider speak as the outside does.
const PRODUCT: [&str; 5] = ["src", "proxy/src", "billing/src", "entitlement/src", "cache/src"];

/// All files below `directory` with this extension, by their path from the root.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(ROOT).join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|known| known == extension) {
                found.push(path.strip_prefix(ROOT).expect("below the root").to_owned());
            }
        }
    }
    assert!(!found.is_empty(), "there are .{extension} files in {directory}");
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a manifest's `[dependencies]`.
fn dependencies(package: &str) -> Vec<String> {
    let manifest: toml::Table = read(&Path::new(package).join("Cargo.toml")).parse().expect("a manifest");
    let table = manifest.get("dependencies").and_then(toml::Value::as_table).expect("it has dependencies");
    table.keys().cloned().collect()
}

/// The lines of the product, without its unit tests, that `is` picks; none of them may be outside `allowed`.
fn only_in(allowed: &[&str], is: impl Fn(&str) -> bool) -> usize {
    let (mut inside, mut outside) = (0, Vec::new());
    let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    for path in PRODUCT.iter().flat_map(|directory| files(directory, "rs")).filter(|path| !is_test(path)) {
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//") && is(line)) {
            if allowed.iter().any(|allowed| path.starts_with(allowed)) {
                inside += 1;
            } else {
                outside.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(outside.is_empty(), "only in {allowed:?}:\n{}", outside.join("\n"));
    inside
}

#[test]
fn entitlement_does_no_io() {
    let allowed = ["chrono", "jsonwebtoken", "serde", "serde_json", "thiserror"];
    for name in dependencies("entitlement") {
        assert!(allowed.contains(&name.as_str()), "{name} in entitlement/Cargo.toml");
    }
    for path in files("entitlement/src", "rs") {
        let text = read(&path);
        for word in ["std::net", "std::fs", "std::io", "std::env", "async fn", "SystemTime", "Instant", "Utc::now"] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
    }
}

#[test]
fn proxy_knows_no_database_and_billing_no_proxy() {
    let proxy = dependencies("proxy");
    assert!(!proxy.iter().any(|name| name.contains("sqlx") || name == "billing"), "{proxy:?}");
    let billing = dependencies("billing");
    assert!(!billing.iter().any(|name| name.contains("pingora") || name == "proxy"), "{billing:?}");
    for package in ["entitlement", "cache"] {
        assert!(!dependencies(package).iter().any(|name| name == "proxy" || name == "billing"), "{package}");
    }
}

#[test]
fn sql_is_written_in_the_store_alone() {
    let words = ["query!(", "query_as!(", "query_scalar!(", "sqlx::query", "raw_sql("];
    let found = only_in(&["billing/src/store"], |line| words.iter().any(|word| line.contains(word)));
    assert!(found > 0, "the store speaks SQL");
}

#[test]
fn the_cache_key_is_written_in_one_file_alone() {
    let is_key = |line: &str| line.contains("\"tollgate:entitlement") || line.contains("\"tollgate:{");
    assert!(only_in(&["entitlement/src/record"], is_key) > 0, "the key is there");
}

#[test]
fn a_providers_words_stay_with_the_provider() {
    let words = [
        "cancel_at_period_end",
        "current_period_end",
        "trial_end\"",
        "pause_collection",
        "client_reference_id",
        "checkout.session",
        "customer.subscription",
        "payment_status",
        "\"sub_",
        "\"cus_",
        "\"evt_",
        "incomplete_expired",
    ];
    let header = |line: &str| line.to_ascii_lowercase().contains("stripe-signature");
    let allowed = ["billing/src/provider"];
    let found = only_in(&allowed, |line| header(line) || words.iter().any(|word| line.contains(word)));
    assert!(found > 0, "the provider's words are there");
}

#[test]
fn every_source_file_says_why_it_exists_and_is_short() {
    let all = PRODUCT.iter().chain(&["demo/src", "tests"]);
    for path in all.flat_map(|directory| files(directory, "rs")) {
        let text = read(&path);
        assert!(text.starts_with("//! "), "{} begins with //!", path.display());
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_test_is_skipped_and_no_lint_is_silenced_without_a_reason() {
    // Put together, so that this file does not find itself.
    let words = ["[ig:nore", "[al:low("].map(|word| word.replacen(':', "", 1));
    for path in PRODUCT.iter().chain(&["demo/src", "tests"]).flat_map(|directory| files(directory, "rs")) {
        let text = read(&path);
        for word in &words {
            assert!(!text.contains(word.as_str()), "{word} in {}", path.display());
        }
    }
}

/// A file of TOML.
fn table(path: &str) -> toml::Table {
    read(Path::new(path)).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn each_code_with_which_the_api_refuses_is_documented() {
    let documented = read(Path::new("docs/api.md"));
    let mut codes = 0;
    let is_test = |path: &PathBuf| path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
    for directory in ["billing/src/api", "billing/src/app", "billing/src/checkout", "billing/src/referral"] {
        for path in files(directory, "rs").into_iter().filter(|path| !is_test(path)) {
            let text = read(&path);
            for rest in text.split("StatusCode::").skip(1) {
                let code = rest.split_once(',').and_then(|(_, rest)| rest.trim_start().strip_prefix('"'));
                let Some((code, _)) = code.and_then(|rest| rest.split_once('"')) else { continue };
                codes += 1;
                assert!(documented.contains(&format!("`{code}`")), "docs/api.md names {code} of {}", path.display());
            }
        }
    }
    assert!(codes > 20, "{codes} codes were found");
}

#[test]
fn b17_each_metric_is_documented_with_what_to_do() {
    let told = read(Path::new("docs/operating.md"));
    let mut metrics = 0;
    for directory in ["src", "proxy/src", "billing/src"] {
        for path in files(directory, "rs") {
            let text = read(&path);
            // A name stands alone between its quotes where a metric is made.
            for name in text.split('"').filter(|part| part.starts_with("tollgate_")) {
                let is_metric = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let is_other = ["tollgate_next", "tollgate_referral"].contains(&name) || name.ends_with("_bucket");
                if is_metric && !is_other {
                    metrics += 1;
                    assert!(
                        told.contains(&format!("`{name}")),
                        "{name} of {} is not in docs/operating.md",
                        path.display()
                    );
                }
            }
        }
    }
    assert!(metrics > 30, "{metrics} metrics were found");
}

#[test]
fn commands_write_moments_in_one_form() {
    for path in files("src", "rs") {
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for other in [".to_rfc3339()", ".date_naive()", ".format(\"%"] {
            assert!(!code.contains(other), "{other} in {}: output::moment writes it", path.display());
        }
    }
}

#[test]
fn pingora_is_pinned_to_the_version_that_the_short_way_was_compared_with() {
    let version = table("Cargo.toml")["workspace"]["dependencies"]["pingora"]["version"].clone();
    assert!(version.as_str().is_some_and(|version| version.starts_with('=')), "{version}");
}

#[test]
fn the_compiler_that_is_named_is_the_one_that_builds() {
    let least = table("Cargo.toml")["workspace"]["package"]["rust-version"].clone();
    let named = table("rust-toolchain.toml")["toolchain"]["channel"].clone();
    let (least, named) = (least.as_str().expect("a version"), named.as_str().expect("a version"));
    assert!(named.starts_with(&format!("{least}.")), "{least}, {named}");
    assert!(read(Path::new("README.md")).contains(&format!("Rust {least}")), "README.md names {least}");
}

#[test]
fn installing_as_the_readme_says_asks_no_database_and_takes_the_locked_versions() {
    let asked = table(".cargo/config.toml")["env"]["SQLX_OFFLINE"].clone();
    assert_eq!(asked.as_str(), Some("true"));
    let readme = read(Path::new("README.md"));
    let commands: Vec<_> = readme.lines().filter(|line| line.trim().starts_with("cargo install")).collect();
    assert!(!commands.is_empty() && commands.iter().all(|line| line.contains("--locked")), "{commands:?}");
}

#[test]
fn each_fuzz_target_is_built_and_starts_from_inputs_and_words_of_its_own() {
    let programs = table("fuzz/Cargo.toml")["bin"].as_array().expect("programs").len();
    let targets = files("fuzz/src/bin", "rs");
    assert_eq!(programs, targets.len(), "each file in fuzz/src/bin is a program in fuzz/Cargo.toml");
    for target in targets {
        let name = target.file_stem().and_then(|name| name.to_str()).expect("a name");
        let corpus = Path::new(ROOT).join("fuzz/corpus").join(name);
        assert!(std::fs::read_dir(&corpus).is_ok_and(|mut inputs| inputs.next().is_some()), "{}", corpus.display());
        let words = Path::new(ROOT).join("fuzz/dictionaries").join(format!("{name}.dict"));
        assert!(words.is_file(), "{}", words.display());
    }
}

#[test]
fn every_path_that_a_document_names_is_there() {
    const PLACES: [&str; 12] = [
        "entitlement",
        "billing",
        "proxy",
        "cache",
        "src",
        "tests",
        "scripts",
        "docs",
        "config",
        "demo",
        "migrations",
        "bench",
    ];
    let documents =
        files("docs", "md").into_iter().chain(["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"].map(PathBuf::from));
    let mut found = 0;
    for document in documents {
        let text = read(&document);
        for quoted in text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let is_path = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
            let Some((place, _)) = quoted.split_once('/') else { continue };
            if PLACES.contains(&place) && quoted.chars().all(is_path) {
                found += 1;
                assert!(Path::new(ROOT).join(quoted).exists(), "{}: there is no {quoted}", document.display());
            }
        }
    }
    assert!(found > 50, "documents name paths: {found}");
}

#[tokio::test]
async fn every_shipped_configuration_is_valid() {
    let dir = tempfile::tempdir().expect("a directory");
    let limit = std::time::Duration::from_secs(30);
    let mut catalogs = 0;
    for path in files("config", "toml").into_iter().filter(|path| !path.ends_with("Cargo.toml")) {
        let mut config = Path::new(ROOT).join(&path);
        if path.file_stem().is_some_and(|name| name == "catalog") {
            catalogs += 1;
            let of_catalog = dir.path().join("tollgate.toml");
            std::fs::write(&of_catalog, format!("catalog = {config:?}\n")).expect("it is written");
            config = of_catalog;
        }
        let config = config.to_str().expect("a path in UTF-8");
        let secret = [("TOLLGATE_JWT_SECRET".to_owned(), crate::world::token::SECRET.to_owned())];
        let output = tollgate(dir.path(), &secret, limit, &["check", "--config", config]).await;
        assert_eq!(output.code, 0, "{}: {output:?}", path.display());
    }
    assert!(catalogs > 0, "a catalog is shipped");
}
