//! Every hook of Pingora's proxying, and whether it runs on the short way, too: a new version of Pingora that has another
//! one fails here until somebody has said what becomes of it (docs/decisions/fast-path.md).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What becomes of a hook.
enum Hook {
    /// The short way calls it as Pingora does.
    Both,
    /// The gate uses it on the long way alone, and this does the same on the short one.
    Instead(&'static str),
    /// The gate does not use it: what Pingora does by default is nothing, or this.
    Unused(&'static str),
}

use Hook::{Both, Instead, Unused};

const HOOKS: [(&str, Hook); 42] = [
    ("new_ctx", Both),
    ("upstream_peer", Instead("`exchange::server`, which it calls itself")),
    ("init_downstream_modules", Instead("there are no modules: `Session::new_h1` has none")),
    ("init_upstream_modules", Unused("")),
    ("request_filter", Both),
    ("early_request_filter", Unused("")),
    ("allow_spawning_subrequest", Unused("there are no subrequests")),
    (
        "request_body_filter",
        Instead("the body is here before the request is decided on, and its length was refused or not"),
    ),
    ("request_cache_filter", Unused("nothing is cached")),
    ("cache_key_callback", Unused("nothing is cached")),
    ("cache_miss", Unused("nothing is cached")),
    ("cache_hit_filter", Unused("nothing is cached")),
    ("proxy_upstream_filter", Unused("every request that passes `request_filter` goes on")),
    ("response_cache_filter", Unused("nothing is cached")),
    ("cache_vary_filter", Unused("nothing is cached")),
    ("cache_not_modified_filter", Unused("nothing is cached")),
    ("range_header_filter", Unused("ranges of a cache")),
    ("upstream_request_filter", Instead("`headers::write`, which it calls itself")),
    ("adjust_upstream_modules", Unused("")),
    ("upstream_response_filter", Unused("")),
    ("response_filter", Instead("`Service::make_ready`, which it calls itself")),
    ("custom_forwarding", Unused("of protocols that the gate does not speak")),
    ("downstream_custom_message_proxy_filter", Unused("of protocols that the gate does not speak")),
    ("upstream_custom_message_proxy_filter", Unused("of protocols that the gate does not speak")),
    ("upstream_response_body_filter", Unused("bodies pass as they are")),
    ("upstream_response_trailer_filter", Unused("")),
    (
        "response_body_filter",
        Instead(
            "`finish_with` writes the trailers of a site that speaks HTTP/1.1, and the body of the request is here",
        ),
    ),
    ("response_trailer_filter", Instead("of sites that speak HTTP/2, for which there is no short way")),
    ("logging", Both),
    ("persist_connection_context", Unused("nothing is known of a connection")),
    ("on_connection_reuse", Unused("nothing is known of a connection")),
    ("suppress_error_log", Instead("`fail_to_proxy` writes the line, and nothing else does")),
    ("suppress_proxy_warn_log", Instead("`exchange` writes the line of a second try")),
    ("error_while_proxy", Instead("`attempt` says the same of a second try")),
    ("fail_to_connect", Both),
    ("fail_to_proxy", Both),
    ("should_serve_stale", Unused("nothing is cached")),
    ("connected_to_upstream", Instead("the body is here, so nothing of it is watched")),
    ("request_summary", Instead("`fail_to_proxy` calls it")),
    ("is_purge", Unused("nothing is cached")),
    ("purge_action", Unused("nothing is cached")),
    ("purge_response_filter", Unused("nothing is cached")),
];

/// The directory of a dependency's source.
fn source(package: &str) -> PathBuf {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let found = packages.iter().find(|known| known["name"] == package).expect("it is a dependency");
    Path::new(found["manifest_path"].as_str().expect("a path")).parent().expect("a directory").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// The functions that are declared directly in a block which begins with this line.
fn functions(text: &str, begin: &str) -> Vec<String> {
    let (_, block) = text.split_once(begin).unwrap_or_else(|| panic!("{begin} is there"));
    let block = block.split("\n}").next().unwrap_or_default();
    let name = |line: &str| {
        let rest = line.strip_prefix("    async fn ").or_else(|| line.strip_prefix("    fn "))?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    };
    block.lines().filter_map(name).collect()
}

#[test]
fn each_hook_of_pingoras_proxying_runs_on_both_ways_or_it_is_said_why_not() {
    let hooks: BTreeMap<&str, &Hook> = HOOKS.iter().map(|(name, hook)| (*name, hook)).collect();
    let text = read(source("pingora-proxy").join("src/proxy_trait.rs"));
    let mut declared = functions(&text, "pub trait ProxyHttp {");
    declared.sort();
    assert_eq!(declared, hooks.keys().copied().collect::<Vec<_>>(), "Pingora's hooks are those of the table");

    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy/src");
    let used = functions(&read(sources.join("service.rs")), "impl ProxyHttp for Service {");
    let short = ["requests.rs", "exchange.rs"].map(|file| read(sources.join(file))).concat();
    for (name, hook) in &hooks {
        let is_used = used.iter().any(|used| used == name);
        match hook {
            Both => assert!(is_used && short.contains(&format!(".{name}(")), "{name} is called on the short way"),
            Instead(what) => assert!(is_used && !what.is_empty(), "{name} is used, and something stands in its place"),
            Unused(why) => assert!(!is_used, "{name} is used now, though {why}: is it on the short way, too?"),
        }
    }
}
