//! What one configuration changes of another, and whether that is possible while Tollgate runs.

use std::collections::BTreeSet;
use std::fmt;

use toml::{Table, Value};

/// Keys, or all keys below one, that can change while Tollgate runs.
const REPLACED: [&str; 30] = [
    "upstream",
    "site.upstream",
    "site.case_sensitive",
    "site.framework",
    "site.languages",
    "cache.max_staleness",
    "cache.stale_if_error",
    "route",
    "default",
    "decide",
    "identity",
    "organisation",
    "log",
    "limits",
    "tls.certificate",
    "tls.key",
    "proxy.trusted_proxies",
    "proxy.http2",
    "proxy.fast_path",
    "proxy.connect",
    "proxy.read",
    "proxy.write",
    "proxy.idle",
    "proxy.buffer_body",
    "proxy.resolve",
    "shutdown.grace",
    "shutdown.delay",
    "catalog",
    "grace",
    "policy",
];

/// Of those, the ones that cannot: others than the gate go by them too.
const FIXED: [&str; 2] = ["identity.audience", "limits.requests_per_connection"];

/// The keys whose values differ, dotted.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes(BTreeSet<String>);

impl Changes {
    pub fn between(old: &Table, new: &Table) -> Self {
        let mut keys = BTreeSet::new();
        compare("", old, new, &mut keys);
        // TLS that comes or goes changes what the listener is.
        if old.contains_key("tls") != new.contains_key("tls") {
            keys.insert("tls".to_owned());
        }
        Self(keys)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first key that needs a restart.
    pub fn fixed(&self) -> Option<&str> {
        let is_replaced = |key: &&String| {
            REPLACED.iter().any(|place| is_at(key, place)) && !FIXED.iter().any(|place| is_at(key, place))
        };
        self.0.iter().find(|key| !is_replaced(key)).map(String::as_str)
    }

    /// Whether a key at or below `place` differs.
    pub fn touch(&self, place: &str) -> bool {
        self.0.iter().any(|key| is_at(key, place))
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.0.iter().map(String::as_str).collect();
        f.write_str(&keys.join(", "))
    }
}

fn is_at(key: &str, place: &str) -> bool {
    key.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn compare(place: &str, old: &Table, new: &Table, keys: &mut BTreeSet<String>) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let key = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        match (old.get(name), new.get(name)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => compare(&key, old, new, keys),
            (Some(Value::Table(table)), None) | (None, Some(Value::Table(table))) => {
                keys.extend(table.keys().map(|name| format!("{key}.{name}")));
            }
            (old, new) if old != new => drop(keys.insert(key)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;

    fn changes(old: &str, new: &str) -> Changes {
        let table = |text| File::table(text).expect("it parses");
        Changes::between(&table(old), &table(new))
    }

    #[test]
    fn what_differs_is_named_and_what_needs_a_restart_first() {
        let route = "[[route]]\npath = \"/a\"\nrequire = { public = true }\n";
        let cases = [
            ("", "", "", None),
            ("", route, "route", None),
            (
                "",
                "[default]\nrequire = { signed_in = true }",
                "default.require.public, default.require.signed_in",
                None,
            ),
            ("", "[grace]\npast_due = \"7d\"", "grace.past_due", None),
            ("", "[policy]\npause = \"keep\"", "policy.pause", None),
            ("", "[log]\nrequests = \"all\"", "log.requests", None),
            ("[limits]\nread = \"5s\"", "[limits]\nread = \"6s\"", "limits.read", None),
            ("", "[[upstream]]\nservers = [\"app:80\"]", "site.upstream, upstream", None),
            ("", "[listen]\npublic = \"[::]:1\"", "listen.public", Some("listen.public")),
            ("", "[site]\nurl = \"https://a.example\"", "site.url", Some("site.url")),
            ("", "[identity]\naudience = \"a\"", "identity.audience", Some("identity.audience")),
            ("", "[identity]\nissuer = \"a\"", "identity.issuer", None),
            ("", "[organisation]\nbuyers = [\"/a=b\"]", "organisation.buyers", None),
            ("", "[cache]\ncapacity = 5", "cache.capacity", Some("cache.capacity")),
            ("", "[tls]\nkey = \"a\"\ncertificate = \"b\"", "tls, tls.certificate, tls.key", Some("tls")),
            ("[tls]\nkey = \"a\"\ncertificate = \"b\"", "[tls]\nkey = \"c\"\ncertificate = \"b\"", "tls.key", None),
        ];
        for (old, new, named, fixed) in cases {
            let changes = changes(old, new);
            assert_eq!((changes.to_string().as_str(), changes.fixed()), (named, fixed), "{new}");
            assert_eq!(changes.is_empty(), named.is_empty());
        }
    }
}
