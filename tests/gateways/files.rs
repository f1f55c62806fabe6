//! The files for gateways against the gate's own lists: what a client may not say is removed by each of them.

use std::path::{Path, PathBuf};

use proxy::headers::{IDENTITY, removed};

/// A file, and how it removes a header by its name.
struct Shipped {
    name: &'static str,
    line: fn(&str) -> String,
    /// The names that it removes: all of them, or those that none of its other rules removes.
    names: fn() -> Vec<&'static str>,
}

const SHIPPED: [Shipped; 5] = [
    Shipped { name: "nginx.conf", line: |name| format!("    proxy_set_header {} \"\";", title(name)), names: listed },
    Shipped { name: "Caddyfile", line: |name| format!("\trequest_header -{}", title(name)), names: without_forwarded },
    Shipped {
        name: "haproxy.cfg",
        line: |name| format!("    http-request del-header {name}"),
        names: without_forwarded,
    },
    Shipped { name: "envoy.yaml", line: |name| format!("{:24}- remove: {name}", ""), names: without_forwarded },
    Shipped {
        name: "traefik.routes.yml",
        line: |name| format!("{:10}{}: \"\"", "", title(name)),
        names: with_identity,
    },
];

fn listed() -> Vec<&'static str> {
    removed().collect()
}

/// Where a rule removes all that begins with `X-Forwarded`.
fn without_forwarded() -> Vec<&'static str> {
    removed().filter(|name| !name.starts_with("x-forwarded")).collect()
}

/// Where no other rule removes what an answer of Tollgate would say, and none has been asked for.
fn with_identity() -> Vec<&'static str> {
    IDENTITY.into_iter().chain(removed()).collect()
}

/// Between these lines a file has what is made from the list.
const BEGIN: &str = "# removed: begin";
const END: &str = "# removed: end";

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// A shipped file with other addresses in the places that it names, in this order: a port may begin as one that is still to come.
pub fn placed(name: &str, places: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(path(name)).expect("it is shipped");
    places.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{name} no longer says {from}");
        text.replace(from, to)
    })
}

/// `x-real-ip` as it is usually written.
fn title(name: &str) -> String {
    let words = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect::<Vec<_>>().join("-")
}

/// A file with its block made anew.
fn made(shipped: &Shipped, text: &str) -> String {
    let (head, rest) = text.split_once(BEGIN).expect("it has a block");
    let (comment, rest) = rest.split_once('\n').expect("lines");
    let (_, tail) = rest.split_once(END).expect("its block ends");
    let lines: String = (shipped.names)().into_iter().map(|name| (shipped.line)(name) + "\n").collect();
    let indent = head.rsplit('\n').next().expect("a line");
    format!("{head}{BEGIN}{comment}\n{lines}{indent}{END}{tail}")
}

/// `KEEP=1` writes the files anew.
#[test]
fn every_file_removes_what_the_gate_removes() {
    for shipped in &SHIPPED {
        let path = path(shipped.name);
        let text = std::fs::read_to_string(&path).expect("it is shipped");
        let wanted = made(shipped, &text);
        if std::env::var_os("KEEP").is_some() {
            std::fs::write(&path, wanted).expect("it is written");
            continue;
        }
        assert!(text == wanted, "config/{} is another than the gate's list makes it: KEEP=1 writes it", shipped.name);
    }
}

#[test]
fn every_file_names_all_that_the_site_is_told() {
    for name in ["nginx.conf", "Caddyfile", "haproxy.lua"] {
        let text = std::fs::read_to_string(path(name)).expect("it is shipped").to_lowercase();
        for header in IDENTITY {
            let spelled = if name == "nginx.conf" { header.replace('-', "_") } else { header.to_owned() };
            assert!(text.contains(&spelled) && text.contains(header), "config/{name} does not pass on {header}");
        }
    }
}
