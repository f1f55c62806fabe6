//! Files that are installed without a compiler, as far as they can be looked at without installing them: the unit of systemd, and the files for
//! containers and Kubernetes, against the program that they start. `make long` installs the package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::world::tollgate::{Output, tollgate};
use crate::world::{ASSERTION_KEY, token};

const LIMIT: Duration = Duration::from_secs(30);

/// Files in which variables of the environment are named.
const NAMING: [&str; 5] = [
    "systemd/env.example",
    "docker/.env.example",
    "docker/compose.yaml",
    "kubernetes/secrets.example.yaml",
    "systemd/default",
];

/// Variables that are not for Tollgate's own reading: of the unit, of the log's library, of the containers beside it.
const OTHERS: [&str; 7] = ["ROLE", "RUST_LOG", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "SITE_URL", "PORT"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("config/{name}: {error}"))
}

/// The text behind `key` in each line that begins with it.
fn values<'text>(text: &'text str, key: &str) -> Vec<&'text str> {
    text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key)).map(str::trim).collect()
}

/// Seconds as systemd, Compose and Kubernetes write them.
fn seconds(text: &str) -> u64 {
    text.trim_end_matches('s').parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A file inside of a ConfigMap.
fn inside(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("  {name}: |\n")).expect("the ConfigMap has the file");
    let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| line.strip_prefix("    ").unwrap_or_default().to_owned() + "\n").collect()
}

/// The time that a process may need from its end's beginning: `shutdown.delay` and twice `shutdown.grace`.
fn longest_end(config: &str) -> u64 {
    let defaults: toml::Table = read("tollgate.toml").parse().expect("the defaults");
    let config: toml::Table = config.parse().expect("a configuration");
    let time = |key: &str| {
        let of = |table: &toml::Table| Some(table.get("shutdown")?.get(key)?.as_str()?.to_owned());
        seconds(&of(&config).or_else(|| of(&defaults)).expect("it has a default"))
    };
    time("delay") + 2 * time("grace")
}

async fn run(dir: &Path, arguments: &[&str]) -> Output {
    let secrets = [("TOLLGATE_JWT_SECRET", token::SECRET), ("TOLLGATE_ASSERTION_KEY", ASSERTION_KEY)];
    tollgate(dir, &secrets.map(|(name, value)| (name.to_owned(), value.to_owned())), LIMIT, arguments).await
}

#[test]
fn the_unit_takes_away_what_the_program_does_not_need() {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=yes", "--no-pager", "--threshold=20"]).arg(path("systemd/tollgate.service"));
    let output = command.output().expect("systemd-analyze is installed: scripts/install.sh tests");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Overall exposure level"), "{output:?}");
    assert!(output.status.success(), "an exposure of 2.0 at most:\n{text}");
}

#[tokio::test]
async fn each_command_of_the_unit_and_of_the_containers_is_one_of_the_program() {
    let dir = tempfile::tempdir().expect("a directory");
    let unit = read("systemd/tollgate.service");
    let mut commands: Vec<Vec<String>> = Vec::new();
    for line in unit.lines().filter(|line| line.starts_with("Exec") && line.contains("/tollgate ")) {
        let (_, rest) = line.split_once("/usr/bin/tollgate ").expect("the program");
        commands.push(rest.replace("${ROLE}", "all").split(' ').map(str::to_owned).collect());
    }
    assert_eq!(commands.len(), 2, "a check and the server");
    for name in ["proxy", "billing", "migrate"] {
        let manifest = read(&format!("kubernetes/{name}.yaml"));
        let list = values(&manifest, "args:").concat();
        commands.push(list.trim_matches(['[', ']']).split(", ").map(str::to_owned).collect());
    }
    let dockerfile = read("docker/Dockerfile");
    for (_, list) in dockerfile.lines().filter_map(|line| line.split_once("CMD [")) {
        let words = list.trim_end_matches(']').split(", ").map(|word| word.trim_matches('"').to_owned());
        commands.push(words.filter(|word| word != "/usr/bin/tollgate").collect());
    }
    assert_eq!(commands.len(), 7, "the image has a command and a health check: {commands:?}");
    for command in commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        // There is no configuration here: what was called rightly says so.
        let output = run(dir.path(), &words).await;
        assert_eq!(output.code, 1, "{command:?}: {output:?}");
        assert!(output.stderr.contains("tollgate.toml"), "{command:?}: {output:?}");
    }
}

#[test]
fn every_variable_that_is_named_is_read() {
    let defaults = read("tollgate.toml");
    let is_read: BTreeSet<&str> = defaults
        .lines()
        .take_while(|line| line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("#   ")?.split(' ').next())
        .filter(|name| name.len() > 3 && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .collect();
    assert!(is_read.contains("TOLLGATE_JWT_SECRET") && is_read.len() > 8, "{is_read:?}");
    for file in NAMING {
        let text = read(file);
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().trim_start_matches('#').split_once(['=', ':']))
            .map(|(name, _)| name)
            .filter(|name| name.len() > 3 && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
            .collect();
        assert!(!names.is_empty(), "config/{file} names variables");
        for name in names {
            assert!(is_read.contains(name) || OTHERS.contains(&name), "config/{file}: nothing reads {name}");
        }
    }
}

#[tokio::test]
async fn the_configuration_of_the_pods_is_valid_and_fits_their_ports_and_their_time_to_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let map = read("kubernetes/configuration.yaml");
    for name in ["tollgate.toml", "catalog.toml"] {
        std::fs::write(dir.path().join(name), inside(&map, name)).expect("it is written");
    }
    let config = inside(&map, "tollgate.toml");
    let listen = config.parse::<toml::Table>().expect("a configuration")["listen"].clone();
    let port = |key: &str| listen[key].as_str().and_then(|at| at.rsplit_once(':')).expect("a port").1.to_owned();
    for (role, keys) in [("proxy", ["public", "admin"]), ("billing", ["billing", "admin"])] {
        let checked = run(dir.path(), &["check", "--role", role]).await;
        assert_eq!(checked.code, 0, "{role}: {checked:?}");
        let manifest = read(&format!("kubernetes/{role}.yaml"));
        assert_eq!(values(&manifest, "containerPort:"), keys.map(port), "{role}");
        assert_eq!(values(&manifest, "path:"), ["/livez", "/livez", "/readyz"], "{role}");
        let grace = seconds(values(&manifest, "terminationGracePeriodSeconds:")[0]);
        assert!(grace > longest_end(&config), "{role} has {grace} s to end");
        // As the standard `restricted` of Kubernetes asks.
        for rule in [
            "runAsNonRoot: true",
            "type: RuntimeDefault",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "drop: [ALL]",
        ] {
            assert!(manifest.contains(rule), "{role}: {rule}");
        }
    }
    let billing =
        format!("hostnames: [{}]", listen["billing"].as_str().and_then(|at| at.split(':').next()).expect("a host"));
    assert!(read("kubernetes/billing.yaml").contains(&billing), "{billing}");
}

#[test]
fn the_service_and_the_container_have_time_to_end() {
    let unit = read("systemd/tollgate.service");
    assert!(seconds(values(&unit, "TimeoutStopSec=")[0]) > longest_end(""));
    let compose = read("docker/compose.yaml");
    assert!(seconds(values(&compose, "stop_grace_period:")[0]) > longest_end(&read("docker/tollgate/tollgate.toml")));
    let published = values(&compose, "'127.0.0.1:8080:");
    assert_eq!(published, ["8080'"], "the port of listen.public");
    assert!(read("docker/tollgate/tollgate.toml").contains("public = \"0.0.0.0:8080\""));
}

#[test]
fn the_compiler_of_the_image_is_the_one_that_is_named() {
    let toolchain = std::fs::read_to_string(path("../rust-toolchain.toml")).expect("it is there");
    let toolchain: toml::Table = toolchain.parse().expect("a toolchain");
    let channel = toolchain["toolchain"]["channel"].as_str().expect("a version");
    let dockerfile = read("docker/Dockerfile");
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-")), "{channel}");
    assert!(dockerfile.contains(&format!("ENV RUSTUP_TOOLCHAIN={channel}\n")), "{channel}");
}
